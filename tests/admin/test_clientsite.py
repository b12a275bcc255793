# -*- test-case-name: tests.admin.test_clientsite -*-
"""Tests of `tunnelsvc.admin.clientsite`: where it listens, and for whom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import SECURED, AdminTester
from tests.admin.streams import Listener
from tests.admin.support import RIGHT, Conversation, basic
from tests.admin.test_tls import make_files
from tests.control.fakes import FakeServer
from tests.loglines import LogLines
from tunnelsvc.admin.clientsite import STOP_SECONDS, AdminService
from tunnelsvc.client import service
from tunnelsvc.client.reloading import Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config import Loaded, load_client
from tunnelsvc.config.schema import AdminConfig, ClientConfig
from tunnelsvc.errors import ConfigError


def load(path: str, *, strict: bool) -> Loaded[ClientConfig]:
    del strict
    return load_client(path, {})


class ServiceTests(SynchronousTestCase):
    """The service, on a reactor that opens no ports."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.reactor = MemoryReactorClock()
        self.ended: list[bool] = []
        self.patch(service, "servers", lambda *_: ())
        self.path = Path(self.mktemp())
        self.path.write_text("[common]\n[a]\nlocal_port = 1\n", encoding="utf-8")

    def make(self, **options: Any) -> AdminService:
        admin = AdminConfig(**{"port": 7400, **options})
        client = TunnelClient(ClientConfig(admin=admin), self.reactor)
        reloader = Reloader(client, str(self.path), load, self.reactor)
        return AdminService(client, reloader, lambda: self.ended.append(True), self.reactor)

    def listens_on(self, **options: Any) -> tuple[int, str]:
        admin = self.make(**options)
        admin.startService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.reactor.tcpServers.clear()
        return port, interface

    def test_where_the_file_says(self) -> None:
        self.assertEqual(self.listens_on(), (7400, "127.0.0.1"))
        for addr, interface in (("::1", "::1"), ("[::1]", "::1"), ("127.0.0.2", "127.0.0.2")):
            self.assertEqual(self.listens_on(addr=addr), (7400, interface))
        self.assertEqual(self.listens_on(addr="0.0.0.0", password="p"), (7400, "0.0.0.0"))
        self.assertEqual(self.listens_on(addr="0.0.0.0", user="u"), (7400, "0.0.0.0"))
        self.assertFalse([line for line in self.lines if "only" in line])

    def test_on_loopback_without_a_password(self) -> None:
        for addr in ("0.0.0.0", "::", "192.0.2.1", "box.example"):
            self.assertEqual(self.listens_on(addr=addr), (7400, "127.0.0.1"))
        told = [line for line in self.lines if line.startswith("admin_user and admin_pwd are not")]
        self.assertEqual(len(told), 4)

    def test_busy(self) -> None:
        def busy(*_: object, **__: object) -> None:
            raise CannotListenError("127.0.0.1", 7400, "in use")

        admin = self.make()
        self.reactor.listenTCP = busy  # type: ignore[method-assign]
        self.assertRaises(CannotListenError, admin.startService)

    def test_tls(self) -> None:
        cert, key = make_files(self.mktemp())
        self.listens_on(tls_cert_file=cert, tls_key_file=key)
        self.assertTrue(self.lines[-1].startswith("admin API listens on https://127.0.0.1:"))
        with self.assertRaises(ConfigError) as raised:
            self.make(tls_cert_file=cert, tls_key_file="nowhere")
        self.assertIn("[common] admin_tls_key_file = nowhere", raised.exception.problems[0])

    def test_stop(self) -> None:
        """When the answer is out; once, however often it is asked for."""
        admin = self.make()
        admin.startService()
        admin.stop_soon()
        admin.stop_soon()
        self.assertEqual(self.ended, [])
        self.reactor.advance(STOP_SECONDS)
        self.assertEqual(self.ended, [True])
        admin.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_ended_by_something_else(self) -> None:
        admin = self.make(user="u")
        admin.startService()
        admin.stop_soon()
        admin.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_on_the_first_port_that_is_free(self) -> None:
        """As a client without a file does, which has nowhere to say which one."""
        asked: list[int] = []
        listen = self.reactor.listenTCP

        def busy(port: int, *args: Any, **options: Any) -> Any:
            asked.append(port)
            if port < 4042:
                raise CannotListenError("127.0.0.1", port, "in use")
            return listen(port, *args, **options)

        self.reactor.listenTCP = busy  # type: ignore[method-assign]
        admin = self.without_file(range(4040, 4050))
        admin.startService()
        self.assertEqual(asked, [4040, 4041, 4042])
        taken = self.without_file((4040, 4041))
        self.assertRaises(CannotListenError, taken.startService)

    def without_file(self, ports: Sequence[int]) -> AdminService:
        client = TunnelClient(ClientConfig(), self.reactor)
        return AdminService(client, None, lambda: None, self.reactor, ports)

    def test_without_a_file(self) -> None:
        admin = self.without_file((4040,))
        self.assertEqual((admin.path, admin.editable), ("", False))
        why = self.assertRaises(ConfigError, admin.reload, strict=None)
        self.assertIn("no configuration file", str(why))
        self.assertRaises(ConfigError, admin.load, "x")

    def test_with_a_key(self) -> None:
        client = TunnelClient(ClientConfig(), self.reactor)
        admin = AdminService(client, None, lambda: None, self.reactor, (4040,), key="k")
        admin.startService()
        self.addCleanup(admin.stopService)
        statuses = []
        for authorization in (None, basic(":k")):
            connection = Conversation(admin._site)
            connection.send("GET", "/api/status", authorization)
            statuses.append(connection.answer().status)
        self.assertEqual(statuses, [401, 200])

    def test_ends_streams(self) -> None:
        fake = FakeServer(self.reactor).listed()
        self.patch(service, "servers", lambda *_: (fake,))
        admin = self.make()
        admin.startService()
        listener = Listener(admin._site, "/api/admin/stream")
        self.assertEqual([event for event, _ in listener.take()].count("snapshot"), 2)
        admin.stopService()
        listener.take()
        self.assertTrue(listener.ended)

    def test_shows_the_client(self) -> None:
        admin = self.make()
        self.assertEqual((admin.path, admin.proxy_statuses()), (str(self.path), []))
        self.assertEqual(admin.reload(strict=False).diff.proxies.order, ("a",))
        self.assertEqual([each.config.name for each in admin.proxy_statuses()], ["a"])
        self.assertEqual(len(admin.config.proxies), 1)
        self.assertTrue(admin.editable)
        self.assertIsNone(admin.inspector)
        self.assertEqual(admin.visitor_statuses(), [])
        admin.load(str(self.path))
        self.path.unlink()
        self.assertRaises(ConfigError, admin.load, str(self.path))


class PasswordTests(SynchronousTestCase):
    """Who may see it."""

    def test_with_a_password(self) -> None:
        tester = AdminTester("", SECURED)
        assert tester.gate is not None
        for path in ("/static/", "/api/status", "/static/client/client.css"):
            self.assertEqual(tester.ask(path).status, 401)
            self.assertEqual(tester.ask(path, Authorization=RIGHT.decode()).status, 200)
        tester.gate.close()

    def test_without(self) -> None:
        """Real frpc up to 0.51 send an empty one."""
        tester = AdminTester("")
        self.assertIsNone(tester.gate)
        for value in (basic(":"), basic("a:b")):
            self.assertEqual(tester.ask("/api/status", Authorization=value.decode()).status, 200)
