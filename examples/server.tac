"""A server under twistd, with whatever other services the application has.

    TUNNEL_PORT=7000 TUNNEL_TOKEN=choose-a-long-one twistd -ny examples/server.tac
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor

from tunnelsvc.config import ServerConfig
from tunnelsvc.server import TunnelServer

application = Application("tunnel")
config = ServerConfig(
    bind_addr=os.environ.get("TUNNEL_ADDR", "0.0.0.0"),
    bind_port=int(os.environ.get("TUNNEL_PORT", "7000")),
    token=os.environ["TUNNEL_TOKEN"],
)
TunnelServer(config, reactor).setServiceParent(application)
