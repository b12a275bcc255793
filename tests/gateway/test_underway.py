# -*- test-case-name: tests.gateway.test_underway -*-
"""Requests under way, as those see and end them who watch all; see `route.Underway`."""

from ipaddress import ip_network

from tests.gateway.http2.test_connection import HTTP2Case
from tests.gateway.support import OK, RESPONSE_TIMEOUT_SECONDS, VhostCase
from tests.gateway.test_exchange import SWITCHING, UPGRADE
from tests.gateway.test_standins import FakeGroup
from tunnelsvc.gateway.route import Asker, Underway

PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"


class UnderwayTests(VhostCase):
    """Of HTTP/1.1."""

    def last(self) -> Underway:
        return self.route.underway[-1]

    def trust(self, network: str) -> None:
        self.factory.reconfigure(
            response_timeout=RESPONSE_TIMEOUT_SECONDS,
            custom_404_page="",
            trusted_proxies=(ip_network(network),),
            access_log=None,
            gate=None,
        )
        self.connect()

    def test_who_asks(self) -> None:
        self.get(b"/", b"X-Forwarded-For: 203.0.113.9")
        self.assertEqual(self.last().getPeer(), Asker("192.0.2.7", 51000))

    def test_who_asks_by_a_trusted_proxy(self) -> None:
        self.trust("192.0.2.0/24")
        self.get(b"/", b"X-Forwarded-For: 203.0.113.9")
        self.assertEqual(self.last().getPeer(), Asker("203.0.113.9", 0))

    def test_who_asks_by_a_proxy_that_is_not(self) -> None:
        self.trust("198.51.100.0/24")
        self.get(b"/", b"X-Forwarded-For: 203.0.113.9")
        self.assertEqual(self.last().getPeer(), Asker("192.0.2.7", 51000))

    def test_cut_off(self) -> None:
        for answered in (b"", PART):
            self.get()
            self.answer(answered)
            self.last().abortConnection()
            self.pump()
            self.assertIsNotNone(self.at_user.lost)
            self.assertIsNotNone(self.service.seen[-1].lost)
            self.assert_over()
            self.connect()

    def test_cut_off_when_both_speak_another_protocol(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.answer(SWITCHING)
        self.last().abortConnection()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_over()

    def test_no_other_user_is_cut_off(self) -> None:
        """Who has the service's connection later is somebody else."""
        self.get()
        self.answer()
        first = self.last()
        self.user.loseConnection()
        self.pump()
        self.connect()
        self.get()
        first.abortConnection()
        self.pump()
        self.answer()
        self.assertEqual(self.shown(), OK)
        self.assertEqual(len(self.service.ends), 1)

    def test_turned_away(self) -> None:
        self.get()
        self.last().turn_away()
        self.pump()
        self.assert_page(503)
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assertEqual(len(self.route.finished), 1)

    def test_turned_away_in_the_middle_of_the_answer(self) -> None:
        self.get()
        self.answer(PART)
        self.last().turn_away()
        self.pump()
        self.assertEqual(self.shown(), PART)
        self.assertIsNotNone(self.at_user.lost)
        self.assert_over()

    def test_turned_away_when_both_speak_another_protocol(self) -> None:
        self.get(b"/ws", *UPGRADE)
        self.answer(SWITCHING)
        self.last().turn_away()
        self.pump()
        self.assertIsNotNone(self.service.seen[0].lost)
        self.assert_over()

    def test_turned_away_to_who_stands_in(self) -> None:
        other = self.add_site("unused.example")
        self.router.remove("a.example", "")
        self.router.add("a.example", "", FakeGroup(self.route, other))
        self.get()
        self.last().turn_away()
        self.pump()
        other.service.ends[-1].write(OK)
        self.pump()
        self.assertEqual(self.shown(), OK)


class StreamTests(HTTP2Case):
    """Of HTTP/2, whose connection is for many requests."""

    def test_cut_off(self) -> None:
        first, second = self.request(), self.request()
        self.route.underway[0].abortConnection()
        self.pump()
        self.assertEqual(list(self.client.resets), [first])
        self.answer()
        self.assertEqual(self.status(second), 200)
        self.assert_all_over()

    def test_turned_away(self) -> None:
        first, second = self.request(), self.request()
        self.route.underway[0].turn_away()
        self.pump()
        self.assertEqual(self.status(first), 503)
        self.answer()
        self.assertEqual(self.status(second), 200)
        self.assert_all_over()

    def test_who_asks(self) -> None:
        self.request()
        self.assertEqual(self.route.underway[0].getPeer(), Asker("192.0.2.7", 51000))
