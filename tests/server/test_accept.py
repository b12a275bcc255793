# -*- test-case-name: tests.server.test_accept -*-
"""Tests of `tunnelsvc.server.accept`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, Recorder, pair, pump
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import client_context, server_context
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.link.mux import MuxSession
from tunnelsvc.link.tls import start_tls_client
from tunnelsvc.server.accept import LOGIN_SECONDS, MOST_STREAMS_BEFORE_LOGIN, Acceptor
from tunnelsvc.server.visitors import WRONG_SECONDS
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import (
    Login,
    LoginResp,
    Message,
    NewProxy,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    Ping,
    StartWorkConn,
)


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
        self.clock.advance(LOGIN_SECONDS)
        self.assertTrue(stream.lost)

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

    def test_not_supported_yet(self) -> None:
        for first, what in ((b"GET /~!frp HTTP/1.1\r\n", "websocket"), (b"FRP\0\x02\r\n", "v2")):
            stream = self.connection()
            stream.write(first)
            self.settle(stream)
            self.assertTrue(stream.lost)
            self.assertIn(what, self.lines[-1])

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
        self.clock.advance(LOGIN_SECONDS)
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
        """Inside a multiplexed session, where the switch doesn't look."""
        ours, theirs = pair("stream")
        self.acceptor._messages(theirs, b"", session=None, judge=self.assertFalse)
        ours.paused = False
        ours.write(encode(Ping()))
        self.settle(ours)
        self.assertTrue(ours.lost)

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


class _Reader(Recorder):
    """A recorder that doesn't care to be connected."""

    def makeConnection(self, transport: object) -> None:
        pass
