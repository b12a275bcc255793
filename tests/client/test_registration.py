# -*- test-case-name: tests.client.test_registration -*-
"""Tests of `tunnelsvc.client.registration`."""

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
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
from tunnelsvc.client.status import NEW, ProxyStatus
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.config.proxies import HTTPProxyConfig, HTTPSProxyConfig, TCPProxyConfig
from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import CloseProxy, Message, NewProxy, NewProxyResp

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

    def test_proxy_protocol(self) -> None:
        """Requests of several users may not share a connection whose user was told."""
        self.assertFalse(announcement(WEB, "x").one_user_per_work_conn)
        told = announcement(evolve(WEB, proxy_protocol_version="v1"), "x")
        self.assertTrue(told.one_user_per_work_conn)
        static = StaticFileConfig(local_path="/srv")
        alone = evolve(WEB, proxy_protocol_version="v1", plugin=static)
        self.assertFalse(announcement(alone, "x").one_user_per_work_conn)
        self.assertIn(b'"tunnelsvc_one_user_per_work_conn":true', encode(told))

    def test_group(self) -> None:
        for proxy in (SSH, WEB):
            message = announcement(evolve(proxy, group="g", group_key="k"), "x")
            self.assertEqual((message.group, message.group_key), ("g", "k"))

    def test_https(self) -> None:
        proxy = HTTPSProxyConfig(
            name="tls", type="https", local_port=443, custom_domains=("a.example",), subdomain="lab"
        )
        self.assertEqual(
            announcement(proxy, "tls"),
            NewProxy(
                proxy_name="tls",
                proxy_type="https",
                custom_domains=("a.example",),
                subdomain="lab",
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

    def test_disabled_and_enabled(self) -> None:
        """What the administrator does is told; meanwhile the proxy isn't announced."""
        place = NewProxyResp(proxy_name="me.ssh", remote_addr=":6000")
        news = NewProxyResp(proxy_name="me.ssh", error="disabled", unasked=True)
        self.registration.answered(news)  # overtakes the answer, which will say the same
        self.registration.answered(place)
        self.sent.clear()
        for _ in range(2):
            self.registration.answered(news)
            status = self.registration.status(SSH)
            self.assertEqual((status.phase, status.error), ("start error", "disabled"))
            self.assertIn("[ssh] disabled", self.lines)
            self.clock.advance(ANSWER_SECONDS)
            self.assertNotIn("me.ssh", self.names())
            self.registration.answered(evolve(place, unasked=True))
            status = self.registration.status(SSH)
            self.assertEqual((status.phase, status.error), ("running", ""))
        self.registration.withdraw(SSH)
        self.registration.answered(evolve(place, unasked=True))
        self.assertFalse(self.registration.is_running("me.ssh"))

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


class StatusTests(SynchronousTestCase):
    """What is said of a proxy, from its announcement on."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.clock = Clock()
        self.sent: list[Message] = []
        self.registration = Registration(self.sent.append, self.clock, "me", "vps")

    def answer(self, **answer: Any) -> None:
        self.registration.answered(NewProxyResp(proxy_name="me.ssh", **answer))

    def test_by_https(self) -> None:
        """As long as it runs, and only if the server has a certificate."""
        self.registration.announce([SSH])
        self.answer(remote_addr="a.example:80", https_addr="a.example")
        self.assertEqual(self.registration.status(SSH).https_addr, "a.example")
        self.registration.withdraw(SSH)
        self.assertEqual(self.registration.status(SSH).https_addr, "")

    def check(self, phase: str, error: str = "", remote_addr: str = "") -> None:
        expected = ProxyStatus(SSH, phase, error, remote_addr, "" if phase == NEW else "vps")
        self.assertEqual(self.registration.status(SSH), expected)

    def test_all(self) -> None:
        self.check("new")
        self.registration.announce([SSH])
        self.check("wait start")
        self.answer(error="port already used")
        self.check("start error", "port already used")
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.check("wait start", "port already used")
        self.answer(remote_addr=":6000")
        self.check("running", "", ":6000")
        self.registration.withdraw(SSH)
        self.check("check failed")
        self.registration.announce([SSH])
        self.check("wait start")

    def test_no_address(self) -> None:
        """Of stcp there is none."""
        self.registration.announce([SSH])
        self.answer()
        self.check("running")

    def test_too_long_for_a_message(self) -> None:
        def send(message: Message) -> None:
            raise LocalProtocolError("too long")

        self.registration.send = send
        self.registration.announce([SSH])
        self.check("start error", "too long")


class WithdrawalTests(SynchronousTestCase):
    """Taking a proxy back, and announcing it again."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.begin()

    def begin(self) -> None:
        self.clock = Clock()
        self.sent: list[Message] = []
        self.registration = Registration(self.sent.append, self.clock, "me", "vps.example.com")
        self.registration.announce([SSH])

    def answer(self, error: str = "") -> None:
        address = "" if error else ":6000"
        self.registration.answered(
            NewProxyResp(proxy_name="me.ssh", remote_addr=address, error=error)
        )

    def test_running(self) -> None:
        self.answer()
        self.registration.withdraw(SSH)
        self.registration.withdraw(SSH)
        self.assertEqual(self.sent[1:], [CloseProxy(proxy_name="me.ssh")])
        self.assertEqual(self.registration.addresses(), {})
        self.assertIs(self.registration.find("me.ssh"), SSH, "users may be on their way")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.registration.announce([SSH])
        self.answer()
        self.assertEqual(self.sent[2:], [announcement(SSH, "me.ssh")])
        self.assertEqual(self.registration.addresses(), {"ssh": ":6000"})

    def test_never_announced(self) -> None:
        self.registration.withdraw(WEB)
        self.assertEqual(len(self.sent), 1)
        self.assertIsNone(self.registration.find("me.web"))

    def test_an_answer_to_what_was_withdrawn(self) -> None:
        self.registration.withdraw(SSH)
        self.answer()
        self.assertEqual(self.registration.addresses(), {})
        self.answer("nobody asked")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_answer_to_what_was_announced_before(self) -> None:
        """The second announcement is refused, whatever became of the first."""
        self.registration.withdraw(SSH)
        self.registration.announce([SSH])
        self.answer()
        self.assertEqual(self.registration.addresses(), {})
        self.answer("port already used")
        self.assertIn("[ssh] start error: port already used", self.lines)
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.answer()
        self.assertEqual(self.registration.addresses(), {"ssh": ":6000"})

    def test_refused(self) -> None:
        """Nobody tries again before it is announced again, and then soon."""
        for _ in range(5):
            self.answer("port already used")
            self.clock.advance(LAST_RETRY_SECONDS)
        self.registration.withdraw(SSH)
        sent = len(self.sent)
        self.clock.advance(10 * LAST_RETRY_SECONDS)
        self.assertEqual(len(self.sent), sent)
        self.registration.announce([SSH])
        self.answer()
        self.answer("port already used")
        [retry] = self.clock.getDelayedCalls()
        self.assertEqual(retry.getTime() - self.clock.seconds(), FIRST_RETRY_SECONDS)

    def test_removed(self) -> None:
        self.answer()
        self.registration.remove(SSH)
        self.registration.remove(SSH)
        self.assertEqual(self.sent[1:], [CloseProxy(proxy_name="me.ssh")])
        self.assertIsNone(self.registration.find("me.ssh"))
        self.assertEqual(self.registration.status(SSH), ProxyStatus(SSH))

    def test_removed_before_the_answer(self) -> None:
        """Another one of that name isn't mistaken for it."""
        other = evolve(SSH, remote_port=6001)
        self.registration.remove(SSH)
        self.registration.announce([other])
        self.answer()
        self.assertEqual(self.registration.addresses(), {})
        self.answer()
        self.assertEqual(self.registration.addresses(), {"ssh": ":6000"})
        self.assertIs(self.registration.find("me.ssh"), other)

    def test_removed_and_never_announced_again(self) -> None:
        """The answer that is still to come is the last that is known of it."""
        self.registration.remove(SSH)
        self.assertEqual(self.registration.status(SSH).phase, NEW)
        self.answer()
        self.assertIsNone(self.registration.find("me.ssh"))
        self.answer()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(derandomize=True, deadline=None, max_examples=1000)
    @given(st.lists(st.sampled_from(["well", "ill", "gone", "serve", "refuse", "hear", "wait"])))
    def test_any_order(self, steps: list[str]) -> None:
        """However late the server is: in the end both sides agree."""
        self.begin()
        server = Server(self.registration)
        wanted = True
        for step in steps:
            server.take(self.sent)
            match step:
                case "well" if not wanted:
                    self.registration.announce([SSH])
                    wanted = True
                case "ill":
                    self.registration.withdraw(SSH)
                    wanted = False
                case "gone":
                    self.registration.remove(SSH)
                    wanted = False
                case "serve" | "refuse":
                    server.serve(refuse=step == "refuse")
                case "hear":
                    server.tell()
                case "wait":
                    self.clock.advance(ANSWER_SECONDS)
        for _ in range(3):
            server.take(self.sent)
            while server.asked or server.answers:
                server.serve()
                server.tell()
            self.clock.advance(LAST_RETRY_SECONDS)
        self.assertEqual((server.open, bool(self.registration.addresses())), (wanted, wanted))


class Server:
    """A server that is slow: serves one request of a client, or tells one answer, when told to."""

    def __init__(self, registration: Registration) -> None:
        self.open = False
        self.asked: list[Message] = []
        self.answers: list[NewProxyResp] = []
        self._registration = registration

    def take(self, sent: list[Message]) -> None:
        self.asked += sent
        sent.clear()

    def serve(self, *, refuse: bool = False) -> None:
        if not self.asked:
            return
        if isinstance(self.asked.pop(0), CloseProxy):
            self.open = False
            return
        error = "proxy [me.ssh] already exists" if self.open else "port used" if refuse else ""
        self.open = self.open or not refuse
        self.answers.append(NewProxyResp(proxy_name="me.ssh", remote_addr=":1", error=error))

    def tell(self) -> None:
        if self.answers:
            self._registration.answered(self.answers.pop(0))
