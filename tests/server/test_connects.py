# -*- test-case-name: tests.server.test_connects -*-
"""Tests of `tunnelsvc.server.connects`."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.server.connects import HEAD_SECONDS, LINGER_SECONDS, ConnectEntrance, refuse
from tunnelsvc.server.context import ConnectTarget
from tunnelsvc.wire.httphead import MAX_HEAD_BYTES

CONNECT = b"CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\n\r\n"
ALICE = b"Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n"
"""alice:s3cret"""
STEADY = settings(derandomize=True, deadline=None)


def connect(host: bytes = b"a.example:22", headers: bytes = b"") -> bytes:
    """Make a request."""
    return b"CONNECT %b HTTP/1.0\r\n%b\r\n" % (host, headers)


@frozen
class Taker:
    """A tcpmux proxy that notes who comes."""

    name: str
    told: list[tuple[str, Stream, bytes]]
    credentials: bytes = b""

    def accept(self, user: Stream, seen: bytes = b"") -> None:
        self.told.append((self.name, user, seen))


class ConnectCase(SynchronousTestCase):
    """One user at a time.

    Attributes:
        user: his end.
        answer: what he gets.
        told: who took which stream, and what was read of it.
    """

    user: Any = None
    near: MemoryStream
    answer: Recorder

    def setUp(self) -> None:
        self.clock = Clock()
        self.router: Router[ConnectTarget] = Router(self.clock.seconds)
        self.told: list[tuple[str, Stream, bytes]] = []
        self.entrance = ConnectEntrance(self.router, self.clock)

    def proxy(self, domain: str, *, user: str = "", credentials: bytes = b"") -> None:
        self.router.add(domain, "", Taker(f"{user}@{domain}", self.told, credentials), user=user)

    def arrive(self) -> None:
        """Let a user come, and the one before him leave."""
        if self.user is not None:
            self.user.abortConnection()
        self.user, self.near = pair("user")
        self.answer = recorded(self.user)

    def ask(self, *pieces: bytes) -> str:
        """Let a user come and ask; return who takes him, or the status of the answer."""
        self.told.clear()
        self.arrive()
        self.entrance.accept(self.near)
        for piece in pieces:
            self.user.write(piece)
            pump(self.user)
        if self.told:
            [(name, stream, _)] = self.told
            self.assertIs(stream, self.near)
            self.assertIsInstance(self.near.protocol, Parked)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            return name
        return bytes(self.answer.received[9:12]).decode("ascii")


class RouteTests(ConnectCase):
    """Whom a request is for."""

    def test_hosts(self) -> None:
        """As of the other types: the closest name, in any case, whatever the port."""
        self.proxy("a.example")
        self.proxy("*.b.example")
        for host, name in (
            (b"a.example:22", "@a.example"),
            (b"A.Example.:443", "@a.example"),
            (b"a.example", "@a.example"),
            (b"x.y.b.example:1", "@*.b.example"),
            (b"b.example:22", "404"),
            (b"aa.example:22", "404"),
            (b"[::1]:22", "404"),
        ):
            self.assertEqual(self.ask(connect(host)), name, host)

    def test_the_target_counts(self) -> None:
        """Not the header, as RFC 9110 section 7.2 has it."""
        self.proxy("a.example")
        self.assertEqual(self.ask(connect(headers=b"Host: b.example\r\n")), "@a.example")
        self.assertEqual(self.ask(connect(b"b.example:22", b"Host: a.example\r\n")), "404")

    def test_users(self) -> None:
        self.proxy("a.example", user="alice")
        self.assertEqual(self.ask(connect(headers=ALICE)), "alice@a.example")
        self.assertEqual(self.ask(connect()), "404")
        self.proxy("a.example")
        self.assertEqual(self.ask(connect()), "@a.example")
        self.assertEqual(self.ask(connect(headers=ALICE)), "alice@a.example")

    def test_credentials(self) -> None:
        """They are asked for before anything else is said."""
        self.proxy("a.example", credentials=b"alice:s3cret")
        self.assertEqual(self.ask(connect(headers=ALICE)), "@a.example")
        bearer = b"Proxy-Authorization: Bearer YWxp\r\n"
        for headers in (b"", ALICE[6:], ALICE.replace(b"YW", b"YX"), bearer):
            self.assertEqual(self.ask(connect(headers=headers)), "407")
            text = bytes(self.answer.received)
            self.assertIn(b'\r\nProxy-Authenticate: Basic realm="Restricted"\r\n', text)
            self.assertIn(b"\r\nConnection: close\r\n", text)
            self.assertTrue(self.answer.finished)

    def test_a_proxy_that_was_there(self) -> None:
        self.proxy("a.example")
        self.router.remove("a.example", "")
        self.assertEqual(self.ask(CONNECT), "503")


class HeadTests(ConnectCase):
    """What comes in."""

    def setUp(self) -> None:
        super().setUp()
        self.proxy("a.example")

    def test_what_comes_behind(self) -> None:
        """It is the service's; users who don't wait for the answer lose nothing."""
        self.assertEqual(self.ask(CONNECT + b"hello"), "@a.example")
        self.assertEqual(self.told[0][2], b"hello")
        self.assertEqual(self.ask(*[bytes([octet]) for octet in CONNECT]), "@a.example")
        self.assertEqual(self.told[0][2], b"")
        self.assertEqual(bytes(self.answer.received), b"")

    def test_passthrough(self) -> None:
        """The service gets the request as it came."""
        self.entrance = ConnectEntrance(self.router, self.clock, passthrough=True)
        request = connect(headers=b"X-a:  b \r\n" + ALICE)
        self.assertEqual(self.ask(request[:30], request[30:] + b"hello"), "@a.example")
        self.assertEqual(self.told[0][2], request + b"hello")

    def test_other_methods(self) -> None:
        self.assertEqual(self.ask(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "405")
        self.assertIn(b"\r\nAllow: CONNECT\r\n", self.answer.received)

    def test_garbage(self) -> None:
        for data in (
            b"CONNECT a.example:22 HTTP/1.1\r\n\r\n",
            b"CONNECT http://a.example HTTP/1.0\r\n\r\n",
            b"CONNECT a.example:22 HTTP/1.1\r\nA b: c\r\n\r\n",
            b"\x16\x03\x01\n\n",
            b"CONNECT " + bytes(MAX_HEAD_BYTES),
        ):
            self.assertEqual(self.ask(data), "400")
        self.assertEqual(self.ask(b"CONNECT a.example:22 HTTP/2.0\r\n\r\n"), "505")

    def test_silence(self) -> None:
        self.assertEqual(self.ask(CONNECT[:-1]), "")
        self.clock.advance(HEAD_SECONDS)
        pump(self.user)
        self.assertEqual(bytes(self.answer.received[9:12]), b"408")

    def test_a_user_who_leaves(self) -> None:
        self.assertEqual(self.ask(CONNECT[:-1]), "")
        self.user.loseWriteConnection()
        pump(self.user)
        self.assertTrue(self.near.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_custom_page(self) -> None:
        path = Path(self.mktemp())
        path.write_text("nobody here", encoding="utf-8")
        self.entrance = ConnectEntrance(self.router, self.clock, custom_404_page=str(path))
        self.assertEqual(self.ask(connect(b"b.example:1")), "404")
        self.assertTrue(self.answer.received.endswith(b"\r\n\r\nnobody here"))

    @given(st.binary(max_size=300), st.integers(0, 300))
    @STEADY
    def test_any_bytes(self, data: bytes, cut: int) -> None:
        """Whatever it is, it's answered or waited for, and whoever takes it gets all of it."""
        for start in (b"", CONNECT, b"CONNECT a.example:22 HTTP/1.0\r\n"):
            whole = start + data
            answer = self.ask(whole[:cut], whole[cut:])
            if answer == "@a.example" and start == CONNECT:
                received = self.told[0][2] + b"".join(
                    item for item in self.user.out if isinstance(item, bytes)
                )
                self.assertEqual(received, data)
            else:
                self.assertIn(answer, {"", "400", "405", "505", "@a.example"})
            self.user.abortConnection()
            self.assertEqual(self.clock.getDelayedCalls(), [])


