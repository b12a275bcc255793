# -*- test-case-name: tests.test_web -*-
"""Tests of `tunnelsvc.web`."""

from typing import Any, cast

from OpenSSL.crypto import X509, PKey
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.test.requesthelper import DummyRequest
from twisted.web.vhost import NameVirtualHost
from zope.interface.verify import verifyObject

from tests.gateway.support import OK, VhostCase, telling_pair
from tests.link.authority import Authority
from tests.streams import recorded
from tests.tunnels import LOOPBACK, Reader, TunnelCase, clock
from tunnelsvc import web
from tunnelsvc.config.proxies import HTTPProxyConfig
from tunnelsvc.gateway import VhostFactory
from tunnelsvc.gateway.virtual import VirtualStream
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.web import VhostResource

MUCH = 300_000
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
SWITCHING = b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Server:
    """A server with nothing but an entrance."""

    def __init__(self, factory: VhostFactory) -> None:
        self.factory = factory

    def http_entrance(self) -> VhostFactory:
        return self.factory


class Own(Resource):
    """A page of the application."""

    def render_GET(self, request: Request) -> bytes:
        assert request.prepath is not None
        return b"own page /" + b"/".join(request.prepath)

    def getChild(self, path: bytes, request: Request) -> Resource:
        return self


class WebCase(VhostCase):
    """A user of a web site that has a `VhostResource`."""

    otherwise: IResource | None = None
    mounted: Resource | None = None
    parses_forms = False

    def connect(self) -> None:
        super().connect()
        self.user.abortConnection()
        self.resource = VhostResource(cast("TunnelServer", Server(self.factory)), self.otherwise)
        self.site = Site(
            self.mounted or self.resource,
            reactor=self.clock,
            parsePOSTFormSubmission=self.parses_forms,
        )
        self.user, self.near = telling_pair("user")
        self.at_user = recorded(self.user)
        protocol: Any = self.site.buildProtocol(None)
        protocol.writeConnectionLost = lambda: None  # as a transport does that asks who wants it
        self.near.protocol = protocol
        self.near.paused = False
        protocol.makeConnection(self.near)

    def pump(self) -> None:
        """Move all that can move, turns of the clock included."""
        for _ in range(5):
            super().pump()
            self.clock.advance(0)


