# -*- test-case-name: tests.gateway.test_virtual -*-
"""Tests of `tunnelsvc.gateway.virtual`: all with the real path behind it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface.verify import verifyObject

from tests.gateway.support import OK, VhostCase
from tests.gateway.test_answer import Told
from tests.streams import Producer, Recorder
from tunnelsvc.gateway import Rules
from tunnelsvc.gateway.requesttext import RequestText
from tunnelsvc.gateway.virtual import VirtualUser
from tunnelsvc.handover import Connections, attach, untaken_bytes
from tunnelsvc.wire.httphead import HeadError, Length

PEER, HOST = IPv4Address("TCP", "203.0.113.9", 4), IPv4Address("TCP", "192.0.2.1", 80)
MUCH = 200_000


class Owner(Told):
    """Has a virtual user, and keeps what it is told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.resets = self.closes = 0
        self.holds: list[bool] = []
        self.on_received: Any = None

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.on_received is not None:
            self.on_received()

    def reset(self) -> None:
        self.resets += 1

    def closed(self) -> None:
        assert self.trailers is not None
        self.closes += 1

    def hold(self, *, on: bool) -> None:
        self.holds.append(on)


class VirtualCase(VhostCase):
    """A virtual user instead of one with a connection."""

    def ask_virtually(
        self, method: bytes = b"GET", host: bytes = b"a.example", **fields: Any
    ) -> None:
        """Send the head of a request."""
        whole: dict[str, Any] = {"target": b"/", "headers": ()}
        self.owner = Owner()
        self.virtual = VirtualUser(self.owner, self.clock, PEER, HOST)
        text = RequestText(method=method, host=host, **whole | fields)
        self.virtual.ask(text, self.factory.take_over)
        self.pump()

    def pump(self) -> None:
        """Move all that can move, turns of the clock included."""
        for _ in range(5):
            super().pump()
            self.clock.advance(0)

    def status(self) -> int:
        assert self.owner.head is not None
        return self.owner.head.status

    def assert_all_over(self) -> None:
        """The protocol let go, and nothing is waited for."""
        self.assertEqual(len(self.route.started), len(self.route.finished))
        self.user.abortConnection()
        self.pump()
        self.service.pool.close()
        self.pump()
        self.assert_no_timers()


