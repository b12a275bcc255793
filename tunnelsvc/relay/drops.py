# -*- test-case-name: tests.relay.test_drops -*-
"""Datagrams that go no further: counted by reason, and told in the log once in a while."""

from collections import Counter
from enum import Enum

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelsvc.units import MINUTE

TELL_SECONDS = MINUTE
"""Between two lines: datagrams may come, and be dropped, by the thousand."""


class Drop(Enum):
    """Why a datagram goes no further."""

    FULL = "more at once than the tunnel takes"
    TOO_LONG = (
        "longer than udp_packet_size, or than a message of frp's holds (about 7500 bytes);"
        " with the programs of tunnelsvc at both ends there is no such limit"
    )
    STRANGER = "for users who have been silent for too long, or were never there"
    UNSENT = "not taken by the system"
    NO_TUNNEL = "there was no way to the other end"
    NO_SERVICE = "the local service isn't there"


class Drops:
    """Those of one proxy.

    Attributes:
        counts: how many so far.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, proxy: str) -> None:
        """Begin with none.

        Args:
            clock: tells the time.
            proxy: its name, for the log.
        """
        self.counts: Counter[Drop] = Counter()
        self._clock = clock
        self._proxy = proxy
        self._silent_until: dict[Drop, float] = {}

    def add(self, why: Drop, number: int = 1) -> None:
        """Take note of one more, or of several; the first of a kind is told at once."""
        self.counts[why] += number
        now = self._clock.seconds()
        if now < self._silent_until.get(why, now):
            return
        self._silent_until[why] = now + TELL_SECONDS
        self.log.warn(
            "[{proxy}] datagrams dropped, {count} so far: {why}",
            proxy=self._proxy, count=self.counts[why], why=why.value,
        )  # fmt: skip
