# -*- test-case-name: tests.control.test_failback -*-
"""Tests of `tunnelsvc.control.failback`; the moves are in `tests.control.test_failover`."""

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.control.failback import PROBE_LIMIT_SECONDS, PROBE_SECONDS, Failback
from tunnelsvc.control.session import Session
from tunnelsvc.link.links import Server


async def nowhere() -> Any:
    raise AssertionError("not asked for")


class ProbeTests(SynchronousTestCase):
    """Looks at servers that are odd."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = LogLines(self)
        self.asked = 0

    def failback(self, probe: Callable[[], Coroutine[Any, Any, None]]) -> Failback:
        async def log_in(_: int) -> Session:
            raise Refused

        def found(*_: object) -> None:
            raise AssertionError

        servers = [Server("a", 7000, nowhere, probe)]
        made = Failback(servers, log_in, found, self.clock, Random(1))
        made.start()
        return made

    def test_silence(self) -> None:
        """One that takes connections and says nothing is asked again, and again."""

        async def probe() -> None:
            self.asked += 1
            await Deferred()

        failback = self.failback(probe)
        for times in (1, 2):
            self.clock.advance(PROBE_SECONDS)
            self.assertEqual(self.asked, times)
            self.clock.advance(PROBE_LIMIT_SECONDS)
        self.assertIn("server a:7000 isn't back: no answer within 20 s", self.lines)
        self.clock.advance(PROBE_SECONDS)
        failback.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_before_it_began(self) -> None:
        failback = self.failback(nowhere)
        failback.stop()
        failback.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_bug_of_ours_is_told(self) -> None:
        async def probe() -> None:
            raise ZeroDivisionError

        self.failback(probe)
        self.clock.advance(PROBE_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
