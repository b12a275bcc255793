# -*- test-case-name: tests.admin.test_auth -*-
"""Tests of `tunnelsvc.admin.auth`: from where somebody tries, and who is told."""

from ipaddress import ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from tests.admin.support import Dashboard, basic
from tests.loglines import LogLines
from tunnelsvc.admin.auth import LOCKED, LOGIN, REFUSED, Keeper, Verdict
from tunnelsvc.admin.throttle import (
    FIRST_DELAY_SECONDS,
    FIRST_LOCK_SECONDS,
    LOCK_FAILURES,
    MOST_DELAY_SECONDS,
    Throttle,
)
from tunnelsvc.gateway.forwarded import Trust

LOOPBACK = Trust([ip_network("127.0.0.0/8"), ip_network("::1/128")])


def asked(host: str, *said: str) -> Any:
    request = DummyRequest([b""])
    kind: Any = IPv6Address if ":" in host else IPv4Address
    request.client = kind("TCP", host, 4321)
    for value in said:
        request.requestHeaders.addRawHeader("X-Forwarded-For", value)
    return request


class AddressTests(SynchronousTestCase):
    """Behind a proxy all have its address, unless it is trusted."""

    def address(self, trust: Trust | None, host: str, *said: str) -> str:
        return Keeper("u", "p", Throttle(Clock()), trust).address(asked(host, *said))

    def test_without_trust(self) -> None:
        self.assertEqual(self.address(None, "127.0.0.1", "192.0.2.1"), "127.0.0.1")
        self.assertEqual(self.address(None, "::ffff:192.0.2.7"), "192.0.2.7")

    def test_a_trusted_peer(self) -> None:
        for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            self.assertEqual(self.address(LOOPBACK, host, "192.0.2.1"), "192.0.2.1")
        self.assertEqual(self.address(LOOPBACK, "127.0.0.1"), "127.0.0.1")
        self.assertEqual(self.address(LOOPBACK, "127.0.0.1", ""), "127.0.0.1")
        self.assertEqual(self.address(LOOPBACK, "127.0.0.1", "nobody"), "127.0.0.1")

    def test_what_the_user_claims_is_not_believed(self) -> None:
        for said in (("198.51.100.1, 192.0.2.1",), ("198.51.100.1", "192.0.2.1, 127.0.0.2")):
            self.assertEqual(self.address(LOOPBACK, "127.0.0.1", *said), "192.0.2.1")

    def test_a_stranger(self) -> None:
        self.assertEqual(self.address(LOOPBACK, "192.0.2.9", "198.51.100.1"), "192.0.2.9")

    @settings(derandomize=True, deadline=None)
    @given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=100))
    def test_whatever_is_said(self, said: str) -> None:
        address = self.address(LOOPBACK, "127.0.0.1", said)
        self.assertTrue(address == "127.0.0.1" or address in said or ":" in address)

    def test_the_key_of_the_file(self) -> None:
        """It is that of the users' sites."""
        for trusted, status in ((ip_network("192.0.2.1/32"),), 200), ((), 429):
            dashboard = Dashboard(trusted=trusted)
            for _ in range(LOCK_FAILURES):
                more = b"X-Forwarded-For: 198.51.100.1\r\n"
                dashboard.connect().send("GET", "/", basic("a:b"), more)
                dashboard.clock.advance(MOST_DELAY_SECONDS)
            more = b"X-Forwarded-For: 198.51.100.1\r\n"
            self.assertEqual(dashboard.ask("/api/serverinfo", more=more).status, 429)
            more = b"X-Forwarded-For: 198.51.100.2\r\n"
            self.assertEqual(dashboard.ask("/api/serverinfo", more=more).status, status)


class TellingTests(SynchronousTestCase):
    """What is in the log and among the events."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.told: list[tuple[str, str, str]] = []
        self.clock = Clock()
        throttle = Throttle(self.clock)
        self.keeper = Keeper("u", "p", throttle, None, lambda *event: self.told.append(event))
        self.request = asked("192.0.2.1")

    def test_wrong(self) -> None:
        verdict = self.keeper.asks(self.request, b"u:secret word")
        self.assertEqual(verdict, Verdict(delay_seconds=FIRST_DELAY_SECONDS))
        self.assertEqual(self.told, [(REFUSED, "192.0.2.1", "1 in a row")])
        self.assertEqual(self.lines, ["wrong user or password from 192.0.2.1, 1 in a row"])

    def test_locked_out(self) -> None:
        for _ in range(LOCK_FAILURES):
            self.clock.advance(MOST_DELAY_SECONDS)
            verdict = self.keeper.asks(self.request, b"")
        self.assertEqual(verdict, Verdict(refused_seconds=FIRST_LOCK_SECONDS))
        self.assertEqual(self.told[-1], (LOCKED, "192.0.2.1", "5 minutes"))
        self.assertEqual(self.lines[-1], "192.0.2.1 is locked out for 5 minutes")
        told = len(self.told)
        self.clock.advance(10)
        verdict = self.keeper.asks(self.request, b"u:p")
        self.assertEqual(verdict, Verdict(refused_seconds=FIRST_LOCK_SECONDS - 10))
        self.assertEqual(len(self.told), told)

    def test_right(self) -> None:
        """A script asks every few seconds; only who logs in is an event."""
        self.assertEqual(self.keeper.asks(self.request, b"u:p"), Verdict(right=True))
        self.assertEqual((self.told, self.lines), ([], []))
        self.keeper.logged_in(self.request)
        self.assertEqual(self.told, [(LOGIN, "192.0.2.1", "u")])
