# -*- test-case-name: tests.client.test_spares -*-
"""Tests of `tunnelsvc.client.spares`."""

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream, pair, pump
from tunnelsvc.client.spares import LONGEST_PACE_SECONDS, PACE_SECONDS, Spares
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import Message, Pong, StartWorkConn

START = StartWorkConn(proxy_name="ssh")


class SparesTests(SynchronousTestCase):
    """How many there are, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers: list[MemoryStream] = []
        self.started: list[tuple[MessageProtocol, StartWorkConn]] = []
        self.trouble: Exception | None = None
        self.wait: Deferred[None] | None = None
        self.attempts = 0
        self.spares = Spares(3, self.open, lambda *what: self.started.append(what), self.clock)
        self.spares.start()

    async def open(self) -> MessageProtocol:
        self.attempts += 1
        if self.wait is not None:
            await self.wait
        if self.trouble is not None:
            raise self.trouble
        ours, theirs = pair("spare")
        self.servers.append(theirs)
        messages = MessageProtocol(ours, self.clock)
        messages.start()
        return messages

    def fill(self) -> None:
        self.clock.pump([PACE_SECONDS] * 5)

    def say(self, message: Message, number: int = -1) -> None:
        self.servers[number].write(encode(message))
        pump(self.servers[number])

    def test_one_by_one(self) -> None:
        self.assertEqual(len(self.servers), 1)
        self.clock.advance(PACE_SECONDS)
        self.assertEqual(len(self.servers), 2)
        self.fill()
        self.assertEqual(len(self.servers), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_used_one_is_replaced(self) -> None:
        self.fill()
        self.say(START, 0)
        [(_, start)] = self.started
        self.assertEqual(start, START)
        self.assertEqual(len(self.servers), 3)
        self.fill()
        self.assertEqual(len(self.servers), 4)
        self.spares.stop()
        self.assertEqual([server.lost for server in self.servers], [False, True, True, True])

    def test_a_server_that_keeps_none_is_asked_less_and_less(self) -> None:
        for trouble in (StartWorkConn(error="pool is full"), Pong(), None):
            with self.subTest(trouble=trouble):
                self.setUp()
                for _ in range(2000):
                    server = self.servers[-1]
                    if not server.lost:
                        self.say(trouble) if trouble else server.abortConnection()
                    self.clock.advance(1)
                self.assertLess(self.attempts, 25)
                self.assertEqual(self.started, [])
                self.spares.stop()
                self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unreachable(self) -> None:
        self.fill()
        self.servers[0].abortConnection()
        self.trouble = error.ConnectionRefusedError()
        self.clock.pump([1] * 2000)
        self.assertLess(self.attempts, 25)
        self.trouble = None
        self.clock.advance(LONGEST_PACE_SECONDS)
        self.assertEqual(len(self.servers), 4)
        self.say(START, -1)
        self.fill()
        self.assertEqual(len(self.servers), 5, "as quick as at first once one is used")

    def test_stopped_while_connecting(self) -> None:
        self.wait = Deferred()
        self.clock.advance(PACE_SECONDS)
        self.spares.stop()
        self.wait.callback(None)
        self.fill()
        self.assertEqual([server.lost for server in self.servers], [True, True])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_while_waiting(self) -> None:
        self.spares.stop()
        self.fill()
        self.assertEqual([server.lost for server in self.servers], [True])

    def test_a_bug_of_ours_is_told(self) -> None:
        self.trouble = RuntimeError("a bug")
        self.fill()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
