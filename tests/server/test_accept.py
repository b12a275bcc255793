# -*- test-case-name: tests.server.test_accept -*-
"""Tests of `tunnelsvc.server.accept`."""

import json
from ipaddress import ip_network
from itertools import pairwise, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.control.cipher import protect
from tunnelsvc.handover import Parked, attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link import upgrade
from tunnelsvc.link.certificates import client_context, server_context
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.link.mux import MuxSession
from tunnelsvc.link.switch import FIRST_BYTES_SECONDS
from tunnelsvc.link.tls import start_tls_client
from tunnelsvc.link.upgrade import UPGRADE_SECONDS, ask_for_websocket
from tunnelsvc.server.accept import (
    LOGIN_SECONDS,
    MOST_STREAMS_BEFORE_LOGIN,
    Acceptor,
)
from tunnelsvc.server.client import REFUSED_SECONDS
from tunnelsvc.server.visitors import WRONG_SECONDS
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.dialect import V1, Dialect
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.framing2 import V2, FrameType, Hello
from tunnelsvc.wire.framing2 import encode as encode2
from tunnelsvc.wire.hello import Bootstrap, accept_server_hello, make_client_hello
from tunnelsvc.wire.messages import (
    WIRE_VERSION,
    Login,
    LoginResp,
    Message,
    NewProxy,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    Ping,
    Pong,
    StartWorkConn,
)
from tunnelsvc.wire.websocket import Encoder
from tunnelsvc.wire.wsupgrade import new_key, request


