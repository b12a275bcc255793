# -*- test-case-name: tests.e2e.test_hooks -*-
"""Server plugins and SIGHUP with the installed programs."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest

from tests.e2e.hooks import HookService
from tests.e2e.secure import Trust, server_context
from tests.e2e.services import connected, echo, echo_once, request, serves_echo
from tests.e2e.tunnel import TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import Program, eventually, free_port

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "users.py"
USERS: Final = '{{"alice": {{"token": "a long one", "ports": [{port}]}}}}'


class HookTests(TunnelTestCase):
    """Plugins."""

    def test_a_token_for_each_user(self) -> None:
        """The example, as its document has it."""
        if not EXAMPLE.is_file():
            raise SkipTest("the tests run outside of the repository")
        hook, port = free_port(), free_port()
        users = self.directory / "users.json"
        users.write_text(USERS.format(port=port), encoding="utf-8")
        example = self.run_program((sys.executable, "-P", str(EXAMPLE), str(hook), str(users)))
        example.wait_for("starting on")
        plugin = {"addr": f"127.0.0.1:{hook}", "path": "/handler", "ops": "Login,NewProxy"}
        self.run_server({**self.server_sections({"token": "t"}), "plugin.users": plugin})
        local = self.local_service(echo).port
        alice = {"token": "t", "user": "alice", "meta_token": "a long one"}
        proxies = {"mine": tcp_proxy(local, port), "not-mine": tcp_proxy(local, free_port())}
        config = self.write_config("frpc.ini", self.client_sections(proxies, alice))
        client = self.run_program((*self.client_peer.command, "-c", str(config)))
        client.wait_for("[mine] start proxy success")
        client.wait_for("[not-mine] start error: port")
        self.assertTrue(serves_echo(port))
        for stranger in ({"user": "alice", "meta_token": "guess"}, {"user": "bob"}, {}):
            sections = self.client_sections(proxies, {"token": "t", **stranger})
            config = self.write_config("other.ini", sections)
            other = self.run_program((*self.client_peer.command, "-c", str(config)))
            self.assertEqual(other.wait(), 1)
            self.assertNotEqual(other.lines("no such user, or another token"), [])

    def test_verified(self) -> None:
        """A plugin by https whose certificate is good, and one whose isn't."""
        trust = Trust(self.directory)
        files = trust.issue("hook", "localhost")
        hook = HookService(tls=server_context(files))
        self.addCleanup(hook.stop)
        section = {**hook.section("Login"), "tls_verify": True}
        environ = {**os.environ, "SSL_CERT_FILE": trust.file}
        for addr, good in (("localhost", True), ("127.0.0.1", False)):
            section["addr"] = f"https://{addr}:{hook.port}"
            sections = {**self.server_sections(), "plugin.x": section}
            server = self.run_server(sections, environ=environ)
            config = self.write_config("frpc.ini", self.client_sections({}, {}))
            client = self.run_program((*self.client_peer.command, "-c", str(config)))
            client.wait_for("login to server success" if good else "request to plugin error")
            client.stop()
            server.stop()
        self.assertEqual(len(hook.asked), 1)


class ReloadTests(TunnelTestCase):
    """SIGHUP."""

    def reload(self, server: Program, options: dict[str, object]) -> None:
        """Change the file, and let the server read it."""
        before = len(server.lines("SIGHUP: log files"))
        self.write_config("frps.ini", self.server_sections(options))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("SIGHUP: log files", times=before + 1)

    def test_nothing_is_dropped(self) -> None:
        """Users and clients go on under load while the file changes again and again."""
        server = self.start_server({"token": "old"})
        port = free_port()
        local = self.local_service(echo).port
        self.start_client(
            {
                "ssh": tcp_proxy(local, port),
                "web": http_proxy(self.local_site("site"), {"custom_domains": "a.example"}),
            },
            {"token": "old"},
        )
        stop, failed = threading.Event(), []

        def use() -> None:
            while not stop.is_set():
                if (
                    not serves_echo(port)
                    or request(self.vhost_port, host="a.example").status != 200
                ):
                    failed.append(1)

        user = threading.Thread(target=use)
        user.start()
        with connected(port) as lasting:
            self.assertTrue(echo_once(lasting))
            for n in range(5):
                self.reload(server, {"token": f"new{n}", "max_pool_count": n, "bind_addr": "::1"})
                self.assertTrue(echo_once(lasting))
        stop.set()
        user.join()
        self.assertEqual(failed, [], self.show_outputs())
        self.assertEqual(server.lines("client exit success"), [])
        self.assertIn("bind_addr can't change while the server runs", server.output())
        self.assertIn("token has changed, for clients that log in from now on", server.output())
        self.assertEqual(server.lines("new4"), [])

    def test_a_file_that_can_not_be_used(self) -> None:
        """All that is wrong with it is in the log; the server goes on."""
        server = self.start_server({"token": "old", "log_level": "info"})
        self.reload(server, {"token": "new", "max_pool_count": "many", "user_conn_timeout": 0})
        self.assertNotEqual(server.lines("[common] max_pool_count = many: not a number"), [])
        self.assertNotEqual(server.lines("[common] user_conn_timeout = 0"), [])
        self.assertNotEqual(server.lines("the one before stays in force"), [])
        self.start_client({}, {"token": "old"}).wait_for("login to server success")
        self.reload(server, {"token": "old", "log_level": "debug"})
        self.assertNotEqual(server.lines("log_level has changed, at once"), [])
        self.reload(server, {"token": "old", "log_level": "debug"})
        eventually(lambda: bool(server.lines("nothing has changed")), "said so")
