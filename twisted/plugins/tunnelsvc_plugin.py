"""The two twistd commands.

Imports nothing of the package, so that ``twistd --help`` stays cheap.
"""

from twisted.application.service import ServiceMaker

tunnel_server = ServiceMaker(
    "tunnelsvc server",
    "tunnelsvc.server_tap",
    "The public side of a reverse tunnel (frps.ini).",
    "tunnel-server",
)
tunnel_client = ServiceMaker(
    "tunnelsvc client",
    "tunnelsvc.client_tap",
    "The hidden side of a reverse tunnel (frpc.ini).",
    "tunnel-client",
)
