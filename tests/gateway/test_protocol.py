# -*- test-case-name: tests.gateway.test_protocol -*-
"""Tests of `tunnelsvc.gateway.protocol`."""

import gc
from itertools import pairwise
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.gateway.support import OK, VhostCase, telling_pair
from tests.streams import HIGH_WATER_BYTES, Recorder, recorded
from tests.wire.test_httphead import REFUSED
from tunnelsvc.gateway import make_rules
from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.protocol import (
    HEAD_SECONDS,
    KEEPALIVE_SECONDS,
    LINGER_SECONDS,
    MAX_UNREAD_BYTES,
    VhostProtocol,
)
from tunnelsvc.gateway.taking import LOOK_SECONDS, STALL_SECONDS
from tunnelsvc.handover import last_reader, park
from tunnelsvc.wire.httphead import MAX_HEAD_BYTES

STEADY = settings(derandomize=True, deadline=None, max_examples=60)
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


class ServeTests(VhostCase):
    """Requests find their way, one after the other."""

    def test_interfaces(self) -> None:
        for interface in (IProtocol, IHalfCloseableProtocol, IPushProducer):
            self.assertTrue(verifyObject(interface, self.near.protocol))

    def test_one_request(self) -> None:
        self.get(b"/x?y")
        self.assertEqual(
            self.service.received(),
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.7\r\n"
            b"X-Forwarded-Host: a.example\r\nX-Forwarded-Proto: http\r\n"
            b"X-Real-IP: 192.0.2.7\r\n\r\n",
        )
        self.assertEqual(self.service.users, [self.near.getPeer()])
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assertFalse(self.at_user.finished)

    def test_origin(self) -> None:
        """Who the user is may be known from elsewhere than the connection."""
        self.connect()
        origin = Origin(b"198.51.100.1", b"https")
        protocol = VhostProtocol(self.factory.site, origin=origin)
        self.near.unregisterProducer()
        park(self.near)
        protocol.take_over(self.near, GET)
        self.pump()
        self.assertIn(b"X-Forwarded-For: 198.51.100.1\r\n", self.service.received())
        self.assertIn(b"X-Forwarded-Proto: https\r\n", self.service.received())

    def test_keep_alive(self) -> None:
        """Both connections are used again."""
        for _ in range(3):
            self.get()
            self.answer()
            self.assertEqual(self.take(), OK)
        self.assertEqual(len(self.service.ends), 1)
        self.assertEqual(self.service.received().count(b"GET / "), 3)

    def test_nothing_is_left(self) -> None:
        """A user who has gone is forgotten at once, without a look for garbage."""
        self.get(b"/", b"Connection: close")
        self.answer()
        self.user.loseConnection()
        self.pump()
        gone = ref(self.near.protocol)
        self.addCleanup(gc.enable)
        gc.disable()
        last_reader(self.near).connectionLost(Failure(ConnectionDone()))
        self.route.underway.clear()
        self.assertIsNone(gone())

    def test_each_request_has_its_own_host(self) -> None:
        other = self.add_site("b.example")
        for route, host in ((self.route, b"a"), (other, b"b"), (self.route, b"A")):
            self.ask(b"GET / HTTP/1.1\r\nHost: %b.example\r\n\r\n" % host)
            route.service.ends[0].write(OK)
            self.pump()
            self.assertEqual(self.take(), OK)
        self.assertEqual(self.service.received().count(b"GET"), 2)
        self.assertEqual(other.service.received().count(b"GET"), 1)

    def test_locations_see_the_decoded_path(self) -> None:
        admin = self.add_site("a.example", "/admin ü")
        self.get(b"/%61dmin%20%C3%BC/x?/y")
        self.assertIn(b"GET /%61dmin%20%C3%BC/x?/y HTTP", admin.service.received())
        self.assertEqual(self.service.ends, [])

    def test_absolute_form(self) -> None:
        other = self.add_site("b.example")
        self.get(b"http://b.example/x")
        self.assertIn(b"GET /x HTTP/1.1\r\nHost: b.example\r\n", other.service.received())

    def test_pipelining(self) -> None:
        """The service gets one at a time; the answers come in order."""
        self.ask(GET + GET.replace(b"/ ", b"/2 ") + GET.replace(b"/ ", b"/3 "))
        for number, path in enumerate((b"/", b"/2", b"/3"), start=1):
            self.assertEqual(self.service.received().count(b"GET"), number)
            self.assertIn(b"GET %b HTTP" % path, self.service.received())
            self.answer(OK.replace(b"ok", b"%02d" % number))
        self.assertEqual(
            self.shown(), b"".join(OK.replace(b"ok", b"%02d" % number) for number in (1, 2, 3))
        )

    def test_pipelined_behind_a_body(self) -> None:
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc" + GET)
        self.assertEqual(self.service.body(), b"abc")
        self.answer()
        self.assertEqual(self.service.received().count(b"GET"), 1)

    def test_close_is_honoured(self) -> None:
        self.get(b"/", b"Connection: close")
        self.assertNotIn(b"Connection", self.service.received())
        self.answer()
        self.assertIn(b"\r\nConnection: close\r\n", self.shown())
        self.assertTrue(self.at_user.finished)
        self.user.loseConnection()
        self.pump()
        self.assert_over()

    def test_close_is_for_the_user_alone(self) -> None:
        """New users, one request each, share the connection to the service."""
        for number in range(1, 4):
            self.get(b"/", b"Connection: close")
            self.answer()
            self.assertTrue(self.shown().endswith(b"ok"))
            self.assertEqual(self.service.received().count(b"GET"), number)
            self.connect()
        self.assertEqual(len(self.service.ends), 1)

    def test_old_clients(self) -> None:
        self.get(b"/", b"Connection: keep-alive", version=b"HTTP/1.0")
        self.answer()
        self.assertIn(b"\r\nConnection: keep-alive\r\n", self.take())
        self.get(version=b"HTTP/1.0")
        self.answer()
        self.assertIn(b"\r\nConnection: close\r\n", self.shown())
        self.assertTrue(self.at_user.finished)

    def test_old_clients_without_host(self) -> None:
        """They are served by whoever serves all hosts."""
        star = self.add_site("*")
        self.ask(b"GET /x HTTP/1.0\r\n\r\n")
        self.assertTrue(star.service.received().startswith(b"GET /x HTTP/1.1\r\nHost: \r\n"))
        star.service.ends[0].write(OK)
        self.pump()
        self.assertTrue(self.shown().endswith(b"\r\n\r\nok"))
        self.assertTrue(self.at_user.finished)

    def test_many_answers_of_ours_in_one_go(self) -> None:
        """No recursion, and each has its answer."""
        count = 2000
        self.user.paused = False
        self.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        self.assertEqual(self.shown().count(b"HTTP/1.1 404 Not Found\r\n"), count)


