# -*- test-case-name: tests.test_web -*-
"""`VhostResource`: tunnelled hosts in the web site of a Twisted application.

A request that ``twisted.web`` has read becomes that of a user without a connection
(`tunnelsvc.gateway.virtual`), so all that holds for users of the vhost port holds here: routes,
passwords, headers, error pages, time limits.

What is different is ``twisted.web``'s own: it reads the body of a request before it tells anybody
of the request, gives headers its own capitals, and has no way to send interim responses and
trailers, so these are dropped.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.pages import errorPage
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from tunnelsvc.gateway import VhostFactory
from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.gateway.virtual import VirtualUser
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.timing import Limit, limit, soon
from tunnelsvc.units import MINUTE, KiB
from tunnelsvc.wire.httphead import (
    Header,
    HeadError,
    ResponseHead,
    list_of,
    parse_request_head,
)

PIECE_BYTES: Final = 64 * KiB
"""Of a request's body, passed on in one turn of the reactor."""

CLOSE_SECONDS: Final = 1 * MINUTE
"""How long a user may take for the last bytes of an upgraded connection before it is reset."""

_SET_BY_TWISTED: Final = (b"server", b"date")
"""In each response, before it is known whose it is."""

_OF_THE_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"trailer", b"transfer-encoding"}
)
"""Of responses: `twisted.web` says itself how it sends them."""


class VhostResource(Resource):
    """Serves the hosts of a server's http proxies.

    Alone it is the whole of a site, and what no proxy has is answered by the server's 404 page::

        Site(VhostResource(server))

    With `otherwise` it stands before the application's own pages::

        Site(VhostResource(server, otherwise=root))

    The server needs no ``vhost_http_port``. The resource should be the root of its site: paths
    are passed on whole, however deep it hangs.
    """

    def __init__(self, server: TunnelServer, otherwise: IResource | None = None) -> None:
        """Begin.

        Args:
            server: whose proxies; they may come and go.
            otherwise: what serves requests that are for none of them.
        """
        super().__init__()
        self.isLeaf = otherwise is None
        self._otherwise = otherwise
        self._tunnel = self if otherwise is None else VhostResource(server)
        self._vhost = server.http_entrance()

    def getChild(self, path: bytes, request: Request) -> Any:  # noqa: ARG002
        """Find what serves a request, and let it see the whole path."""
        assert request.postpath is not None
        assert request.prepath is not None
        request.postpath.insert(0, request.prepath.pop())
        return self._for(request)

    def _for(self, request: Request) -> Any:
        if self._otherwise is None or self._serves(request):
            return self._tunnel
        return self._otherwise

    def _serves(self, request: Request) -> bool:
        try:
            head = _request_text(request, None).head()
            return self._vhost.serves(parse_request_head(head))
        except HeadError:
            return False

    def render(self, request: Request) -> Any:
        """Pass a request on, whatever its method."""
        target = self._for(request)
        if target is not self._tunnel:
            return target.render(request)
        try:
            if _wants_websocket(request) and _reader_attribute(request) is None:
                raise NoUpgradeError("WebSocket isn't possible over this connection")
            passing = _Passing(request, self._vhost)
            passing.begin()
        except HeadError as error:
            page: Any = errorPage(error.status, HTTPStatus(error.status).phrase, f"{error}.")
            return page.render(request)
        return NOT_DONE_YET


class NoUpgradeError(HeadError):
    """A request for another protocol on a connection that can't be taken over."""

    status = 501


def _request_text(request: Request, length: int | None) -> RequestText:
    """Make the text of a request.

    Raises:
        HeadError: it doesn't name one host, or can't be sent.
    """
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    if len(hosts) > 1 or (not hosts and request.clientproto == b"HTTP/1.1"):
        raise HeadError("not one Host")
    dropped = {b"expect"}  # `twisted.web` has told him to go on
    if _reader_attribute(request) is None:
        dropped.add(b"upgrade")
    headers = [
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        if name.lower() not in dropped
        for value in values
    ]
    return RequestText(request.method, request.uri, hosts[0] if hosts else b"", headers, length)


def _body_length(request: Request) -> int | None:
    """Find how long the body is, all of which is there; None if the user said nothing of it."""
    assert request.content is not None
    length: int = request.content.seek(0, 2)
    request.content.seek(0)
    said = request.requestHeaders.hasHeader(b"content-length")
    return length if length or said else None


def _wants_websocket(request: Request) -> bool:
    upgrades = request.requestHeaders.getRawHeaders(b"upgrade", [])
    return b"websocket" in list_of([(b"upgrade", value) for value in upgrades], b"upgrade")


def _reader_attribute(request: Request) -> str | None:
    """Tell by which attribute a request's transport knows who reads it; None: by none.

    `wrappedProtocol` is that of ``twisted.protocols.policies.ProtocolWrapper``, as TLS is one; it
    hides the `protocol` of the transport below it.
    """
    transport = getattr(request.channel, "transport", None)
    for name in ("wrappedProtocol", "protocol"):
        if getattr(transport, name, None) is not None:
            return name
    return None


