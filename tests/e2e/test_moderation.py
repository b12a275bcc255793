# -*- test-case-name: tests.e2e.test_moderation -*-
"""The administrator kicks, blocks, disables and cuts off, with real sockets and a client of ours.

The server is in this process: what asks it to is the dashboard's.
"""

import itertools
from typing import Any

from twisted.internet.protocol import Factory

from tests.moderated import Echo, ModeratedCase
from tests.programs import free_port
from tests.tunnels import LOOPBACK, clock
from tunnelsvc.config.proxies import (
    HTTPProxyConfig,
    STCPProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.metrics.clients import ClientStats

BLOCKED = "blocked by the server's administrator"


class ClientTests(ModeratedCase):
    """What becomes of a client, in every way that it may come."""

    async def start(self, **options: Any) -> int:
        """Start both; return the port of an echo service."""
        self.server = self.serve()
        number = free_port()
        proxy = TCPProxyConfig(name="ssh", local_port=await self.echo(), remote_port=number)
        self.ours = await self.connect(self.server, proxy, **options)
        return number

    async def check_kick(self, **options: Any) -> None:
        number = await self.start(**options)
        _, first = await self.user(number)
        before = self.run_id()
        self.assertTrue(self.server.moderation.kick(self.key()))
        await self.gone(first)
        await self.event("logout", "kicked by the server's administrator")
        await self.count(self.users, 0)
        await self.online("ssh")
        self.assertEqual(self.run_id(), before, "it comes back as the same client")
        await self.user(number)

    async def test_kick_a_visitor(self) -> None:
        """What it visits ends with it, also where it isn't in the same connection."""
        self.server = self.serve()
        await self.connect(
            self.server,
            STCPProxyConfig(name="s", type="stcp", local_port=await self.echo(), secret_key="k"),
            client_id="owner",
        )
        for mux in (True, False):
            name, port = f"visitor-{mux}", free_port()
            visit = VisitorConfig(
                name="v", type="stcp", server_name="s", secret_key="k", bind_port=port
            )
            await self.connect(self.server, visitors=(visit,), client_id=name, tcp_mux=mux)
            await self.until_listening(port)
            _, reader = await self.user(port)
            self.assertTrue(self.server.moderation.kick(name))
            await self.gone(reader)
            await self.count(self.users, 0)
            self.assertEqual([client.key for client in self.owners()], ["owner"])

    def owners(self) -> list[ClientStats]:
        """Clients that never had to log in again."""
        return [
            client
            for client in self.server.stats.clients()
            if client.first_connected_at == client.last_connected_at
            and not client.key.startswith("visitor")
        ]

    async def check_block(self, **options: Any) -> None:
        number = await self.start(**options)
        _, first = await self.user(number)
        block = self.server.moderation.block(self.key())
        assert block is not None
        await self.gone(first)
        await self.event("login_refused", BLOCKED)
        await self.wait(lambda: self.server.stats.online_clients == 0)
        self.assertFalse(await self.listens(number))
        self.assertTrue(self.server.moderation.allow(block.id))
        await self.online("ssh")
        await self.user(number)


for _mux, _tls in itertools.product((True, False), repeat=2):
    for _check in ("kick", "block"):

        async def _test(
            self: ClientTests, check: str = f"check_{_check}", mux: bool = _mux, tls: bool = _tls
        ) -> None:
            await getattr(self, check)(tcp_mux=mux, tls=TLSConfig(enable=tls))

        _name = f"test_{_check}_{'mux' if _mux else 'direct'}_{'tls' if _tls else 'plain'}"
        setattr(ClientTests, _name, _test)


class ProxyTests(ModeratedCase):
    """What becomes of a proxy and its users."""

    async def test_tcp(self) -> None:
        self.server = self.serve()
        local = await self.echo()
        client = await self.connect(
            self.server,
            TCPProxyConfig(name="a", local_port=local),
            TCPProxyConfig(name="b", local_port=local),
        )
        a, b = (int(client.proxy_addresses[name][1:]) for name in "ab")
        (_, user_of_a), (other, user_of_b) = await self.user(a), await self.user(b)
        self.assertTrue(await self.server.moderation.disable("a"))
        await self.gone(user_of_a)
        self.assertFalse(await self.listens(a))
        other.write(b"!")
        await user_of_b.until(lambda: user_of_b.received.endswith(b"!"))
        self.assertTrue(await self.server.moderation.enable("a"))
        await self.user(a)
        self.assertEqual(self.kinds().count("login"), 1, "its client has noticed nothing")

    async def test_a_port_that_is_taken_meanwhile(self) -> None:
        self.server = self.serve()
        proxy = TCPProxyConfig(name="a", local_port=await self.echo())
        client = await self.connect(self.server, proxy)
        number = int(client.proxy_addresses["a"][1:])
        await self.server.moderation.disable("a")
        thief = await self.listen_on(number)
        with self.assertRaises(ProxyRefused):
            await self.server.moderation.enable("a")
        self.assertEqual(self.server.moderation.disabled, {"a"})
        await thief.stopListening()
        self.assertTrue(await self.server.moderation.enable("a"))
        await self.user(number)

    async def listen_on(self, number: int) -> Any:
        return clock.listenTCP(number, Factory.forProtocol(Echo), interface=LOOPBACK)

    async def test_http(self) -> None:
        self.server = self.serve(vhost_http_port=free_port())
        local, site = await self.site()
        await self.connect(
            self.server,
            HTTPProxyConfig(name="web", local_port=local, custom_domains=("a.example",)),
        )
        self.assertEqual(await self.answer(), b"HTTP/1.1 200 OK")
        _, waiting = await self.ask(b"/wait")
        _, half = await self.ask(b"/part")
        await half.until(lambda: b"part" in half.received)
        await self.wait(lambda: b"/wait" in site.asked)
        await self.count(self.users, 2)
        await self.server.moderation.disable("web")
        await waiting.until(lambda: b"\r\n\r\n" in waiting.received)
        self.assertTrue(waiting.received.startswith(b"HTTP/1.1 503 "), waiting.received)
        await half.until(lambda: half.lost is not None)
        await self.count(self.users, 0)
        self.assertEqual((await self.answer())[:12], b"HTTP/1.1 503")
        await self.server.moderation.enable("web")
        self.assertEqual(await self.answer(), b"HTTP/1.1 200 OK")

    async def test_udp(self) -> None:
        self.server = self.serve()
        client = await self.connect(
            self.server, UDPProxyConfig(name="dns", type="udp", local_port=self.udp_echo())
        )
        user = self.udp_user(int(client.proxy_addresses["dns"][1:]))
        await self.answered(user)
        [live] = self.server.stats.live_connections()
        self.assertEqual((live.proxy, live.type), ("dns", "udp"))
        self.assertGreaterEqual(live.in_bytes, len(b"?"))
        self.assertGreaterEqual(live.out_bytes, len(b"?"))
        await self.server.moderation.disable("dns")
        self.assertEqual(self.server.stats.live_connections(), [])
        await self.server.moderation.enable("dns")
        user.answers.clear()
        await self.answered(user)
        [live] = self.server.stats.live_connections()
        self.assertTrue(self.server.stats.cut(live.id))
        self.assertEqual(self.server.stats.live_connections(), [])

    async def test_stcp(self) -> None:
        self.server = self.serve()
        await self.connect(
            self.server,
            STCPProxyConfig(name="s", type="stcp", local_port=await self.echo(), secret_key="k"),
        )
        port = free_port()
        visit = VisitorConfig(
            name="v", type="stcp", server_name="s", secret_key="k", bind_port=port
        )
        await self.connect(self.server, visitors=(visit,))
        await self.until_listening(port)
        _, reader = await self.user(port)
        [live] = self.server.stats.live_connections()
        self.assertEqual((live.proxy, live.type), ("s", "stcp"))
        await self.server.moderation.disable("s")
        await self.gone(reader)
        _, reader = await self.dial(port)
        await self.gone(reader)
        await self.event("user_refused", "custom listener for [s] doesn't exist")
        await self.server.moderation.enable("s")
        await self.user(port)


class CutTests(ModeratedCase):
    """One connection among others."""

    def ids(self) -> list[int]:
        return [each.id for each in self.server.stats.live_connections()]

    async def test_tcp(self) -> None:
        self.server = self.serve()
        client = await self.connect(
            self.server, TCPProxyConfig(name="a", local_port=await self.echo())
        )
        number = int(client.proxy_addresses["a"][1:])
        _, first = await self.user(number)
        [cut] = self.ids()
        other, second = await self.user(number)
        self.assertTrue(self.server.stats.cut(cut))
        await first.until(lambda: first.lost is not None)
        other.write(b"!")
        await second.until(lambda: second.received.endswith(b"!"))
        await self.count(self.users, 1)
        self.assertFalse(self.server.stats.cut(cut))

    async def test_http(self) -> None:
        """The service's connection may have been another user's, and may be again."""
        self.server = self.serve(vhost_http_port=free_port())
        local, site = await self.site()
        await self.connect(
            self.server,
            HTTPProxyConfig(name="web", local_port=local, custom_domains=("a.example",)),
        )
        _, first = await self.ask(b"/wait")
        await self.count(self.users, 1)
        [cut] = self.ids()
        _, second = await self.ask(b"/wait")
        await self.wait(lambda: len(site.asked) == 2)
        self.assertTrue(self.server.stats.cut(cut))
        await first.until(lambda: first.lost is not None)
        await self.count(self.users, 1)
        self.assertIsNone(second.lost)
        self.assertEqual(await self.answer(), b"HTTP/1.1 200 OK")
