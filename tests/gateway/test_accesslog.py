# -*- test-case-name: tests.gateway.test_accesslog -*-
"""Tests of `tunnelsvc.gateway.accesslog`."""

import json
import os
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.support import OK, TellingStream, VhostCase
from tunnelsvc.gateway.accesslog import (
    FORMATS,
    MOST_FIELD_BYTES,
    USER_LEFT,
    AccessLog,
    Record,
    as_json,
    combined,
)
from tunnelsvc.gateway.factory import VhostFactory
from tunnelsvc.gateway.forwarded import Origin, Trust
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.relay import join
from tunnelsvc.wire.httphead import RequestHead, parse_request_head

STEADY = settings(derandomize=True, deadline=None)

# How programs that know nothing of us read it: fields by blanks and quotes, no escapes.
COMBINED = re.compile(
    rb'(?P<address>\S+) - (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" '
    rb'(?P<status>\d{3}) (?P<bytes>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)
EXTENDED = re.compile(
    COMBINED.pattern + rb' "(?P<host>[^"]*)" "(?P<proxy>[^"]*)" '
    rb"(?P<ttfb>-|\d+\.\d{3}) (?P<duration>\d+\.\d{3})\n"
)
KEYS = (
    "time, remote_addr, user, method, path, protocol, host, proxy, status, bytes_in, bytes_out, "
    "referer, user_agent, ttfb_seconds, duration_seconds, scheme, upgrade, complete"
)

ORIGIN = Origin(b"203.0.113.9")
# 2026-07-20 11:22:59.8125 UTC
WHEN = 1784546579.8125


def fields(line: bytes) -> Mapping[str, bytes]:
    """Read a line in Combined, with what we add."""
    found = EXTENDED.fullmatch(line)
    assert found is not None, line
    return found.groupdict()


def unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\x([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), field)


def clipped(value: bytes) -> bytes:
    return value[:MOST_FIELD_BYTES] + b"..." if len(value) > MOST_FIELD_BYTES else value


def head_of(target: bytes = b"/", headers: Mapping[bytes, bytes] | None = None) -> RequestHead:
    """Make a head that no parser has looked at."""
    pairs = list((headers or {}).items())
    names = [name.lower() for name, _ in pairs]
    return RequestHead(1, pairs, names, [], 0, b"GET", target, b"a.example", target)


def basic(user: bytes) -> bytes:
    return b"Basic " + b64encode(user + b":secret")


class FormatCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(WHEN)
        self.written: list[bytes] = []

    def log(self, form: str) -> AccessLog:
        return AccessLog(self.written.append, FORMATS[form], self.clock)

    def record(self, head: RequestHead, proxy: str = "web1") -> Record:
        return self.log("combined").begin(ORIGIN, head, proxy)

    def at_utc(self, offset: str) -> None:
        """Move the machine."""
        before = os.environ.get("TZ")
        os.environ["TZ"] = offset
        time.tzset()

        def back() -> None:
            os.environ.pop("TZ")
            if before is not None:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(back)


class CombinedTests(FormatCase):
    def test_line(self) -> None:
        """To the letter."""
        self.at_utc("XXX-2")
        self.clock.advance(60)  # to a time that nobody has asked for in the other zone
        raw = (
            b"GET /a?b HTTP/1.1\r\nHost: A.example\r\nUser-Agent: curl/8\r\nReferer: http://r/\r\n"
        )
        head = parse_request_head(raw + b"Authorization: " + basic(b"alice") + b"\r\n\r\n")
        record = self.record(head)
        record.status = 200
        record.page_bytes = 1234
        record.responded = record.began + 0.0119
        self.assertEqual(
            combined(record, record.began + 0.345),
            b'203.0.113.9 - alice [20/Jul/2026:13:23:59 +0200] "GET /a?b HTTP/1.1" 200 1234 '
            b'"http://r/" "curl/8" "A.example" "web1" 0.012 0.345\n',
        )

    def test_nothing_known(self) -> None:
        record = self.log("combined").begin_unread(Origin(b""), b"")
        line = fields(combined(record, WHEN))
        for field in ("address", "user", "request", "referer", "agent", "host", "proxy", "ttfb"):
            self.assertEqual(line[field], b"-", field)
        self.assertEqual(line["status"], b"%d" % USER_LEFT)

    def test_behind_a_proxy(self) -> None:
        """Who asks is the user whom a trusted proxy names; of what is no request, the proxy."""
        origin = Origin(b"10.0.0.1", trust=Trust([IPv4Network("10.0.0.0/8")]))
        log = self.log("combined")
        head = head_of(b"/", {b"X-Forwarded-For": b"6.6.6.6, 203.0.113.9, 10.0.0.2"})
        line = combined(log.begin(origin, head), WHEN)
        self.assertEqual(fields(line)["address"], b"203.0.113.9")
        line = combined(log.begin(Origin(b"192.0.2.1"), head), WHEN)
        self.assertEqual(fields(line)["address"], b"192.0.2.1")
        line = combined(log.begin_unread(origin, b"x"), WHEN)
        self.assertEqual(fields(line)["address"], b"10.0.0.1")

    def test_http2(self) -> None:
        """The head that is made of such a request says HTTP/1.1."""
        origin = Origin(b"192.0.2.1", b"https", protocol=b"HTTP/2.0")
        record = self.log("combined").begin(origin, head_of(b"/a?b"))
        self.assertEqual(fields(combined(record, WHEN))["request"], b"GET /a?b HTTP/2.0")
        self.assertEqual(json.loads(as_json(record, WHEN))["protocol"], "HTTP/2.0")

    def test_no_request(self) -> None:
        """Its first line is shown as far as it came."""
        for data, shown in (
            (b"\r\n\r\nGET  /x HTTP/1.1\r\nHost: h\r\n", b"GET  /x HTTP/1.1"),
            (b'\x16\x03\x01\x00"', rb"\x16\x03\x01\x00\x22"),
            (b"x" * 9999, b"x" * MOST_FIELD_BYTES + b"..."),
        ):
            record = self.log("combined").begin_unread(ORIGIN, data)
            self.assertEqual(fields(combined(record, WHEN))["request"], shown)

    def test_forged(self) -> None:
        """Nobody ends a field, a line or the reader's terminal."""
        agent = b'x" 200 1 "\x1b[2J\\x22 \xc3\xbc'
        headers = {b"User-Agent": agent, b"Authorization": basic(b'a b" \n-')}
        line = combined(self.record(head_of(b'/"', headers), 'we"b\n\ud800'), WHEN)
        found = fields(line)
        self.assertEqual(found["user"], rb"a\x20b\x22\x20\x0A-")
        self.assertEqual(found["request"], rb"GET /\x22 HTTP/1.1")
        self.assertEqual(found["agent"], rb"x\x22 200 1 \x22\x1B[2J\x5Cx22 \xC3\xBC")
        self.assertEqual(found["proxy"], rb"we\x22b\x0A\x5Cud800")

    def test_clock_set_back(self) -> None:
        record = self.record(head_of())
        record.status, record.responded = 200, WHEN - 5
        line = fields(combined(record, WHEN - 4))
        self.assertEqual((line["ttfb"], line["duration"]), (b"0.000", b"0.000"))

    @STEADY
    @given(*[st.binary(max_size=40) | st.binary(max_size=9).map(lambda b: b * 300)] * 4)
    def test_any_bytes(self, target: bytes, agent: bytes, user: bytes, proxy: bytes) -> None:
        """One line, and it says what was sent."""
        user = user.replace(b":", b"")
        headers = {b"User-Agent": agent, b"Authorization": basic(user)}
        clock = Clock()
        log = AccessLog(self.written.append, combined, clock)
        name = proxy.decode("latin-1")
        line = combined(log.begin(ORIGIN, head_of(target, headers), name), 0.0)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertRegex(line, rb"\A[\x20-\x7e]+\n\Z")
        found = fields(line)
        request = clipped(b"GET %b HTTP/1.1" % target)
        self.assertEqual(unescaped(found["request"]), request)
        self.assertEqual(unescaped(found["agent"]), clipped(agent) or b"-")
        self.assertEqual(unescaped(found["user"]), clipped(user) or b"-")
        self.assertEqual(unescaped(found["proxy"]), clipped(name.encode()) or b"-")


class JSONTests(FormatCase):
    def test_line(self) -> None:
        headers = {
            b"User-Agent": b"gr\xc3\xb6\xc3\x9fer",
            b"Authorization": basic(b"alice"),
            b"Referer": b"\xff",
        }
        record = self.record(head_of(b"/a?b", headers))
        record.status = 200
        record.page_bytes = 1234
        record.responded = WHEN + 0.012
        record.complete = True
        line = as_json(record, WHEN + 0.3454)
        self.assertRegex(line, rb"\A[\x20-\x7e]+\n\Z")
        values = json.loads(line)
        self.assertEqual(", ".join(values), KEYS)
        self.assertEqual(
            values,
            {
                "time": "2026-07-20T11:22:59.812Z",
                "remote_addr": "203.0.113.9",
                "user": "alice",
                "method": "GET",
                "path": "/a?b",
                "protocol": "HTTP/1.1",
                "host": "a.example",
                "proxy": "web1",
                "status": 200,
                "bytes_in": 0,
                "bytes_out": 1234,
                "referer": "\\xff",
                "user_agent": "größer",
                "ttfb_seconds": 0.012,
                "duration_seconds": 0.345,
                "scheme": "http",
                "upgrade": None,
                "complete": True,
            },
        )

    def test_nothing_known(self) -> None:
        record = self.log("json").begin_unread(Origin(b""), b"nonsense\r\n")
        values = json.loads(as_json(record, WHEN))
        self.assertEqual(", ".join(values), KEYS)
        self.assertEqual(values["path"], "nonsense")
        self.assertEqual(values["status"], USER_LEFT)
        for key in ("remote_addr", "user", "method", "protocol", "host", "proxy", "ttfb_seconds"):
            self.assertIsNone(values[key], key)

    @STEADY
    @given(st.binary(max_size=40), st.binary(max_size=40), st.text(max_size=20))
    def test_any_bytes(self, target: bytes, agent: bytes, proxy: str) -> None:
        """One line, and it says what was sent."""
        log = AccessLog(self.written.append, as_json, Clock())
        record = log.begin(ORIGIN, head_of(target, {b"User-Agent": agent}), proxy)
        line = as_json(record, 0.0)
        self.assertRegex(line, rb"\A[\x20-\x7e]+\n\Z")
        values = json.loads(line)
        self.assertEqual(values["path"], target.decode("utf-8", "backslashreplace") or None)
        self.assertEqual(values["user_agent"], agent.decode("utf-8", "backslashreplace") or None)
        self.assertEqual(values["proxy"], proxy or None)


class RequestCase(VhostCase):
    """Requests through the gateway, and their lines."""

    def setUp(self) -> None:
        self.written: list[bytes] = []
        super().setUp()

    def connect(self) -> None:
        log = AccessLog(self.written.append, as_json, self.clock)
        self.factory = VhostFactory(
            self.router,
            self.clock,
            response_timeout=30.0,
            custom_404_page="",
            join=join,
            access_log=log,
        )
        super().connect()

    def line(self) -> dict[str, Any]:
        """Give the only line there is, and forget it."""
        (line,) = self.written
        self.written.clear()
        values: dict[str, Any] = json.loads(line)
        return values

    def assert_line(self, **expected: object) -> None:
        """There is one line, with these values."""
        line = self.line()
        self.assertEqual({key: line[key] for key in expected}, expected)


class AnsweredTests(RequestCase):
    """Requests that a service answers."""

    def test_answer(self) -> None:
        self.get(b"/a?b", b"Referer: http://r/", b"User-Agent: curl")
        self.assertEqual(self.written, [])
        self.clock.advance(1)
        self.answer(OK[:-1])
        self.clock.advance(2)
        self.assertEqual(self.written, [])
        self.answer(OK[-1:])
        self.assert_line(
            method="GET",
            path="/a?b",
            protocol="HTTP/1.1",
            host="a.example",
            proxy="web",
            status=200,
            bytes_in=0,
            bytes_out=2,
            referer="http://r/",
            user_agent="curl",
            ttfb_seconds=1.0,
            duration_seconds=3.0,
            scheme="http",
            upgrade=None,
            complete=True,
            user=None,
        )

    def test_address(self) -> None:
        self.patch(TellingStream, "getPeer", lambda _: IPv4Address("TCP", "203.0.113.9", 1))
        self.connect()
        self.get()
        self.answer()
        self.assert_line(remote_addr="203.0.113.9")

    def test_bodies(self) -> None:
        """Bytes are those of the bodies, whatever the heads are."""
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 300\r\n\r\n" + b"x" * 100)
        self.ask(b"x" * 200)
        self.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        self.answer(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n" + b"y" * 500)
        self.assert_line(status=201, bytes_in=300, bytes_out=500, method="POST")

    def test_chunked(self) -> None:
        """As it is framed, in both directions."""
        chunks = b"5\r\nhello\r\n0\r\n\r\n"
        self.ask(
            b"PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        )
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        self.assert_line(bytes_in=len(chunks), bytes_out=len(chunks))

    def test_without_body(self) -> None:
        self.ask(b"HEAD / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        self.assert_line(method="HEAD", protocol="HTTP/1.0", bytes_out=0, status=200, complete=True)

    def test_pipelined(self) -> None:
        """Each has its line, when it is over."""
        for path in (b"/1", b"/2", b"/3"):
            self.user.write(b"GET %b HTTP/1.1\r\nHost: a.example\r\n\r\n" % path)
        self.pump()
        for number in (1, 2, 3):
            self.assertEqual(self.written, [])
            self.clock.advance(1)
            self.answer()
            self.assert_line(path=f"/{number}", duration_seconds=1.0)

    def test_until_close(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\nhello")
        self.service.ends[-1].loseConnection()
        self.pump()
        self.assert_line(status=200, bytes_out=5, complete=True)

    def test_repeated(self) -> None:
        """A request that is sent twice, as its connection was stale, is one."""
        self.get()
        self.answer()
        self.line()
        self.get(b"/again")
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assertEqual(len(self.service.ends), 2)
        self.answer()
        self.assert_line(path="/again", status=200, bytes_in=0, bytes_out=2)

    def test_upgraded(self) -> None:
        """A WebSocket has its line at its end, with all its bytes."""
        self.get(b"/ws", b"Connection: Upgrade", b"Upgrade: websocket")
        self.clock.advance(1)
        self.answer(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            b"hello"
        )
        self.ask(b"x" * 70)
        self.answer(b"y" * 500)
        self.clock.advance(9)
        self.assertEqual(self.written, [])
        self.user.loseConnection()
        self.pump()
        self.service.ends[-1].loseConnection()
        self.pump()
        self.assert_line(
            path="/ws",
            status=101,
            upgrade="websocket",
            bytes_in=70,
            bytes_out=505,
            ttfb_seconds=1.0,
            duration_seconds=10.0,
            complete=True,
        )

    def test_upgraded_and_cut_off(self) -> None:
        for cut_off in (lambda: self.service.ends[-1], lambda: self.user):
            self.connect()
            self.get(b"/ws", b"Connection: Upgrade", b"Upgrade: websocket")
            self.answer(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\n\r\nhello"
            )
            cut_off().abortConnection()
            self.pump()
            self.assert_line(status=101, bytes_out=5, complete=False)


class ConnectTests(RequestCase):
    """Requests for a connection."""

    def connect_through(self, answer: bytes) -> None:
        self.ask(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        self.answer(answer)

    def test_connected(self) -> None:
        """The line comes at the end, with what passed."""
        self.connect_through(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.ask(b"x" * 70)
        self.answer(b"y" * 500)
        self.assertEqual(self.written, [])
        self.user.abortConnection()
        self.pump()
        self.assert_line(
            method="CONNECT",
            path="a.example:443",
            status=200,
            bytes_in=70,
            bytes_out=500,
            upgrade=None,
        )

    def test_refused(self) -> None:
        challenge = b"Proxy-Authenticate: Basic realm=x\r\n"
        self.connect_through(b"HTTP/1.1 407 No\r\nContent-Length: 5\r\n" + challenge + b"\r\nhello")
        self.assertIn(challenge, self.shown())
        self.assert_line(status=407, bytes_in=0, bytes_out=5, complete=True)


class RefusedTests(RequestCase):
    """Requests that we answer."""

    def page_length(self) -> int:
        return len(self.shown().partition(b"\r\n\r\n")[2])

    def test_unknown_host(self) -> None:
        self.ask(b"GET /x HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
        self.assert_line(
            status=404,
            host="nobody.example",
            proxy=None,
            path="/x",
            bytes_out=self.page_length(),
            complete=True,
        )

    def test_head(self) -> None:
        self.ask(b"HEAD /x HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
        self.assert_line(status=404, bytes_out=0)

    def test_wrong_password(self) -> None:
        self.add_site("b.example", rules=Rules(credentials=b"alice:right"))
        self.ask(
            b"GET / HTTP/1.1\r\nHost: b.example\r\nAuthorization: " + basic(b"alice") + b"\r\n\r\n"
        )
        self.assert_line(status=401, user="alice", proxy="web", bytes_out=self.page_length())

    def test_no_request(self) -> None:
        self.ask(b"GET /x HTTP/1.1\r\nHost : a.example\r\n\r\n")
        self.assert_line(
            status=400, method=None, path="GET /x HTTP/1.1", host=None, bytes_out=self.page_length()
        )

    def test_too_long(self) -> None:
        self.ask(b"GET /x HTTP/1.1\r\nX: " + b"x" * 70_000)
        self.assert_line(status=400, path="GET /x HTTP/1.1")

    def test_in_pieces(self) -> None:
        """What came first is gone by then."""
        self.ask(b"GET /x HT")
        self.ask(b"TP/9.9\r\nHost: a.example\r\n\r\n")
        self.assert_line(status=505, path=None)

    def test_too_slow(self) -> None:
        self.ask(b"GET /x HT")
        self.clock.advance(61)
        self.pump()
        self.assert_line(status=408, path=None)

    def test_nobody_asked(self) -> None:
        """A connection without a request has no line, however it ends."""
        self.user.loseConnection()
        self.pump()
        self.connect()
        self.clock.advance(61)
        self.pump()
        self.connect()
        self.ask(b"GET /x HT")
        self.user.abortConnection()
        self.pump()
        self.assertEqual(self.written, [])

    def test_offline(self) -> None:
        self.service.available = False
        self.get()
        self.assert_line(status=503, proxy="web", bytes_out=self.page_length())

    def test_service_gone(self) -> None:
        self.get()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_line(status=502, bytes_out=self.page_length(), complete=True)

    def test_interim_head_only(self) -> None:
        """The bytes are those of our page."""
        self.get()
        self.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        self.take()
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_line(status=502, bytes_out=self.page_length())

    def test_service_silent(self) -> None:
        self.get()
        self.clock.advance(30)
        self.pump()
        self.assert_line(status=504, ttfb_seconds=30.0, bytes_out=self.page_length())


class BrokenTests(RequestCase):
    """Requests that don't come to their end."""

    def test_user_left_before_the_answer(self) -> None:
        self.get()
        self.clock.advance(2)
        self.user.abortConnection()
        self.pump()
        self.assert_line(
            status=USER_LEFT, ttfb_seconds=None, duration_seconds=2.0, bytes_out=0, complete=False
        )

    def test_user_left_in_the_answer(self) -> None:
        """The status is what he got."""
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
        self.user.abortConnection()
        self.pump()
        self.assert_line(status=200, bytes_out=4, complete=False)

    def test_user_left_in_the_request(self) -> None:
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n1234")
        self.user.loseConnection()
        self.pump()
        self.assert_line(status=USER_LEFT, bytes_in=4, complete=False)

    def test_user_left_before_there_was_a_connection(self) -> None:
        self.service.delayed = []
        self.get()
        self.user.abortConnection()
        self.pump()
        self.assert_line(status=USER_LEFT, bytes_in=0, complete=False)

    def test_service_lost_in_the_answer(self) -> None:
        self.get()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_line(status=200, bytes_out=4, complete=False)

    def test_upload_not_read(self) -> None:
        """A service may answer before it has all."""
        self.ask(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n1234")
        self.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        self.assert_line(status=413, bytes_in=4, complete=True)


class NoLogTests(VhostCase):
    def test_nothing_is_made(self) -> None:
        """Who wants no log has no records."""
        self.patch(Record, "__init__", None)
        self.get()
        self.answer()
        self.ask(b"nonsense\r\n\r\n")
        self.assertEqual(self.take().count(b"HTTP/1.1 "), 2)