class _Passing:
    """One request on its way: gives its body, and takes the response."""

    log = Logger()

    def __init__(self, request: Request, vhost: VhostFactory) -> None:
        self._request = request
        self._vhost = vhost
        self._text = _request_text(request, _body_length(request))
        self._user = VirtualUser(self, vhost.clock, request.getClientAddress(), request.getHost())
        self._holds = self._feeding = self._over = False
        self._switched: _Switched | None = None

    def begin(self) -> None:
        """Send the request on its way."""
        self._request.notifyFinish().addBoth(self._finished)
        scheme = b"https" if self._request.isSecure() else b"http"
        self._user.ask(self._text, lambda stream, head: self._vhost.take_over(stream, head, scheme))
        self._feed_soon()

    def _finished(self, _: object) -> None:
        """Take note that the request is over: responded to, or its user is gone."""
        if not self._over:
            self._over = True
            self._user.abort()

    # The request's body.

    def _feed_soon(self) -> None:
        if not self._feeding:
            self._feeding = True
            soon(self._vhost.clock, self._feed)

    def _feed(self) -> None:
        """Pass on a piece, and then the next: what is read isn't more than what is taken."""
        self._feeding = False
        if self._over or self._holds or self._switched is not None:
            return
        assert self._request.content is not None
        data = self._request.content.read(PIECE_BYTES)
        if data:
            self._user.send(data)
            self._feed_soon()
        else:
            self._user.finish()

    def hold(self, *, on: bool) -> None:
        """See `UserEvents`."""
        if self._switched is not None:
            self._switched.hold(on=on)
            return
        self._holds = on
        if not on:
            self._feed_soon()

    # The response.

    def informed(self, head: ResponseHead) -> None:
        """Drop it; see `UserEvents`."""

    def responded(self, head: ResponseHead) -> None:
        """See `UserEvents`."""
        request = self._request
        request.setResponseCode(head.status, head.reason)
        request.defaultContentType = None
        for name in _SET_BY_TWISTED:
            request.responseHeaders.removeHeader(name)
        for lowered, (name, value) in zip(head.names, head.headers, strict=True):
            if lowered not in _OF_THE_CONNECTION:
                request.responseHeaders.addRawHeader(name, value)
        request.registerProducer(self._user, True)
        request.write(b"")

    def switched(self, head: ResponseHead) -> None:
        """See `UserEvents`."""
        lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason), *map(b": ".join, head.headers)]
        self._switched = _Switched(self._request, self._user, self._vhost)
        self._switched.take_over(b"\r\n".join([*lines, b"", b""]))

    def received(self, data: bytes) -> None:
        """See `UserEvents`."""
        if self._switched is not None:
            self._switched.write(data)
        elif not self._over:
            self._request.write(data)

    def ended(self, trailers: Sequence[Header]) -> None:  # noqa: ARG002
        """See `UserEvents`; trailers are dropped."""
        if self._switched is not None:
            self._switched.finish()
        elif not self._over:
            self._over = True
            self._request.unregisterProducer()
            self._request.finish()

    def closed(self) -> None:
        """See `UserEvents`."""
        if self._switched is not None:
            self._switched.close()

    def reset(self) -> None:
        """Reset the user's connection, so that he takes no part of a response for the whole."""
        if self._switched is not None:
            self._switched.reset()
        elif not self._over:
            self._over = True
            if self._request.producer is not None:
                self._request.unregisterProducer()
            channel: Any = self._request.channel
            (channel.transport or channel).abortConnection()  # a stream of HTTP/2 has none


@implementer(IHalfCloseableProtocol)
class _Switched(Protocol):
    """Reads the connection of a request that went over to another protocol.

    ``twisted.web`` has no public way to give a connection away. But a transport of Twisted knows
    its reader by a public attribute, and takes another one there as well.
    """

    def __init__(self, request: Request, user: VirtualUser, vhost: VhostFactory) -> None:
        self._user = user
        self._clock = vhost.clock
        self._transport: Any = request.channel.transport
        self._attribute = _reader_attribute(request) or "protocol"
        self._before: Any = getattr(self._transport, self._attribute)
        self._half_closes = ITCPTransport.providedBy(
            self._transport
        ) and not ISSLTransport.providedBy(self._transport)
        self._gone = False
        self._closing: Limit | None = None

    def take_over(self, head: bytes) -> None:
        """Become the reader, and say so to the user."""
        transport = self._transport
        transport.unregisterProducer()  # the channel's
        transport.registerProducer(self._user, True)
        setattr(transport, self._attribute, self)
        transport.write(head)

    def write(self, data: bytes) -> None:
        """Pass on what the service says."""
        self._transport.write(data)

    def hold(self, *, on: bool) -> None:
        """Read no more, or read again."""
        (self._transport.pauseProducing if on else self._transport.resumeProducing)()

    def finish(self) -> None:
        """Pass on the service's end of file, where the connection can say that."""
        if self._half_closes and not self._gone:
            self._transport.unregisterProducer()
            self._transport.loseWriteConnection()
        else:
            self.close()

    def close(self) -> None:
        """End the connection after all that was written."""
        if not self._gone:
            self._transport.unregisterProducer()
            self._transport.loseConnection()
            if self._closing is None:
                self._closing = limit(self._clock, CLOSE_SECONDS, self.reset)

    def reset(self) -> None:
        """Drop the connection."""
        if not self._gone:
            self._transport.abortConnection()
            self._transport.unregisterProducer()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        """Pass on what the user says."""
        self._user.send(data)

    def readConnectionLost(self) -> None:
        """Pass on the user's end of file."""
        self._user.finish()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Pass on that the user is gone; the web site forgets the request."""
        self._gone = True
        if self._closing is not None:
            self._closing.cancel()
        self._user.abort()
        self._before.connectionLost(reason)
