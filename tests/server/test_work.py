# -*- test-case-name: tests.server.test_work -*-
"""Tests of `tunnelsvc.server.work`."""

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.errors import LocalProtocolError, WorkConnectionUnavailable
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.server.work import DIRECT_READY, WorkConnections
from tunnelsvc.server.workpool import WorkPool
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import Ping, StartWorkConn

START = StartWorkConn(proxy_name="ssh")


class Session:
    """A multiplexed session, as far as it is needed."""

    def __init__(self) -> None:
        self.opened: list[MemoryStream] = []
        self.over = False

    def open_stream(self) -> Stream:
        if self.over:
            raise ConnectionLost("it is over")
        ours, theirs = pair("opened")
        self.opened.append(theirs)
        return ours

    def close(self) -> None:
        raise NotImplementedError  # nobody here does

    def abort(self) -> None:
        self.over = True


class WorkCase(SynchronousTestCase):
    """A client of ours, with a multiplexed session."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked = 0
        self.session: Session | None = Session()
        self.make()

    def make(self) -> None:
        def ask() -> None:
            self.asked += 1

        self.pool = WorkPool(0, ask, self.clock, 10)
        self.work = WorkConnections(self.pool, self.session)

    def offer(self, *, direct: bool = True) -> tuple[MemoryStream, bool]:
        """Offer a connection; return the client's end and whether it was taken."""
        ours, theirs = pair("offered")
        messages = MessageProtocol(ours, self.clock)
        messages.start()
        return theirs, self.work.offer(messages, direct=direct)

    def open(self, start: StartWorkConn = START) -> Stream:
        return self.successResultOf(ensureDeferred(self.work.open(start)))

    def heard(self, client: MemoryStream) -> bytes:
        recorder = recorded(client)
        pump(client)
        return bytes(recorder.received)


class OursTests(WorkCase):
    """A client of ours."""

    def test_a_stream_at_once(self) -> None:
        stream = self.open()
        assert self.session is not None
        [client] = self.session.opened
        self.assertIsInstance(stream.protocol, Parked)
        self.assertEqual((self.heard(client), self.asked), (encode(START), 0))

    def test_direct_ones_first_the_latest_first_of_all(self) -> None:
        clients = [self.offer()[0] for _ in range(2)]
        self.open()
        self.assertEqual([self.heard(client) for client in clients], [b"", encode(START)])
        self.open()
        self.open()
        assert self.session is not None
        self.assertEqual((self.heard(clients[0]), len(self.session.opened)), (encode(START), 1))

    def test_no_more_than_agreed(self) -> None:
        taken = [self.offer()[1] for _ in range(DIRECT_READY + 1)]
        self.assertEqual(taken, [True] * DIRECT_READY + [False])

    def test_a_lost_one_is_forgotten(self) -> None:
        client, _ = self.offer()
        client.abortConnection()
        self.open()
        assert self.session is not None
        self.assertEqual(len(self.session.opened), 1)

    def test_one_that_speaks_unasked(self) -> None:
        client, _ = self.offer()
        client.write(encode(Ping()))
        pump(client)
        self.assertTrue(client.lost)

    def test_one_that_says_something_with_its_greeting(self) -> None:
        ours, theirs = pair("offered")
        messages = MessageProtocol(ours, self.clock)
        messages.start(b"o\0")
        self.work.offer(messages, direct=True)
        self.open()
        self.assertTrue(theirs.lost)

    def test_a_start_that_fits_in_no_message(self) -> None:
        client, _ = self.offer()
        self.failureResultOf(
            ensureDeferred(self.work.open(StartWorkConn(proxy_name="x" * 20_000))),
            LocalProtocolError,
        )
        self.assertTrue(client.lost)

    def test_gone(self) -> None:
        client, _ = self.offer()
        self.work.close()
        self.assertTrue(client.lost)
        self.assertEqual(self.offer()[1], False)
        self.failureResultOf(ensureDeferred(self.work.open(START)), WorkConnectionUnavailable)

    def test_given_to_users(self) -> None:
        """What users have lives on when a client leaves, not when it doesn't answer any more."""
        for cut in (False, True):
            self.make()
            client, _ = self.offer()
            user = self.successResultOf(ensureDeferred(self.work.open(START)))
            self.work.close(cut=cut)
            pump(client)
            self.assertEqual(client.lost, cut)
            assert self.session is not None
            self.assertEqual(self.session.over, cut)
            user.abortConnection()

    def test_session_about_to_end(self) -> None:
        assert self.session is not None
        self.session.over = True
        failure = self.failureResultOf(
            ensureDeferred(self.work.open(START)), WorkConnectionUnavailable
        )
        self.assertIn("the client is gone", failure.getErrorMessage())


class OthersTests(WorkCase):
    """A client of frp's, or without a multiplexed session."""

    def setUp(self) -> None:
        super().setUp()
        self.session = None
        self.make()

    def test_asked_for(self) -> None:
        opening = ensureDeferred(self.work.open(START))
        self.assertNoResult(opening)
        self.assertEqual(self.asked, 2)
        client, taken = self.offer()
        self.assertTrue(taken)
        self.successResultOf(opening)
        self.assertEqual(self.heard(client), encode(START))
        self.work.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
