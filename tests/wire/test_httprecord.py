# -*- test-case-name: tests.wire.test_httprecord -*-
"""Tests of `tunnelsvc.wire.httprecord`."""

from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.pieces import cut
from tests.wire.test_httprecordbody import frame
from tunnelsvc.wire.httpexchange import KEPT_BYTES, WEBSOCKET, Exchange
from tunnelsvc.wire.httprecord import MOST_HELD_BYTES, MOST_WAITING, Conversation
from tunnelsvc.wire.messages import StartWorkConn

USER = StartWorkConn(proxy_name="web", src_addr="192.0.2.1", src_port=5)
HOST = b"Host: a.example\r\n"
GET = b"GET /x?y HTTP/1.1\r\n" + HOST + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\n"
    + HOST
    + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"


@define
class FakeLedger:
    """Keeps all, and watches over the order of what it is told."""

    exchanges: list[Exchange] = field(factory=list)
    ended_ones: list[Exchange] = field(factory=list)
    kept_bytes: int = 0
    broken: bool = False

    def began(self, exchange: Exchange) -> None:
        assert not exchange.done
        self.exchanges.append(exchange)

    def grew(self, exchange: Exchange, length: int) -> None:
        assert exchange in self.exchanges
        if self.broken:
            raise ValueError
        self.kept_bytes += length

    def ended(self, exchange: Exchange) -> None:
        if self.broken:
            raise ValueError
        assert exchange.done
        assert exchange in self.exchanges
        assert exchange not in self.ended_ones
        self.ended_ones.append(exchange)


