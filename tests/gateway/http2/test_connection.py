# -*- test-case-name: tests.gateway.http2.test_connection -*-
"""Tests of `tunnelsvc.gateway.http2.connection` and `.request`, by a client in memory."""

from collections.abc import Iterable
from typing import Any

from attrs import evolve
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.support import OK, VhostCase, telling_pair
from tests.streams import Recorder, recorded
from tunnelsvc.gateway.accesslog import AccessLog, combined
from tunnelsvc.gateway.exchange import MAX_INTERIM_BYTES
from tunnelsvc.gateway.http2 import HTTP2Connection, connection
from tunnelsvc.gateway.http2.request import PENDING_BYTES
from tunnelsvc.gateway.protocol import HEAD_SECONDS, KEEPALIVE_SECONDS
from tunnelsvc.gateway.taking import LOOK_SECONDS, STALL_SECONDS
from tunnelsvc.wire.httphead import Header

MUCH = 300_000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def plain(fields: Iterable[Header]) -> list[Header]:
    """Forget what hpack knows of fields."""
    return [(name, value) for name, value in fields]


class Client(Recorder):
    """A user's program: speaks HTTP/2 and keeps what it is told."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.stream = stream
        self.acknowledges = True
        self.heads: dict[int, list[Header]] = {}
        self.interim: list[int] = []
        self.bodies: dict[int, bytes] = {}
        self.trailers: dict[int, list[Header]] = {}
        self.ended: list[int] = []
        self.resets: dict[int, int] = {}
        self.goaway: ConnectionTerminated | None = None

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        for event in self.h2.receive_data(data):
            self.happened(event)
        self.send()

    def happened(self, event: Any) -> None:
        match event:
            case ResponseReceived():
                self.heads[event.stream_id] = plain(event.headers)
            case InformationalResponseReceived():
                self.interim.append(int(event.headers[0][1]))
            case DataReceived():
                before = self.bodies.get(event.stream_id, b"")
                self.bodies[event.stream_id] = before + event.data
                if self.acknowledges and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case TrailersReceived():
                self.trailers[event.stream_id] = plain(event.headers)
            case StreamEnded():
                self.ended.append(event.stream_id)
            case StreamReset():
                self.resets[event.stream_id] = event.error_code
            case ConnectionTerminated():
                self.goaway = event

    def send(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.stream.write(data)


class HTTP2Case(VhostCase):
    """A user who speaks HTTP/2."""

    def connect(self) -> None:
        super().connect()
        self.user.abortConnection()
        self.user, self.near = telling_pair("user")
        self.client = Client(self.user)
        self.user.protocol = self.client
        self.user.paused = False
        self.connection = HTTP2Connection(self.factory.site, self.near)
        self.connection.start()
        self.client.h2.initiate_connection()
        self.client.send()
        self.pump()

    def pump(self) -> None:
        """Move all that can move, turns of the clock included."""
        for _ in range(20):
            super().pump()
            self.clock.advance(0)

    def request(
        self,
        *headers: Header,
        method: bytes = b"GET",
        host: bytes = b"a.example",
        path: bytes = b"/",
        ended: bool = True,
    ) -> int:
        """Send the head of a request; return the stream's number."""
        number = self.client.h2.get_next_available_stream_id()
        pseudo = [
            (b":method", method),
            (b":scheme", b"https"),
            (b":authority", host),
            (b":path", path),
        ]
        self.client.h2.send_headers(number, [*pseudo, *headers], end_stream=ended)
        self.go()
        return number

    def data(self, number: int, data: bytes, *, ended: bool = False, padding: int = 0) -> None:
        """Send a piece of a request's body."""
        self.client.h2.send_data(number, data, end_stream=ended, pad_length=padding or None)
        self.go()

    def go(self) -> None:
        self.client.send()
        self.pump()

    def raw(self, *frames: Frame) -> None:
        """Send frames that no decent client sends."""
        self.user.write(b"".join(frame.serialize() for frame in frames))
        self.pump()

    def status(self, number: int) -> int:
        return int(dict(self.client.heads[number])[b":status"])

    def assert_goaway(self, code: ErrorCodes) -> None:
        """The user was told why, and the connection closed."""
        assert self.client.goaway is not None
        self.assertEqual(self.client.goaway.error_code, code)
        self.assertTrue(self.client.finished)
        self.user.loseConnection()
        self.pump()
        self.assert_over()

    def assert_all_over(self) -> None:
        """Nothing is left, and nothing is waited for."""
        self.user.abortConnection()
        self.pump()
        self.assert_over()
        self.service.pool.close()
        self.pump()
        self.assert_no_timers()


