"""A Twisted web application that shows tunnelled hosts next to its own pages.

    python examples/web_application.py BIND_PORT WEB_PORT TOKEN

Clients log in on BIND_PORT. A request to WEB_PORT for a host of one of their http proxies goes
through the tunnel; all others see the page below.
"""

import sys

from twisted.internet import endpoints, reactor
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tunnelsvc.config import ServerConfig
from tunnelsvc.server import TunnelServer
from tunnelsvc.web import VhostResource


class OwnPage(Resource):
    """A page of the application."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """Answer."""
        return b"<p>This page is the application's own.</p>\n"


def main(bind_port: str, web_port: str, token: str) -> None:
    """Run until Ctrl-C."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    config = ServerConfig(bind_addr="127.0.0.1", bind_port=int(bind_port), token=token)
    server = TunnelServer(config, reactor)
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    site = Site(VhostResource(server, otherwise=OwnPage()), parsePOSTFormSubmission=False)
    web = endpoints.serverFromString(reactor, f"tcp:{web_port}:interface=127.0.0.1")
    web.listen(site)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