class RefusalTests(ConnectCase):
    """How a user is sent away."""

    def test_reads_on(self) -> None:
        """Else what comes late would reset the connection, and the answer with it."""
        self.assertEqual(self.ask(CONNECT), "404")
        self.user.write(b"much" * 1000)
        pump(self.user)
        self.assertFalse(self.near.lost)
        self.user.loseConnection()
        pump(self.user)
        self.assertTrue(self.near.lost)
        self.assertIsNotNone(self.answer.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_for_ever(self) -> None:
        self.assertEqual(self.ask(CONNECT), "404")
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.near.lost)

    def test_by_a_proxy(self) -> None:
        self.arrive()
        refuse(self.near, HTTPStatus.SERVICE_UNAVAILABLE, self.clock)
        pump(self.user)
        self.assertTrue(self.answer.received.startswith(b"HTTP/1.1 503 "))


class SharedPortTests(ConnectCase):
    """On the bind port, beside web sites or without any."""

    def setUp(self) -> None:
        super().setUp()
        self.proxy("a.example")
        self.web: list[tuple[Stream, bytes]] = []

    def sort_out(self, seen: bytes, *more: bytes, web: bool = True) -> None:
        self.arrive()
        take = (lambda stream, seen: self.web.append((stream, seen))) if web else None
        self.entrance.sort_out(self.near, seen, take)
        for piece in more:
            self.user.write(piece)
        pump(self.user)

    def test_ours(self) -> None:
        self.sort_out(CONNECT[:8], CONNECT[8:], b"hello")
        [(name, _, _)] = self.told
        self.assertEqual((name, self.web), ("@a.example", []))

    def test_ours_at_once(self) -> None:
        self.sort_out(CONNECT + b"hello")
        self.assertEqual(self.told, [("@a.example", self.near, b"hello")])

    def test_of_web_sites(self) -> None:
        """CONNECT for names that are none of ours, too: http proxies may have a proxy behind."""
        request = connect(b"b.example:80")
        self.sort_out(request[:10], request[10:])
        self.assertEqual(self.web, [(self.near, request)])
        self.assertIsInstance(self.near.protocol, Parked)
        self.sort_out(b"GET /")
        self.assertEqual(self.web[1], (self.near, b"GET /"))
        self.assertEqual(self.told, [])

    def test_without_web_sites(self) -> None:
        self.sort_out(b"GET / HTTP/1.0\r\n\r\n", web=False)
        self.assertTrue(self.answer.received.startswith(b"HTTP/1.1 405 "))
        self.sort_out(CONNECT, web=False)
        self.assertEqual(self.told, [("@a.example", self.near, b"")])

    def test_garbage(self) -> None:
        self.sort_out(b"CONNECT a HTTP/1.1\r\n\r\n")
        self.assertTrue(self.answer.received.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.web, [])
