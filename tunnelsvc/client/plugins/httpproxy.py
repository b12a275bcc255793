# -*- test-case-name: tests.client.plugins.test_httpproxy -*-
"""``plugin = http_proxy``: users reach whatever this machine reaches, by an HTTP proxy.

CONNECT joins the user with the target, whatever both speak then (RFC 9110 section 9.3.6). Requests
for ``http://`` are passed on by the engine of the server's vhost port, without what is said to a
proxy and without a word about the user: no X-Forwarded-For, no Via, as in frp.

Connections to targets are kept for the next request of the same user's connection, and for nobody
else: some servers (NTLM) take a connection for a login.
"""

import re
from http import HTTPStatus
from typing import Final, cast

from attrs import frozen
from twisted.internet import error
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelsvc.client.plugins import Place
from tunnelsvc.client.plugins.reach import reach
from tunnelsvc.client.plugins.site import make_site
from tunnelsvc.config.plugins import HTTPProxyPluginConfig
from tunnelsvc.gateway.exchange import Exchange
from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.pool import BackendPool
from tunnelsvc.gateway.protocol import VhostProtocol
from tunnelsvc.gateway.route import LoneRoute
from tunnelsvc.gateway.router import Router
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed
from tunnelsvc.relay.accounted import Accounted
from tunnelsvc.wire.basicauth import admits, credentials, credentials_in
from tunnelsvc.wire.httphead import RequestHead
from tunnelsvc.wire.messages import StartWorkConn

MOST_DESTINATIONS: Final = 16
"""To which one user's connection keeps connections."""

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_HTTP_PORT: Final = 80
_MAX_PORT: Final = 65535
_AUTHORITY: Final = re.compile(r"\[?([^\[\]]+?)\]?(?::([0-9]*))?")
_ABSOLUTE: Final = b"http://"
_TEXTS: Final = {
    HTTPStatus.BAD_REQUEST: (
        "This is an HTTP proxy. Ask it for http://host/path, or for a connection by CONNECT "
        "host:port; a request that could be understood in two ways isn't passed on."
    ),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "This proxy asks for a user name and a password.",
    HTTPStatus.BAD_GATEWAY: "The proxy can't reach the host, or the host didn't answer by HTTP.",
    HTTPStatus.GATEWAY_TIMEOUT: "The host took too long to answer.",
}


@frozen
class Authority:
    """Whom a request is for."""

    host: str
    port: int


class HTTPProxyPlugin:
    """A forward proxy; see `tunnelsvc.client.plugins.Plugin`."""

    def __init__(self, place: Place) -> None:
        config = cast("HTTPProxyPluginConfig", place.proxy.plugin)
        self.place = place
        self._credentials = credentials(config.http_user, config.http_password)
        # The router is of no use: a request says itself where it goes.
        self.site = make_site(Router(), place.reactor, _ProxyPages())

    async def serve(
        self, stream: Stream, unread: bytes, start: StartWorkConn, *, far_half_closes: bool
    ) -> Closed:
        """See `Plugin`."""
        clock = self.place.reactor
        user = Accounted(stream, unread, clock=clock, far_half_closes=far_half_closes)
        protocol = _ForwardProtocol(self, start)
        protocol.take_over(user, unread)
        closed = await user.closed
        protocol.forget_destinations()
        return closed

    def admits(self, head: RequestHead) -> bool:
        """Tell whether a request has the credentials, in a time that tells nothing.

        Those in Authorization are for the target.
        """
        given = head.values(b"proxy-authorization")
        return admits(self._credentials, credentials_in(given[0]) if given else b"")