class AcceptCase(SynchronousTestCase):
    """Connections to the bind port of a server without proxies."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.build()

    def build(self, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.clock = self.registry.context.reactor
        self.http: list[tuple[Stream, bytes]] = []
        tls = options.get("tls", TLSConfig())
        self.acceptor = Acceptor(
            self.registry,
            server_context(tls),
            lambda stream, seen: self.http.append((stream, seen)),
        )

    def connection(self) -> MemoryStream:
        """Connect; returns our end."""
        ours, theirs = pair("bind")
        ours.paused = False
        self.acceptor.accept(theirs)
        return ours

    def multiplexed(self) -> tuple[MemoryStream, MuxSession]:
        stream = self.connection()
        session = MuxSession(client=True, clock=self.clock)
        session.makeConnection(stream)
        attach(stream, session)
        return stream, session

    def talk(self, stream: Any) -> tuple[MessageProtocol, list[Message]]:
        """Speak messages on a stream."""
        messages = MessageProtocol(stream, self.clock)
        heard: list[Message] = []
        messages.on_message = heard.append
        messages.start()
        return messages, heard

    def settle(self, *streams: MemoryStream) -> None:
        for _ in range(10):
            pump(*streams)
            self.clock.advance(0)

    def login(self) -> Login:
        return self.registry.auth.sign_login(Login(version="0.70.1"))


class RecogniseTests(AcceptCase):
    """What the first bytes lead to."""

    def test_direct_login(self) -> None:
        stream = self.connection()
        messages, heard = self.talk(stream)
        messages.send(self.login())
        self.settle(stream)
        [response] = heard[:1]
        assert isinstance(response, LoginResp)
        self.assertIn(response.run_id, self.registry.clients)

    def test_direct_login_through_tls(self) -> None:
        for head_byte in (True, False):
            self.build()
            stream = self.connection()
            inner = start_tls_client(
                stream,
                client_context(TLSConfig(), "localhost"),
                _Reader(),
                self.clock,
                head_byte,
            )
            messages, heard = self.talk(inner)
            messages.send(self.login())
            self.settle(stream)
            self.assertIsInstance(heard[0], LoginResp)
            self.assertEqual(len(self.registry.clients), 1)

    def test_multiplexed_login(self) -> None:
        stream, session = self.multiplexed()
        messages, heard = self.talk(session.open_stream())
        messages.send(self.login())
        self.settle(stream)
        self.assertIsInstance(heard[0], LoginResp)
        self.clock.advance(LOGIN_SECONDS)
        self.assertFalse(stream.lost)

    def test_multiplexed_without_login_is_cut(self) -> None:
        stream, session = self.multiplexed()
        session.open_stream()
        self.settle(stream)
        self.clock.advance(LOGIN_SECONDS)
        self.assertTrue(stream.lost)

    def test_multiplexed_with_a_refused_login_is_cut(self) -> None:
        stream, session = self.multiplexed()
        messages, heard = self.talk(session.open_stream())
        messages.send(Login(privilege_key="wrong"))
        self.settle(stream)
        [response] = heard
        assert isinstance(response, LoginResp)
        self.assertIn("token", response.error)
        self.assertFalse(stream.lost or stream.peer.closing, "it reads the reason, and goes")
        self.clock.advance(REFUSED_SECONDS)
        self.settle(stream)
        self.assertTrue(stream.lost)

    def test_a_refused_client_goes(self) -> None:
        stream, session = self.multiplexed()
        messages, _ = self.talk(session.open_stream())
        messages.send(Login(privilege_key="wrong"))
        self.settle(stream)
        session.close()
        self.settle(stream)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_refused_login_among_others(self) -> None:
        """Then there is no client that wants to read it."""
        stream, session = self.multiplexed()
        talks = [self.talk(session.open_stream())[0] for _ in range(3)]
        for messages in talks:
            messages.send(Login(privilege_key="wrong"))
        self.settle(stream)
        self.assertTrue(stream.lost)
        self.assertEqual(sum("token in login" in line for line in self.lines), 1)

    def test_a_refused_login_ends_the_session(self) -> None:
        """Nobody guesses tokens at the speed of streams."""
        stream, session = self.multiplexed()
        for _ in range(10):
            messages, _ = self.talk(session.open_stream())
            messages.send(Login(privilege_key="wrong"))
            self.settle(stream)
            if stream.lost:
                break
        self.assertTrue(stream.lost or stream.peer.closing)
        self.assertLessEqual(sum("token in login" in line for line in self.lines), 1)

    def test_a_refused_login_on_a_session_that_is_valid(self) -> None:
        """Also not by those who have shown that they may do something else."""
        stream, session = self.multiplexed()
        messages, _ = self.talk(session.open_stream())
        messages.send(self.login())
        self.settle(stream)
        for _ in range(10):
            if stream.lost:
                break
            messages, _ = self.talk(session.open_stream())
            messages.send(Login(privilege_key="wrong"))
            self.settle(stream)
        self.assertTrue(stream.lost)
        self.assertEqual(sum("token in login" in line for line in self.lines), 1)

    def test_many_streams_before_a_login(self) -> None:
        stream, session = self.multiplexed()
        for _ in range(MOST_STREAMS_BEFORE_LOGIN + 1):
            session.open_stream()
        self.settle(stream)
        self.assertTrue(stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_streams_after_a_login(self) -> None:
        stream, session = self.multiplexed()
        messages, _ = self.talk(session.open_stream())
        messages.send(self.login())
        self.settle(stream)
        for _ in range(MOST_STREAMS_BEFORE_LOGIN + 1):
            session.open_stream()
        self.settle(stream)
        self.assertFalse(stream.lost)

    def test_a_session_that_goes_at_once(self) -> None:
        stream, _ = self.multiplexed()
        self.settle(stream)
        stream.abortConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [], "the deadline of the session too")

    def test_http(self) -> None:
        stream = self.connection()
        stream.write(b"GET /index.html HTTP/1.1\r\n")
        self.settle(stream)
        self.assertEqual(self.http, [(stream.peer, b"GET /index.html HTTP/1.1\r\n")])

    def test_garbage(self) -> None:
        for first in (b"\xff\xff", b"SSH-2.0-OpenSSH", b"\x16\x03\x01\x00\x02hello"):
            stream = self.connection()
            stream.write(first)
            self.settle(stream)
            self.clock.pump([5] * 5)
            self.assertTrue(stream.lost, first)

    def test_tls_only(self) -> None:
        self.build(tls=TLSConfig(only=True))
        for first in (encode(self.login()), b"\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00"):
            stream = self.connection()
            stream.write(first)
            self.settle(stream)
            self.assertTrue(stream.lost)
            self.assertIn("non-TLS connection received on a TlsOnly server", self.lines[-1])
        self.assertEqual(self.registry.clients, {})

    def test_without_vhost(self) -> None:
        self.acceptor = Acceptor(self.registry, server_context(TLSConfig()), None)
        stream = self.connection()
        stream.write(b"GET / HTTP/1.1\r\n")
        self.settle(stream)
        self.assertTrue(stream.lost)


class WebSocketTests(AcceptCase):
    """Clients that come by websocket."""

    def tls(self, stream: Any, *, head_byte: bool = False) -> Any:
        context = client_context(TLSConfig(), "localhost")
        return start_tls_client(stream, context, Parked(), self.clock, head_byte)

    def websocket(self, stream: Any) -> Any:
        asked = ensureDeferred(ask_for_websocket(stream, "vps", self.clock))
        self.settle(self.low)
        return self.successResultOf(asked)

    def log_in(self, stream: Any) -> None:
        messages, heard = self.talk(stream)
        messages.send(self.login())
        self.settle(self.low)
        self.assertIsInstance(heard[0], LoginResp)
        self.assertEqual(len(self.registry.clients), 1)

    def connect(self, **options: Any) -> MemoryStream:
        self.build(**options)
        self.low = self.connection()
        return self.low

    def test_websocket(self) -> None:
        self.log_in(self.websocket(self.connect()))

    def test_tls_in_a_websocket(self) -> None:
        for only, head_byte in product((False, True), repeat=2):
            inner = self.websocket(self.connect(tls=TLSConfig(only=only)))
            self.log_in(self.tls(inner, head_byte=head_byte))

    def test_wss(self) -> None:
        for only in (False, True):
            stream = self.connect(tls=TLSConfig(only=only))
            self.log_in(self.websocket(self.tls(stream)))

    def test_wss_with_tls_inside(self) -> None:
        """Something on the way ends TLS, and starts it again."""
        self.log_in(self.tls(self.websocket(self.tls(self.connect()))))

    def test_multiplexed(self) -> None:
        inner = self.websocket(self.connect())
        session = MuxSession(client=True, clock=self.clock)
        session.makeConnection(inner)
        attach(inner, session)
        inner.resumeProducing()
        self.log_in(session.open_stream())

    def test_tls_only(self) -> None:
        inner = self.websocket(self.connect(tls=TLSConfig(only=True)))
        messages, _ = self.talk(inner)
        messages.send(self.login())
        self.settle(self.low)
        self.assertTrue(self.low.lost)
        self.assertIn("non-TLS connection received on a TlsOnly server", self.lines[-1])

    def test_no_more_layers(self) -> None:
        """Each costs memory, and a stranger would pile them up."""
        for layers in ("ww", "tt", "wtw", "twtw", "twtt"):
            inner: Any = self.connect()
            for layer in layers[:-1]:
                inner = self.websocket(inner) if layer == "w" else self.tls(inner)
                self.settle(self.low)
                self.assertFalse(self.low.lost, layers)
            if layers[-1] == "w":
                inner.write(request("vps", new_key()))
            else:
                self.tls(inner)
            self.settle(self.low)
            self.clock.pump([5] * 5)
            self.assertTrue(self.low.lost, layers)

    def test_refused(self) -> None:
        stream = self.connect()
        at_client = recorded(stream)
        stream.write(b"GET /~!frp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")  # fmt: skip
        self.settle(stream)
        self.assertTrue(at_client.received.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertTrue(at_client.finished)
        self.assertIn("websocket refused: Origin is missing", self.lines[-1])

    def test_half_a_request(self) -> None:
        stream = self.connect()
        stream.write(b"GET /~!frp HTTP/1.1\r\n")
        self.settle(stream)
        self.clock.advance(UPGRADE_SECONDS)
        self.assertTrue(stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence_inside(self) -> None:
        self.websocket(self.connect())
        self.clock.advance(FIRST_BYTES_SECONDS)
        self.assertTrue(self.low.lost)

    def logged_in_from(self, header: bytes, *trusted: str) -> str:
        """Log in through a proxy that adds a header; return where the server sees us."""
        self.patch(
            upgrade, "request", lambda host, key: request(host, key)[:-2] + header + b"\r\n\r\n"
        )
        stream = self.connect(trusted_proxies=tuple(map(ip_network, trusted)))
        self.log_in(self.websocket(stream))
        [line] = [line for line in self.lines if "login" in line]
        self.lines.clear()
        return line

    def test_who_it_is(self) -> None:
        """frps shows the Origin, which says where the client went to."""
        forwarded = b"X-Forwarded-For: 203.0.113.66, 203.0.113.7"
        for header, trusted, seen in (
            (forwarded, (), "192.0.2.7"),
            (forwarded, ("198.51.100.0/24",), "192.0.2.7"),
            (forwarded, ("192.0.2.0/24",), "203.0.113.7"),
            (forwarded, ("192.0.2.0/24", "203.0.113.7"), "203.0.113.66"),
            (b"X-Real-IP: 2001:db8::1", ("192.0.2.7",), "2001:db8::1"),
            (b"X-Forwarded-For: nonsense", ("192.0.2.7",), "192.0.2.7"),
        ):
            self.assertIn(f"ip [{seen}]", self.logged_in_from(header, *trusted))


class FirstMessageTests(AcceptCase):
    """What a logical connection may begin with."""

    def test_work_connection(self) -> None:
        stream = self.connection()
        messages, heard = self.talk(stream)
        messages.send(NewWorkConn(run_id="nobody"))
        self.settle(stream)
        self.assertEqual(
            heard, [StartWorkConn(error="no client control found for run id [nobody]")]
        )
        self.assertTrue(stream.lost)

    def test_visitor(self) -> None:
        stream = self.connection()
        messages, heard = self.talk(stream)
        messages.send(NewVisitorConn(proxy_name="secret"))
        self.settle(stream)
        error = "custom listener for [secret] doesn't exist"
        self.assertEqual(heard, [NewVisitorConnResp(proxy_name="secret", error=error)])
        self.assertTrue(stream.lost)

    def publish(self) -> None:
        """Have somebody log in and announce a secret proxy."""
        client = FakeClient(self.registry)
        client.say(NewProxy(proxy_name="secret", proxy_type="stcp", sk="sesame"))

    def visit(self, sk: str = "sesame") -> NewVisitorConn:
        return NewVisitorConn(proxy_name="secret", sign_key=login_key(sk, 5), timestamp=5)

    def test_visitor_who_has_not_logged_in(self) -> None:
        """Who has the secret is no stranger: its multiplexed connection may go on."""
        self.publish()
        stream, session = self.multiplexed()
        messages, heard = self.talk(session.open_stream())
        messages.send(self.visit())
        self.settle(stream)
        self.assertEqual(heard, [NewVisitorConnResp(proxy_name="secret")])
        self.clock.advance(LOGIN_SECONDS)
        self.assertFalse(stream.lost)

    def test_visitor_who_guesses(self) -> None:
        """One wrong secret ends a multiplexed connection without a login, after the answer."""
        self.publish()
        stream, session = self.multiplexed()
        messages, heard = self.talk(session.open_stream())
        messages.send(self.visit("guess"))
        self.settle(stream)
        self.assertEqual(heard, [])
        self.clock.advance(WRONG_SECONDS)
        self.settle(stream)
        error = "visitor connection of [secret] auth failed"
        self.assertEqual(heard, [NewVisitorConnResp(proxy_name="secret", error=error)])
        self.clock.advance(REFUSED_SECONDS)
        self.settle(stream)
        self.assertTrue(stream.lost)

    def test_visitor_of_a_client(self) -> None:
        """A wrong secret costs a client that has logged in nothing else."""
        self.publish()
        stream, session = self.multiplexed()
        control, _ = self.talk(session.open_stream())
        control.send(self.login())
        messages, heard = self.talk(session.open_stream())
        messages.send(self.visit("guess"))
        self.settle(stream)
        self.clock.advance(WRONG_SECONDS)
        self.settle(stream)
        self.assertEqual(len(heard), 1)
        self.clock.advance(LOGIN_SECONDS)
        self.assertFalse(stream.lost)

    def test_closed(self) -> None:
        """A server that stops answers no guesses any more, and leaves no timer behind."""
        self.publish()
        messages, heard = self.talk(stream := self.connection())
        messages.send(self.visit("guess"))
        self.settle(stream)
        self.acceptor.close()
        self.clock.advance(WRONG_SECONDS)
        self.settle(stream)
        self.assertEqual(heard, [])

    def test_refusals_repeat_no_more_than_fits(self) -> None:
        """An answer beyond the limit would raise, and leave the connection to nobody."""
        for message in (NewWorkConn(run_id="x" * 10_200), NewVisitorConn(proxy_name="x" * 9_000)):
            stream = self.connection()
            messages, heard = self.talk(stream)
            messages.send(message)
            self.settle(stream)
            self.assertEqual(len(heard), 1)
            self.assertTrue(stream.lost)

    def test_a_bug_of_ours_leaves_no_connection(self) -> None:
        def broken(*_: object, **__: object) -> bool:
            raise ZeroDivisionError

        self.patch(self.registry, "login", broken)
        stream = self.connection()
        messages, _ = self.talk(stream)
        messages.send(self.login())
        self.settle(stream)
        self.assertTrue(stream.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_anything_else(self) -> None:
        for first in (encode(Ping()), V2.preface + encode2(Ping())):
            stream = self.connection()
            stream.write(first)
            self.settle(stream)
            self.assertTrue(stream.lost)

    def test_slow_first_message(self) -> None:
        stream = self.connection()
        stream.write(encode(self.login())[:20])
        self.settle(stream)
        self.clock.advance(FIRST_MESSAGE_SECONDS)
        self.assertTrue(stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_long_a_message(self) -> None:
        stream = self.connection()
        stream.write(b"o" + (10241).to_bytes(8, "big"))
        self.settle(stream)
        self.assertTrue(stream.lost)


class Version2Tests(AcceptCase):
    """Logical connections in wire protocol v2."""

    def talk2(self, stream: Any) -> tuple[MessageProtocol, list[Message]]:
        """Speak v2 on a stream."""
        messages = MessageProtocol(stream, self.clock, V2)
        heard: list[Message] = []
        messages.on_message = heard.append
        messages.start()
        messages.send_preface()
        return messages, heard

    def greet(
        self, stream: MemoryStream, over: Any = None
    ) -> tuple[MessageProtocol, list[Message]]:
        """Say hello, hear the answer."""
        messages, heard = self.talk2(over or stream)
        hello = make_client_hello(Bootstrap())
        messages.send(hello)
        self.settle(stream)
        messages.negotiated = accept_server_hello(hello, heard.pop())
        return messages, heard

    def test_login(self) -> None:
        stream = self.connection()
        messages, heard = self.greet(stream)
        messages.send(self.login())
        self.settle(stream)
        response = heard.pop(0)
        assert isinstance(response, LoginResp)
        client = self.registry.clients[response.run_id]
        self.assertIs(client.dialect, V2)
        protect(messages, self.registry.auth.token, server=False)
        messages.send(Ping())
        self.settle(stream)
        self.assertEqual(heard, [Pong()])
        self.assertEqual(
            [each.wire_protocol for each in self.registry.context.stats.clients()], ["v2"]
        )

    def test_login_with_the_hello(self) -> None:
        """Nobody has to wait for the answer, and all of it may come in any pieces."""
        data = V2.preface + encode2(make_client_hello(Bootstrap())) + encode2(self.login())
        for step in (1, 10, len(data)):
            stream = self.connection()
            heard = recorded(stream)
            for start in range(0, len(data), step):
                stream.write(data[start : start + step])
                self.settle(stream)
            reader = V2.make_reader()
            reader.feed(bytes(heard.received))
            answer, response = reader.next_message(), reader.next_message()
            assert isinstance(answer, Hello)
            assert isinstance(response, LoginResp)
            self.assertIn(response.run_id, self.registry.clients)

    def test_login_on_a_stream(self) -> None:
        stream, session = self.multiplexed()
        messages, heard = self.greet(stream, session.open_stream())
        messages.send(self.login())
        self.settle(stream)
        self.assertIsInstance(heard[0], LoginResp)
        self.clock.advance(LOGIN_SECONDS)
        self.assertFalse(stream.lost)

    def test_login_without_hello(self) -> None:
        for detailed, text in (
            (True, "missing v2 crypto negotiation"),
            (False, "register control error"),
        ):
            self.build(detailed_errors_to_client=detailed)
            stream = self.connection()
            messages, heard = self.talk2(stream)
            messages.send(self.login())
            self.settle(stream)
            self.assertEqual(heard, [LoginResp(version=WIRE_VERSION, error=text)])
            self.assertTrue(stream.lost)
            self.assertEqual(self.registry.clients, {})
            self.assertIn("missing v2 crypto negotiation", self.lines[-1])

    def test_refused_hello(self) -> None:
        """It is said why, to the peer and in the log; a session of streams ends with it."""
        hello = Hello(FrameType.CLIENT_HELLO, b'{"capabilities":{"message":{"codecs":["xml"]}}}')
        stream, session = self.multiplexed()
        for over in (self.connection(), session.open_stream()):
            messages, heard = self.talk2(over)
            messages.send(hello)
            self.settle(stream, *[over] if isinstance(over, MemoryStream) else [])
            [answer] = heard
            assert isinstance(answer, Hello)
            self.assertEqual(json.loads(answer.payload)["error"], "unsupported message codec")
            self.assertIn("unsupported message codec", self.lines[-1])
        self.clock.advance(REFUSED_SECONDS)
        self.settle(stream)
        self.assertTrue(stream.lost)
        self.clock.advance(LOGIN_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nonsense(self) -> None:
        """Is cut without an answer."""
        hello = encode2(make_client_hello(Bootstrap()))
        for data in (
            b"\0\x03\0\0\0\0\0\0",
            b"\0\x02" + hello[2:],
            b"\0\x01\0\0\0\0\0\x02[]",
        ):
            stream = self.connection()
            heard = recorded(stream)
            stream.write(V2.preface + data)
            self.settle(stream)
            self.assertTrue(stream.lost)
            self.assertEqual(bytes(heard.received), b"")

    def test_hello_and_silence(self) -> None:
        stream = self.connection()
        self.greet(stream)
        self.clock.advance(FIRST_MESSAGE_SECONDS)
        self.assertTrue(stream.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_work_and_visitor_connections(self) -> None:
        """Are answered in the dialect in which they ask."""
        for message, answer in (
            (
                NewWorkConn(run_id="x"),
                StartWorkConn(error="no client control found for run id [x]"),
            ),
            (
                NewVisitorConn(proxy_name="x"),
                NewVisitorConnResp(proxy_name="x", error="custom listener for [x] doesn't exist"),
            ),
        ):
            stream = self.connection()
            messages, heard = self.talk2(stream)
            messages.send(message)
            self.settle(stream)
            self.assertEqual(heard, [answer])
            self.assertTrue(stream.lost)

    def test_tampering(self) -> None:
        """Ends the connection with a line that says so, and nothing else happens."""
        stream = self.connection()
        messages, heard = self.greet(stream)
        messages.send(self.login())
        self.settle(stream)
        response = heard.pop()
        assert isinstance(response, LoginResp)
        protect(messages, self.registry.auth.token, server=False)
        messages.send(NewProxy(proxy_name="ssh", proxy_type="tcp", remote_port=6000))
        data = stream.out.pop()
        assert isinstance(data, bytes)
        stream.out.append(data[:-1] + bytes([data[-1] ^ 1]))
        self.settle(stream)
        self.assertTrue(stream.lost)
        self.assertEqual((self.registry.clients, self.registry.context.proxies), ({}, {}))
        self.assertIn("a sealed record doesn't open", self.lines[-1])
        self.assertIn(response.run_id, self.lines[-1])


class HandOverTests(AcceptCase):
    """Bytes pass from reader to reader, and none gets lost on the way."""

    def visit(self, client: FakeClient, dialect: Dialect, users: bytes) -> bytes:
        """Return all that a visitor sends who doesn't wait for any answer."""
        visit = NewVisitorConn(
            run_id=client.run_id,
            proxy_name="secret",
            sign_key=login_key("sesame", 5),
            timestamp=5,
        )
        return dialect.preface + dialect.encode(visit) + users

    @settings(derandomize=True, deadline=None, max_examples=60)
    @given(
        st.booleans(),
        st.sampled_from([V1, V2]),
        st.binary(min_size=1, max_size=40),
        st.sets(st.integers(1, 600), max_size=12),
    )
    def test_in_any_pieces(
        self, websocket: bool, dialect: Dialect, users: bytes, cuts: set[int]
    ) -> None:
        """HTTP head, frames, magic, first message: what is behind each comes in any pieces."""
        self.build()
        client = FakeClient(self.registry)
        service = Recorder()

        def started(work: MessageProtocol, _: StartWorkConn) -> None:
            stream, unread = work.detach()
            service.received += unread
            attach(stream, service)
            stream.resumeProducing()

        client.on_start = started
        client.say(NewProxy(proxy_name="secret", proxy_type="stcp", sk="sesame"))
        client.work()
        data = self.visit(client, dialect, users)
        if websocket:
            half = len(data) // 2
            frames = Encoder(masked=True)
            data = request("vps", new_key()) + frames.data(data[:half]) + frames.data(data[half:])
        stream = self.connection()
        recorded(stream)
        places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
        for start, end in pairwise(places):
            stream.write(data[start:end])
            self.settle(stream, *client.streams)
        self.assertEqual(bytes(service.received), users)


class _Reader(Recorder):
    """A recorder that doesn't care to be connected."""

    def makeConnection(self, transport: object) -> None:
        pass
