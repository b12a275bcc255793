# -*- test-case-name: tests.test_demo -*-
"""``tunnelsvc demo``: server, client and a web page in one process, on free ports of loopback.

Nothing is pretended: the client logs in over TLS, the page's requests go through the tunnel.
"""

import secrets
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tunnelsvc.addresses import LOOPBACK, host_and_port
from tunnelsvc.admin.site import DEFAULT_CREDENTIALS, DashboardService
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.config.schema import ClientConfig, DashboardConfig, LogConfig, ServerConfig
from tunnelsvc.console import box
from tunnelsvc.link.sockets import free_port
from tunnelsvc.runner import Program
from tunnelsvc.server.service import TunnelServer

DOMAIN: Final = "localhost"
"""The web site's name: the only one that every machine can resolve."""

READY_SECONDS: Final = 15.0
"""How long the tunnel may take to stand. It takes milliseconds; this is for a stalled machine."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at whether it stands."""

SHOWN_HEADERS: Final = 50
"""Request headers that the page shows at most; a browser sends about fifteen."""

PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>tunnelsvc demo</title>
<h1>It works</h1>
<p>You reached <b>{host}</b>. The request went to the tunnel's server, from there through a
connection that the client had opened, and from the client to this page on {local}.</p>
<p>Requests served through the tunnel: <b>{count}</b></p>
<h2>The headers of your request, as they arrived</h2>
<table>
{rows}
</table>
</html>
"""


class DemoPage(Resource):
    """A page that shows the request it was asked with, and how many there were.

    Attributes:
        requests: number of requests answered.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    def render_GET(self, request: Request) -> bytes:
        """Answer."""
        self.requests += 1
        headers = sorted(request.requestHeaders.getAllRawHeaders())[:SHOWN_HEADERS]
        rows = [
            f"<tr><td>{_shown(name)}</td><td>{_shown(value)}</td></tr>"
            for name, values in headers
            for value in values
        ]
        here = request.getHost()
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", b"default-src 'none'")
        request.setHeader(b"cache-control", b"no-store")
        page = PAGE.format(
            host=_shown(request.getHeader(b"host") or b"?"),
            local=host_and_port(here.host, here.port),
            count=self.requests,
            rows="\n".join(rows),
        )
        return page.encode()


def _shown(raw: bytes) -> str:
    return escape(raw.decode("utf-8", "replace"))


class PageService(Service):
    """Listens for the page on a free port.

    Args:
        reactor: listener and clock.
        page: what to show.

    Attributes:
        port: where it listens.
    """

    def __init__(self, reactor: Any, page: Resource) -> None:
        site = Site(page, reactor=reactor)
        site.noisy = False
        self._listening: IListeningPort = reactor.listenTCP(0, site, interface=LOOPBACK)
        self.port: int = cast("IPv4Address", self._listening.getHost()).port

    def stopService(self) -> "Deferred[None] | None":
        """Stop listening; fires when the port is free."""
        super().stopService()
        return self._listening.stopListening()


class Announcer(Service):
    """Tells the user where to look, once there is something to see.

    Args:
        reactor: the clock.
        addresses: gives where the server put each proxy that runs.
        wanted: names of the proxies to wait for.
        announce: called when all run.
        fail: called with a message when they don't in time.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Callable[[], Any],
        wanted: Sequence[str],
        announce: Callable[[], None],
        fail: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._addresses = addresses
        self._wanted = set(wanted)
        self._announce = announce
        self._fail = fail
        self._deadline = 0.0
        self._timer: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._deadline = self._reactor.seconds() + READY_SECONDS
        self._look()

    def stopService(self) -> None:
        """Stop looking."""
        super().stopService()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._wanted <= set(self._addresses()):
            self._announce()
        elif self._reactor.seconds() >= self._deadline:
            self._fail(f"the tunnel doesn't stand after {READY_SECONDS:g} s; try demo --verbose")
        else:
            self._timer = self._reactor.callLater(LOOK_SECONDS, self._look)


def _server_config(port: int, token: str) -> ServerConfig:
    user, password = DEFAULT_CREDENTIALS
    return ServerConfig(
        bind_addr=LOOPBACK,
        proxy_bind_addr=LOOPBACK,
        bind_port=port,
        vhost_http_port=port,
        token=token,
        dashboard=DashboardConfig(
            addr=LOOPBACK, user=user, password=password, credentials_configured=True
        ),
    )


def _client_config(server_port: int, page_port: int, token: str) -> ClientConfig:
    return ClientConfig(
        server_addr=LOOPBACK,
        server_port=server_port,
        token=token,
        proxies=(
            TCPProxyConfig(name="tcp-page", type="tcp", local_port=page_port),
            HTTPProxyConfig(
                name="web-page", type="http", local_port=page_port, custom_domains=(DOMAIN,)
            ),
        ),
    )


def announcement(public: int, vhost: int, dashboard: int) -> str:
    """Write what the user is told, given the ports of the three URLs."""
    user, password = DEFAULT_CREDENTIALS
    return textwrap.dedent(f"""\
        The tunnel is up. Public URL:

            http://{LOOPBACK}:{public}/

        The same page by name, as http proxies have it:

            http://{DOMAIN}:{vhost}/

        Dashboard (user {user}, password {password}):

            http://{LOOPBACK}:{dashboard}/

        Ctrl-C ends the demo.""")


def make_demo(reactor: Any, show: Callable[[str], object], *, verbose: bool = False) -> Program:
    """Compose the demonstration.

    Args:
        reactor: what everything runs on.
        show: called with the text for the user.
        verbose: log everything, not only what is wrong.
    """
    program = Program(LogConfig(level="info" if verbose else "error"), reactor)
    token = secrets.token_hex()
    page = PageService(reactor, DemoPage())
    server = TunnelServer(_server_config(free_port(), token), reactor)
    dashboard = DashboardService(server.config.dashboard, server, reactor)
    client = TunnelClient(
        _client_config(server.config.bind_port, page.port, token), reactor, program.fail
    )

    def announce() -> None:
        public = int(client.proxy_addresses["tcp-page"].rpartition(":")[2])
        show(box(announcement(public, server.ports["bind"], dashboard.port)))
        program.ready("the demo runs")

    names = [proxy.name for proxy in client.config.proxies]
    announcer = Announcer(reactor, lambda: client.proxy_addresses, names, announce, program.fail)
    for service in (page, server, dashboard, client, announcer):
        service.setServiceParent(program)
    return program
