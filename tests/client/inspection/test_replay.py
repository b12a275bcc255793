# -*- test-case-name: tests.client.inspection.test_replay -*-
"""Tests of `tunnelsvc.client.inspection.replay`; test_serving has what comes of it."""

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import Producer, Recorder
from tunnelsvc.client.inspection.replay import MOST_ANSWER_BYTES, AbsentUser
from tunnelsvc.handover import attach


class AbsentUserTests(SynchronousTestCase):
    """A stream without a far end."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.user = AbsentUser("192.0.2.1", 5, self.clock)
        self.reader = Recorder()
        attach(self.user, self.reader)

    def lost(self) -> type[BaseException] | None:
        self.clock.advance(0)
        lost = self.reader.lost
        return lost.type if lost is not None else None

    def test_interfaces(self) -> None:
        for interface in ITransport, IConsumer, IPushProducer:
            verifyObject(interface, self.user)
        self.assertEqual(self.user.getPeer().host, "192.0.2.1")  # type: ignore[attr-defined]
        self.assertEqual(self.user.getHost().port, 0)  # type: ignore[attr-defined]

    def test_ends(self) -> None:
        """Once, and in the next turn."""
        self.user.hang_up()
        self.assertIsNone(self.reader.lost)
        self.assertIs(self.lost(), ConnectionDone)
        self.reader.lost = None
        self.user.abortConnection()
        self.assertIsNone(self.lost())

    def test_ends_by_the_service(self) -> None:
        self.user.loseWriteConnection()
        self.assertIs(self.lost(), ConnectionDone)

    def test_ends_in_order(self) -> None:
        self.user.loseConnection()
        self.assertIs(self.lost(), ConnectionDone)

    def test_aborted(self) -> None:
        self.user.abortConnection()
        self.assertIs(self.lost(), ConnectionAborted)

    def test_a_producer_goes_first(self) -> None:
        self.user.registerProducer(Producer(), True)
        self.user.stopProducing()
        self.assertIsNone(self.lost())
        self.user.unregisterProducer()
        self.assertIs(self.lost(), ConnectionDone)
        other = AbsentUser("", 0, self.clock)
        reader = Recorder()
        attach(other, reader)
        other.stopProducing()
        self.clock.advance(0)
        self.assertIsNotNone(reader.lost)

    def test_never_too_fast(self) -> None:
        producer = Producer()
        self.user.registerProducer(producer, True)
        self.user.writeSequence([bytes(MOST_ANSWER_BYTES - 1), b"x"])
        self.user.pauseProducing()
        self.user.resumeProducing()
        self.assertEqual(producer.told, [])
        self.assertIsNone(self.lost())

    def test_too_much(self) -> None:
        self.user.write(bytes(MOST_ANSWER_BYTES + 1))
        self.assertIs(self.lost(), ConnectionAborted)
