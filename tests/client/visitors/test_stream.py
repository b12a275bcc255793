# -*- test-case-name: tests.client.visitors.test_stream -*-
"""Tests of `tunnelsvc.client.visitors.stream`."""

from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.client.visitors.support import VisitCase, visitor_config
from tests.loglines import LogLines
from tests.server.fakes import Reactor
from tests.streams import MemoryStream, Recorder, recorded
from tunnelsvc.client.visitors.sessions import SESSION_SECONDS, Sessions
from tunnelsvc.client.visitors.stream import StreamVisitor
from tunnelsvc.handover import Connections, attach


class StreamVisitorCase(VisitCase):
    """One visitor that listens in memory."""

    def setUp(self) -> None:
        self.clock = self.reactor = Reactor()
        self.sessions = Sessions(self.reactor)
        self.lines = LogLines(self)
        self.connect()
        self.sessions.begin(self.session)
        self.visitor = StreamVisitor(visitor_config(), self.reactor, self.sessions, Connections())
        self.visitor.start()

    def come(self) -> tuple[MemoryStream, Recorder]:
        """Connect a user."""
        user = self.reactor.user(9000)
        return user, recorded(user)

    def pump(self, *users: MemoryStream) -> None:
        for _ in range(3):
            self.server.pump()
            for user in users:
                while user.step() or user.peer.step():
                    pass

    def at_server(self) -> tuple[Any, Recorder]:
        """Take over the server's end of the latest connection."""
        stream, _ = self.server.work[-1].detach()
        reader = Recorder()
        attach(stream, reader)
        stream.resumeProducing()
        return stream, reader


class ServeTests(StreamVisitorCase):
    """A user, from the port to the account."""

    def test_a_user_meets_the_service(self) -> None:
        user, at_user = self.come()
        user.write(b"early ")
        self.answer()
        service, at_service = self.at_server()
        user.write(b"question")
        service.write(b"answer")
        self.pump(user)
        self.assertEqual(bytes(at_service.received), b"early question")
        self.assertEqual(bytes(at_user.received), b"answer")
        user.loseWriteConnection()
        self.pump(user)
        self.assertTrue(at_service.finished)
        service.write(b" after the end")
        service.loseWriteConnection()
        self.pump(user)
        self.assertEqual(bytes(at_user.received), b"answer after the end")
        self.assertTrue(at_user.finished)
        line = list(self.lines)[-1]
        self.assertRegex(line, r"user 192\.0\.2\.7: closed by the user, 14 bytes in, 20 ")

    def test_refused(self) -> None:
        user, _ = self.come()
        self.answer("visitor connection of [ssh] auth failed")
        self.assertTrue(user.lost)
        self.assertIn("[there] visitor connection of [ssh] auth failed (", list(self.lines)[-1])
        self.assertIn("visitor connection of [ssh] auth failed (", self.visitor.error)
        self.come()
        self.answer()
        self.assertEqual(self.visitor.error, "")

    def test_without_a_server(self) -> None:
        self.sessions.end()
        user, _ = self.come()
        self.clock.advance(SESSION_SECONDS)
        self.assertTrue(user.lost)
        self.assertIn("[there] not logged in", list(self.lines)[-1])

    def test_server_comes_back(self) -> None:
        self.sessions.end()
        user, _ = self.come()
        self.connect()
        self.sessions.begin(self.session)
        self.answer()
        _, at_service = self.at_server()
        user.write(b"here I am")
        self.pump(user)
        self.assertEqual(bytes(at_service.received), b"here I am")

    def test_a_user_who_does_not_wait(self) -> None:
        user, _ = self.come()
        user.abortConnection()
        self.answer()
        self.pump()
        self.assertTrue(self.server.links[-1].streams[-1].lost)

    def test_a_bug_leaves_no_user_waiting(self) -> None:
        self.session.link = None  # type: ignore[assignment]
        user, _ = self.come()
        self.assertTrue(user.lost)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_stop_keeps_users(self) -> None:
        user, at_user = self.come()
        self.answer()
        service, _ = self.at_server()
        self.successResultOf(ensureDeferred(self.visitor.stop()))
        self.assertIsNone(self.visitor.port)
        service.write(b"still here")
        self.pump(user)
        self.assertEqual(bytes(at_user.received), b"still here")

    def test_close_ends_users(self) -> None:
        user, _ = self.come()
        self.answer()
        other, _ = self.come()
        self.successResultOf(ensureDeferred(self.visitor.close()))
        self.assertTrue(user.lost)
        self.assertTrue(other.lost)
        self.assertEqual(self.reactor.listening, {})


class RealServerTests(StreamVisitorCase):
    """A real frps ends both directions at once."""

    server_is_ours = False

    def test_its_end_ends_all(self) -> None:
        user, at_user = self.come()
        self.answer()
        service, _ = self.at_server()
        service.write(b"last words")
        service.loseWriteConnection()
        self.pump(user)
        self.assertEqual(bytes(at_user.received), b"last words")
        self.assertTrue(user.peer.lost or user.peer.closing)