class VirtualUserTests(VirtualCase):
    """Requests and responses."""

    def test_interfaces(self) -> None:
        self.ask_virtually()
        for interface in (ITransport, IConsumer, IPushProducer):
            verifyObject(interface, self.virtual.stream)
        verifyObject(IPushProducer, self.virtual)

    def test_get(self) -> None:
        self.ask_virtually(target=b"/x?y=1", headers=[(b"X-a", b"1")])
        self.assertEqual(
            self.service.received(),
            b"GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nX-a: 1\r\n"
            b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: a.example\r\n"
            b"X-Forwarded-Proto: http\r\nX-Real-IP: 203.0.113.9\r\n\r\n",
        )
        self.assertEqual(self.service.users, [PEER])
        self.answer()
        self.assertEqual((self.status(), self.owner.body, self.owner.trailers), (200, b"ok", []))
        self.assertEqual(self.owner.resets, 0)
        self.assert_all_over()

    def test_the_services_connection_is_kept(self) -> None:
        for _ in range(3):
            self.ask_virtually()
            self.answer()
            self.assertEqual(self.owner.body, b"ok")
        self.assertEqual(len(self.service.ends), 1)

    def test_body_of_known_length(self) -> None:
        self.ask_virtually(b"POST", length=5)
        self.virtual.send(b"he")
        self.virtual.send(b"llo and more")
        self.virtual.finish()
        self.pump()
        self.assertEqual(self.service.body(), b"hello")
        self.assertIn(b"Content-Length: 5\r\n", self.service.received())
        self.answer()
        self.assertEqual(self.owner.body, b"ok")
        self.assert_all_over()

    def test_chunked_body_with_trailers(self) -> None:
        self.ask_virtually(b"POST", length=Length.CHUNKED)
        self.virtual.send(b"hello")
        self.virtual.send(b"")
        self.assertRaises(HeadError, self.virtual.finish, [(b"Sum", b"\r\n")])
        self.virtual.finish([(b"Sum", b"1")])
        self.virtual.send(b"more")
        self.pump()
        self.assertEqual(self.service.body(), b"5\r\nhello\r\n0\r\nSum: 1\r\n\r\n")
        self.answer()
        self.assertEqual(self.owner.body, b"ok")

    def test_a_body_that_is_too_short(self) -> None:
        self.ask_virtually(b"POST", length=5)
        self.virtual.send(b"hel")
        self.virtual.finish()
        self.pump()
        self.assertEqual(self.owner.resets, 1)
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_all_over()

    def test_trailers_of_the_response(self) -> None:
        self.ask_virtually()
        self.answer(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n"
            b"2\r\nok\r\n0\r\nSum: 1\r\n\r\n"
        )
        self.assertEqual(self.owner.interim, [103])
        self.assertEqual((self.owner.body, self.owner.trailers), (b"ok", [(b"Sum", b"1")]))

    def test_response_that_ends_with_its_connection(self) -> None:
        self.ask_virtually()
        self.answer(b"HTTP/1.0 200 OK\r\n\r\nhello")
        self.assertIsNone(self.owner.trailers)
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertEqual((self.owner.body, self.owner.trailers), (b"hello", []))
        self.assert_all_over()

    def test_pages(self) -> None:
        """They come at once, or when it is clear that there is nothing else."""
        self.ask_virtually(host=b"b.example")
        self.assertEqual(self.status(), 404)
        self.assertIn(b"not found", self.owner.body)
        self.ask_virtually(host=b"a b")
        self.assertEqual(self.status(), 400)
        self.service.available = False
        self.ask_virtually()
        self.assertEqual(self.status(), 503)
        self.assertEqual(self.owner.trailers, [])
        self.assert_all_over()

    def test_rules_hold(self) -> None:
        self.add_site("c.example", rules=Rules(credentials=b"me:secret"))
        self.ask_virtually(host=b"c.example")
        self.assertEqual(self.status(), 401)

    def test_page_before_the_body_was_sent(self) -> None:
        """What is sent afterwards is dropped."""
        self.ask_virtually(b"POST", host=b"b.example", length=MUCH)
        self.assertEqual((self.status(), self.owner.trailers), (404, []))
        self.virtual.send(b"x" * MUCH)
        self.virtual.finish()
        self.pump()
        self.assertEqual(self.owner.resets, 0)
        self.assert_all_over()

    def test_nothing_is_said_after_a_response(self) -> None:
        """The request asks to close, so there is no second one behind it."""
        self.ask_virtually()
        self.virtual.stream.arrived(b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.answer()
        self.assertEqual(self.owner.body, b"ok")
        self.assertEqual(self.service.received().count(b"GET"), 1)


class EndTests(VirtualCase):
    """How it ends badly."""

    def test_service_fails_within_the_response(self) -> None:
        self.ask_virtually()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assertEqual((self.owner.body, self.owner.resets), (b"half", 1))
        self.assert_all_over()

    def test_user_leaves(self) -> None:
        self.ask_virtually()
        self.virtual.stopProducing()
        self.pump()
        self.assertIsInstance(self.service.seen[0].lost.value, ConnectionLost)  # type: ignore[union-attr]
        self.assertEqual((self.owner.head, self.owner.resets), (None, 0))
        self.virtual.abort()
        self.assert_all_over()

    def test_user_leaves_while_he_is_told(self) -> None:
        """Not from within a call of the service's reader."""
        self.ask_virtually()
        self.owner.on_received = self.virtual.abort
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        self.answer(b"more")
        self.assertEqual((self.owner.body, self.owner.resets), (b"half", 0))
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_all_over()

    def test_server_stops(self) -> None:
        connections = Connections()
        self.ask_virtually()
        connections.add(self.virtual.stream)
        connections.sweep()
        self.virtual.stream.abortConnection()
        self.pump()
        self.assertEqual(self.owner.resets, 1)
        self.assert_all_over()

    def test_timeout(self) -> None:
        self.ask_virtually()
        self.clock.advance(100)
        self.pump()
        self.assertEqual(self.status(), 504)

    def test_user_takes_nothing(self) -> None:
        self.ask_virtually()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        self.virtual.pauseProducing()
        self.clock.pump([60.0] * 10)
        self.pump()
        self.assertEqual(self.owner.resets, 1)
        self.assert_all_over()


class PressureTests(VirtualCase):
    """Who is too fast waits."""

    def test_response(self) -> None:
        self.ask_virtually()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH)
        self.virtual.pauseProducing()
        end = self.service.ends[0]
        self.assertTrue(end.peer.paused)
        self.answer(b"x" * MUCH)
        self.assertEqual(self.owner.body, b"")
        self.virtual.resumeProducing()
        self.pump()
        self.assertEqual(len(self.owner.body), MUCH)
        self.assertEqual(self.owner.trailers, [])

    def test_request(self) -> None:
        self.ask_virtually(b"POST", length=2 * MUCH)
        self.assertEqual(self.owner.holds, [])
        self.service.ends[0].paused = True
        self.virtual.send(b"x" * MUCH)
        self.assertEqual(self.owner.holds, [True])
        self.virtual.send(b"x" * MUCH)
        self.virtual.finish()
        self.clock.advance(0)
        self.assertLess(self.service.ends[0].peer.buffered(), MUCH + 1_000)
        self.service.ends[0].paused = False
        self.pump()
        self.assertEqual(self.owner.holds[:2], [True, False])
        self.assertEqual(len(self.service.body()), 2 * MUCH)

    def test_before_there_is_a_service(self) -> None:
        delayed: list[Callable[[], None]] = []
        self.service.delayed = delayed
        self.ask_virtually(b"POST", length=MUCH)
        self.virtual.send(b"x" * MUCH)
        self.assertEqual(self.owner.holds, [True])
        delayed[0]()
        self.virtual.finish()
        self.pump()
        self.assertEqual(self.owner.holds, [True, False])
        self.assertEqual(len(self.service.body()), MUCH)


