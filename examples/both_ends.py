"""Server and client of a tunnel in one program: a web page here, reached through both.

python examples/both_ends.py
"""

import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.server import Site
from twisted.web.static import Data

from tunnelsvc.client import TunnelClient
from tunnelsvc.config import ClientConfig, ServerConfig, TCPProxyConfig
from tunnelsvc.server import TunnelServer

HERE = "127.0.0.1"


async def main(reactor: Any) -> None:
    """Run until Ctrl-C."""
    page = Data(b"You came through the tunnel.\n", "text/plain")
    page.isLeaf = True
    local = reactor.listenTCP(0, Site(page), interface=HERE)
    token = secrets.token_hex()

    server = TunnelServer(
        ServerConfig(bind_addr=HERE, proxy_bind_addr=HERE, bind_port=0, token=token), reactor
    )
    server.startService()

    client = TunnelClient(
        ClientConfig(
            server_addr=HERE,
            server_port=server.ports["bind"],
            token=token,
            proxies=(TCPProxyConfig(name="page", local_port=local.getHost().port),),
        ),
        reactor,
    )
    client.startService()
    for service in (client, server):
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)

    addresses = await client.when_running().addTimeout(30, reactor)
    print(f"http://{HERE}{addresses['page']}/", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(main)