class RecordCase(SynchronousTestCase):
    """A conversation at a time that is set."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.now = 1000.0
        self.ledger = FakeLedger()
        self.conversation = Conversation(USER, self.ledger, lambda: self.now)

    def ask(self, *pieces: bytes) -> None:
        """The user says something; it is passed on."""
        for piece in pieces:
            self.assertIs(self.conversation.requests.feed(piece), piece)

    def answer(self, *pieces: bytes) -> None:
        """The service says something; it is passed on."""
        for piece in pieces:
            self.assertIs(self.conversation.responses.feed(piece), piece)

    @property
    def exchanges(self) -> list[Exchange]:
        return self.ledger.exchanges

    def only(self) -> Exchange:
        """Return the exchange, which is the only one."""
        (exchange,) = self.exchanges
        return exchange

    def statuses(self) -> list[tuple[bytes, int, str, bool]]:
        return [(each.method, each.status, each.error, each.done) for each in self.exchanges]


class ExchangeTests(RecordCase):
    """What is recorded of proper exchanges."""

    def test_a_request_and_its_answer(self) -> None:
        self.ask(GET[:5])
        self.now += 1
        self.assertEqual(self.exchanges, [])
        self.ask(GET[5:])
        exchange = self.only()
        self.assertEqual((exchange.method, exchange.target), (b"GET", b"/x?y"))
        self.assertEqual((exchange.start, exchange.status, exchange.done), (USER, 0, False))
        self.now += 2
        self.answer(OK[:-1])
        self.assertFalse(exchange.done)
        self.now += 4
        self.answer(OK[-1:])
        self.assertTrue(exchange.done)
        self.assertEqual(self.ledger.ended_ones, [exchange])
        self.assertEqual((exchange.began_at, exchange.ended_at), (1000, 1007))
        self.assertEqual((exchange.request.began_at, exchange.response.began_at), (1001, 1003))
        self.assertEqual((exchange.status, exchange.reason), (200, b"OK"))
        self.assertEqual(exchange.request.headers, [(b"Host", b"a.example")])
        self.assertEqual(exchange.response.headers, [(b"Content-Length", b"2")])
        self.assertEqual((exchange.response.body, exchange.response.body_bytes), (b"ok", 2))
        self.assertEqual(exchange.request.wire_bytes, len(GET))
        self.assertEqual(exchange.response.wire_bytes, len(OK))
        self.assertEqual(self.ledger.kept_bytes, exchange.kept_bytes)
        self.conversation.close("cut off")
        self.assertEqual(exchange.error, "")

    def test_keep_alive(self) -> None:
        for _ in range(3):
            self.ask(GET)
            self.answer(OK)
        self.assertEqual(self.statuses(), [(b"GET", 200, "", True)] * 3)

    def test_pipelining(self) -> None:
        self.ask(GET + b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n" + GET)
        self.answer(OK + OK.removesuffix(b"ok") + b"HTTP/1.1 204 No\r\n\r\n")
        self.assertEqual(
            self.statuses(),
            [(b"GET", 200, "", True), (b"HEAD", 200, "", True), (b"GET", 204, "", True)],
        )

    def test_chunked_both_ways(self) -> None:
        head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        self.ask(head + body + GET)
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + OK)
        first, second = self.exchanges
        self.assertEqual((first.request.body, first.request.body_bytes), (b"abcde", 5))
        self.assertEqual((first.response.body, first.response.body_bytes), (b"abcde", 5))
        self.assertEqual(first.request.wire_bytes, len(head + body))
        self.assertTrue(first.done)
        self.assertTrue(second.done)

    def test_answers_that_precede_the_answer(self) -> None:
        head = b"PUT / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        self.ask(head)
        self.answer(early)
        self.ask(b"hi")
        self.answer(OK)
        exchange = self.only()
        self.assertEqual((exchange.status, exchange.done), (200, True))
        self.assertEqual(exchange.response.wire_bytes, len(early + OK))
        self.assertEqual(exchange.request.body, b"hi")

    def test_an_answer_before_the_request_is_complete(self) -> None:
        self.ask(b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nab")
        self.answer(OK)
        exchange = self.only()
        self.assertFalse(exchange.done)
        self.ask(b"cd")
        self.assertTrue(exchange.done)
        self.assertEqual(exchange.error, "")

    def test_until_the_end_of_the_connection(self) -> None:
        self.ask(GET)
        self.answer(b"HTTP/1.0 200 OK\r\n\r\nall ", b"of it")
        exchange = self.only()
        self.assertFalse(exchange.done)
        self.conversation.close()
        self.assertEqual((exchange.done, exchange.error), (True, ""))
        self.assertEqual(exchange.response.body, b"all of it")
        self.assertTrue(exchange.response.complete)

    def test_long_bodies_are_counted_and_kept_in_part(self) -> None:
        size = KEPT_BYTES + 10
        self.ask(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size)
        self.ask(b"x" * (KEPT_BYTES - 1), b"yz" + b"." * 9)
        request = self.only().request
        self.assertEqual((request.body_bytes, len(request.body)), (size, KEPT_BYTES))
        self.assertEqual(request.body[-1:], b"y")
        self.assertTrue(request.complete)

    def test_nothing_is_kept_of_what_is_forgotten(self) -> None:
        self.ask(GET)
        exchange = self.only()
        exchange.forgotten = True
        self.answer(OK)
        self.assertEqual((exchange.response.body, exchange.response.body_bytes), (b"", 2))
        self.assertTrue(exchange.done)


class OtherProtocolTests(RecordCase):
    """Connections that become something else."""

    def test_websocket(self) -> None:
        self.ask(UPGRADE)
        self.answer(SWITCHING + frame(b"hello"))
        exchange = self.only()
        self.assertEqual((exchange.status, exchange.kind), (101, WEBSOCKET))
        self.ask(frame(b"a", masked=True), frame(b"b", masked=True), frame(b"", 9, masked=True))
        messages = exchange.user_messages, exchange.service_messages
        self.assertEqual([each and each.messages for each in messages], [2, 1])
        self.assertEqual((exchange.sent, exchange.received), (2, 1))
        self.assertEqual(exchange.response.wire_bytes, len(SWITCHING + frame(b"hello")))
        self.assertFalse(exchange.done)
        self.conversation.close()
        self.assertEqual((exchange.done, exchange.error), (True, ""))

    def test_a_websocket_that_is_cut_off(self) -> None:
        self.ask(UPGRADE)
        self.answer(SWITCHING)
        self.conversation.close("cut off by the server")
        self.assertEqual(self.only().error, "cut off by the server")

    def test_frames_before_the_answer(self) -> None:
        """A hasty client's."""
        self.ask(UPGRADE + frame(b"early", masked=True))
        self.answer(SWITCHING)
        self.assertEqual(self.only().sent, 1)

    def test_refused(self) -> None:
        """What was behind the request was another one."""
        self.ask(GET + UPGRADE + GET[:3], GET[3:])
        self.assertEqual(len(self.exchanges), 2)
        self.answer(OK)
        self.assertEqual(len(self.exchanges), 2)
        self.answer(OK + OK)
        self.assertEqual(self.statuses(), [(b"GET", 200, "", True)] * 3)
        self.assertEqual([each.kind for each in self.exchanges], ["http"] * 3)

    def test_refused_with_a_long_answer(self) -> None:
        self.ask(UPGRADE + GET)
        self.answer(OK[:-1])
        self.assertEqual(len(self.exchanges), 2)
        self.answer(OK[-1:] + OK)
        self.assertEqual(self.statuses(), [(b"GET", 200, "", True)] * 2)

    def test_connect(self) -> None:
        connect = b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n"
        self.ask(connect)
        self.answer(b"HTTP/1.1 200 Yes\r\n\r\n\x16\x03")
        self.ask(b"\x16\x03\x01")
        exchange = self.only()
        self.assertTrue(exchange.upgraded)
        self.assertEqual((exchange.kind, exchange.request.wire_bytes), ("http", len(connect) + 3))
        self.conversation.close()
        self.assertEqual(self.statuses(), [(b"CONNECT", 200, "", True)])

    def test_a_refused_connect(self) -> None:
        self.ask(b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n")
        self.answer(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        self.ask(GET)
        self.answer(OK)
        self.assertEqual(self.statuses(), [(b"CONNECT", 403, "", True), (b"GET", 200, "", True)])

    def test_too_much_before_the_answer(self) -> None:
        self.ask(UPGRADE, b"x" * (MOST_HELD_BYTES + 1))
        self.assertIn("too much behind", self.only().error)

    def test_a_switch_that_nobody_asked_for(self) -> None:
        self.ask(GET)
        self.answer(SWITCHING)
        self.assertIn("nobody has asked for", self.only().error)
        self.assertEqual(self.only().kind, "http")


class BrokenTests(RecordCase):
    """What isn't HTTP, or ends early."""

    def test_no_request(self) -> None:
        self.ask(b"SSH-2.0-x\r\n\r\n", b"more")
        exchange = self.only()
        self.assertIn("not proper HTTP/1", exchange.error)
        self.assertEqual((exchange.method, exchange.done), (b"", True))
        self.answer(b"whatever")
        self.conversation.close()
        self.assertEqual(self.exchanges, [exchange])

    def test_no_response(self) -> None:
        self.ask(GET)
        self.answer(b"who are you?\r\n\r\n")
        self.assertIn("not proper HTTP/1", self.only().error)
        self.assertTrue(self.only().done)

    def test_a_response_out_of_the_blue(self) -> None:
        self.answer(OK)
        self.assertIn("nobody has asked for", self.only().error)

    def test_a_broken_body_ends_the_record(self) -> None:
        self.ask(GET)
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", OK)
        self.assertEqual(self.only().status, 200)
        self.assertIn("malformed chunk size", self.only().error)

    def test_no_answer(self) -> None:
        self.ask(GET + GET)
        self.conversation.close()
        self.assertEqual(
            self.statuses(), [(b"GET", 0, "no answer: the connection ended", True)] * 2
        )
        self.conversation.close()
        self.assertEqual(len(self.ledger.ended_ones), 2)

    def test_half_an_answer(self) -> None:
        self.ask(GET)
        self.answer(OK[:-1])
        self.conversation.close()
        self.assertEqual(self.only().error, "the response ended early")

    def test_half_a_request(self) -> None:
        self.ask(b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nab")
        self.answer(OK)
        self.conversation.close()
        self.assertEqual(self.only().error, "answered before the request was complete")

    def test_why_it_was_cut(self) -> None:
        self.ask(GET)
        self.conversation.close("connection refused")
        self.assertEqual(self.only().error, "connection refused")

    def test_half_a_head_is_nothing_yet(self) -> None:
        self.ask(GET[:-2])
        self.conversation.close()
        self.assertEqual(self.exchanges, [])

    def test_requests_without_end(self) -> None:
        self.ask(GET * (MOST_WAITING + 5))
        self.assertEqual(len(self.exchanges), MOST_WAITING)
        self.assertTrue(all("ahead of their answers" in each.error for each in self.exchanges))

    def test_a_fault_of_ours_is_no_users_trouble(self) -> None:
        self.ask(GET)
        self.ledger.broken = True
        self.answer(OK)
        self.assertEqual(self.only().error, "can't be followed: ValueError()")


@frozen
class Sent:
    """One exchange as it is made for a test."""

    method: bytes
    body: bytes
    status: int
    answer: bytes
    request_chunked: bool
    response_chunked: bool
    hints: int

    def request(self) -> bytes:
        return b"%b /%d HTTP/1.1\r\n%b" % (self.method, self.status, HOST) + _framed(
            self.body, chunked=self.request_chunked
        )

    @property
    def bodiless(self) -> bool:
        return self.method == b"HEAD" or self.status in {204, 304}

    def response(self) -> bytes:
        framed = _framed(self.answer, chunked=self.response_chunked)
        if self.bodiless:
            framed = framed.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        hints = b"HTTP/1.1 103 Early Hints\r\n\r\n" * self.hints
        return hints + b"HTTP/1.1 %d Some Words\r\n" % self.status + framed


def _framed(body: bytes, *, chunked: bool) -> bytes:
    if not chunked:
        return b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:3], body[3:]) if part)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