class TakeOverTests(VhostCase):
    """Connections that were recognised on the bind port."""

    def connect(self) -> None:
        self.user, self.near = telling_pair("user")
        self.at_user = recorded(self.user)
        self.near.protocol = Recorder()
        park(self.near)

    def test_first_bytes(self) -> None:
        self.near.protocol.dataReceived(GET[10:20])
        self.factory.take_over(self.near, GET[:10])
        self.ask(GET[20:])
        self.assertIn(b"GET / HTTP/1.1\r\n", self.service.received())
        self.answer()
        self.assertEqual(self.shown(), OK)

    def test_whole_request(self) -> None:
        self.factory.take_over(self.near, GET)
        self.pump()
        self.answer()
        self.get()
        self.answer()
        self.assertEqual(self.shown(), OK + OK)

    def test_garbage(self) -> None:
        self.factory.take_over(self.near, b"GET \x00\r\n\r\n")
        self.pump()
        self.assert_refused(400)
        self.user.loseConnection()
        self.pump()
        self.assert_over()
        self.assert_no_timers()

    def test_a_user_who_left_before(self) -> None:
        self.user.abortConnection()
        self.factory.take_over(self.near, b"GET / HT")
        self.assert_no_timers()

    def test_a_user_who_finished_before(self) -> None:
        self.near.protocol.readConnectionLost()
        self.factory.take_over(self.near, GET)
        self.pump()
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assert_over()


