# -*- test-case-name: tests.client.test_health -*-
"""Tests of `tunnelsvc.client.health`."""

from typing import Any

from attrs import evolve
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.streams import MemoryStream, pair, pump
from tunnelsvc.client import local
from tunnelsvc.client.health import HealthChecks
from tunnelsvc.config.proxies import HealthCheckConfig, ProxyConfig, TCPProxyConfig
from tunnelsvc.interfaces import Stream

CHECK = HealthCheckConfig(type="tcp", timeout_seconds=3.0, max_failed=2, interval_seconds=10.0)
WEB = TCPProxyConfig(name="web", type="tcp", local_ip="::1", local_port=80, health_check=CHECK)
SSH = TCPProxyConfig(name="ssh", type="tcp", local_port=22)


class HealthCase(SynchronousTestCase):
    """A client's checks, and a service that is up, down, or doesn't answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.changes: list[tuple[str, bool]] = []
        self.lines = LogLines(self)
        self.dialled: list[tuple[str, int, float]] = []
        self.services: list[MemoryStream] = []
        self.up = True
        self.waiting: list[Deferred[Stream]] | None = None
        self.patch(local, "dial", self.dial)

    async def dial(self, reactor: object, host: str, port: int, *, timeout: float) -> Stream:
        self.dialled.append((host, port, timeout))
        if self.waiting is not None:
            waiting: Deferred[Stream] = Deferred()
            self.waiting.append(waiting)
            return await waiting
        if not self.up:
            raise error.ConnectionRefusedError("111")
        near, far = pair("local")
        far.resumeProducing()
        self.services.append(far)
        return near

    def checks(self, *proxies: ProxyConfig) -> HealthChecks:
        checks = HealthChecks(self.clock, self.changed)  # type: ignore[arg-type]
        checks.add(proxies)
        self.addCleanup(checks.stop)
        checks.start()
        return checks

    def changed(self, proxy: ProxyConfig, well: bool) -> None:
        self.changes.append((proxy.name, well))

    def pass_on(self, checks: int) -> None:
        """Let so many more checks happen."""
        for _ in range(checks):
            self.clock.advance(CHECK.interval_seconds)
            pump(*self.services)

    def told(self) -> list[str]:
        """Give what was logged since the last time."""
        lines = list(self.lines)
        self.lines.clear()
        return lines


class MonitorTests(HealthCase):
    """When a service is well."""

    def test_well_at_once(self) -> None:
        checks = self.checks(WEB, SSH)
        self.assertEqual(self.changes, [("web", True)])
        self.assertEqual(self.dialled, [("::1", 80, 3.0)])
        self.assertTrue(checks.is_well(WEB))
        self.assertTrue(checks.is_well(SSH), "nobody checks it")
        self.assertEqual(self.told(), ["[web] health check success"])

    def test_no_connection_is_left(self) -> None:
        self.checks(WEB)
        self.pass_on(3)
        self.assertEqual(len(self.services), 4)
        self.assertTrue(all(service.peer.lost for service in self.services))

    def test_first_down(self) -> None:
        """Then it was never announced; that is told once, and so is the recovery."""
        self.up = False
        checks = self.checks(WEB)
        self.pass_on(3)
        self.assertEqual((self.changes, len(self.dialled)), ([], 4))
        self.assertFalse(checks.is_well(WEB))
        self.assertIn("connect to local service [[::1]:80] error: ", checks.trouble(WEB))
        self.assertEqual(checks.trouble(SSH), "")
        first, *others = self.told()
        self.assertIn(
            "[web] health check failed: connect to local service [[::1]:80] error: ", first
        )
        self.assertIn("users aren't sent here before it succeeds", first)
        self.assertTrue(all(line.startswith("[web] health check failed: ") for line in others))
        self.up = True
        self.pass_on(1)
        self.assertEqual(self.changes, [("web", True)])
        self.assertEqual(checks.trouble(WEB), "")

    def test_failures_in_a_row(self) -> None:
        """A failure that a success follows is forgotten, unlike in frp."""
        checks = self.checks(WEB)
        for _ in range(5):
            self.up = False
            self.pass_on(1)
            self.up = True
            self.pass_on(1)
        self.assertEqual(self.changes, [("web", True)])
        self.assertIn("1 more in a row, and no users are sent here", self.told()[-1])
        self.up = False
        self.pass_on(2)
        self.assertEqual(self.changes[1:], [("web", False)])
        self.assertFalse(checks.is_well(WEB))
        self.assertIn("no users are sent here until it succeeds again", self.told()[-1])
        self.pass_on(3)
        self.up = True
        self.pass_on(1)
        self.assertEqual(self.changes[1:], [("web", False), ("web", True)])

    def test_one_failure_may_be_enough(self) -> None:
        self.checks(evolve(WEB, health_check=evolve(CHECK, max_failed=1)))
        self.up = False
        self.pass_on(1)
        self.assertEqual(self.changes, [("web", True), ("web", False)])

    def test_each_service_by_itself(self) -> None:
        other = evolve(WEB, name="other", local_port=81)
        self.checks(WEB, other)
        self.assertEqual(sorted(self.changes), [("other", True), ("web", True)])
        self.assertEqual(len(self.dialled), 2)


class TimeTests(HealthCase):
    """Checks that take their time."""

    def test_time_limit(self) -> None:
        self.waiting = []
        self.checks(WEB)
        self.clock.advance(2.9)
        self.assertEqual(self.told(), [])
        self.clock.advance(0.1)
        [line] = self.told()
        self.assertIn("no answer within 3 s", line)
        self.assertEqual(self.changes, [])

    def test_one_at_a_time(self) -> None:
        """The interval is from the end of one to the beginning of the next."""
        patient = evolve(CHECK, timeout_seconds=60.0)
        self.waiting = []
        self.checks(evolve(WEB, health_check=patient))
        self.clock.advance(50)
        self.assertEqual(len(self.dialled), 1)
        near, _ = pair("local")
        self.waiting[0].callback(near)
        self.assertEqual(self.changes, [("web", True)])
        self.clock.advance(9)
        self.assertEqual(len(self.dialled), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.dialled), 2)

    def test_stop(self) -> None:
        """Neither a check that is under way nor the next one has any effect."""
        waiting: list[Deferred[Stream]] | None
        for waiting in ([], None):
            self.waiting = waiting
            checks = self.checks(WEB)
            self.changes.clear()
            self.told()
            checks.stop()
            self.assertEqual((self.changes, self.told()), ([], []))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_by_who_is_told(self) -> None:
        checks = HealthChecks(self.clock, lambda *_: checks.stop())  # type: ignore[arg-type]
        checks.add([WEB])
        checks.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bugs_of_ours_end_nothing(self) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        checks = HealthChecks(self.clock, broken)  # type: ignore[arg-type]
        checks.add([WEB])
        self.addCleanup(checks.stop)
        checks.start()
        self.waiting = []
        self.pass_on(1)
        self.waiting[0].errback(Failure(KeyError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, KeyError)), 2)
        self.pass_on(1)
        self.assertEqual(len(self.dialled), 3)
