# -*- test-case-name: tests.quick.test_opening -*-
"""Tests of `tunnelsvc.quick.opening`, with a real server in the same process."""

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.programs import free_port
from tests.quick.support import make_plan
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.quick import opening as module
from tunnelsvc.quick.opening import READY_SECONDS, Opening
from tunnelsvc.quick.plan import Plan, Setting
from tunnelsvc.server.service import TunnelServer


class OpeningTests(TestCase):
    """What comes of a plan."""

    timeout = 60

    def start_server(self, **settings: Any) -> int:
        """Start a server; return where clients come in."""
        port: int = settings.pop("bind_port", None) or free_port()
        settings.setdefault("subdomain_host", "example.com")
        settings.setdefault("vhost_http_port", port)
        config = ServerConfig(
            bind_addr="127.0.0.1", proxy_bind_addr="127.0.0.1", bind_port=port, **settings
        )
        self.server = TunnelServer(config, reactor)
        self.server.startService()
        self.addCleanup(self.stop_server)
        return port

    async def stop_server(self) -> None:
        if self.server.running:
            await self.server.stopService()

    def open(self, port: int, **changes: Any) -> "Deferred[tuple[Plan, str]]":
        """Open a service; fires with what was got and its URL, or fails as a message says."""
        self.results: list[Deferred[tuple[Plan, str]]] = [Deferred(), Deferred()]
        waiting = list(self.results)
        common = {"server_addr": Setting(f"127.0.0.1:{port}", "--server")}
        opening = Opening(
            make_plan(common=common, **changes),
            reactor,
            lambda plan, url: waiting.pop(0).callback((plan, url)),
            fail=lambda why: waiting.pop(0).errback(AssertionError(why)),
            login_failed=lambda why: waiting.pop(0).errback(AssertionError(f"login: {why}")),
        )
        for service in (opening.client, opening):
            service.startService()
            self.addCleanup(service.stopService)
        return self.results[0]

    async def refused(self, opened: "Deferred[Any]") -> str:
        """Return the message by which it fails."""
        try:
            await opened
        except AssertionError as why:
            return str(why)
        raise self.failureException("it was opened")

    def test_name(self) -> Any:
        async def check() -> None:
            port = self.start_server()
            plan, url = await self.open(port)
            self.assertEqual(url, f"http://{plan.name.removeprefix('http-')}.example.com:{port}")

        return ensureDeferred(check())

    def test_taken(self) -> Any:
        """Whoever is first keeps the name, the next one gets another."""

        async def check() -> None:
            port = self.start_server()
            urls = [(await self.open(port))[1] for _ in range(3)]
            self.assertEqual(len(set(urls)), 3)

        return ensureDeferred(check())

    def test_no_names(self) -> Any:
        """A server that can't tell web sites by name gives a port."""

        async def check() -> None:
            lacking: tuple[dict[str, Any], ...] = ({"subdomain_host": ""}, {"vhost_http_port": 0})
            for settings in lacking:
                port = self.start_server(**settings)
                plan, url = await self.open(port)
                self.assertEqual(plan.kind, "tcp")
                self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")
                await self.stop_server()

        return ensureDeferred(check())

    def test_refused(self) -> Any:
        async def check() -> None:
            port = self.start_server()
            why = await self.refused(self.open(port, host="b.a.example.com"))
            self.assertIn("refuses http-b.a.example.com", why)
            self.assertIn("should not belong to subdomain host", why)

        return ensureDeferred(check())

    def test_whole_name(self) -> Any:
        """Below the server's domain, too."""

        async def check() -> None:
            port = self.start_server()
            _, url = await self.open(port, host="a.example.com")
            self.assertEqual(url, f"http://a.example.com:{port}")

        return ensureDeferred(check())

    def test_login_failed(self) -> Any:
        async def check() -> None:
            port = self.start_server(token="secret")
            self.assertIn("login: ", await self.refused(self.open(port)))

        return ensureDeferred(check())

    def test_back(self) -> Any:
        """After the server was away, it is told again where users go."""

        async def check() -> None:
            port = self.start_server()
            before = await self.open(port)
            await self.stop_server()
            self.start_server(bind_port=port)
            self.assertEqual(await self.results[1], before)

        return ensureDeferred(check())

    def test_back_by_the_same_port(self) -> Any:
        """Users know the port that a server had chosen, unless somebody else has it by then."""

        async def check() -> None:
            port = self.start_server()
            changes: dict[str, Any] = {"kind": "tcp", "is_web": False}
            _, url = await self.open(port, **changes)
            results = self.results
            await self.stop_server()
            self.start_server(bind_port=port)
            _, again = await results[1]
            self.assertEqual(again, url)

        return ensureDeferred(check())

    def test_back_by_another_port(self) -> Any:
        async def check() -> None:
            port = self.start_server()
            _, url = await self.open(port, kind="tcp", is_web=False)
            results = self.results
            await self.stop_server()
            taken = socket.create_server(("127.0.0.1", int(url.rpartition(":")[2])))
            self.addCleanup(taken.close)
            self.start_server(bind_port=port)
            _, again = await results[1]
            self.assertNotEqual(again, url)

        return ensureDeferred(check())


class StuckTests(SynchronousTestCase):
    """A server that says nothing."""

    def start(self) -> None:
        """Wait for it."""
        self.clock, self.said = Clock(), list[str]()
        waiting: Deferred[Any] = Deferred()

        class Client:
            on_login: Any = None

            def __init__(self, *_: object) -> None: ...

            def when_running(self, name: str) -> "Deferred[Any]":
                return waiting

        self.patch(module, "TunnelClient", Client)
        say = self.said.append
        self.opening = Opening(
            make_plan(), self.clock, lambda *_: say("opened"), fail=say, login_failed=say
        )
        self.opening.startService()

    def test_no_answer(self) -> None:
        self.start()
        self.clock.advance(READY_SECONDS)
        self.assertEqual(self.said, [f"the server doesn't answer within {READY_SECONDS:g} s"])
        self.opening.stopService()

    def test_stopped(self) -> None:
        """Whoever presses Ctrl-C meanwhile hears nothing of it."""
        self.start()
        self.opening.stopService()
        self.assertEqual(self.said, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