class RequestTests(WebCase):
    """What the service gets."""

    def test_interface(self) -> None:
        verifyObject(IResource, self.resource)

    def test_get(self) -> None:
        self.get(b"/a%20b/c?d=e&d=f", b"X-One: 1", b"Cookie: a=b; c=d", b"X-One: 2")
        self.assertEqual(
            self.service.received(),
            b"GET /a%20b/c?d=e&d=f HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nX-One: 2\r\n"
            b"Cookie: a=b; c=d\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: a.example\r\n"
            b"X-Forwarded-Proto: http\r\nX-Real-IP: 192.0.2.7\r\n\r\n",
        )

    def test_body(self) -> None:
        for framing, body in (
            (b"Content-Length: 5", b"hello"),
            (b"Transfer-Encoding: chunked", b"3\r\nhel\r\n2\r\nlo\r\n0\r\nSum: 1\r\n\r\n"),
        ):
            self.connect()
            self.get(b"/", b"Content-Type: x/y", framing)
            self.assertEqual(self.service.ends, [])
            self.ask(body)
            self.assertIn(b"Content-Length: 5\r\n", self.service.received())
            self.assertNotIn(b"chunked", self.service.received())
            self.assertEqual(self.service.body(), b"hello")
            self.service.ends.clear()

    def test_empty_body(self) -> None:
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n")
        self.assertIn(b"Content-Length: 0\r\n", self.service.received())

    def test_form(self) -> None:
        """It arrives even if the site has looked at it."""
        self.parses_forms = True
        self.connect()
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n"
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\n" + form + b"\r\na=1&b=2")
        self.assertEqual(self.service.body(), b"a=1&b=2")

    def test_expectation(self) -> None:
        """It's met by the site, so the service has none to meet."""
        self.get(b"/", b"Content-Length: 2", b"Expect: 100-continue")
        self.assertEqual(self.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.ask(b"ab")
        self.assertNotIn(b"Expect", self.service.received())

    def test_slow_service(self) -> None:
        """The site's copy of the body is read no faster than it is taken."""
        self.service.delayed = []
        self.get(b"/", b"Content-Length: %d" % MUCH)
        self.ask(b"x" * MUCH)
        self.service.delayed[0]()
        self.service.ends[0].paused = True
        self.pump()
        self.assertLess(self.service.ends[0].peer.buffered(), MUCH)
        self.service.ends[0].paused = False
        self.pump()
        self.pump()
        self.assertEqual(self.service.body(), b"x" * MUCH)
        self.answer()
        self.assertIn(b"ok", self.take())

    def test_refused(self) -> None:
        for lines in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.example\r\nX: a\x01b\r\n\r\n",
            b"GET x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        ):
            self.connect()
            self.ask(lines)
            self.assertEqual(self.take()[:12], b"HTTP/1.1 400", lines)
            self.assertEqual(self.service.ends, [])

    def test_old_users(self) -> None:
        self.router.add("*", "", self.route)
        self.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        self.assertEqual(self.take(), b"HTTP/1.0 200 OK\r\n\r\nok")
        self.assertTrue(self.at_user.finished)


class ResponseTests(WebCase):
    """What the user gets."""

    def test_of_known_length(self) -> None:
        self.get()
        self.answer(
            b"HTTP/1.1 201 Made it\r\nSet-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
        self.assertEqual(
            self.take(),
            b"HTTP/1.1 201 Made it\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX: y\r\n"
            b"Content-Length: 2\r\n\r\nok",
        )
        self.get()
        self.answer()
        self.assertEqual(self.take(), OK)
        self.assertEqual(len(self.service.ends), 1)

    def test_streams(self) -> None:
        """Head and pieces go out as they come; trailers are dropped."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(
            self.take(), b"HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self.answer(b"2\r\nok\r\n")
        self.assertEqual(self.take(), b"2\r\nok\r\n")
        self.answer(b"0\r\nSum: 1\r\n\r\n")
        self.assertEqual(self.take(), b"0\r\n\r\n")

    def test_interim_is_dropped(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
        self.assertEqual(self.take(), OK)

    def test_without_body(self) -> None:
        self.ask(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        self.answer(head)
        self.assertEqual(self.take(), head)
        for head in (
            b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n",
        ):
            self.get()
            self.answer(head)
            self.assertEqual(self.take().lower(), head.lower())

    def test_closing_user(self) -> None:
        self.get(b"/", b"Connection: close")
        self.answer()
        self.assertIn(b"Connection: close\r\n", self.take())
        self.assertTrue(self.at_user.finished)

    def test_any_method(self) -> None:
        self.ask(b"PROPFIND /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertEqual(self.service.received()[:10], b"PROPFIND /")

    def test_slow_user(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH)
        self.user.paused = True
        self.answer(b"x" * (MUCH // 2))
        self.assertTrue(self.service.ends[0].peer.paused)
        self.answer(b"x" * (MUCH // 2))
        self.assertLess(self.near.buffered(), MUCH)
        self.user.paused = False
        self.pump()
        self.assertEqual(len(self.take().partition(b"\r\n\r\n")[2]), MUCH)

    def test_user_leaves(self) -> None:
        self.get()
        self.user.abortConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_over()

    def test_user_leaves_within_the_response(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        self.user.abortConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_over()

    def test_user_leaves_within_his_request(self) -> None:
        self.service.delayed = []
        self.get(b"/", b"Content-Length: %d" % MUCH)
        self.ask(b"x" * MUCH)
        self.user.abortConnection()
        self.service.delayed[0]()
        self.pump()
        self.assert_over()

    def test_service_fails_within_the_response(self) -> None:
        """The user's connection is reset: what he has isn't all."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assertNotIn(b"0\r\n\r\n", self.take())
        self.assertFalse(self.at_user.finished)
        self.assertIsNotNone(self.at_user.lost)
        self.assert_over()

    def test_server_stops(self) -> None:
        self.get()
        for stream in list(self.factory._connections._streams):
            if isinstance(stream, VirtualStream):
                stream.abortConnection()
        self.pump()
        self.assertIsNotNone(self.at_user.lost)

    def test_pages(self) -> None:
        self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        self.assert_page(404)
        self.service.available = False
        self.get()
        self.assert_page(503)


class OtherwiseTests(WebCase):
    """The application's own pages."""

    otherwise = cast("IResource", Own())

    def test_both(self) -> None:
        self.ask(b"GET /x/y?z HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertIn(b"own page /x/y", self.take())
        self.get(b"/x/y?z")
        self.assertEqual(self.service.received()[:11], b"GET /x/y?z ")
        self.answer()
        self.ask(b"GET /z HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertIn(b"own page /z", self.take())

    def test_the_applications_leaf(self) -> None:
        leaf = Own()
        leaf.isLeaf = True
        self.otherwise = cast("IResource", leaf)
        self.connect()
        self.ask(b"GET /x HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertIn(b"own page /", self.take())

    def test_methods_and_errors_are_the_applications(self) -> None:
        self.ask(b"POST /x HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertEqual(self.take()[:12], b"HTTP/1.1 405")

    def test_locations(self) -> None:
        """A host may be shared: what no proxy has is the application's."""
        self.add_site("own.example", "/tunnelled")
        self.ask(b"GET /x HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertIn(b"own page /x", self.take())
        self.ask(b"GET /tunnelled/x HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertEqual(self.routes[1].service.received()[:17], b"GET /tunnelled/x ")

    def test_nobodys_host(self) -> None:
        """What can't be sent on is left to the application."""
        self.ask(b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n")
        self.assertIn(b"own page /x", self.take())

    def test_behind_names_of_the_application(self) -> None:
        """No client gets those."""
        self.add_site("own.example")
        root: Any = NameVirtualHost()
        root.addHost(b"own.example", Own())
        root.default = self.resource
        self.mounted = root
        self.connect()
        self.ask(b"GET /x HTTP/1.1\r\nHost: own.example\r\n\r\n")
        self.assertIn(b"own page /x", self.take())
        self.get(b"/x/y")
        self.assertEqual(self.service.received()[:9], b"GET /x/y ")

    def test_rendered_by_hand(self) -> None:
        request: Any = DummyRequest([b""])
        request.uri, request.clientproto = b"/", b"HTTP/1.1"
        request.channel = None
        request.requestHeaders.setRawHeaders(b"host", [b"own.example"])
        self.assertEqual(self.resource.render(request), b"own page /")


class UpgradeTests(WebCase):
    """WebSocket and the like."""

    def switch(self) -> None:
        self.get(b"/", *UPGRADE, b"Sec-WebSocket-Key: x")
        self.assertIn(b"Upgrade: websocket\r\n", self.service.received())
        self.answer(SWITCHING + b"hello user")
        self.assertEqual(self.take(), SWITCHING + b"hello user")

    def test_both_directions(self) -> None:
        self.switch()
        self.ask(b"hello service")
        self.assertEqual(self.service.body(), b"hello service")
        self.answer(b"more")
        self.assertEqual(self.take(), b"more")

    def test_refused_by_the_service(self) -> None:
        self.get(b"/", *UPGRADE)
        self.answer()
        self.assertEqual(self.take(), OK)
        self.get()
        self.answer()
        self.assertEqual(self.take(), OK)

    def test_user_closes(self) -> None:
        self.switch()
        self.user.loseConnection()
        self.pump()
        self.assertTrue(self.service.seen[0].finished)
        self.service.ends[0].loseConnection()
        self.pump()
        self.assert_over()
        self.service.pool.close()
        self.pump()
        self.assert_no_timers()

    def test_service_closes(self) -> None:
        self.switch()
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertTrue(self.at_user.finished)
        self.user.loseConnection()
        self.pump()
        self.assert_over()

    def test_user_goes_and_takes_no_more(self) -> None:
        self.switch()
        self.user.loseWriteConnection()
        self.pump()
        self.user.paused = True
        self.answer(b"x")
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertFalse(self.near.lost)
        self.clock.advance(web.CLOSE_SECONDS)
        self.assert_over()

    def test_resets(self) -> None:
        self.switch()
        self.user.abortConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.connect()
        self.switch()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assertIsNotNone(self.at_user.lost)
        self.assertFalse(self.at_user.finished)
        self.assert_over()

    def test_pressure(self) -> None:
        self.switch()
        self.user.paused = True
        self.answer(b"x" * MUCH)
        self.answer(b"x" * MUCH)
        self.assertLess(self.near.buffered(), 2 * MUCH)
        self.user.paused = False
        self.pump()
        self.assertEqual(len(self.take()), 2 * MUCH)
        self.service.ends[0].paused = True
        self.ask(b"x" * MUCH)
        self.assertTrue(self.near.paused)
        self.service.ends[0].paused = False
        self.pump()
        self.assertEqual(len(self.service.body()), MUCH)

    def test_a_connection_that_cant_be_taken_over(self) -> None:
        self.patch(web, "_reader_attribute", lambda request: None)
        self.get(b"/", *UPGRADE)
        self.assertEqual(self.take()[:12], b"HTTP/1.1 501")
        self.get(b"/", b"Connection: Upgrade", b"Upgrade: other")
        self.assertNotIn(b"Upgrade", self.service.received())


class Echo(Protocol):
    """A service that agrees to go over to another protocol, and echoes."""

    head = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if b"\r\n\r\n" in self.head:
            self.transport.write(data)
            return
        self.head += data
        if b"\r\n\r\n" in self.head:
            proto = b"https" if b"X-Forwarded-Proto: https" in self.head else b"http"
            self.transport.write(SWITCHING + proto)


class Talking(Reader, Protocol):  # type: ignore[misc] # a reader is told why
    """A user."""


class SocketTests(TunnelCase):
    """The transports of Twisted, through a real tunnel."""

    async def site(self) -> tuple[TunnelServer, Site]:
        server = self.serve()
        site = Site(VhostResource(server), reactor=clock)
        local = await self.listen(Factory.forProtocol(Echo))
        client = await self.connect(
            server,
            HTTPProxyConfig(name="web", type="http", local_port=local, custom_domains=("a.test",)),
        )
        self.assertEqual(client.proxy_addresses, {"web": "a.test"})
        return server, site

    async def talk(self, endpoint: Any, proto: bytes) -> None:
        user = await connectProtocol(endpoint, Talking())
        transport: Any = user.transport
        transport.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n" + b"\r\n".join([*UPGRADE, b"", b""]))
        await user.until(lambda: user.received.endswith(SWITCHING + proto))
        transport.write(b"x" * MUCH)
        await user.until(lambda: user.received.endswith(SWITCHING + proto + b"x" * MUCH))
        transport.loseConnection()
        await user.until(lambda: user.lost is not None)

    async def test_tcp(self) -> None:
        _, site = await self.site()
        port = await self.listen(site)
        await self.talk(HostnameEndpoint(clock, LOOPBACK, port), b"http")

    async def test_unix(self) -> None:
        _, site = await self.site()
        path = self.mktemp()
        port = await UNIXServerEndpoint(clock, path).listen(site)
        self.addCleanup(port.stopListening)
        await self.talk(UNIXClientEndpoint(clock, path), b"http")

    async def test_tls(self) -> None:
        _, site = await self.site()
        authority = Authority()
        identity = authority.issue("a.test")
        options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(cast("Any", identity.key)),
            certificate=X509.from_cryptography(identity.certificate),
        )
        port = clock.listenSSL(0, site, options, interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        endpoint = HostnameEndpoint(clock, LOOPBACK, port.getHost().port)
        trusted = Certificate(X509.from_cryptography(authority.certificate))
        await self.talk(
            wrapClientTLS(optionsForClientTLS("a.test", trustRoot=trusted), endpoint), b"https"
        )
