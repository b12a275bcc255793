"""An HTTP gateway (RFC 9110 section 3.7): requests are routed one by one, passed on as they come.

It knows nothing of the tunnel: where connections to a service come from is for `Route` to say.

`protocol` reads requests off a user's connection, `sending` carries one to its service, `exchange`
the response back, `pool` keeps connections to a service, `rewrite` has the headers.
"""

from tunnelsvc.gateway.factory import VhostFactory
from tunnelsvc.gateway.pool import BackendPool
from tunnelsvc.gateway.route import Route
from tunnelsvc.gateway.router import Router
from tunnelsvc.gateway.rules import Rules, make_rules

__all__ = ["BackendPool", "Route", "Router", "Rules", "VhostFactory", "make_rules"]