class SwitchTests(VirtualCase):
    """Another protocol after 101."""

    def switch(self, rest: bytes = b"") -> None:
        upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"echo")]
        self.ask_virtually(headers=upgrade)
        self.answer(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" + rest)
        self.assertEqual(self.status(), 101)

    def test_both_directions(self) -> None:
        self.switch(b"hello user")
        self.virtual.send(b"hello ")
        self.virtual.send(b"service")
        self.pump()
        self.assertEqual(self.owner.body, b"hello user")
        self.assertEqual(self.service.body(), b"hello service")
        self.answer(b", bye")
        self.assertEqual(self.owner.body, b"hello user, bye")

    def test_ends_one_by_one(self) -> None:
        self.switch()
        self.virtual.finish()
        self.pump()
        self.assertTrue(self.service.seen[0].finished)
        self.answer(b"last words")
        self.assertIsNone(self.owner.trailers)
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertEqual((self.owner.body, self.owner.trailers), (b"last words", []))
        self.assertEqual((self.owner.resets, self.owner.closes), (0, 1))
        self.assert_all_over()

    def test_service_ends_first(self) -> None:
        """And then nothing comes from the user."""
        self.switch()
        self.service.ends[0].loseWriteConnection()
        self.pump()
        self.assertEqual(self.owner.trailers, [])
        self.clock.pump([300.0] * 4)
        self.pump()
        self.assertEqual((self.owner.resets, self.owner.closes), (1, 0))
        self.assert_all_over()

    def test_reset_by_the_service(self) -> None:
        self.switch()
        self.service.ends[0].abortConnection()
        self.pump()
        self.assertEqual((self.owner.resets, self.owner.closes), (1, 0))
        self.assert_all_over()

    def test_user_leaves(self) -> None:
        self.switch()
        self.virtual.abort()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_all_over()

    def test_pressure(self) -> None:
        self.switch()
        self.virtual.pauseProducing()
        self.assertTrue(self.service.ends[0].peer.paused)
        self.answer(b"x" * MUCH)
        self.assertEqual(self.owner.body, b"")
        self.virtual.resumeProducing()
        self.pump()
        self.assertEqual(len(self.owner.body), MUCH)
        self.service.ends[0].paused = True
        self.virtual.send(b"x" * MUCH)
        self.assertEqual(self.owner.holds[-1:], [True])
        self.service.ends[0].paused = False
        self.pump()
        self.assertEqual(self.owner.holds[-1:], [False])
        self.assertEqual(len(self.service.body()), MUCH)


class ConnectTests(VirtualCase):
    """CONNECT, to a service that is a proxy itself."""

    def connect_virtually(self) -> None:
        self.ask_virtually(b"CONNECT", b"a.example:443", target=b"a.example:443")

    def test_accepted(self) -> None:
        self.connect_virtually()
        self.assertEqual(
            self.service.received(),
            b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        )
        self.answer(b"HTTP/1.1 200 Go\r\n\r\nhello")
        self.virtual.send(b"hello service")
        self.pump()
        self.assertEqual((self.status(), self.owner.body), (200, b"hello"))
        self.assertEqual(self.service.body(), b"hello service")

    def test_refused(self) -> None:
        """There is nothing more to be said, so the connection ends."""
        self.connect_virtually()
        self.answer(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((self.status(), self.owner.trailers), (403, []))
        self.virtual.send(b"hello?")
        self.virtual.stream.finished()
        self.pump()
        self.assert_all_over()


class StreamTests(VirtualCase):
    """The stream by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.owner = Owner()
        self.virtual = VirtualUser(self.owner, self.clock, PEER, HOST)
        self.stream = self.virtual.stream
        self.reader = Recorder()

    def begin(self) -> None:
        self.stream.begin(b"GET", lambda: attach(self.stream, self.reader))

    def test_addresses(self) -> None:
        self.assertEqual((self.stream.getPeer(), self.stream.getHost()), (PEER, HOST))
        self.assertEqual(untaken_bytes(self.stream), 0)

    def test_a_producer_that_comes_late_waits_at_once(self) -> None:
        self.begin()
        self.virtual.pauseProducing()
        producer = Producer()
        self.stream.registerProducer(producer, True)
        self.virtual.pauseProducing()
        self.assertEqual(producer.told, ["pause"])
        self.virtual.resumeProducing()
        self.assertEqual(producer.told, ["pause", "resume"])
        self.stream.abortConnection()
        self.assertEqual(producer.told, ["pause", "resume"])
        self.clock.advance(0)
        self.assertEqual(producer.told, ["pause", "resume", "stop"])
        self.stream.unregisterProducer()
        self.assertIsNotNone(self.reader.lost)
        self.assertEqual(self.owner.resets, 1)

    def test_what_is_no_response(self) -> None:
        self.begin()
        self.stream.writeSequence([b"SSH-2.0\r\n", b"\r\n"])
        self.stream.write(OK)
        self.clock.advance(0)
        self.assertEqual((self.owner.resets, self.owner.head), (1, None))

    def test_too_early_an_end(self) -> None:
        self.begin()
        self.stream.write(OK[:-1])
        self.stream.loseWriteConnection()
        self.stream.write(OK[-1:])
        self.stream.loseWriteConnection()
        self.clock.advance(0)
        self.assertEqual((self.owner.resets, self.owner.trailers), (1, None))

    def test_stop(self) -> None:
        self.begin()
        self.stream.write(OK)
        self.stream.stopProducing()
        self.assertTrue(self.stream.disconnecting)
        self.clock.advance(0)
        self.assertEqual((self.owner.resets, self.owner.trailers), (0, []))
        self.assertIsNotNone(self.reader.lost)

    def test_a_bug_ends_it(self) -> None:
        """Instead of letting the user wait for ever."""
        self.begin()
        self.patch(self.reader, "dataReceived", lambda _: 1 / 0)
        self.stream.pauseProducing()
        self.stream.arrived(b"a")
        self.stream.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(0)
        self.assertEqual(self.owner.resets, 1)
        self.assertIsNotNone(self.reader.lost)

    def test_paused_reader_gets_nothing(self) -> None:
        self.begin()
        self.stream.pauseProducing()
        self.stream.arrived(b"a")
        self.stream.finished()
        self.clock.advance(0)
        self.assertEqual((bytes(self.reader.received), self.reader.finished), (b"", False))
        self.stream.resumeProducing()
        self.assertEqual(bytes(self.reader.received), b"")
        self.clock.advance(0)
        self.assertEqual((bytes(self.reader.received), self.reader.finished), (b"a", True))
        self.assertEqual(self.owner.holds, [True, False])
