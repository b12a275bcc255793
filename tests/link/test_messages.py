# -*- test-case-name: tests.link.test_messages -*-
"""Tests of `tunnelsvc.link.messages`."""

import gc
from collections.abc import Callable
from functools import partial
from weakref import ref

from twisted.internet import error
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import Recorder, pair, pump, recorded
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import attach
from tunnelsvc.link.messages import CLOSE_SECONDS, MessageProtocol
from tunnelsvc.wire.cfb import Encryptor, derive_key
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import (
    CloseProxy,
    LoginResp,
    Message,
    NewWorkConn,
    Ping,
    ReqWorkConn,
    StartWorkConn,
)


class MessageCase(SynchronousTestCase):
    """`messages` talks over `ours` to `theirs`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.theirs, self.ours = pair("control")
        self.messages = MessageProtocol(self.ours, self.clock)
        self.seen: list[Message] = []
        self.losses: list[Failure] = []
        self.messages.on_message = self.seen.append
        self.messages.on_lost = self.losses.append

    def give(self, data: bytes) -> None:
        self.theirs.write(data)
        pump(self.theirs)


class ConversationTests(MessageCase):
    """Messages in and out."""

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.messages))

    def test_reads_what_was_read_before_first(self) -> None:
        data = encode(Ping()) + encode(ReqWorkConn())
        self.messages.start(data[:5])
        self.give(data[5:])
        self.assertEqual(self.seen, [Ping(), ReqWorkConn()])

    def test_sends(self) -> None:
        self.messages.start()
        at_theirs = recorded(self.theirs)
        self.messages.send(CloseProxy(proxy_name="ssh"))
        pump(self.theirs)
        self.assertEqual(bytes(at_theirs.received), encode(CloseProxy(proxy_name="ssh")))

    def test_cipher_starts_within_a_chunk(self) -> None:
        """The server's cipher bytes may follow the clear LoginResp in one segment (notes 3.1)."""
        key = derive_key("12345678")

        def logged_in(message: Message) -> None:
            self.seen.append(message)
            if isinstance(message, LoginResp):
                self.messages.encrypt(key)

        self.messages.on_message = logged_in
        self.messages.start()
        wire = Encryptor(key).feed(encode(ReqWorkConn()))
        self.give(encode(LoginResp(run_id="r")) + wire[:7])
        self.assertEqual(self.seen, [LoginResp(run_id="r")])
        self.give(wire[7:])
        self.assertEqual(self.seen, [LoginResp(run_id="r"), ReqWorkConn()])

    def test_cipher_both_ways(self) -> None:
        other = MessageProtocol(self.theirs, self.clock)
        got: list[Message] = []
        other.on_message = got.append
        for protocol in (self.messages, other):
            protocol.start()
            protocol.encrypt(derive_key("t"))
        self.messages.send(Ping(timestamp=5))
        other.send(ReqWorkConn())
        pump(self.theirs)
        self.assertEqual((got, self.seen), ([Ping(timestamp=5)], [ReqWorkConn()]))

    def test_preface(self) -> None:
        """Who opens a stream says what it speaks; v1 is known by its messages."""
        at_theirs = recorded(self.theirs)
        self.messages.start()
        self.messages.send_preface()
        MessageProtocol(self.ours, self.clock, V2).send_preface()
        pump(self.theirs)
        self.assertEqual(bytes(at_theirs.received), b"FRP\0\x02\r\n")

    def test_dialect(self) -> None:
        messages = MessageProtocol(self.ours, self.clock, V2)
        messages.on_message = self.seen.append
        at_theirs = recorded(self.theirs)
        messages.start()
        messages.send(Ping(timestamp=5))
        self.give(V2.encode(ReqWorkConn()))
        self.assertEqual(bytes(at_theirs.received), V2.encode(Ping(timestamp=5)))
        self.assertEqual(self.seen, [ReqWorkConn()])

    def test_cipher_in_time_for_bytes_that_wait(self) -> None:
        """What came too early is decrypted when more comes, and told to who listens then."""
        self.messages.start()
        self.give(b"h")
        key = derive_key("t")
        self.messages.encrypt(key)
        self.assertEqual(self.losses, [])
        self.give(bytes(40))
        self.assertEqual(len(self.losses), 1)

    def test_violation_ends_the_stream_with_the_reason(self) -> None:
        self.messages.start()
        self.give(b"Z" + bytes(20))
        [failure] = self.losses
        self.assertTrue(failure.check(RemoteProtocolError))
        self.assertTrue(self.ours.lost)

    def test_nothing_is_read_after_a_violation(self) -> None:
        self.messages.start()
        self.patch(self.ours, "abortConnection", lambda: None)
        self.give(b"Z")
        self.give(encode(Ping()))
        self.assertEqual(self.seen, [])

    def test_end_of_file_ends_the_conversation(self) -> None:
        self.messages.start()
        self.theirs.loseWriteConnection()
        pump(self.theirs)
        [failure] = self.losses
        self.assertTrue(failure.check(ConnectionDone))
        self.messages.writeConnectionLost()

    def test_loss_is_told_once(self) -> None:
        self.messages.start()
        self.theirs.abortConnection()
        self.messages.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.losses), 1)

    def test_close_cuts_a_peer_that_does_not_read(self) -> None:
        self.messages.start()
        self.messages.send(LoginResp(error="no"))
        self.messages.close()
        pump(self.theirs)
        self.assertFalse(self.ours.lost)
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.ours.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_after_flush(self) -> None:
        self.messages.start()
        at_theirs = recorded(self.theirs)
        self.messages.send(LoginResp(error="no"))
        self.messages.close()
        pump(self.theirs)
        self.assertEqual(bytes(at_theirs.received), encode(LoginResp(error="no")))
        self.assertTrue(self.ours.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_read_is_not_heard(self) -> None:
        """Its questions would fill our memory with answers."""
        self.messages.on_message = lambda _: self.messages.send(LoginResp(error="x" * 9000))
        self.messages.start()
        self.theirs.paused = True
        for _ in range(100):
            self.give(encode(Ping()))
        self.assertLess(self.ours.buffered(), 100_000)
        self.assertTrue(self.ours.paused)
        self.theirs.paused = False
        pump(self.theirs)
        self.assertFalse(self.ours.paused)
        self.assertEqual(self.theirs.buffered(), 0)

    def test_close_of_a_lost_stream(self) -> None:
        self.messages.start()
        self.theirs.abortConnection()
        self.messages.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unset_callbacks_are_harmless(self) -> None:
        fresh = MessageProtocol(self.ours, self.clock)
        fresh.start()
        self.give(encode(Ping()))
        self.theirs.abortConnection()
        self.assertTrue(self.ours.lost)


class ExpectTests(MessageCase):
    """Waiting for one message."""

    def test_fires_with_the_next_message(self) -> None:
        waiting = self.messages.expect(10)
        self.messages.start(encode(NewWorkConn(run_id="r")))
        self.assertEqual(self.successResultOf(waiting), NewWorkConn(run_id="r"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time_limit(self) -> None:
        waiting = self.messages.expect(10)
        self.messages.start(b"w")
        self.clock.advance(10)
        self.failureResultOf(waiting, error.TimeoutError)
        self.assertTrue(self.ours.lost)

    def test_loss(self) -> None:
        waiting = self.messages.expect(10)
        self.messages.start()
        self.theirs.abortConnection()
        self.failureResultOf(waiting, ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_on_a_lost_stream(self) -> None:
        self.messages.start()
        self.theirs.abortConnection()
        self.failureResultOf(self.messages.expect(10), ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        waiting = self.messages.expect(10)
        self.messages.start()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertTrue(self.ours.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel_where_the_loss_is_told_later(self) -> None:
        """As by a multiplexed session."""
        self.patch(self.ours, "abortConnection", list)
        waiting = self.messages.expect(10)
        waiting.cancel()
        self.failureResultOf(waiting)
        self.messages.connectionLost(Failure(ConnectionLost()))


class DetachTests(MessageCase):
    """Giving the stream away."""

    def test_bytes_behind_the_last_message_are_handed_over(self) -> None:
        got: list[tuple[object, bytes]] = []
        self.messages.on_message = lambda _: got.append(self.messages.detach())
        self.messages.start()
        self.give(encode(StartWorkConn(proxy_name="ssh")) + b"SSH-2.0-first user bytes")
        self.assertEqual(got, [(self.ours, b"SSH-2.0-first user bytes")])
        self.assertTrue(self.ours.paused)
        self.assertEqual(self.losses, [])

    def test_later_events_are_for_the_next_reader(self) -> None:
        self.messages.expect(10)
        self.messages.start()
        stream, unread = self.messages.detach()
        self.assertEqual(unread, b"")
        self.theirs.abortConnection()
        reader = Recorder()
        attach(stream, reader)
        self.assertIsNotNone(reader.lost)
        self.assertEqual(self.losses, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_is_left(self) -> None:
        """Whoever is over is gone at once, without a look for garbage; its owner may know it."""
        self.addCleanup(gc.enable)
        gc.disable()
        ends: list[Callable[[MessageProtocol], object]] = [
            MessageProtocol.detach,
            lambda messages: messages.connectionLost(Failure(ConnectionDone())),
        ]
        for over in ends:
            messages = MessageProtocol(self.ours, self.clock)
            messages.on_message = partial(self.ignore, messages)
            messages.on_lost = partial(self.ignore, messages)
            messages.limit(10.0)
            over(messages)
            gone = ref(messages)
            del messages
            self.assertIsNone(gone())

    def ignore(self, *_: object) -> None:
        pass

    def test_detach_before_the_stream_is_read(self) -> None:
        got: list[tuple[object, bytes]] = []
        self.messages.on_message = lambda _: got.append(self.messages.detach())
        self.messages.start(encode(Ping()) + b"rest")
        self.assertEqual(got, [(self.ours, b"rest")])
        self.assertTrue(self.ours.paused)
