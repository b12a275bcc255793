# -*- test-case-name: tests.client.test_registration -*-
"""Tests for `tunnelsvc.client.registration`."""

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.client.registration import (
    ANSWER_SECONDS,
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    Registration,
    announcement,
)
from tunnelsvc.config.schema import HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import Message, NewProxy, NewProxyResp

SSH = TCPProxyConfig(name="ssh", type="tcp", local_port=22, remote_port=6000)
WEB = HTTPProxyConfig(
    name="web",
    type="http",
    local_port=80,
    custom_domains=("site1.example.com",),
    subdomain="lab",
    locations=("/", "/api"),
    http_user="me",
    http_password="secret",
    route_by_http_user="me",
    host_header_rewrite="localhost",
    headers={"X-From-Where": "tunnel"},
    response_headers={"X-Frame-Options": "DENY"},
    use_encryption=True,
    use_compression=True,
    metas={"a": "b"},
)


class AnnouncementTests(SynchronousTestCase):
    """What the server is told of a proxy."""

    def test_tcp(self) -> None:
        self.assertEqual(
            announcement(SSH, "me.ssh"),
            NewProxy(proxy_name="me.ssh", proxy_type="tcp", remote_port=6000),
        )

    def test_http(self) -> None:
        self.assertEqual(
            announcement(WEB, "web"),
            NewProxy(
                proxy_name="web",
                proxy_type="http",
                custom_domains=("site1.example.com",),
                subdomain="lab",
                locations=("/", "/api"),
                http_user="me",
                http_pwd="secret",
                route_by_http_user="me",
                host_header_rewrite="localhost",
                headers={"X-From-Where": "tunnel"},
                response_headers={"X-Frame-Options": "DENY"},
                use_encryption=True,
                use_compression=True,
                metas={"a": "b"},
            ),
        )


class RegistrationTests(SynchronousTestCase):
    """Announcing, and announcing again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[Message] = []
        self.lines = LogLines(self)
        self.registration = Registration(self.sent.append, self.clock, "me", "vps.example.com")
        self.registration.announce([SSH, WEB])

    def names(self) -> list[str]:
        return [message.proxy_name for message in self.sent if isinstance(message, NewProxy)]

    def test_all_are_announced_at_once_with_the_user(self) -> None:
        self.assertEqual(self.names(), ["me.ssh", "me.web"])

    def test_success(self) -> None:
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", remote_addr=":6000"))
        self.registration.answered(
            NewProxyResp(proxy_name="me.web", remote_addr="site1.example.com:8080")
        )
        self.assertEqual(
            self.registration.addresses(), {"ssh": ":6000", "web": "site1.example.com:8080"}
        )
        self.assertIn("[ssh] start proxy success", self.lines)
        self.assertIn("[ssh] users reach it at vps.example.com:6000", self.lines)
        self.assertIn("[web] users reach it at site1.example.com:8080", self.lines)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refusals_are_retried_less_and_less(self) -> None:
        waits = []
        for _ in range(7):
            self.registration.answered(NewProxyResp(proxy_name="me.ssh", error="port already used"))
            self.sent.clear()
            before = self.clock.seconds()
            while "me.ssh" not in self.names():
                self.clock.advance(0.5)
            waits.append(self.clock.seconds() - before)
        self.assertEqual(waits[0], FIRST_RETRY_SECONDS)
        self.assertEqual(waits[-1], LAST_RETRY_SECONDS)
        self.assertEqual(waits, sorted(waits))
        self.assertIn("[ssh] start error: port already used", self.lines)
        self.assertEqual(self.registration.addresses(), {})

    def test_a_refused_one_can_start_later(self) -> None:
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", error="port already used"))
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", remote_addr=":6000"))
        self.assertEqual(self.registration.addresses(), {"ssh": ":6000"})

    def test_silence_is_asked_again(self) -> None:
        self.registration.answered(NewProxyResp(proxy_name="me.web", remote_addr="x"))
        self.sent.clear()
        self.clock.advance(ANSWER_SECONDS)
        self.assertEqual(self.names(), ["me.ssh"])

    def test_answers_that_nobody_waits_for(self) -> None:
        self.registration.answered(NewProxyResp(proxy_name="other", remote_addr=":1"))
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", remote_addr=":6000"))
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", error="too late"))
        self.assertEqual(self.registration.addresses(), {"ssh": ":6000"})

    def test_too_long_for_a_message(self) -> None:
        """One that can't be announced keeps no other from it."""
        self.sent.clear()

        def send(message: Message) -> None:
            encode(message)
            self.sent.append(message)

        registration = Registration(send, self.clock, "", "x")
        long = evolve(WEB, headers={"X-Long": "x" * 11_000})
        registration.announce([long, SSH])
        self.assertEqual(self.names(), ["ssh"])
        self.assertTrue(any(line.startswith("[web] start error: ") for line in self.lines))
        registration.stop()

    def test_a_late_second_answer(self) -> None:
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", remote_addr=":6000"))
        self.lines.clear()
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", remote_addr=":6001"))
        self.assertEqual((self.registration.addresses(), self.lines), ({"ssh": ":6000"}, []))

    def test_find(self) -> None:
        self.assertIs(self.registration.find("me.ssh"), SSH)
        self.assertIsNone(self.registration.find("ssh"))

    def test_stop(self) -> None:
        self.registration.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.registration.find("me.ssh"))

    def test_without_user(self) -> None:
        registration = Registration(self.sent.append, self.clock, "", "x")
        self.sent.clear()
        registration.announce([SSH])
        self.assertEqual(self.names(), ["ssh"])
