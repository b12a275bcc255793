# -*- test-case-name: tests.client.test_httpcheck -*-
"""Tests of `tunnelsvc.client.httpcheck`."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.client.test_health import HealthCase
from tests.streams import Recorder, pair, pump, recorded
from tunnelsvc.client.httpcheck import MOST_BODY_BYTES, MOST_INTERIM, Answer, request
from tunnelsvc.config.proxies import HealthCheckConfig, HTTPProxyConfig, TCPProxyConfig
from tunnelsvc.wire.httphead import MAX_HEAD_BYTES

CHECK = HealthCheckConfig(type="http", interval_seconds=10.0, url="/status?full=1")
WEB = HTTPProxyConfig(
    name="web",
    type="http",
    local_port=80,
    custom_domains=("*.example.com", "site.example.com"),
    headers={"Authorization": "Basic abc", "connection": "upgrade", "Content-Length": "3"},
    health_check=CHECK,
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"
PARTS = st.sampled_from([OK, INTERIM, b"HTTP/1.1 ", b"\r\n", b"200 OK\r\n"]) | st.binary()


class RequestTests(SynchronousTestCase):
    """What the service is asked."""

    def test_as_users_ask(self) -> None:
        self.assertEqual(
            request(WEB),
            b"GET /status?full=1 HTTP/1.1\r\nHost: site.example.com\r\nUser-Agent: health-check\r\n"
            b"Accept: */*\r\nConnection: close\r\nAuthorization: Basic abc\r\n\r\n",
        )

    def test_own_headers(self) -> None:
        """Those of the check go before those of the proxy; ours and the Host's rules stay."""
        own = {"X-Check": "1", "authorization": "Basic xyz", "Connection": "upgrade"}
        lines = request(evolve(WEB, health_check=evolve(CHECK, headers=own))).split(b"\r\n")
        self.assertEqual(
            lines[4:], [b"Connection: close", b"X-Check: 1", b"authorization: Basic xyz", b"", b""]
        )
        hosted = evolve(CHECK, headers={"host": "other.example"})
        for proxy in WEB, TCPProxyConfig(name="x", local_port=80):
            text = request(evolve(proxy, health_check=hosted))
            self.assertEqual(text.lower().count(b"\r\nhost:"), 1)
            self.assertIn(b"\r\nHost: other.example\r\n", text)

    def test_host(self) -> None:
        """The name that the service knows, as far as we do."""
        tcp = TCPProxyConfig(name="x", type="tcp", local_ip="::1", local_port=80)
        for proxy, host in (
            (evolve(WEB, host_header_rewrite="inside:8080"), b"inside:8080"),
            (evolve(WEB, custom_domains=("*",)), b"127.0.0.1:80"),
            (evolve(WEB, custom_domains=(), subdomain="x", local_ip="web_app"), b"web_app:80"),
            (evolve(tcp, health_check=CHECK), b"[::1]:80"),
        ):
            self.assertIn(b"\r\nHost: %b\r\n" % host, request(proxy))


class CheckTests(HealthCase):
    """What is an answer, and which are good ones."""

    def ask(self) -> Recorder:
        """Begin a check; returns what reads the request."""
        self.checks(WEB)
        service = recorded(self.services[-1])
        pump(*self.services)
        return service

    def answer(self, *parts: bytes, end: bool = True) -> None:
        for part in parts:
            self.services[-1].write(part)
            pump(*self.services)
        if end:
            self.services[-1].loseConnection()
            pump(*self.services)

    def test_good(self) -> None:
        for answer in (
            OK,
            b"HTTP/1.0 204 No Content\n\n",
            b"HTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            INTERIM * 3 + OK,
        ):
            for parts in ([answer], [bytes([byte]) for byte in answer]):
                self.changes.clear()
                service = self.ask()
                self.assertEqual(bytes(service.received), request(WEB))
                self.answer(*parts)
                self.assertEqual(self.changes, [("web", True)], answer)
                self.assertTrue(self.services[-1].peer.lost)

    def test_bad(self) -> None:
        for answer, why in (
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "/status?full=1 answered 503"),
            (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "answered 301"),
            (b"HTTP/1.1 200", "the connection ended without an answer"),
            (b"", "the connection ended without an answer"),
            (INTERIM, "the connection ended without an answer"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an answer in HTTP: "),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "not an answer"),
            (INTERIM * (MOST_INTERIM + 1), "1xx without end"),
            (b"HTTP/1.1 200 OK\r\nX: " + bytes(MAX_HEAD_BYTES), "not an answer in HTTP: a head of"),
        ):
            self.ask()
            self.told()
            self.answer(answer)
            [line] = self.told()
            self.assertIn(why, line)
            self.assertEqual(self.changes, [])
            self.assertTrue(self.services[-1].peer.lost)

    def test_a_reset(self) -> None:
        self.ask()
        self.services[-1].abortConnection()
        self.assertIn("ended without an answer", self.told()[0])

    def test_a_reset_behind_the_head(self) -> None:
        self.ask()
        self.answer(OK, end=False)
        self.services[-1].abortConnection()
        self.assertEqual(self.changes, [("web", True)])

    def test_a_service_that_is_gone_before_it_is_asked(self) -> None:
        """The connection is parked; its loss is known before anybody reads it."""
        self.waiting = []
        self.checks(WEB)
        near, _ = pair("local")
        near.abortConnection()
        self.waiting[0].callback(near)
        self.assertIn("ended without an answer", self.told()[0])

    def test_no_answer(self) -> None:
        self.ask()
        self.clock.advance(CHECK.timeout_seconds)
        self.assertIn("no answer within 3 s", self.told()[0])
        self.assertTrue(self.services[-1].lost)

    def test_a_body_without_end(self) -> None:
        """Its head was in time; the service isn't kept busy for longer."""
        self.ask()
        self.answer(b"HTTP/1.1 200 OK\r\n\r\n", b"data: x\n\n", end=False)
        self.assertEqual(self.changes, [])
        self.clock.advance(CHECK.timeout_seconds)
        self.assertEqual(self.changes, [("web", True)])
        self.assertTrue(self.services[-1].lost)

    def test_a_long_body(self) -> None:
        self.ask()
        self.answer(OK, bytes(MOST_BODY_BYTES), end=False)
        self.assertEqual(self.changes, [("web", True)])
        self.assertTrue(self.services[-1].lost)

    def test_interface(self) -> None:
        verifyObject(IHalfCloseableProtocol, Answer())

    @settings(derandomize=True, deadline=None)
    @given(st.lists(PARTS))
    def test_any_bytes(self, parts: list[bytes]) -> None:
        """Whatever comes, the check ends, and says either what status there was or why none."""
        answer = Answer()
        for part in parts:
            answer.dataReceived(part)
        answer.readConnectionLost()
        self.assertTrue(answer.complete.called)
        if answer.status is None:
            self.assertTrue(answer.trouble)
        else:
            self.assertIn(answer.status, range(200, 600))
