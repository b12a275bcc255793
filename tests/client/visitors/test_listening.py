# -*- test-case-name: tests.client.visitors.test_listening -*-
"""Tests of `tunnelsvc.client.visitors.listening`."""

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import SynchronousTestCase

from tests.client.visitors.support import visitor_config
from tests.loglines import LogLines
from tests.server.fakes import Reactor
from tunnelsvc.client.visitors.listening import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    Listening,
)


class ListeningTests(SynchronousTestCase):
    """A port that is free, or becomes free."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.lines = LogLines(self)
        self.make()

    def make(self, **changes: Any) -> None:
        config = visitor_config(**changes)
        self.listening = Listening(
            config, self.reactor, lambda: self.reactor.listenTCP(config.bind_port, ServerFactory())
        )

    def stop(self) -> None:
        self.successResultOf(ensureDeferred(self.listening.stop()))

    def test_listens_until_it_is_stopped(self) -> None:
        self.assertIsNone(self.listening.number)
        self.listening.start()
        self.listening.start()
        self.assertEqual(list(self.reactor.listening), [9000])
        self.assertEqual(self.listening.number, 9000)
        self.assertEqual(
            list(self.lines),
            [
                "[there] start visitor success",
                "[there] users reach [ssh] at 127.0.0.1:9000",
            ],
        )
        self.stop()
        self.assertEqual(self.reactor.listening, {})
        self.assertIsNone(self.listening.number)
        self.stop()
        self.listening.start()
        self.assertEqual(list(self.reactor.listening), [9000])

    def test_no_port(self) -> None:
        self.make(bind_port=-1)
        self.listening.start()
        self.assertEqual(self.reactor.listening, {})
        self.assertEqual(list(self.lines), ["[there] has no port (bind_port)"])

    def test_a_taken_port_is_tried_again(self) -> None:
        self.reactor.listenTCP(9000, ServerFactory())
        other = self.reactor.listening[9000]
        self.listening.start()
        self.listening.start()
        [line] = self.lines
        self.assertIn("[there] can't listen on 127.0.0.1:9000 (bind_addr, bind_port): in use", line)
        self.assertIn("trying again in 1 s", line)
        self.reactor.advance(FIRST_RETRY_SECONDS)
        self.assertEqual(len(self.lines), 2)
        other.stopListening()
        self.reactor.advance(2 * FIRST_RETRY_SECONDS)
        self.assertEqual(self.listening.number, 9000)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_patience(self) -> None:
        self.reactor.listenTCP(9000, ServerFactory())
        self.listening.start()
        for _ in range(10):
            self.reactor.advance(LAST_RETRY_SECONDS)
        [call] = self.reactor.getDelayedCalls()
        self.assertEqual(call.getTime() - self.reactor.seconds(), LAST_RETRY_SECONDS)

    def test_stopped_while_it_waits(self) -> None:
        self.reactor.listenTCP(9000, ServerFactory())
        self.listening.start()
        self.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_other_errors_are_bugs(self) -> None:
        self.listening.listen = lambda: self.fail("a bug")
        self.assertRaises(self.failureException, self.listening.start)