class RefusalTests(VhostCase):
    """Requests that reach no service."""

    def test_unknown_host(self) -> None:
        for _ in range(2):
            self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
            self.assertIn(b"The page you requested was not found.", self.shown())
            self.assert_page(404)

    def test_host_that_was_there(self) -> None:
        self.router.remove("a.example", "")
        self.get()
        self.assertIn(b"<title>This site is offline</title>", self.shown())
        self.assert_page(503)
        self.router.add("a.example", "", self.route)
        self.get()
        self.assertEqual(len(self.service.ends), 1)

    def test_head_has_no_body(self) -> None:
        self.ask(b"HEAD / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        self.assertTrue(self.shown().endswith(b"\r\n\r\n"))
        self.assert_page(404)

    def test_old_client_without_host(self) -> None:
        self.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.assert_refused(404)

    def test_with_a_body(self) -> None:
        """The body isn't read, so the connection ends."""
        self.ask(b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 36\r\n\r\n" + GET)
        self.assert_refused(404)
        self.assertEqual(self.service.ends, [])

    def test_credentials(self) -> None:
        guarded = self.add_site("g.example", rules=make_rules(http_user="u", http_password="p"))
        request = b"GET / HTTP/1.1\r\nHost: g.example\r\n"
        self.ask(request + b"\r\n")
        self.assertIn(b'WWW-Authenticate: Basic realm="Restricted"', self.shown())
        self.assert_page(401)
        self.ask(request + b"Authorization: Basic dTpx\r\n\r\n")
        self.assert_page(401)
        self.assertEqual(guarded.service.ends, [])
        self.assertEqual(guarded.started, [])
        self.ask(request + b"Authorization: Basic dTpw\r\n\r\n")
        self.assertEqual(guarded.service.received().count(b"GET"), 1)

    def test_as_json(self) -> None:
        """For programs; what can't be read is answered as a page."""
        self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\nAccept: application/json\r\n\r\n")
        self.assertIn(b"\r\nContent-Type: application/json\r\n", self.shown())
        self.assertIn(b'{"error": "site_not_found", "status": 404, ', self.shown())
        self.assert_page(404)
        self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\nAccept: text/html, */*\r\n\r\n")
        self.assertIn(b"\r\nContent-Type: text/html; charset=utf-8\r\n", self.shown())
        self.assert_page(404)

    def test_smuggling(self) -> None:
        """Every ambiguous head is answered with 400, and the bytes behind it are nobody's."""
        for what, head in REFUSED.items():
            self.connect()
            self.ask(head.replace(b"Host: a\r", b"Host: a.example\r") + GET)
            self.assert_refused(400)
            self.assertEqual(self.service.ends, [], what)

    def test_smuggling_behind_a_good_request(self) -> None:
        for head in REFUSED.values():
            self.connect()
            self.ask(GET)
            self.answer(OK)
            self.take()
            before = self.service.received()
            self.ask(head + GET)
            self.assert_refused(400)
            self.assertEqual(self.service.received(), before)

    def test_too_large(self) -> None:
        self.ask(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES)
        self.assert_refused(400)

    def test_another_version(self) -> None:
        self.ask(b"GET / HTTP/3.0\r\nHost: a.example\r\n\r\n")
        self.assert_refused(505)

    def test_body_that_breaks(self) -> None:
        """The service never sees the end of such a request, and its connection isn't reused."""
        self.ask(
            b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\nzz\r\n" + GET
        )
        self.assert_refused(400)
        self.assertEqual(self.service.body(), b"")
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assertEqual(len(self.route.finished), 1)

    @given(
        st.one_of(
            st.binary(max_size=300),
            st.lists(
                st.sampled_from(
                    [
                        GET,
                        b"\r\n",
                        b"GET / HTTP/1.1\r\n",
                        b"Host: a.example\r\n",
                        b"\n",
                        b"\x00",
                        b"x",
                    ]
                ),
                max_size=12,
            ).map(b"".join),
        )
    )
    @STEADY
    def test_garbage(self, data: bytes) -> None:
        """Nothing raises; whatever isn't a request ends with an error and the connection."""
        self.connect()
        self.ask(data)
        for end in self.service.ends:
            end.abortConnection()
        self.pump()
        shown = self.take()
        self.user.loseConnection()
        self.pump()
        self.assert_over()
        self.assertIn(shown[:9], (b"", b"HTTP/1.1 "))
        self.assertNotIn(b"HTTP/1.1 2", shown)


class SplitTests(VhostCase):
    """How the bytes are cut makes no difference."""

    STREAM = (
        b"\r\n"
        + GET
        + b"POST /p HTTP/1.1\r\nhost: A.example\r\nContent-Length: 5\r\n\r\nhello"
        + b"PUT /c HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
        + b"GET /none HTTP/1.1\r\nHost: b.example\r\n\r\n"
        + b"GET /last HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    )

    def exchanged(self, cuts: list[int]) -> tuple[bytes, bytes]:
        """Send the stream in pieces; return what the service and the user got."""
        self.setUp()
        places = [0, *sorted(cuts), len(self.STREAM)]
        answered = 0
        for begin, end in pairwise(places):
            if end > begin:
                self.ask(self.STREAM[begin:end])
            while self.service.ends and answered < self.complete():
                self.answer()
                answered += 1
        return self.service.received(), self.shown()

    def complete(self) -> int:
        """Count the complete requests at the service."""
        received = self.service.received()
        markers = (b"GET / ", b"\r\n\r\nhello", b"X-Sum: 1\r\n\r\n", b"GET /last ")
        return sum(marker in received for marker in markers)

    def test_uncut(self) -> None:
        received, shown = self.exchanged([])
        self.assertEqual(len(self.service.ends), 1)
        self.assertIn(b"\r\n\r\nhelloPUT /c HTTP/1.1\r\n", received)
        self.assertIn(b"\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET /last HTTP", received)
        self.assertEqual(shown.count(b"HTTP/1.1 200"), 4)
        self.assertLess(shown.index(b"HTTP/1.1 404"), shown.index(b"Connection: close"))

    @given(st.lists(st.integers(0, len(STREAM)), max_size=10))
    @STEADY
    def test_any_split(self, cuts: list[int]) -> None:
        self.assertEqual(self.exchanged(cuts), self.exchanged([]))


class TimeTests(VhostCase):
    """No wait without an end."""

    def test_silent_from_the_start(self) -> None:
        self.clock.advance(HEAD_SECONDS)
        self.pump()
        self.assertTrue(self.at_user.finished)
        self.assertEqual(self.shown(), b"")
        self.clock.advance(LINGER_SECONDS)
        self.pump()
        self.assert_over()
        self.assert_no_timers()

    def test_slow_head(self) -> None:
        """Each byte doesn't buy time."""
        for _ in range(6):
            self.clock.advance(HEAD_SECONDS / 8)
            self.ask(b"G")
        self.assertFalse(self.at_user.finished)
        self.clock.advance(HEAD_SECONDS / 2)
        self.pump()
        self.assert_refused(408)

    def test_idle_between_requests(self) -> None:
        self.get()
        self.answer()
        self.clock.advance(KEEPALIVE_SECONDS - 1)
        self.assertFalse(self.near.closing or self.at_user.finished)
        self.clock.advance(1)
        self.pump()
        self.assertEqual(self.shown(), OK)
        self.assertTrue(self.at_user.finished)

    def test_slow_second_head(self) -> None:
        self.get()
        self.answer()
        self.take()
        self.clock.advance(KEEPALIVE_SECONDS - 1)
        self.ask(b"GET")
        self.clock.advance(HEAD_SECONDS - 1)
        self.pump()
        self.assertEqual(self.shown(), b"")
        self.clock.advance(1)
        self.pump()
        self.assert_refused(408)

    def test_linger(self) -> None:
        """Bytes of a user who was refused are swallowed for a while, then he is cut."""
        self.ask(b"nonsense\r\n\r\n")
        self.assert_refused(400)
        self.ask(GET)
        self.assertEqual(self.service.ends, [])
        self.clock.advance(LINGER_SECONDS - 1)
        self.assertFalse(self.near.lost)
        self.clock.advance(1)
        self.pump()
        self.assert_over()
        self.assertIsInstance(self.reason(), ConnectionDone)
        self.assert_no_timers()

    def test_linger_while_it_is_taken(self) -> None:
        """What the kernel still has is taken late; then the user may say as much as ever."""
        untaken = [5, 4, 3, 0, 0]
        self.near.untaken_bytes = lambda: untaken.pop(0)  # type: ignore[method-assign]
        self.ask(b"nonsense\r\n\r\n")
        for _ in range(4):
            self.clock.advance(LINGER_SECONDS)
            self.pump()
            self.assertFalse(self.near.lost)
        self.clock.advance(LINGER_SECONDS)
        self.pump()
        self.assert_over()
        self.assertIsInstance(self.reason(), ConnectionDone)

    def reason(self) -> BaseException:
        """Tell why the user's connection was lost, at his end."""
        self.user.loseConnection()
        self.pump()
        assert self.at_user.lost is not None
        assert self.at_user.lost.value is not None
        return self.at_user.lost.value

    def test_a_user_who_does_not_take_the_refusal(self) -> None:
        self.user.paused = True
        self.ask(b"nonsense\r\n\r\n")
        self.clock.advance(LOOK_SECONDS)
        self.assertFalse(self.near.lost)
        self.clock.advance(LOOK_SECONDS)
        self.assert_over()

    def test_a_user_who_does_not_take_the_response(self) -> None:
        self.get()
        self.user.paused = True
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + bytes(99999))
        self.assertGreater(self.near.buffered(), HIGH_WATER_BYTES)
        self.clock.pump([LOOK_SECONDS, LOOK_SECONDS])
        self.pump()
        self.assert_over()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_no_timers()

    def test_a_user_who_takes_it_slowly(self) -> None:
        self.get()
        self.user.paused = True
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + bytes(99999))
        self.clock.advance(STALL_SECONDS - 1)
        self.user.paused = False
        self.pump()
        self.clock.advance(KEEPALIVE_SECONDS - 1)
        self.assertTrue(self.shown().endswith(bytes(99999)))
        self.assertFalse(self.near.lost)

    def test_nothing_is_left_after_the_user(self) -> None:
        for request in (b"", b"GET", GET, GET + b"GET"):
            self.connect()
            self.ask(request)
            self.user.abortConnection()
            self.pump()
            self.assert_over()
            self.assert_no_timers()


class EndOfFileTests(VhostCase):
    """Users who finish their direction."""

    def test_before_a_request(self) -> None:
        for part in (b"", b"GET / HT"):
            self.connect()
            self.ask(part)
            self.user.loseWriteConnection()
            self.pump()
            self.assertEqual(self.shown(), b"")
            self.assert_over()
            self.assert_no_timers()

    def test_after_a_request(self) -> None:
        """He still gets his answer."""
        self.get()
        self.user.loseWriteConnection()
        self.pump()
        self.assertFalse(self.near.lost)
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assertTrue(self.at_user.finished)
        self.assert_over()

    def test_after_several(self) -> None:
        self.user.write(GET * 3)
        self.user.loseWriteConnection()
        self.pump()
        for _ in range(3):
            self.answer()
        self.assertEqual(self.shown(), OK * 3)
        self.assert_over()

    def test_in_a_body(self) -> None:
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhel")
        self.user.loseWriteConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assertFalse(self.service.seen[0].finished)
        self.assert_over()
        self.assert_no_timers()

    def test_while_the_connection_is_opened(self) -> None:
        self.service.delayed = []
        self.user.write(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello")
        self.user.loseWriteConnection()
        self.pump()
        self.service.delayed[0]()
        self.pump()
        self.assertEqual(self.service.body(), b"hello")
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assert_over()

    def test_in_a_body_while_the_connection_is_opened(self) -> None:
        self.service.delayed = []
        self.user.write(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhel")
        self.user.loseWriteConnection()
        self.pump()
        self.service.delayed[0]()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_over()

    def test_told_twice(self) -> None:
        """Twisted tells it again when a transport is resumed at its end."""
        self.get()
        self.user.loseWriteConnection()
        self.pump()
        self.near.protocol.readConnectionLost()
        self.answer()
        self.assertEqual(self.shown(), OK)


class MemoryTests(VhostCase):
    """What is kept is bounded."""

    def test_pipelined_requests(self) -> None:
        self.get()
        for _ in range(50):
            self.ask(bytes(8192))
        self.assertTrue(self.near.paused)
        self.assertLess(50 * 8192 - self.user.buffered(), MAX_UNREAD_BYTES + 2 * 8192)

    def test_reading_goes_on_afterwards(self) -> None:
        filler = b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\nHost: b.example\r\n\r\n"
        self.get()
        self.ask(filler * 40 + GET)
        self.assertTrue(self.near.paused)
        self.answer()
        self.assertFalse(self.near.paused)
        self.assertEqual(self.shown().count(b"HTTP/1.1 404"), 40)
        self.assertEqual(self.service.received().count(b"GET"), 2)

    def test_answers_of_ours_that_nobody_takes(self) -> None:
        self.user.paused = True
        for _ in range(100):
            self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n" * 100)
        self.assertLess(self.near.buffered(), HIGH_WATER_BYTES + 2000)
        self.assertTrue(self.near.paused)
        self.user.paused = False
        self.pump()
        self.assertEqual(self.shown().count(b"HTTP/1.1 404"), 10000)

    def test_end_of_file_while_answers_wait(self) -> None:
        self.user.paused = True
        self.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n" * 1000)
        self.user.loseWriteConnection()
        self.pump()
        self.user.paused = False
        self.pump()
        self.assertEqual(self.shown().count(b"HTTP/1.1 404"), 1000)
        self.assert_over()
