# -*- test-case-name: tests.admin.test_site -*-
"""Tests of `tunnelsvc.admin.site`: the service on real sockets, and what is where."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

from attrs import evolve
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from tests.admin.support import (
    CONFIG,
    DASHBOARD,
    RIGHT,
    Conversation,
    Dashboard,
    FakeServer,
    Visitor,
    basic,
)
from tests.admin.test_tls import make_files
from tests.metrics.moving import move
from tests.programs import free_port
from tunnelsvc.admin.site import DashboardService
from tunnelsvc.admin.throttle import FIRST_LOCK_SECONDS, LOCK_FAILURES, MOST_DELAY_SECONDS
from tunnelsvc.admin.view import DashboardView
from tunnelsvc.config.schema import DashboardConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.metrics.counters import ServerStats

reactor: Any = global_reactor


class SiteTests(SynchronousTestCase):
    def test_health(self) -> None:
        answer = Dashboard().ask("/healthz", authorization=None)
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_metrics(self) -> None:
        dashboard = Dashboard()
        move(dashboard.server.proxy("ssh"), 1, 2)
        answer = dashboard.ask("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn(b'frp_server_traffic_in{name="ssh",type="tcp"} 1\n', answer.body)
        self.assertIn(b"process_open_fds ", answer.body)
        self.assertEqual(dashboard.ask("/metrics", "HEAD").body, b"")

    def test_metrics_are_guarded_where_anything_is(self) -> None:
        """Who set a password has it asked for; without, only this machine gets here at all."""
        self.assertEqual(Dashboard().ask("/metrics", authorization=None).status, 401)
        free = Dashboard(config=DashboardConfig(addr="127.0.0.1", port=7500))
        for host in ("127.0.0.1:7500", "localhost:7500"):
            self.assertEqual(free.ask("/metrics", authorization=None, host=host).status, 200)
            answer = free.ask("/api/serverinfo", authorization=None, host=host)
            self.assertEqual(answer.status, 401)

    def test_names_that_lead_here(self) -> None:
        """Everybody knows the password where none is set, also whose page is in a browser here."""
        free = Dashboard(config=DashboardConfig(addr="127.0.0.1", port=7500))
        right = b"Basic " + b64encode(b"admin:admin")
        for path in ("/api/serverinfo", "/metrics", "/static/"):
            answer = free.ask(path, authorization=right, host="evil.example:7500")
            self.assertEqual(answer.status, 403, path)
        self.assertIn(b"dashboard_pwd", answer.body)

    def test_pages_of_other_sites(self) -> None:
        """A browser sends the password along with a form of any page."""
        dashboard = Dashboard()
        for said in (b"Origin: https://evil.example\r\n", b"Sec-Fetch-Site: cross-site\r\n"):
            answer = dashboard.ask("/api/v2/system/prune?type=offline_proxies", "POST", more=said)
            self.assertEqual(answer.status, 403)
        self.assertNotEqual(dashboard.ask("/api/v2/system/prune", "POST").status, 403)

    def test_no_metrics_unless_asked_for(self) -> None:
        self.assertEqual(Dashboard(metrics=False).ask("/metrics").status, 404)

    def test_unknown_paths(self) -> None:
        for path in ("/x", "/x/y", "//", "/favicon.ico", "/API/serverinfo", "/metrics/x"):
            self.assertEqual(Dashboard().ask(path).status, 404, path)


class InMemoryServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def make(self, **config: Any) -> DashboardService:
        server: DashboardView = FakeServer(stats=ServerStats(self.reactor.seconds))
        return DashboardService(evolve(DASHBOARD, **config), server, self.reactor)

    def listens_on(self, **config: Any) -> tuple[int, str, list[str]]:
        """Start, and answer with port, interface and warnings."""
        service = self.make(**config)
        with capturedLogs() as events:
            service.privilegedStartService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        warnings = [formatEvent(each) for each in events if each["log_level"] == LogLevel.warn]
        return port, interface, warnings

    def test_where_the_file_says(self) -> None:
        self.assertEqual(self.listens_on(addr="0.0.0.0", port=7500), (7500, "0.0.0.0", []))

    def test_an_ipv6_address_in_brackets(self) -> None:
        self.assertEqual(self.listens_on(addr="[::1]", port=7500), (7500, "::1", []))

    def test_without_credentials_on_loopback_only_and_says_so(self) -> None:
        _, interface, warnings = self.listens_on(addr="0.0.0.0", credentials_configured=False)
        self.assertEqual((interface, len(warnings)), ("127.0.0.1", 1))
        self.assertIn("answers to admin/admin, and on 127.0.0.1 only", warnings[0])

    def test_it_has_timers_while_it_runs_only(self) -> None:
        service = self.make(enable_prometheus=True)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 3)
        service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_events(self) -> None:
        service = self.make()
        conversation = Conversation(service._site)
        for _ in range(LOCK_FAILURES):
            conversation.send("GET", "/", basic("admin:wrong"))
            self.reactor.advance(MOST_DELAY_SECONDS)
        self.reactor.advance(FIRST_LOCK_SECONDS)
        service.prepare(evolve(CONFIG, dashboard=evolve(DASHBOARD, password="other")))()
        Visitor(service._site).log_in(password="other")
        events = service._server.stats.events.recent()
        kinds = ["dashboard_refused"] * LOCK_FAILURES + ["dashboard_locked", "dashboard_login"]
        self.assertEqual([each.kind for each in events], kinds)
        self.assertEqual({each.address for each in events}, {"192.0.2.1"})

    def test_another_password(self) -> None:
        """Ends all sessions and what waits; who is locked out stays that."""
        service = self.make()
        site, visitor = service._site, Visitor(service._site)
        visitor.log_in()
        ended: list[str] = []
        sessions = service._gate.sessions
        session = sessions.find(visitor.cookie.partition("=")[2].encode())
        service._gate.identity(session).on_end(lambda: ended.append("cookie"))
        service._gate.identity(None).on_end(lambda: ended.append("basic"))
        locked = Conversation(site, "198.51.100.1")
        for _ in range(LOCK_FAILURES):
            locked.send("GET", "/", basic("admin:wrong"))
            self.reactor.advance(MOST_DELAY_SECONDS)
        waiting = Conversation(site, "203.0.113.1")
        waiting.send("GET", "/", basic("admin:wrong"))
        same = evolve(CONFIG, trusted_proxies=(ip_network("192.0.2.1/32"),))
        service.prepare(same)()
        self.assertEqual((visitor.ask("/api/serverinfo").status, ended), (200, []))
        self.assertFalse(waiting.answered())
        service.prepare(evolve(same, dashboard=evolve(DASHBOARD, password="other")))()
        self.assertEqual(sorted(ended), ["basic", "cookie"])
        self.assertEqual(waiting.answer().status, 401)
        self.assertEqual(visitor.ask("/api/serverinfo").status, 401)
        self.assertEqual(visitor.log_in(password="other").status, 200)
        forwarded = b"X-Forwarded-For: 198.51.100.1\r\n"
        conversation = Conversation(site)
        conversation.send("GET", "/", basic("admin:other"), forwarded)
        self.assertEqual(conversation.answer().status, 429)
        service._gate.close()

    def test_a_bad_certificate_is_found_before_anything_listens(self) -> None:
        self.assertRaises(ConfigError, self.make, tls_cert_file="nowhere", tls_key_file="nowhere")


def in_coroutine(
    test: Callable[["ServiceTests"], Awaitable[None]],
) -> Callable[["ServiceTests"], Deferred[None]]:
    """Let trial run a test that awaits."""

    def run(self: "ServiceTests") -> Deferred[None]:
        return ensureDeferred(test(self))  # type: ignore[arg-type]

    run.__name__ = test.__name__
    return run


@implementer(IPolicyForHTTPS)
class TrustOne:
    """Trusts one certificate, for localhost."""

    def __init__(self, pem: bytes) -> None:
        self._trusted = Certificate.loadPEM(pem)

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS("localhost", self._trusted)
        return creator


class ServiceTests(TestCase):
    """Over loopback."""

    timeout = 30.0

    def setUp(self) -> None:
        self.pool = HTTPConnectionPool(reactor, persistent=False)

    def start(self, **config: Any) -> DashboardService:
        dashboard: DashboardConfig = evolve(DASHBOARD, **config)
        server = FakeServer(stats=ServerStats(reactor.seconds))
        service = DashboardService(dashboard, server, reactor)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def get(self, url: str, policy: object = None) -> tuple[int, bytes]:
        more = {"contextFactory": policy} if policy else {}
        agent = Agent(reactor, pool=self.pool, **more)
        headers = Headers({b"Authorization": [RIGHT]})
        response = await agent.request(b"GET", url.encode(), headers)
        return response.code, await readBody(response)

    @in_coroutine
    async def test_over_tcp(self) -> None:
        service = self.start(enable_prometheus=True)
        base = f"http://127.0.0.1:{service.port}"
        status, body = await self.get(f"{base}/api/serverinfo")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["clientCounts"], 0)
        status, body = await self.get(f"{base}/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"tunnelsvc_reactor_lag_seconds_count", body)

    @in_coroutine
    async def test_over_tls(self) -> None:
        cert, key = make_files(self.mktemp())
        service = self.start(tls_cert_file=cert, tls_key_file=key)
        policy = TrustOne(FilePath(cert).getContent())
        status, body = await self.get(f"https://127.0.0.1:{service.port}/api/serverinfo", policy)
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["curConns"], 0)

    @in_coroutine
    async def test_a_port_that_is_taken(self) -> None:
        service = self.start()
        with self.assertRaises(CannotListenError):
            self.start(port=service.port)

    @in_coroutine
    async def test_the_port_is_free_again_afterwards(self) -> None:
        service = self.start(port=free_port())
        port = service.port
        await service.stopService()  # type: ignore[misc]
        self.assertIsNone(service.stopService())
        again = self.start(port=port)
        self.assertEqual(again.port, port)
