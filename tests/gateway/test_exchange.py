# -*- test-case-name: tests.gateway.test_exchange -*-
"""Tests of `tunnelsvc.gateway.exchange`."""

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.gateway.support import OK, RESPONSE_TIMEOUT_SECONDS, VhostCase
from tests.streams import HIGH_WATER_BYTES
from tunnelsvc.gateway import BackendPool, Route
from tunnelsvc.gateway.exchange import HALF_CLOSED_IDLE_SECONDS, MAX_INTERIM_BYTES
from tunnelsvc.gateway.sending import REQUEST_IDLE_SECONDS
from tunnelsvc.interfaces import Stream
from tunnelsvc.units import KiB

POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"


class FakeTests(VhostCase):
    def test_interfaces(self) -> None:
        route: Route = self.route
        self.assertIs(route.backend, self.service.pool)
        self.get()
        for interface in (IHalfCloseableProtocol, IPushProducer):
            [end] = self.service.ends
            self.assertTrue(verifyObject(interface, end.peer.protocol))


class ResponseTests(VhostCase):
    """What comes back."""

    def test_lengths(self) -> None:
        """Whatever is framed passes as it is, and both connections go on."""
        for response in (
            OK,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + CHUNKS,
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n",
            b"HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx",
        ):
            self.get()
            self.answer(response)
            self.assertEqual(self.take(), response)
        self.assertEqual(len(self.service.ends), 1)

    def test_byte_by_byte(self) -> None:
        response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
        self.get()
        for byte in response:
            self.answer(bytes([byte]))
        self.assertEqual(self.shown(), response)
        self.assertEqual(len(self.route.finished), 1)

    def test_it_is_not_kept_back(self) -> None:
        """Server-sent events reach the user one by one."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        self.take()
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            self.answer(event)
            self.assertEqual(self.take(), event)
        self.clock.advance(24 * 3600)
        self.answer(b"data: 3\n\n")
        self.assertEqual(self.take(), b"data: 3\n\n")

    def test_head(self) -> None:
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"
        self.ask(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.answer(response)
        self.get()
        self.answer()
        self.assertEqual(self.shown(), response + OK)

    def test_until_the_end(self) -> None:
        """A response without length ends with its connection."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
        self.assertFalse(self.at_user.finished)
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertEqual(self.shown(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertTrue(self.at_user.finished)
        self.assertEqual(len(self.route.finished), 1)

    def test_until_a_clean_loss(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
        inner = self.service.ends[0].peer
        inner.lost = True
        inner.protocol.connectionLost(Failure(ConnectionDone()))
        self.pump()
        self.assertTrue(self.at_user.finished)
        self.assertTrue(self.shown().endswith(b"abc"))

    def test_until_a_reset(self) -> None:
        """What was cut off must not look complete."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assertIsNotNone(self.at_user.lost)
        self.assertFalse(self.at_user.finished)

    def test_incomplete(self) -> None:
        for head in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
            for leave in ("loseConnection", "abortConnection"):
                self.connect()
                self.get()
                self.answer(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head)
                getattr(self.service.ends[-1], leave)()
                self.pump()
                self.assertFalse(self.at_user.finished)
                self.assert_over()

    def test_old_service(self) -> None:
        """One request a connection, as its version says."""
        for _ in range(2):
            self.get()
            self.answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self.assertEqual(self.take(), OK)
        self.assertEqual(len(self.service.ends), 2)
        self.assertTrue(self.service.seen[0].finished)

    def test_service_that_closes(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(self.take(), OK)
        self.get()
        self.assertEqual(len(self.service.ends), 2)

    def test_more_than_was_announced(self) -> None:
        """The rest isn't passed on, and such a connection isn't used again."""
        self.get()
        self.answer(OK + b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.take(), OK)
        self.get()
        self.assertEqual(len(self.service.ends), 2)

    def test_chunks_for_an_old_user(self) -> None:
        """HTTP/1.0 has none: the data comes bare, and ends with the connection."""
        self.get(b"/", b"Connection: keep-alive", version=b"HTTP/1.0")
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS)
        self.assertEqual(self.shown(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertTrue(self.at_user.finished)

    def test_interim(self) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        self.get()
        self.answer(hints + hints[:9])
        self.assertEqual(self.take(), hints)
        self.answer(hints[9:] + OK)
        self.assertEqual(self.take(), hints + OK)

    def test_interim_without_end(self) -> None:
        self.get()
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 9_000)
        for _ in range(MAX_INTERIM_BYTES // len(hints)):
            self.answer(hints)
        self.assertEqual(self.take().count(b"HTTP/1.1 103 "), MAX_INTERIM_BYTES // len(hints))
        self.answer(hints)
        self.assert_page(502)
        self.assertIsNotNone(self.service.seen[0].lost)

    def test_interim_is_not_for_old_users(self) -> None:
        self.get(version=b"HTTP/1.0")
        self.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertEqual(self.shown(), b"")

    def test_expect(self) -> None:
        """The service decides; what it says comes before the body."""
        self.ask(POST[:-2] % 5 + b"Expect: 100-continue\r\n\r\n")
        self.assertIn(b"Expect: 100-continue\r\n", self.service.received())
        self.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(self.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.ask(b"hello")
        self.assertEqual(self.service.body(), b"hello")
        self.answer()
        self.assertEqual(self.take(), OK)
        self.assertFalse(self.at_user.finished)

    def test_expectation_refused(self) -> None:
        """Nobody knows whether the body still comes, so nothing may follow."""
        self.ask(POST[:-2] % 5 + b"Expect: 100-continue\r\n\r\n")
        self.answer(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n", self.shown())
        self.assertTrue(self.at_user.finished)
        self.assertIsNotNone(self.service.seen[0].lost)


class PieceTests(VhostCase):
    """A head goes in one piece with what has come of its body: a piece is a system call."""

    def test_response(self) -> None:
        self.get()
        self.service.ends[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        self.service.ends[0].step()
        self.assertEqual(self.near.out, [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"])

    def test_request(self) -> None:
        for _ in range(2):  # on a connection that has to be opened, and on one that was kept
            self.user.write(POST % 4 + b"ab")
            self.user.step()
            [piece] = self.service.ends[0].peer.out
            assert isinstance(piece, bytes)
            self.assertTrue(piece.startswith(b"POST ") and piece.endswith(b"\r\n\r\nab"))
            self.ask(b"cd")
            self.answer()

    def test_head_that_comes_alone(self) -> None:
        self.user.write(POST % 4)
        self.user.step()
        self.assertEqual(len(self.service.ends[0].peer.out), 1)

    def test_broken_body(self) -> None:
        """Nobody takes it for a whole response, though its head came in the same piece."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        self.assertIsNotNone(self.at_user.lost)
        self.assertFalse(self.at_user.finished)


class RequestTests(VhostCase):
    """What goes there."""

    def test_bodies_stream(self) -> None:
        self.ask(POST % 6 + b"abc")
        self.assertEqual(self.service.body(), b"abc")
        self.ask(b"def")
        self.assertEqual(self.service.body(), b"abcdef")
        self.answer()
        self.ask(CHUNKED_POST + b"3\r\nabc\r\n")
        self.assertTrue(self.service.received().endswith(b"3\r\nabc\r\n"))
        self.ask(CHUNKS)
        self.assertTrue(self.service.received().endswith(CHUNKS))
        self.answer()
        self.assertEqual(self.shown(), OK * 2)
        self.assertEqual(len(self.service.ends), 1)

    def test_both_ways_at_once(self) -> None:
        """A service that echoes answers while the request is still coming."""
        self.ask(CHUNKED_POST)
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.take()
        for _ in range(3):
            self.ask(b"1\r\na\r\n")
            self.answer(b"1\r\nb\r\n")
            self.assertEqual(self.take(), b"1\r\nb\r\n")
        self.ask(b"0\r\n\r\n")
        self.answer(b"0\r\n\r\n")
        self.assertEqual(self.take(), b"0\r\n\r\n")
        self.assertEqual(self.service.body(), b"1\r\na\r\n" * 3 + b"0\r\n\r\n")

    def test_answered_too_early(self) -> None:
        """The whole answer arrives; the user may still talk into the void for a while."""
        self.ask(POST % 1000 + b"abc")
        self.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        self.assertTrue(self.shown().endswith(b"no"))
        self.assertIn(b"\r\nConnection: close\r\n", self.shown())
        self.assertTrue(self.at_user.finished)
        self.assertIsNotNone(self.service.seen[0].lost)
        self.ask(b"more")
        self.assertFalse(self.near.lost)
        self.user.loseConnection()
        self.pump()
        self.assert_over()

    def test_answered_too_early_with_the_end(self) -> None:
        self.ask(POST % 1000 + b"abc")
        self.service.ends[0].write(b"HTTP/1.1 413 x\r\n\r\nno")
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertTrue(self.shown().endswith(b"no"))
        self.assertTrue(self.at_user.finished)

    def test_body_waits_for_the_connection(self) -> None:
        self.service.delayed = []
        self.ask(POST % 6 + b"abc")
        self.ask(b"def")
        self.service.delayed[0]()
        self.pump()
        self.assertEqual(self.service.body(), b"abcdef")

    def test_two_opened_at_once(self) -> None:
        """A user who left doesn't waste the connection that is opened for him."""
        self.service.delayed = []
        self.get()
        self.user.abortConnection()
        self.assertEqual(len(self.route.finished), 1)
        self.service.delayed[0]()
        self.connect()
        self.get()
        self.assertIn(b"GET / ", self.service.received(0))


class FailureTests(VhostCase):
    """Services that don't do their part."""

    def test_no_work_connection(self) -> None:
        self.service.available = False
        self.get()
        self.assert_page(503)
        self.assertEqual(len(self.route.finished), 1)
        self.service.available = True
        self.get()
        self.answer()
        self.assertEqual(self.shown(), OK)

    def test_no_work_connection_for_a_body(self) -> None:
        self.service.available = False
        self.ask(POST % 5 + b"he")
        self.assert_refused(503)

    def test_trouble_of_our_own(self) -> None:
        """A bug costs its request, with a page, and is logged."""
        self.route.backend = BackendPool(_broken, self.clock)
        self.get()
        self.assert_page(502)
        [failure] = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("division", failure.getErrorMessage())

    def test_closed_without_an_answer(self) -> None:
        """As our client does when the local service is down."""
        for leave in ("loseConnection", "abortConnection"):
            self.get()
            getattr(self.service.ends[-1], leave)()
            self.pump()
            self.assert_page(502)

    def test_closed_with_all_of_the_proxy(self) -> None:
        """The client is gone: it's not the service that is to blame."""
        self.get()
        self.service.pool.close()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_page(503)

    def test_closed_shortly_before_all_of_the_proxy(self) -> None:
        """The connections of a client that dies are lost in any order."""
        for request in (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", POST % 9 + b"a part"):
            for gone, status in ((True, 503), (False, 502)):
                self.setUp()
                self.service.pool.news_seconds = 0.5
                self.ask(request)
                self.service.ends[0].abortConnection()
                self.pump()
                self.assertEqual(self.shown(), b"")
                if gone:
                    self.service.pool.close()
                self.clock.advance(0.5)
                self.pump()
                self.assertEqual(self.shown()[:12], b"HTTP/1.1 %d" % status)
                self.assertEqual(len(self.route.finished), 1)

    def test_end_of_file_shortly_before_all_of_the_proxy(self) -> None:
        self.service.pool.news_seconds = 0.5
        self.get()
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertTrue(self.service.ends[0].lost)
        self.service.pool.close()
        self.clock.advance(0.5)
        self.pump()
        self.assert_page(503)

    def test_user_leaves_before_it_is_known_why(self) -> None:
        self.service.pool.news_seconds = 0.5
        self.get()
        self.service.ends[0].abortConnection()
        self.pump()
        self.user.abortConnection()
        self.pump()
        self.assert_over()
        self.assert_no_timers()

    def test_nobody_waits_for_a_part(self) -> None:
        """A response that has begun has no page that could say why it ends."""
        self.service.pool.news_seconds = 0.5
        self.get()
        self.answer(OK[:-1])
        self.service.ends[0].abortConnection()
        self.pump()
        self.assert_over()

    def test_lost_before_it_was_used(self) -> None:
        self.service.delayed = []
        self.get()
        opened = self.service.delayed[0]
        self.service._opened = lambda outer: outer.peer.protocol.connectionLost(  # type: ignore[method-assign]
            Failure(ConnectionDone())
        )
        opened()
        self.pump()
        self.assert_page(502)

    def test_closed_within_the_request(self) -> None:
        self.ask(POST % 5 + b"he")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assert_refused(502)

    def test_closed_within_the_head(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n")
        self.service.ends[0].loseConnection()
        self.pump()
        self.assert_page(502)

    def test_nonsense(self) -> None:
        for response in (
            b"220 mail.example ESMTP\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nab",
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
            bytes(100 * KiB),
        ):
            self.get()
            self.answer(response)
            self.assert_page(502)
            self.assertIsNotNone(self.service.seen[-1].lost)

    def test_chunks_that_break(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assertFalse(self.at_user.finished)
        self.assert_over()

    def test_head_request_gets_a_page_without_body(self) -> None:
        self.service.available = False
        self.ask(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertTrue(self.shown().endswith(b"\r\n\r\n"))
        self.assert_page(503)


class RetryTests(VhostCase):
    """A kept connection may end at the moment when it is used."""

    def setUp(self) -> None:
        super().setUp()
        self.get()
        self.answer()
        self.take()

    def test_repeated(self) -> None:
        for leave in ("loseConnection", "abortConnection"):
            self.get(b"/again")
            getattr(self.service.ends[-1], leave)()
            self.pump()
            self.assertIn(b"GET /again ", self.service.received())
            self.answer()
            self.assertEqual(self.take(), OK)
        self.assertEqual(len(self.service.ends), 3)
        self.assertEqual(len(self.route.finished), 3)

    def test_once(self) -> None:
        self.get()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_page(502)
        self.assertEqual(len(self.service.ends), 2)

    def test_lost_while_it_was_taken(self) -> None:
        """The loss may even be known before the request is written."""
        pool = self.service.pool
        stream = pool.kept()
        assert stream is not None
        self.service.ends[0].abortConnection()
        pool.kept = lambda _=None: stream  # type: ignore[method-assign, assignment]
        self.get()
        self.assertEqual(len(self.service.ends), 2)
        self.answer()
        self.assertEqual(self.take(), OK)

    def test_not_after_an_answer_has_begun(self) -> None:
        self.get()
        self.answer(b"HTT")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assert_page(502)
        self.assertEqual(len(self.service.ends), 1)

    def test_not_what_may_have_had_an_effect(self) -> None:
        for request in (POST % 0, POST % 3 + b"abc", b"PUT" + POST[4:] % 1 + b"a"):
            self.ask(request)
            before = len(self.service.ends)
            self.service.ends[-1].abortConnection()
            self.pump()
            self.assert_page(502)
            self.assertEqual(len(self.service.ends), before)
            self.get()
            self.answer()
            self.take()


class UpgradeTests(VhostCase):
    """Both sides go over to another protocol."""

    def test_websocket(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.assertIn(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", self.service.received())
        self.user.write(b"early ")
        self.answer(SWITCHING + b"hello ")
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 101 Switching Protocols\r\n"))
        self.assertIn(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", self.shown())
        self.assertTrue(self.shown().endswith(b"\r\n\r\nhello "))
        self.ask(b"GET / HTTP/1.1\n")
        self.answer(b"\x00user")
        self.assertEqual(self.service.body(), b"early GET / HTTP/1.1\n")
        self.assertTrue(self.shown().endswith(b"hello \x00user"))
        self.assertEqual(self.route.finished, [])
        self.assert_no_timers()

    def test_counted_while_it_lives(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.answer(SWITCHING)
        [meter] = self.route.started
        up, down = meter.up_bytes, meter.down_bytes
        self.ask(b"12345")
        self.answer(b"123")
        self.assertEqual((meter.up_bytes - up, meter.down_bytes - down), (5, 3))
        self.user.loseConnection()
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertEqual(self.route.finished, [meter])
        self.assert_no_timers()

    def test_half_close_as_the_client_can(self) -> None:
        for half_closes in (True, False):
            self.route = self.add_site(f"h{half_closes}.example", half_closes=half_closes)
            self.service = self.route.service
            self.connect()
            self.ask(
                b"GET / HTTP/1.1\r\nHost: h%b.example\r\nConnection: upgrade\r\n"
                b"Upgrade: websocket\r\n\r\n" % str(half_closes).encode()
            )
            self.answer(SWITCHING)
            self.service.ends[0].loseWriteConnection()
            self.pump()
            self.assertTrue(self.at_user.finished)
            self.assertIs(self.near.lost, not half_closes)

    def test_request_with_a_body(self) -> None:
        """Docker sends one with the question for a raw connection."""
        post = b"POST /exec HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"
        post += b"Upgrade: tcp\r\nContent-Length: 2\r\n\r\n"
        switching = SWITCHING.replace(b"websocket", b"tcp")
        for late in (False, True):
            self.connect()
            self.ask(post + b"{")
            if not late:
                self.ask(b"}")
            self.answer(switching)
            self.ask(b"}raw" if late else b"raw")
            self.answer(b"data")
            self.assertIn(b"\r\nUpgrade: tcp\r\n", self.service.received())
            self.assertEqual(self.service.body(), b"{}raw")
            self.assertTrue(self.shown().endswith(b"\r\n\r\ndata"))

    def test_refused(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.answer(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        self.take()
        self.get()
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assertEqual(len(self.service.ends), 1)

    def test_something_else_than_asked(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.answer(SWITCHING.replace(b"websocket", b"h2c"))
        self.assert_page(502)

    def test_a_user_who_will_not_answer(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.user.loseWriteConnection()
        self.pump()
        self.answer(SWITCHING)
        self.assertEqual(self.shown()[:12], b"HTTP/1.1 502")
        self.assert_over()

    def test_http2_is_not_let_past_the_router(self) -> None:
        self.get(
            b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x"
        )
        for word in (b"h2c", b"Upgrade", b"HTTP2"):
            self.assertNotIn(word, self.service.received())


class BackPressureTests(VhostCase):
    """Nobody's bytes are kept for somebody who doesn't take them."""

    SIZE = 4_000_000
    CHUNK = bytes(16 * KiB)

    def test_slow_user(self) -> None:
        self.get()
        self.user.paused = True
        end = self.service.ends[0]
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.SIZE)
        for _ in range(self.SIZE // len(self.CHUNK)):
            self.answer(self.CHUNK)
        self.assertTrue(end.peer.paused)
        self.assertLessEqual(self.near.buffered(), HIGH_WATER_BYTES + 2 * len(self.CHUNK))
        self.user.paused = False
        self.pump()
        self.answer(bytes(self.SIZE % len(self.CHUNK)))
        self.assertEqual(len(self.shown().partition(b"\r\n\r\n")[2]), self.SIZE)
        self.assertEqual(len(self.route.finished), 1)

    def test_slow_service(self) -> None:
        self.ask(POST % self.SIZE)
        end = self.service.ends[0]
        end.paused = True
        for _ in range(self.SIZE // len(self.CHUNK)):
            self.ask(self.CHUNK)
        self.assertTrue(self.near.paused)
        self.assertLessEqual(end.peer.buffered(), HIGH_WATER_BYTES + 2 * len(self.CHUNK))
        end.paused = False
        self.pump()
        self.ask(bytes(self.SIZE % len(self.CHUNK)))
        self.assertEqual(len(self.service.body()), self.SIZE)
        self.assertFalse(self.near.paused)

    def test_slow_service_that_answers(self) -> None:
        """The answer comes, and the user's connection isn't left paused."""
        self.ask(POST % self.SIZE)
        self.service.ends[0].paused = True
        for _ in range(20):
            self.ask(self.CHUNK)
        self.assertTrue(self.near.paused)
        self.answer()
        self.assertTrue(self.shown().endswith(b"ok"))
        self.assertTrue(self.at_user.finished)
        self.assertFalse(self.near.paused)

    def test_answered_before_the_service_has_read_all(self) -> None:
        """All of the request is written but not taken: that connection isn't used again."""
        self.service.delayed = []
        self.ask(POST % (5 * len(self.CHUNK)) + self.CHUNK * 2)
        self.service.delayed[0]()
        self.service.ends[0].paused = True
        self.ask(self.CHUNK * 3)
        self.answer()
        self.take()
        self.service.delayed = None
        self.get()
        self.assertEqual(len(self.service.ends), 2)

    def test_the_next_response_waits_too(self) -> None:
        """A user who doesn't take one response isn't sent another."""
        self.get()
        self.user.paused = True
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + bytes(99999))
        self.get()
        self.assertEqual(self.service.received().count(b"GET"), 1)
        self.user.paused = False
        self.pump()
        self.assertEqual(self.service.received().count(b"GET"), 2)

    def test_a_full_user_while_the_connection_is_opened(self) -> None:
        self.service.delayed = []
        self.get()
        self.near.protocol.pauseProducing()  # type: ignore[attr-defined]
        self.service.delayed[0]()
        self.assertTrue(self.service.ends[0].peer.paused)
        self.near.protocol.resumeProducing()  # type: ignore[attr-defined]
        self.assertFalse(self.service.ends[0].peer.paused)


class LeavingTests(VhostCase):
    """The user goes."""

    def test_before_and_within_the_response(self) -> None:
        for part in (b"", b"HTTP/1.1 200 OK\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nx"):
            self.connect()
            self.get()
            self.answer(part)
            self.user.abortConnection()
            self.pump()
            self.assertIsNotNone(self.service.seen[-1].lost)
            self.assertFalse(self.service.seen[-1].finished)
            self.assert_over()
            self.assert_no_timers()

    def test_while_the_service_is_paused(self) -> None:
        self.get()
        self.user.paused = True
        self.answer(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(200_000))
        self.user.abortConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_no_timers()

    def test_finished_and_silent(self) -> None:
        """A user who only finished his direction is given up when nothing moves."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nx")
        self.user.loseWriteConnection()
        self.pump()
        for _ in range(3):
            self.clock.advance(HALF_CLOSED_IDLE_SECONDS - 1)
            self.answer(b"x")
        self.assertFalse(self.near.lost)
        self.clock.advance(HALF_CLOSED_IDLE_SECONDS)
        self.clock.advance(HALF_CLOSED_IDLE_SECONDS)
        self.assert_over()
        self.assert_no_timers()

    def test_finished_before_the_response(self) -> None:
        self.get()
        self.user.loseWriteConnection()
        self.pump()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nx")
        self.clock.advance(HALF_CLOSED_IDLE_SECONDS)
        self.assertFalse(self.near.lost)
        self.clock.advance(HALF_CLOSED_IDLE_SECONDS)
        self.assert_over()


class TimeTests(VhostCase):
    """No wait without an end."""

    def test_no_answer(self) -> None:
        self.get()
        self.clock.advance(RESPONSE_TIMEOUT_SECONDS - 1)
        self.assertEqual(self.shown(), b"")
        self.clock.advance(1)
        self.pump()
        self.assert_page(504)
        self.assertIsNotNone(self.service.seen[0].lost)

    def test_interim_answers_buy_no_time(self) -> None:
        self.get()
        self.clock.advance(RESPONSE_TIMEOUT_SECONDS - 1)
        self.answer(b"HTTP/1.1 102 Processing\r\n\r\n")
        self.take()
        self.clock.advance(1)
        self.pump()
        self.assert_page(504)

    def test_the_time_of_the_request_does_not_count(self) -> None:
        self.ask(POST % 3)
        for _ in range(3):
            self.clock.advance(REQUEST_IDLE_SECONDS - 1)
            self.ask(b"x")
        self.clock.advance(RESPONSE_TIMEOUT_SECONDS - 1)
        self.answer()
        self.assertEqual(self.shown(), OK)

    def test_user_stalls(self) -> None:
        self.ask(POST % 3 + b"x")
        self.clock.advance(REQUEST_IDLE_SECONDS)
        self.pump()
        self.assert_refused(408)
        self.assertIsNotNone(self.service.seen[0].lost)

    def test_service_stalls(self) -> None:
        self.ask(POST % 999_999)
        self.service.ends[0].paused = True
        for _ in range(20):
            self.ask(bytes(8 * KiB))
        self.clock.advance(REQUEST_IDLE_SECONDS)
        self.pump()
        self.assert_refused(504)

    def test_no_limit_for_a_response(self) -> None:
        self.get()
        self.answer(OK[:-1])
        self.assert_no_timers()
        self.ask(b"GET / HT")
        self.assert_no_timers()


class AccountTests(VhostCase):
    """What is told about an exchange."""

    def test_bytes(self) -> None:
        self.ask(POST % 5 + b"hello")
        [meter] = self.route.started
        self.assertEqual(meter.up_bytes, len(self.service.received()))
        self.assertEqual(self.route.finished, [])
        self.answer()
        self.assertEqual(meter.down_bytes, len(OK))
        self.assertEqual(self.route.finished, [meter])

    def test_each_has_its_own(self) -> None:
        for number in (1, 2):
            self.get()
            self.answer()
            self.assertEqual(len(self.route.finished), number)
        first, second = self.route.finished
        self.assertEqual(first.up_bytes, second.up_bytes)
        self.assertIsNot(first, second)


async def _broken(user: IAddress) -> Stream:
    raise ZeroDivisionError("division")
