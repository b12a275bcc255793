# -*- test-case-name: tests.client.plugins.test_socks5 -*-
"""Tests of `tunnelsvc.client.plugins.socks5`."""

import errno

from twisted.internet import error
from twisted.internet.defer import Deferred

from tests.client.plugins.usersupport import ProxyCase
from tests.streams import recorded
from tunnelsvc.client.plugins.farewell import LINGER_SECONDS
from tunnelsvc.client.plugins.reach import REACH_SECONDS
from tunnelsvc.client.plugins.socks5 import HANDSHAKE_SECONDS, reply_code
from tunnelsvc.config.plugins import Socks5Config
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.socks5 import Reply

OPEN = TCPProxyConfig(name="socks", type="tcp", plugin=Socks5Config())
CLOSED = TCPProxyConfig(
    name="socks", type="tcp", plugin=Socks5Config(user="alice", password="s3cret")
)
HELLO = b"\x05\x01\x00"
REQUEST = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
SUCCEEDED = bytes.fromhex("050000017f0000011b58")  # from 127.0.0.1:7000, as memory streams are
LOGIN = b"\x05\x01\x02\x01\x05alice\x06s3cret"


class Socks5Tests(ProxyCase):
    """Users of a client with this plugin."""

    def test_a_user_reaches_a_target(self) -> None:
        self.serve(OPEN)
        user = self.user()
        self.assertEqual(self.say(user, HELLO), b"\x05\x00")
        self.assertEqual(self.say(user, REQUEST), b"\x05\x00" + SUCCEEDED)
        self.assertEqual(self.reached, [("example.com", 443)])
        [target] = self.targets
        at_target = recorded(target)
        self.say(user, b"hello")
        target.write(b"welcome")
        user.end.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(at_target.received), b"hello")
        self.assertTrue(at_target.finished)
        target.write(b", and bye")  # the other direction goes on
        target.loseConnection()
        self.pump()
        self.assertEqual(user.received, b"\x05\x00" + SUCCEEDED + b"welcome, and bye")
        [line] = self.lines
        self.assertIn("192.0.2.1:5: closed by the server, 5 bytes in, 16 bytes out", line)

    def test_all_at_once(self) -> None:
        """What comes behind the request, in one piece with what came before it, isn't lost."""
        self.serve(CLOSED)
        user = self.user(LOGIN + REQUEST + b"hello")
        self.assertEqual(user.received, b"\x05\x02\x01\x00" + SUCCEEDED)
        at_target = recorded(self.targets[0])
        self.pump()
        self.assertEqual(bytes(at_target.received), b"hello")

    def test_while_dialling(self) -> None:
        """What a user says too early waits; his connection isn't read meanwhile."""
        self.serve(OPEN)
        self.dial_result = Deferred()
        user = self.user()
        self.say(user, HELLO + REQUEST + b"hello")
        self.say(user, b", world")
        self.assertEqual(user.end.buffered(), len(b", world"))
        self.connect()
        at_target = recorded(self.targets[0])
        self.pump()
        self.assertEqual(bytes(at_target.received), b"hello, world")

    def connect(self) -> None:
        """Let what is waited for succeed."""
        waiting, self.dial_result = self.dial_result, None
        assert waiting is not None
        connecting = Deferred.fromCoroutine(
            self.reach(self.clock, "example.com", 443, timeout=REACH_SECONDS)
        )
        waiting.callback(self.successResultOf(connecting))
        self.pump()

    def test_a_user_who_leaves_while_dialling(self) -> None:
        self.serve(OPEN)
        self.dial_result = Deferred()
        user = self.user(HELLO + REQUEST)
        user.end.abortConnection()
        self.connect()
        self.assertTrue(self.targets[0].lost)

    def refused(self, answer: bytes, first: bytes) -> None:
        """A user who says that is told so, and then the connection ends."""
        user = self.user()
        self.assertEqual(self.say(user, first), answer)
        self.assertTrue(user.seen.finished)
        self.say(user, b"anything else")
        user.end.loseConnection()
        self.pump()
        self.assertIsNotNone(user.seen.lost)
        self.assertEqual(self.targets, [])

    def test_wrong_password(self) -> None:
        self.serve(CLOSED)
        self.refused(b"\x05\x02\x01\x01", LOGIN[:-1] + b"T" + REQUEST)
        self.assertEqual(self.reached, [])
        [line] = self.lines
        self.assertIn("[socks] user 192.0.2.1:5: wrong user or password", line)

    def test_unreachable(self) -> None:
        self.serve(OPEN)
        self.failure = error.ConnectionRefusedError(osError=errno.ECONNREFUSED, string="no")
        refusal = bytes.fromhex("05050001000000000000")
        self.refused(b"\x05\x00" + refusal, HELLO + REQUEST)
        [line] = self.lines
        self.assertIn("user 192.0.2.1:5: connect to [example.com:443] error: ", line)

    def test_a_target_that_doesn_t_answer(self) -> None:
        """The whole attempt ends, whatever it is waiting for."""
        self.serve(OPEN)
        cancelled: list[Deferred[Stream]] = []
        self.dial_result = Deferred(cancelled.append)
        user = self.user(HELLO + REQUEST)
        self.clock.advance(REACH_SECONDS)
        self.pump()
        self.assertEqual(user.received, b"\x05\x00" + bytes.fromhex("05060001000000000000"))
        self.assertEqual(len(cancelled), 1)

    def test_reply_codes(self) -> None:
        cases = {
            error.TCPTimedOutError(): Reply.TIMED_OUT,
            error.NoRouteError(): Reply.NETWORK_UNREACHABLE,
            error.UnknownHostError(): Reply.HOST_UNREACHABLE,
            error.getConnectError(OSError(errno.EHOSTUNREACH, "")): Reply.HOST_UNREACHABLE,
            error.getConnectError(OSError(errno.EMFILE, "")): Reply.FAILED,
        }
        for why, code in cases.items():
            self.assertIs(reply_code(why), code)

    def test_silent_user(self) -> None:
        self.serve(OPEN)
        user = self.user()
        self.say(user, HELLO)
        self.clock.advance(HANDSHAKE_SECONDS)
        self.pump()
        self.assertTrue(user.seen.finished)
        self.clock.advance(LINGER_SECONDS)
        self.assertIsNotNone(user.seen.lost)

    def test_users_who_leave(self) -> None:
        """Politely or not, they leave nothing behind."""
        self.serve(OPEN)
        before = len(self.clock.getDelayedCalls())
        polite, rude, early = self.user(), self.user(HELLO), self.user()
        polite.end.loseConnection()
        rude.end.abortConnection()
        early.end.loseWriteConnection()
        self.pump()
        for user in polite, rude:
            self.assertIsNotNone(user.seen.lost)
        self.assertTrue(early.seen.finished)
        self.assertEqual(len(self.clock.getDelayedCalls()), before)
        self.assertEqual(list(self.lines), [])