class _ForwardProtocol(VhostProtocol):
    """A user's connection: each request goes where it says itself."""

    def __init__(self, plugin: HTTPProxyPlugin, start: StartWorkConn) -> None:
        super().__init__(plugin.site, origin=Origin(b"", passed_on=True))
        self._plugin = plugin
        self._start = start
        # The one that was used last at the end.
        self._destinations: dict[Authority, _Destination] = {}

    def _serve(self, head: RequestHead) -> None:
        authority = authority_of(head)
        if not self._plugin.admits(head):
            status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            self._refuse(head, status, complete=head.length == 0)
        elif authority is None:
            self._refuse(head, HTTPStatus.BAD_REQUEST, complete=False)
        else:
            make = _Connection if head.method == b"CONNECT" else _Request
            self._exchange = make(self, head, self._destination(authority), self._site)
            self._exchange.start()

    def _destination(self, authority: Authority) -> "_Destination":
        found = self._destinations.pop(authority, None)
        if found is None:
            found = _Destination(self._plugin.place, self._start, authority)
        self._destinations[authority] = found
        if len(self._destinations) > MOST_DESTINATIONS:
            self._destinations.pop(next(iter(self._destinations))).backend.close()
        return found

    def forget_destinations(self) -> None:
        """Close what is kept: the user is gone."""
        for destination in self._destinations.values():
            destination.backend.close()
        self._destinations.clear()


class _Destination(LoneRoute):
    """Where requests for one authority go. The account is that of the work connection."""

    log = Logger()

    def __init__(self, place: Place, start: StartWorkConn, authority: Authority) -> None:
        self.name = place.proxy.name
        self.rules = Rules()
        self.backend = BackendPool(self._open, place.reactor)
        self._place = place
        self._start = start
        self._authority = authority

    async def _open(self, user: IAddress) -> Stream:  # noqa: ARG002 - nobody is told
        """Connect.

        Raises:
            ConnectError: with the reason.
        """
        host, port = self._authority.host, self._authority.port
        try:
            return await reach(self._place, host, port)
        except error.ConnectError as why:
            self.log.info(
                "[{proxy}] user {user}: connect to [{host}:{port}] error: {why}",
                proxy=self._place.proxy.name,
                user=self._start.user,
                host=host,
                port=port,
                why=why,
            )
            raise


class _Request(Exchange):
    """A request for ``http://``, and its response."""

    def _trouble(self, failure: Failure) -> None:
        """Tell the user whether the target refused, or was silent."""
        if failure.check(error.TimeoutError, error.TCPTimedOutError):
            self._fail(HTTPStatus.GATEWAY_TIMEOUT)
        elif failure.check(error.ConnectError):
            self._fail(HTTPStatus.BAD_GATEWAY)
        else:
            super()._trouble(failure)


class _Connection(_Request):
    """A CONNECT, and the connection that comes of it."""

    def start(self) -> None:
        """Connect; a connection that is kept has seen requests."""
        self._route.exchange_started(self._meter, self)
        self._open()

    def _use(self, stream: Stream) -> None:
        """Join the two."""
        if self._user.finished_writing:
            stream.abortConnection()
            self._fail(HTTPStatus.BAD_REQUEST)
            return
        self._over = True
        self._write(_ESTABLISHED)
        self._site.join(
            self._user.stream,
            stream,
            self._user.hand_over(),
            clock=self._site.clock,
            meter=self._meter,
        ).addCallback(lambda _: self._route.exchange_finished(self._meter))


class _ProxyPages(Pages):
    """Says in a line what is wrong, to programs and people alike."""

    def _content(
        self,
        status: HTTPStatus,
        *,
        as_json: bool,  # noqa: ARG002 - a line is all there is
    ) -> tuple[bytes, str]:
        text = _TEXTS.get(status, status.phrase)
        return f"{text}\n".encode(), "text/plain; charset=utf-8"


def authority_of(head: RequestHead) -> Authority | None:
    """Find whom a request is for; None: it doesn't say so as one says it to a proxy."""
    if head.method == b"CONNECT":
        authority = _authority(head.host)
        return authority if head.length == 0 else None
    if head.target[: len(_ABSOLUTE)].lower() != _ABSOLUTE:
        return None
    return _authority(head.host, _HTTP_PORT)


def _authority(text: bytes, default_port: int = 0) -> Authority | None:
    found = _AUTHORITY.fullmatch(text.decode("latin-1"))
    if found is None:
        return None
    port = int(found[2] or default_port)
    return Authority(found[1].lower(), port) if 0 < port <= _MAX_PORT else None
