# -*- test-case-name: tests.server.hooks.test_server -*-
"""Server plugins with a server, a client and users, all of them real."""

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory

from tests.link.authority import Authority
from tests.loglines import LogLines
from tests.server.hooks.plugin import UNCHANGED, Plugin, Reply
from tests.tunnels import LOOPBACK, Answering, TunnelCase, clock
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.server.hooks import asking
from tunnelsvc.server.service import TunnelServer

BROKEN = "send {} request to plugin error"


class HookTests(TunnelCase):
    """Each question with each kind of answer."""

    async def start(self, *, tls: bool = False, ops: tuple[str, ...] = (), **replies: Any) -> None:
        """Start a server with a plugin that answers so."""
        self.lines = LogLines(self)
        self.plugin = Plugin(**replies)
        self.plugin.listen(self, Authority("tests") if tls else None)
        self.local = await self.listen(Factory.forProtocol(Answering))
        self.server: TunnelServer = self.serve(
            token="t", plugins=(self.plugin.config(*ops),), **self.options
        )

    options: dict[str, Any] = {}  # noqa: RUF012

    def client(self, **options: Any) -> tuple[TunnelClient, list[str]]:
        """Start a client with a proxy called p."""
        proxy = TCPProxyConfig(name="p", type="tcp", local_port=self.local)
        config = ClientConfig(
            server_addr=LOOPBACK, server_port=self.server.ports["bind"], proxies=(proxy,),
            **{"token": "t", "user": "alice", "metas": {"token": "s3cret"}, **options},
        )  # fmt: skip
        failed: list[str] = []
        client = TunnelClient(config, clock, failed.append)
        client.startService()
        self.addCleanup(client.stopService)
        return client, failed

    async def opened(self, **options: Any) -> TunnelClient:
        client, failed = self.client(**options)
        await self.wait(lambda: bool(client.proxy_addresses or failed))
        self.assertEqual(failed, [])
        return client

    async def refused_login(self, **options: Any) -> str:
        _, failed = self.client(**options)
        await self.wait(lambda: bool(failed))
        return failed[0]

    async def use(self, client: TunnelClient) -> bytes:
        """Use the proxy; return what comes back."""
        user, reader = await self.dial(int(next(iter(client.proxy_addresses.values()))[1:]))
        user.write(b"x" * 10)
        user.loseWriteConnection()
        await reader.until(lambda: reader.finished or reader.lost is not None)
        return bytes(reader.received)

    async def line(self, text: str) -> str:
        await self.wait(lambda: any(text in line for line in self.lines))
        return next(line for line in self.lines if text in line)

    async def test_a_whole_session(self) -> None:
        """All is asked, in order, and nothing is in the way; by TLS or without."""
        for tls in (False, True):
            await self.start(tls=tls)
            client = await self.opened()
            self.assertEqual(await self.use(client), b"got 10")
            await client.stopService()
            await self.wait(lambda: bool(self.plugin.contents("CloseProxy")))
            login, *others = self.plugin.asked
            self.assertEqual(login[0], "Login")
            self.assertEqual(login[1]["client_address"].rpartition(":")[0], LOOPBACK)
            self.assertEqual((login[1]["metas"], login[1]["run_id"]), ({"token": "s3cret"}, ""))
            run_id = others[0][1]["user"]["run_id"]
            for _, content in others:
                user = {"user": "alice", "metas": {"token": "s3cret"}, "run_id": run_id}
                self.assertEqual(content["user"], user | {"client_id": ""})
            seen = [op for op, _ in others]
            self.assertEqual(set(seen), {"NewProxy", "Ping", "NewWorkConn", "NewUserConn",
                                         "CloseProxy"})  # fmt: skip
            self.assertEqual(self.plugin.contents("NewProxy")[0]["proxy_name"], "alice.p")
            self.assertEqual(self.plugin.contents("CloseProxy")[0]["proxy_name"], "alice.p")
            [user_conn] = self.plugin.contents("NewUserConn")
            self.assertEqual((user_conn["proxy_name"], user_conn["proxy_type"]), ("alice.p", "tcp"))
            self.assertNotIn("s3cret", "\n".join(self.lines))

    async def test_without_mux(self) -> None:
        """Each work connection is asked about, and so by its own connection."""
        await self.start()
        client = await self.opened(tcp_mux=False)
        self.assertEqual(await self.use(client), b"got 10")
        [first, *_] = self.plugin.contents("NewWorkConn")
        self.assertEqual(first["run_id"], first["user"]["run_id"])

    async def test_login(self) -> None:
        def reject(_: object) -> dict[str, Any]:
            return {"reject": True, "reject_reason": "who are you?"}

        await self.start(Login=reject)
        self.assertIn("who are you?", await self.refused_login())
        await self.line("register control error: who are you?")
        self.assertEqual(list(self.server._registry.clients), [])

    async def test_strangers_reach_no_plugin(self) -> None:
        await self.start()
        self.assertIn("token in login", await self.refused_login(token="guess"))
        self.assertEqual(self.plugin.asked, [])

    async def test_rewritten_login(self) -> None:
        """It is what the plugin says from then on; the client is still one of ours."""

        def rewrite(content: dict[str, Any]) -> dict[str, Any]:
            return {"content": content | {"user": "bob", "metas": {"level": "1"}}}

        await self.start(Login=rewrite, ops=("Login", "NewProxy"))
        await self.opened()
        [client] = self.server._registry.clients.values()
        self.assertEqual((client.login.user, client.is_ours), ("bob", True))
        self.assertEqual([each.user for each in self.server.stats.clients()], ["bob"])
        user = self.plugin.contents("NewProxy")[0]["user"]
        self.assertEqual((user["user"], user["metas"]), ("bob", {"level": "1"}))

    async def test_nonsense_for_a_login(self) -> None:
        """What a plugin makes of a login is checked like the login itself."""
        await self.start(Login=lambda content: {"content": content | {"run_id": "x" * 1000}})
        self.assertIn("a run id has at most", await self.refused_login())

    async def broken(self, op: str, look: Callable[[], Any]) -> None:
        """Break the answer to an op in each way; look each time."""
        for reply in (500, b"<html>", None, {"content": 5}):
            self.patch(asking, "ANSWER_SECONDS", 0.3)
            replies: dict[str, Any] = {op: reply}
            await self.start(ops=(op,), **replies)
            await look()
            await self.line(f"send {op} request to plugin [test] error: ")

    async def test_broken_login(self) -> None:
        async def look() -> None:
            self.assertIn(BROKEN.format("Login"), await self.refused_login())

        await self.broken("Login", look)

    async def test_terse_errors(self) -> None:
        self.patch(self, "options", {"detailed_errors_to_client": False})
        await self.start(Login={"reject": True, "reject_reason": "a secret reason"})
        failed = await self.refused_login()
        self.assertIn("register control error", failed)
        self.assertNotIn("secret", failed)

    async def test_proxy(self) -> None:
        await self.start(NewProxy={"reject": True, "reject_reason": "not this port"})
        self.client()
        await self.line("[p] start error: not this port")
        self.assertEqual(self.server._context.proxies, {})
        self.assertEqual(self.plugin.contents("CloseProxy"), [])

    async def test_broken_proxy(self) -> None:
        async def look() -> None:
            self.client()
            await self.line(f"[p] start error: {BROKEN.format('NewProxy')}")

        await self.broken("NewProxy", look)

    async def test_rewritten_proxy(self) -> None:
        """Another port, another name; the client calls it as ever."""
        number = await self.listen(Factory())  # whatever is free, as soon as this one is gone
        await self._cleanups_now()

        def rewrite(content: dict[str, Any]) -> dict[str, Any]:
            return {"content": content | {"proxy_name": "shop", "remote_port": number}}

        await self.start(NewProxy=rewrite)
        client = await self.opened()
        self.assertEqual(client.proxy_addresses, {"p": f":{number}"})
        self.assertEqual(list(self.server._context.proxies), ["shop"])
        self.assertEqual(await self.use(client), b"got 10")
        self.assertEqual(self.plugin.contents("NewUserConn")[0]["proxy_name"], "shop")
        await client.stopService()
        await self.wait(lambda: bool(self.plugin.contents("CloseProxy")))
        self.assertEqual(self.plugin.contents("CloseProxy")[0]["proxy_name"], "shop")
        await self.wait(lambda: self.server._context.proxies == {})

    async def _cleanups_now(self) -> None:
        function, arguments, keywords = self._cleanups.pop()
        await function(*arguments, **keywords)

    async def test_nonsense_for_a_proxy(self) -> None:
        await self.start(NewProxy=lambda content: {"content": content | {"proxy_name": "a\nb"}})
        self.client()
        await self.line("[p] start error: a proxy needs a name")

    async def test_user(self) -> None:
        """A user who may not enter is cut off, and no work connection is wasted on him."""
        await self.start(NewUserConn={"reject": True, "reject_reason": "not today"})
        client = await self.opened()
        self.assertEqual(await self.use(client), b"")
        await self.line("was rejected: not today")

    async def test_broken_user(self) -> None:
        async def look() -> None:
            self.assertEqual(await self.use(await self.opened()), b"")

        await self.broken("NewUserConn", look)

    async def test_other_contents_for_a_user(self) -> None:
        """They count for nothing, as with frp."""
        await self.start(NewUserConn={"content": {"proxy_name": "other"}})
        self.assertEqual(await self.use(await self.opened()), b"got 10")

    async def test_work_connection(self) -> None:
        """Without one, users leave as they do if a client gives none."""
        self.patch(self, "options", {"user_conn_timeout_seconds": 0.5})
        await self.start(NewWorkConn={"reject": True, "reject_reason": "enough"})
        client = await self.opened()
        self.assertEqual(await self.use(client), b"")
        await self.line("invalid NewWorkConn: enough")

    async def test_broken_work_connection(self) -> None:
        self.patch(self, "options", {"user_conn_timeout_seconds": 0.5})

        async def look() -> None:
            self.assertEqual(await self.use(await self.opened()), b"")

        await self.broken("NewWorkConn", look)

    async def test_ping(self) -> None:
        """A client whose heartbeat is refused is sent away, and comes back if it may."""
        said = iter([{"reject": True, "reject_reason": "pay first"}])
        await self.start(Ping=lambda _: next(said, {"unchange": True}))
        self.client()
        await self.line("the server refused our heartbeat: pay first")
        await self.wait(lambda: len(self.plugin.contents("Login")) == 2)
        await self.wait(lambda: len(self.plugin.contents("Ping")) == 2)

    async def test_broken_ping(self) -> None:
        async def look() -> None:
            self.client()
            await self.line(f"the server refused our heartbeat: {BROKEN.format('Ping')}")

        await self.broken("Ping", look)

    async def test_a_slow_plugin_holds_up_nobody_else(self) -> None:
        """One client's proxy is still asked about; another client comes, works, and goes."""

        def answer(content: dict[str, Any]) -> Reply:
            return None if content["user"]["user"] == "slow" else UNCHANGED

        await self.start(NewProxy=answer)
        self.client(user="slow")
        await self.wait(lambda: bool(self.plugin.contents("NewProxy")))
        client = await self.opened(user="fast")
        self.assertEqual(await self.use(client), b"got 10")
        await client.stopService()
        await self.wait(lambda: bool(self.plugin.contents("CloseProxy")))

    async def test_a_client_that_leaves_meanwhile(self) -> None:
        """What it asked for isn't opened, and its place is free at once."""
        await self.start(NewProxy=None)
        client, _ = self.client()
        await self.wait(lambda: bool(self.plugin.contents("NewProxy")))
        await client.stopService()
        await self.wait(lambda: self.server._registry.clients == {})
        self.assertEqual(self.server._context.proxies, {})

    async def test_a_login_that_leaves_meanwhile(self) -> None:
        await self.start(Login=None)
        client, _ = self.client()
        await self.wait(lambda: bool(self.plugin.contents("Login")))
        await client.stopService()
        self.plugin.requests[0].write(b'{"unchange":true}')
        self.plugin.requests[0].finish()
        await self.server.stopService()
        self.assertEqual([line for line in self.lines if "client login info" in line], [])

    async def test_the_end_of_the_server(self) -> None:
        """Plugins hear that its proxies are closed."""
        await self.start()
        await self.opened()
        await self.server.stopService()
        self.assertEqual(len(self.plugin.contents("CloseProxy")), 1)