SENT = st.builds(
    Sent,
    method=st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE", b"X"]),
    body=st.binary(max_size=40),
    status=st.sampled_from([200, 204, 304, 404, 500]),
    answer=st.binary(max_size=40),
    request_chunked=st.booleans(),
    response_chunked=st.booleans(),
    hints=st.integers(0, 2),
)


class PropertyTests(RecordCase):
    """Any bytes, and any exchanges, in any pieces."""

    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200))))
    def test_any_bytes_pass(self, said: list[tuple[bool, bytes]]) -> None:
        self.begin()
        for by_user, piece in said:
            (self.ask if by_user else self.answer)(piece)
        self.conversation.close()
        self.assertEqual(len(self.ledger.ended_ones), len(self.exchanges))

    PARTS = (GET, OK, UPGRADE, SWITCHING, frame(b"x"), b"HTTP/1.1 100 C\r\n\r\n", b"5\r\n", b"\r\n")

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(PARTS), st.integers(0, 30))))
    def test_any_mess_passes(self, said: list[tuple[bool, bytes, int]]) -> None:
        """What comes close to HTTP goes further than mere bytes."""
        self.begin()
        for by_user, part, left_out in said:
            (self.ask if by_user else self.answer)(part[: len(part) - left_out % len(part)])
        self.conversation.close()
        self.assertEqual(len(self.ledger.ended_ones), len(self.exchanges))
        self.assertFalse([each for each in self.exchanges if "can't be followed" in each.error])

    @given(st.lists(SENT, max_size=6), st.data())
    def test_any_exchanges_in_any_pieces(self, sent: list[Sent], data: st.DataObject) -> None:
        self.begin()
        requests = data.draw(cut(b"".join(each.request() for each in sent)))
        responses = data.draw(cut(b"".join(each.response() for each in sent)))
        self.ask(*requests)
        self.answer(*responses)
        self.check(sent)

    @given(st.lists(SENT, max_size=6), st.data())
    def test_any_exchanges_one_after_the_other(self, sent: list[Sent], data: st.DataObject) -> None:
        self.begin()
        for each in sent:
            self.ask(*data.draw(cut(each.request())))
            self.answer(*data.draw(cut(each.response())))
        self.check(sent)

    def check(self, sent: list[Sent]) -> None:
        """All that was sent is recorded, and nothing else."""
        recorded = [
            (
                each.method,
                bytes(each.request.body),
                each.status,
                bytes(each.response.body),
                each.error,
                each.done,
                each.request.wire_bytes,
                each.response.wire_bytes,
            )
            for each in self.exchanges
        ]
        expected = [
            (
                each.method,
                each.body,
                each.status,
                b"" if each.bodiless else each.answer,
                "",
                True,
                len(each.request()),
                len(each.response()),
            )
            for each in sent
        ]
        self.assertEqual(recorded, expected)
