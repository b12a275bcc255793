"""HTTP/2 (RFC 9113) for users: each of its streams is a user of the HTTP/1.1 path behind it.

Imported when somebody speaks it: h2, which has the frames, header compression and states, takes
1.2 MiB.
"""

from tunnelsvc.gateway.http2.connection import HTTP2Connection

__all__ = ["HTTP2Connection"]
