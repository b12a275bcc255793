# -*- test-case-name: tests.server.test_notes -*-
"""What people see of whom the server lets in and sends away: `tunnelsvc.metrics.events`.

Those of the administrator are in `tests.server.test_moderation`, those of reloads in
`tests.server.test_reload`.
"""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, Reactor, make_registry
from tests.server.test_clients import ssh
from tunnelsvc import __version__
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.errors import HookRefused, WorkConnectionUnavailable
from tunnelsvc.server.clients import REPLACED
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.wire.messages import CloseProxy, NewProxy

PEER = "192.0.2.7"


class Hooks:
    """Server plugins that refuse one kind of thing.

    Attributes:
        op: that kind.
    """

    def __init__(self, op: str) -> None:
        self.op = op

    def hears(self, op: str) -> bool:
        return op == self.op

    async def login(self, *_: object) -> Any:
        raise HookRefused("not today")

    async def new_proxy(self, *_: object) -> Any:
        raise HookRefused("not today")

    async def new_user_conn(self, *_: object) -> None:
        if self.op == "NewUserConn":
            raise HookRefused("not today")

    def proxy_closed(self, *_: object) -> None:
        pass


class NoteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = make_registry(user_conn_timeout_seconds=10.0)
        self.events = self.registry.context.stats.events

    def plug(self, op: str) -> None:
        self.registry.context.hooks = Hooks(op)  # type: ignore[assignment]

    def client(self, **login: Any) -> FakeClient:
        fields = {"user": "alice", "client_id": "pc", "hostname": "box", "os": "linux"}
        return FakeClient(self.registry, **{**fields, "arch": "amd64", **login})

    def seen(self) -> list[tuple[str, str, str, str, str]]:
        """Give those that were added since the last time."""
        found = [
            (event.kind, event.client, event.proxy, event.address, event.detail)
            for event in self.events.recent()
        ]
        before, self.before = getattr(self, "before", 0), len(found)
        return found[before:]

    def test_a_client_comes_and_goes(self) -> None:
        client = self.client()
        self.assertEqual(
            self.seen(),
            [("login", "alice.pc", "", PEER, "version 0.70.1, linux amd64, box")],
        )
        client.say(ssh())
        client.say(NewProxy(proxy_name="b", proxy_type="tcp", remote_port=6000))
        client.say(CloseProxy(proxy_name="ssh"))
        self.assertEqual(
            self.seen(),
            [
                ("proxy_opened", "alice.pc", "ssh", PEER, "tcp :6000"),
                ("proxy_refused", "alice.pc", "b", PEER, "port already used"),
                ("proxy_closed", "alice.pc", "ssh", PEER, "closed by its client"),
            ],
        )
        client.say(ssh())
        client.messages.abort()
        reason = self.seen()[1][-1]
        stats = self.registry.context.stats.proxy("ssh")
        assert stats is not None
        self.assertEqual(stats.remote_addr, ":6000")
        self.assertEqual(stats.closed_reason, f"its client is gone: {reason}")
        self.assertEqual(self.events.recent()[-1].detail, stats.closed_reason)

    def test_a_client_without_a_name(self) -> None:
        client = self.client(user="", client_id="")
        self.assertEqual(self.seen()[0][1], client.run_id)

    def test_a_client_takes_its_own_place(self) -> None:
        first = self.client()
        self.client(run_id=first.run_id)
        self.assertEqual(
            [(kind, detail) for kind, *_, detail in self.seen()[1:2]], [("logout", REPLACED)]
        )

    def test_a_wrong_token(self) -> None:
        self.patch(type(self.registry.auth), "sign_login", lambda _, login: login)
        self.client(privilege_key="wrong")
        [(kind, client, proxy, address, detail)] = self.seen()
        self.assertEqual((kind, client, proxy, address), ("login_refused", "alice.pc", "", PEER))
        self.assertIn("token", detail)
        self.assertNotIn("wrong", detail)

    def test_a_name_that_is_taken(self) -> None:
        self.client()
        self.seen()
        self.client()
        self.assertEqual([kind for kind, *_ in self.seen()], ["login_refused"])

    def test_who_is_turned_away_without_having_been_in(self) -> None:
        """Is no news when it is gone."""
        self.client()
        self.client().messages.abort()
        self.assertNotIn("logout", [kind for kind, *_ in self.seen()])

    def test_plugins_refuse(self) -> None:
        client = self.client()
        self.plug("Login")
        self.client(client_id="other")
        self.plug("NewProxy")
        client.say(ssh())
        self.assertEqual(
            self.seen()[1:],
            [
                ("login_refused", "alice.other", "", PEER, "not today"),
                ("proxy_refused", "alice.pc", "ssh", PEER, "not today"),
            ],
        )

    def test_plugins_refuse_a_user(self) -> None:
        client = self.client()
        client.say(ssh())
        self.plug("NewUserConn")
        self.assertTrue(client.reactor.user(6000).lost)
        self.assertEqual(self.seen()[2:], [("user_refused", "alice.pc", "ssh", PEER, "not today")])

    def test_a_user_whom_nobody_serves(self) -> None:
        client = self.client()
        client.say(ssh())
        client.reactor.user(6000)
        client.reactor.advance(10)
        [(kind, key, proxy, address, detail)] = self.seen()[2:]
        self.assertEqual((kind, key, proxy, address), ("user_refused", "alice.pc", "ssh", PEER))
        self.assertIn("timeout trying to get work connection", detail)

    def test_a_request_that_nobody_serves(self) -> None:
        client = self.client()
        client.say(NewProxy(proxy_name="web", proxy_type="http", custom_domains=("a.example",)))
        proxy = self.registry.context.proxies["web"]
        assert isinstance(proxy, HTTPProxy)
        user = IPv4Address("TCP", "192.0.2.9", 5)
        opening = ensureDeferred(proxy.open_backend(user))
        client.reactor.advance(10)
        self.failureResultOf(opening, WorkConnectionUnavailable)
        self.assertEqual(
            [(kind, proxy, address) for kind, _, proxy, address, _ in self.seen()[2:]],
            [("user_refused", "web", "192.0.2.9")],
        )

    def test_strangers_say_much(self) -> None:
        """And nothing of it is kept without a bound."""
        for number in range(1000):
            self.client(user="x" * 1000, run_id=f"x\n{number}")
        self.assertLess(len(self.events.recent()), 20)


class StartTests(SynchronousTestCase):
    def test_started(self) -> None:
        server = TunnelServer(ServerConfig(bind_port=7000), Reactor())
        server.startService()
        [event] = server.stats.events.recent()
        self.assertEqual(
            (event.kind, event.detail), ("started", f"version {__version__}, ports: bind 7000")
        )
        server.stopService()
