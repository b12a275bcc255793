# -*- test-case-name: tests.client.visitors.test_client -*-
"""Visitors in a whole client, with sockets."""

from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import Factory

from tests.client.visitors.support import visitor_config
from tests.tunnels import Answering, TunnelCase
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.client.visitors import Visitor, Visitors
from tunnelsvc.config.proxies import STCPProxyConfig, VisitorConfig
from tunnelsvc.server.service import TunnelServer


class ClientTests(TunnelCase):
    """One client that is owner and visitor, as its service starts and stops."""

    async def connect_both(self, server: TunnelServer, *visitors: VisitorConfig) -> TunnelClient:
        local = await self.listen(Factory.forProtocol(Answering))
        owned = STCPProxyConfig(name="ssh", secret_key="sesame", local_port=local)
        client = await self.connect(server, owned, visitors=visitors, login_fail_exit=False)
        await self.wait(lambda: all(each.port for each in self.running(client).values()))
        return client

    def running(self, client: TunnelClient) -> dict[str, Visitor]:
        visitors = client._visitors
        assert isinstance(visitors, Visitors)
        return visitors.running

    def port(self, client: TunnelClient, name: str = "there") -> int:
        number = self.running(client)[name].port
        assert number is not None
        return number

    async def ask(self, port: int) -> bytes:
        """Return what the service says to three bytes and their end; empty if there is none."""
        stream, reader = await self.dial(port)
        stream.write(b"abc")
        stream.loseWriteConnection()
        await reader.until(lambda: reader.finished or reader.lost is not None)
        return bytes(reader.received)

    async def test_a_user_and_its_end(self) -> None:
        client = await self.connect_both(self.serve(), visitor_config(bind_port=0))
        self.assertEqual(await self.ask(self.port(client)), b"got 3")

    async def test_a_client_without(self) -> None:
        client = await self.connect(self.serve())
        self.assertIsNone(client._visitors)

    async def test_stopped_and_started(self) -> None:
        client = await self.connect_both(self.serve(), visitor_config(bind_port=0))
        before = self.port(client)
        _, reader = await self.dial(before)
        await client.stopService()
        self.assertEqual([each.port for each in self.running(client).values()], [None])
        await reader.until(lambda: reader.lost is not None)
        client.startService()
        await self.wait(lambda: self.running(client)["there"].port is not None)
        await self.wait(lambda: bool(client.proxy_addresses))
        self.assertEqual(await self.ask(self.port(client)), b"got 3")

    async def test_stopped_with_users_who_wait(self) -> None:
        server = self.serve()
        client = await self.connect_both(server, visitor_config(bind_port=0))
        await server.stopService()
        await self.wait(lambda: client._registration is None)
        _, reader = await self.dial(self.port(client))
        await client.stopService()
        await reader.until(lambda: reader.lost is not None)

    async def test_replaced(self) -> None:
        """Users of a visitor that is gone stay; one that is the same goes on."""
        same = visitor_config(name="same", bind_port=0)
        client = await self.connect_both(self.serve(), same, visitor_config(bind_port=0))
        stays = self.port(client, "same")
        stream, reader = await self.dial(self.port(client))
        stream.write(b"abc")
        await self.wait(lambda: bool(client._proxies["ssh"].serving))
        visitors = client._visitors
        assert visitors is not None
        await ensureDeferred(visitors.replace([same, visitor_config(name="new", bind_port=0)]))
        self.assertEqual(list(self.running(client)), ["same", "new"])
        self.assertEqual(self.port(client, "same"), stays)
        self.assertEqual(await self.ask(self.port(client, "new")), b"got 3")
        stream.write(b"now")
        await reader.until(lambda: reader.finished)
        self.assertEqual(bytes(reader.received), b"got 6")

    async def test_a_server_that_stops_while_somebody_guesses(self) -> None:
        """It leaves no timer behind: trial would find it."""
        server = self.serve()
        client = await self.connect_both(server, visitor_config(bind_port=0, secret_key="guess"))
        _, reader = await self.dial(self.port(client))
        await self.wait(lambda: bool(server._acceptor._visitors._guesses._answers))
        await server.stopService()
        await client.stopService()
        await reader.until(lambda: reader.lost is not None)
