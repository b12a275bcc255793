# -*- test-case-name: tests.relay.test_drops -*-
"""Tests of `tunnelsvc.relay.drops`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.relay.drops import TELL_SECONDS, Drop, Drops


class DropsTests(SynchronousTestCase):
    def test_told_once_in_a_while(self) -> None:
        """Each reason for itself, with what there was so far."""
        lines = LogLines(self)
        clock = Clock()
        drops = Drops(clock, "dns")
        for _ in range(1000):
            drops.add(Drop.TOO_LONG)
        drops.add(Drop.STRANGER, 7)
        self.assertEqual(len(lines), 2)
        self.assertIn("[dns] datagrams dropped, 1 so far: longer than udp_packet_size", lines[0])
        self.assertIn("7 so far: for users", lines[1])
        clock.advance(TELL_SECONDS)
        drops.add(Drop.TOO_LONG)
        self.assertEqual(len(lines), 3)
        self.assertIn("1001 so far", lines[2])
        self.assertEqual(drops.counts, {Drop.TOO_LONG: 1001, Drop.STRANGER: 7})