class RequestTests(HTTP2Case):
    """Requests and responses."""

    def test_get(self) -> None:
        number = self.request((b"x-a", b"1"), path=b"/x?y")
        self.assertEqual(
            self.service.received(),
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nx-a: 1\r\n"
            b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: a.example\r\n"
            b"X-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.7\r\n\r\n",
        )
        self.answer(b"HTTP/1.1 201 Made it\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(
            self.client.heads[number],
            [(b":status", b"201"), (b"x-b", b"2"), (b"content-length", b"2")],
        )
        self.assertEqual((self.client.bodies[number], self.client.ended), (b"ok", [number]))
        self.assert_all_over()

    def test_many_at_once(self) -> None:
        numbers = [self.request(path=b"/%d" % it) for it in range(20)]
        self.assertEqual(len(self.service.ends), 20)
        for it in reversed(range(20)):
            self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % it, it)
        self.assertEqual(
            [self.client.bodies[number] for number in numbers], [b"%02d" % it for it in range(20)]
        )
        self.request()
        self.assertEqual(len(self.service.ends), 20)
        self.assert_all_over()

    def test_body_of_known_length(self) -> None:
        number = self.request((b"content-length", b"5"), method=b"POST", ended=False)
        self.data(number, b"he")
        self.data(number, b"llo", ended=True)
        self.assertIn(b"Content-Length: 5\r\n", self.service.received())
        self.assertEqual(self.service.body(), b"hello")
        self.answer()
        self.assertEqual(self.status(number), 200)

    def test_body_and_trailers(self) -> None:
        number = self.request(method=b"POST", ended=False)
        self.data(number, b"hello", padding=9)
        self.client.h2.send_headers(number, [(b"sum", b"1")], end_stream=True)
        self.go()
        self.assertEqual(self.service.body(), b"5\r\nhello\r\n0\r\nsum: 1\r\n\r\n")
        self.answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSum: 2\r\n\r\n"
        )
        self.assertEqual(self.client.bodies[number], b"ok")
        self.assertEqual(self.client.trailers[number], [(b"sum", b"2")])
        self.assertEqual(self.client.ended, [number])
        self.assert_all_over()

    def test_trailers_that_say_another_length(self) -> None:
        number = self.request(method=b"POST", ended=False)
        self.client.h2.send_headers(number, [(b"host", b"b.example")], end_stream=True)
        self.go()
        self.assertEqual(self.client.resets, {number: ErrorCodes.PROTOCOL_ERROR})
        self.assertNotIn(b"b.example", self.service.received())
        self.assertIsNotNone(self.service.seen[0].lost)

    def test_interim(self) -> None:
        number = self.request((b"expect", b"100-continue"), method=b"PUT", ended=False)
        self.assertIn(b"expect: 100-continue\r\n", self.service.received())
        self.answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n")
        self.assertEqual(self.client.interim, [100, 103])
        self.data(number, b"x", ended=True)
        self.answer()
        self.assertEqual(self.client.bodies[number], b"ok")

    def test_without_body(self) -> None:
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            number = self.request(method=method)
            self.answer(b"HTTP/1.1 %d x\r\nContent-Length: 5\r\n\r\n" % status)
            self.assertEqual(self.status(number), status)
            self.assertNotIn(number, self.client.bodies)
            self.assertIn(number, self.client.ended)

    def test_pages(self) -> None:
        number = self.request(host=b"b.example")
        self.assertEqual(self.status(number), 404)
        self.assertIn(b"not found", self.client.bodies[number])
        self.service.available = False
        self.assertEqual(self.status(self.request()), 503)
        self.assert_all_over()

    def test_refused(self) -> None:
        """What h2 lets through and isn't served here."""
        self.assertEqual(self.status(self.request(path=b"http://b.example/")), 400)
        self.assertEqual(self.status(self.request(host=b"a b")), 400)
        number = self.request(method=b"HEAD", path=b"x")
        self.assertEqual((self.status(number), self.client.ended[-1]), (400, number))
        number = self.client.h2.get_next_available_stream_id()
        connect = [(b":method", b"CONNECT"), (b":authority", b"a.example:443")]
        self.client.h2.send_headers(number, connect)
        self.go()
        self.assertEqual(self.client.resets[number], ErrorCodes.HTTP_1_1_REQUIRED)
        self.assertEqual(self.service.ends, [])
        self.assert_all_over()

    def test_cookies_are_joined(self) -> None:
        self.request((b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d"))
        self.assertIn(b"cookie: a=b; c=d\r\n", self.service.received())

    def test_response_before_the_request_ends(self) -> None:
        """The rest of the request isn't wanted, which is no error."""
        number = self.request(method=b"POST", ended=False)
        self.data(number, b"hello")
        self.answer(b"HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual((self.status(number), self.client.bodies[number]), (413, b"no"))
        self.assertEqual(self.client.resets, {number: ErrorCodes.NO_ERROR})
        self.assertIsNotNone(self.service.seen[0].lost)
        self.request()
        self.answer()
        self.assertEqual(len(self.client.ended), 2)
        self.assert_all_over()


class LogTests(HTTP2Case):
    """The access log."""

    def connect(self) -> None:
        self.written: list[bytes] = []
        log = AccessLog(self.written.append, combined, self.clock)
        self.factory.site = evolve(self.factory.site, access_log=log)
        super().connect()

    def test_protocol(self) -> None:
        self.request(path=b"/x")
        self.answer()
        [line] = self.written
        self.assertIn(b"192.0.2.7 - - ", line)
        self.assertIn(b'"GET /x HTTP/2.0" 200 2 ', line)


class EndTests(HTTP2Case):
    """Ends of streams and of connections."""

    def test_user_resets(self) -> None:
        number = self.request()
        other = self.request()
        self.client.h2.reset_stream(number)
        self.go()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.answer()
        self.assertEqual(self.client.bodies, {other: b"ok"})
        self.assert_all_over()

    def test_asked_and_reset_at_once(self) -> None:
        """Nobody is asked in vain."""
        number = self.client.h2.get_next_available_stream_id()
        pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/")]
        self.client.h2.send_headers(number, [*pseudo, (b":authority", b"a.example")])
        self.client.h2.reset_stream(number)
        self.go()
        self.assertEqual((self.service.ends, self.client.heads), ([], {}))
        self.assert_all_over()

    def test_service_fails_within_the_response(self) -> None:
        number = self.request()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        self.service.ends[0].abortConnection()
        self.pump()
        self.assertEqual(self.client.resets, {number: ErrorCodes.INTERNAL_ERROR})
        self.assertIsNone(self.client.goaway)
        self.assert_all_over()

    def test_user_leaves(self) -> None:
        for _ in range(3):
            self.request()
        self.user.abortConnection()
        self.pump()
        self.assertEqual([seen.lost is None for seen in self.service.seen], 3 * [False])
        self.assert_all_over()

    def test_user_says_goodbye(self) -> None:
        self.request()
        self.client.h2.close_connection()
        self.go()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assertTrue(self.client.finished)

    def test_half_closed_user_is_answered(self) -> None:
        number, unfinished = self.request(), self.request(method=b"PUT", ended=False)
        self.user.loseWriteConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[1].lost)
        self.answer(OK, 0)
        self.assertEqual(self.client.bodies, {number: b"ok"})
        self.assertNotIn(unfinished, self.client.heads)
        self.assertTrue(self.client.finished)

    def test_nothing_more_to_say(self) -> None:
        self.user.loseWriteConnection()
        self.pump()
        self.assertTrue(self.client.finished)
        self.assert_over()

    def test_idle(self) -> None:
        """First, and between two requests; not within one."""
        self.clock.advance(HEAD_SECONDS)
        self.pump()
        self.assert_goaway(ErrorCodes.NO_ERROR)
        self.connect()
        self.request()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        self.clock.pump([KEEPALIVE_SECONDS] * 3)
        self.pump()
        self.assertIsNone(self.client.goaway)
        self.answer(b"ok")
        self.clock.advance(KEEPALIVE_SECONDS)
        self.pump()
        self.assert_goaway(ErrorCodes.NO_ERROR)

    def test_shut_down(self) -> None:
        number = self.request()
        self.connection.shut_down()
        self.connection.shut_down()
        self.pump()
        assert self.client.goaway is not None
        self.assertEqual(self.client.goaway.last_stream_id, number)
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_goaway(ErrorCodes.NO_ERROR)

    def test_no_http2(self) -> None:
        self.connect()
        self.user.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.pump()
        self.connect_raw(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertTrue(self.at_user.finished)

    def connect_raw(self, data: bytes) -> None:
        """Connect somebody who may say anything."""
        self.user.abortConnection()
        self.user, self.near = telling_pair("user")
        self.at_user = recorded(self.user)
        self.connection = HTTP2Connection(self.factory.site, self.near)
        self.connection.start()
        self.user.write(data)
        self.pump()

    @settings(max_examples=60)
    @given(st.binary(max_size=60), st.integers(0, 9), st.integers(0, 255), st.integers(0, 4))
    def test_noise(self, noise: bytes, kind: int, flags: int, stream: int) -> None:
        """Whatever comes: an orderly end, or nothing at all."""
        frame = len(noise).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4)
        hello = PREFACE + SettingsFrame(0).serialize()
        for data in (hello + noise, hello + frame + noise, noise):
            self.connect_raw(data)
            self.user.abortConnection()
            self.pump()
        self.assertEqual(self.flushLoggedErrors(), [])


class PressureTests(HTTP2Case):
    """Who is too fast waits."""

    def test_a_window_that_stays_shut(self) -> None:
        """The service waits; other streams don't, as long as the connection has room."""
        self.client.acknowledges = False
        number = self.request()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH)
        for _ in range(10):
            self.answer(b"x" * (MUCH // 10))
        self.assertEqual(len(self.client.bodies[number]), 65_535)
        end = self.service.ends[0]
        self.assertTrue(end.peer.paused)
        self.assertLess(len(self.client.bodies[number]) + 2 * PENDING_BYTES, MUCH)
        self.client.h2.increment_flow_control_window(MUCH)
        self.client.h2.increment_flow_control_window(MUCH, number)
        self.go()
        self.assertEqual(len(self.client.bodies[number]), MUCH)
        self.assertEqual(self.client.ended, [number])
        self.assert_all_over()

    def test_windows_grow_by_settings(self) -> None:
        self.client.acknowledges = False
        number = self.request()
        self.client.h2.increment_flow_control_window(MUCH)
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MUCH, b"x" * MUCH))
        self.assertEqual(len(self.client.bodies[number]), 65_535)
        self.client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: MUCH})
        self.go()
        self.assertEqual(len(self.client.bodies[number]), MUCH)

    def test_a_connection_that_takes_nothing(self) -> None:
        numbers = [self.request(), self.request()]
        self.client.h2.increment_flow_control_window(4 * MUCH)
        for number in numbers:
            self.client.h2.increment_flow_control_window(4 * MUCH, number)
        self.go()
        self.user.paused = True
        for it in range(2):
            self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH, it)
            for _ in range(10):
                self.answer(b"x" * (MUCH // 10), it)
        self.assertTrue(self.near.paused)
        self.assertLess(self.near.buffered(), MUCH)
        self.assertTrue(all(end.peer.paused for end in self.service.ends))
        self.user.paused = False
        self.pump()
        self.assertEqual([len(body) for body in self.client.bodies.values()], [MUCH, MUCH])
        self.assert_all_over()

    def test_it_takes_nothing_for_long(self) -> None:
        self.request()
        self.client.h2.increment_flow_control_window(4 * MUCH)
        self.client.h2.increment_flow_control_window(4 * MUCH, 1)
        self.go()
        self.user.paused = True
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MUCH, b"x" * MUCH))
        self.assertFalse(self.near.lost)
        self.clock.pump([LOOK_SECONDS, LOOK_SECONDS])
        self.pump()
        self.assert_over()

    def test_a_window_that_stays_shut_for_long(self) -> None:
        self.client.acknowledges = False
        number = self.request()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MUCH, b"x" * MUCH))
        self.clock.advance(STALL_SECONDS)
        self.pump()
        self.assertEqual(self.client.resets, {number: ErrorCodes.CANCEL})
        self.assertIsNone(self.client.goaway)
        self.assert_all_over()

    def test_request_to_a_slow_service(self) -> None:
        """The window of the stream is used up, that of the connection isn't."""
        number = self.request(method=b"PUT", ended=False)
        self.service.ends[0].paused = True
        sent = self.upload(number)
        self.assertLess(sent, connection.STREAM_WINDOW_BYTES + 200_000)
        other = self.request(method=b"PUT", ended=False)
        self.assertGreater(self.upload(other), 2 * connection.STREAM_WINDOW_BYTES)
        self.service.ends[0].paused = False
        self.pump()
        sent += self.upload(number)
        self.client.h2.end_stream(number)
        self.go()
        self.assertGreaterEqual(len(self.service.body(0)), sent)
        self.assertTrue(self.service.body(0).endswith(b"\r\n0\r\n\r\n"))

    def upload(self, number: int) -> int:
        """Send as much as is taken, up to a megabyte."""
        h2, sent = self.client.h2, 0
        while sent < 1_000_000 and (window := h2.local_flow_control_window(number)):
            size = min(window, h2.max_outbound_frame_size)
            self.data(number, b"x" * size)
            sent += size
        return sent

    def test_a_slow_service_gets_a_long_body(self) -> None:
        """What waits for it doesn't become more while it takes a little."""
        number = self.request(method=b"PUT", ended=False)
        end = self.service.ends[0]
        sent = 0
        for _ in range(20):
            end.paused = True
            sent += self.upload(number)
            waiting = sent - len(self.service.body())
            self.assertLess(waiting, 2 * connection.STREAM_WINDOW_BYTES)
            end.paused = False
            while end.peer.step():
                pass
            end.paused = True
            self.pump()
        self.assertGreater(sent, 4 * connection.STREAM_WINDOW_BYTES)

    def test_forgotten_bodies_give_their_windows_back(self) -> None:
        """However many requests are reset while their bodies wait."""
        for _ in range(2 * connection.CONNECTION_WINDOW_BYTES // connection.STREAM_WINDOW_BYTES):
            number = self.request(method=b"PUT", ended=False)
            self.service.ends[-1].paused = True
            self.upload(number)
            self.client.h2.reset_stream(number)
            self.go()
        # h2 gives it back in lumps of up to a half.
        window = self.client.h2.outbound_flow_control_window
        self.assertGreaterEqual(window, connection.CONNECTION_WINDOW_BYTES // 2)
        self.assert_all_over()

    def test_bodies_that_came_with_a_reset_give_their_windows_back(self) -> None:
        fields = [
            (b":method", b"PUT"),
            (b":scheme", b"https"),
            (b":path", b"/"),
            (b":authority", b"a"),
        ]
        body = b"x" * (connection.INPUT_BYTES - 500)
        h2 = self.client.h2
        for _ in range(connection.CONNECTION_WINDOW_BYTES // len(body) + 1):
            number = h2.get_next_available_stream_id()
            h2.send_headers(number, fields)
            h2.send_data(number, body)
            h2.reset_stream(number)
            self.go()
        window = self.client.h2.outbound_flow_control_window
        self.assertGreaterEqual(window, connection.CONNECTION_WINDOW_BYTES // 2)

    def test_interim_answers_to_who_reads_nothing(self) -> None:
        """They aren't held back by any window, so there is an end to them."""
        number = self.request()
        self.user.paused = True
        for count in range(300):
            self.answer(b"HTTP/1.1 103 Hints\r\nLink: %b\r\n\r\n" % (b"%d" % count * 300))
        self.assertLess(self.near.buffered(), MAX_INTERIM_BYTES)
        self.user.paused = False
        self.pump()
        self.assertEqual(self.status(number), 502)
        self.assert_all_over()

    def test_a_bug_ends_the_connection(self) -> None:
        """Instead of letting the user wait for the rest."""
        number = self.request()
        self.patch(self.connection.h2, "send_headers", lambda *_, **__: 1 / 0)
        self.answer()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertNotIn(number, self.client.heads)
        self.assertTrue(self.near.lost)
        self.assert_all_over()


class AbuseTests(HTTP2Case):
    """What somebody may send who means harm."""

    def headers(self, number: int, **fields: bytes) -> HeadersFrame:
        frame = HeadersFrame(number)
        pseudo = {"method": b"GET", "scheme": b"https", "authority": b"b.example", "path": b"/"}
        listed = [(b":" + name.encode(), value) for name, value in (pseudo | fields).items()]
        frame.data = self.client.h2.encoder.encode(listed)
        frame.flags.add("END_HEADERS")
        frame.flags.add("END_STREAM")
        return frame

    def reset(self, number: int) -> RstStreamFrame:
        frame = RstStreamFrame(number)
        frame.error_code = ErrorCodes.CANCEL
        return frame

    def test_rapid_reset(self) -> None:
        """CVE-2023-44487."""
        number = 1
        for _ in range(connection.MOST_RESETS + 1):
            self.user.write(self.headers(number).serialize() + self.reset(number).serialize())
            number += 2
        self.pump()
        self.assert_goaway(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_resets_by_others(self) -> None:
        """CVE-2025-8671: the user makes us reset what he asked for."""
        self.patch(connection, "MOST_RESETS", 30)
        self.connect()
        while self.client.goaway is None:
            number = self.request(method=b"PUT", ended=False)
            self.client.h2.send_headers(number, [(b"x-real-ip", b"::1")], end_stream=True)
            self.go()
        self.assertLess(len(self.service.ends), connection.MOST_RESETS + 10)
        self.assert_goaway(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_browsers_that_cancel(self) -> None:
        """A page full of pictures that is left, again and again."""
        for _ in range(10):
            numbers = [self.request(path=b"/%d" % it) for it in range(30)]
            for number in numbers:
                self.client.h2.reset_stream(number)
            self.go()
            self.clock.advance(15)
        self.assertIsNone(self.client.goaway)

    def test_floods(self) -> None:
        unknown = ExtensionFrame(type=0xBE, stream_id=0, body=b"")
        empty = DataFrame(1)
        for frame in (PingFrame(0), SettingsFrame(0), PriorityFrame(5, depends_on=0), unknown):
            self.connect()
            self.raw(*[frame] * (connection.MOST_IDLE_FRAMES + 10))
            self.assert_goaway(ErrorCodes.ENHANCE_YOUR_CALM)
        self.connect()
        self.request(method=b"PUT", ended=False)
        self.raw(*[empty] * (connection.MOST_IDLE_FRAMES + 10))
        self.assert_goaway(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_pings_to_who_reads_nothing(self) -> None:
        """Answers don't pile up: the connection isn't read."""
        self.user.paused = True
        for _ in range(30):
            self.raw(*[PingFrame(0)] * 30)
        self.assertLess(self.near.buffered(), connection.MOST_IDLE_FRAMES * 20)

    def test_too_many_streams(self) -> None:
        frames = [self.headers(number, authority=b"a.example") for number in range(1, 400, 2)]
        self.raw(*frames)
        self.assertLessEqual(len(self.service.ends), connection.MOST_STREAMS)
        assert self.client.goaway is not None
        self.assert_goaway(ErrorCodes.PROTOCOL_ERROR)

    def test_continuation_flood(self) -> None:
        """CVE-2024-27316 and its like."""
        begin = HeadersFrame(1)
        frames: list[Frame] = [begin]
        for _ in range(100):
            more = ContinuationFrame(1)
            more.data = b"\0" * 100
            frames.append(more)
        self.raw(*frames)
        self.assert_goaway(ErrorCodes.PROTOCOL_ERROR)

    def test_header_bomb(self) -> None:
        """CVE-2016-6581: a large field, referred to by one octet each time."""
        encoder = self.client.h2.encoder
        large = encoder.encode([(b"x", b"y" * 3_000)])
        frame = self.headers(1)
        frame.data += large + b"\xbe" * 1_000
        self.raw(frame)
        self.assert_goaway(ErrorCodes.ENHANCE_YOUR_CALM)

    def test_compression_table(self) -> None:
        """A peer may not make us remember more than we want."""
        self.client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 2**20})
        self.go()
        self.assertEqual(self.connection.h2.encoder.header_table_size, connection.TABLE_BYTES)
        number = self.request()
        self.answer(b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 0\r\n\r\n" % (b"y" * 5_000))
        self.assertEqual(self.status(number), 200)
        self.client.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 0})
        self.go()
        self.assertEqual(self.connection.h2.encoder.header_table_size, 0)
        number = self.request()
        self.answer()
        self.assertEqual(self.status(number), 200)

    def test_malformed(self) -> None:
        """h2 refuses them before we see them."""
        for fields in (
            {"path": b""},
            {"authority": b"a\r\nb"},
            {"method": b" GET"},
        ):
            self.connect()
            self.raw(self.headers(1, **fields))
            self.assert_goaway(ErrorCodes.PROTOCOL_ERROR)
        for header in (
            (b"connection", b"close"),
            (b"transfer-encoding", b"chunked"),
            (b"te", b"gzip"),
            (b"X-Upper", b"1"),
            (b"host", b"c.example"),
        ):
            self.connect()
            frame = self.headers(1)
            frame.data += self.client.h2.encoder.encode([header])
            self.raw(frame)
            self.assert_goaway(ErrorCodes.PROTOCOL_ERROR)

    def test_lying_lengths(self) -> None:
        number = self.request((b"content-length", b"3"), method=b"PUT", ended=False)
        frame = DataFrame(number)
        frame.data = b"GET / HTTP/1.1\r\n"
        self.raw(frame)
        self.assert_goaway(ErrorCodes.PROTOCOL_ERROR)
        self.assertNotIn(b"GET /", self.service.received())

    def test_windows_that_overflow(self) -> None:
        frame = WindowUpdateFrame(0)
        frame.window_increment = 2**31 - 1
        self.raw(frame)
        self.assert_goaway(ErrorCodes.FLOW_CONTROL_ERROR)
