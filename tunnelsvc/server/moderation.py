# -*- test-case-name: tests.server.test_moderation -*-
"""What the administrator does to clients and proxies while the server runs.

- *Kick* a client: its conversation ends, and all that users have by it. It may come back, and
  mostly does so by itself.
- *Block* one: kick it, and refuse its logins until it is allowed again.
- *Disable* a proxy: nobody reaches it, and its users' connections end. Its client stays; one of
  ours is told. Whoever announces the proxy is refused.
- *Enable* it: it is opened again for the client that still has it, else when it is announced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from tunnelsvc.metrics.clients import client_key
from tunnelsvc.server.rules import BLOCKED, DISABLED, KICKED, Block

if TYPE_CHECKING:
    from tunnelsvc.metrics.clients import ClientStats
    from tunnelsvc.server.client import Client
    from tunnelsvc.server.clients import ClientRegistry


class Moderation:
    """What may be done to those who use one server."""

    log = Logger()

    def __init__(self, registry: ClientRegistry) -> None:
        """Begin.

        Args:
            registry: the clients; in its context are the proxies.
        """
        self._registry = registry
        self._context = registry.context
        self._stats = registry.context.stats
        self._rules = registry.context.rules

    @property
    def on_change(self) -> Callable[[], None]:
        """Called after every change of the rules, for who keeps them."""
        return self._rules.on_change

    @on_change.setter
    def on_change(self, call: Callable[[], None]) -> None:
        self._rules.on_change = call

    def rules(self) -> dict[str, Any]:
        """Give what is in force, in JSON's types."""
        return self._rules.saved()

    def restore(self, rules: Any) -> None:
        """Put into force what `rules` gave an earlier server; before anybody can log in.

        Raises:
            ValueError: it isn't that; nothing has changed.
        """
        self._rules.restore(rules)
        for name, kind in self._rules.disabled.items():
            self._stats.proxy_disabled(name, kind)

    # Clients.

    @property
    def blocks(self) -> list[Block]:
        """Those who may not log in, as they were blocked one after the other."""
        return list(self._rules.blocks.values())

    def kick(self, client_key: str) -> bool:
        """End a client's conversation, and what users have by it.

        Returns:
            Whether there was a client of that key (`ClientStats.key`).
        """
        known = self._stats.client(client_key)
        client = self._registry.clients.get(known.run_id) if known and known.online else None
        if known is None or client is None:
            return False
        self._note("kicked", known)
        client.send_away(KICKED)
        return True

    def block(self, client_key: str) -> Block | None:
        """Kick a client, be it online or not, and let it come back no more.

        Returns:
            What `allow` takes back; None: no client of that key is known.
        """
        known = self._stats.client(client_key)
        if known is None:
            return None
        block = self._rules.block(known, self._stats.now())
        self._note("blocked", known)
        for client in self._clients_of(block):
            client.send_away(BLOCKED)
        return block

    def _clients_of(self, block: Block) -> list[Client]:
        """List who is here of those that a block is about, and who waits to be let in."""
        return [client for client in self._registry.clients.values() if block.bars(**client.who)]

    def allow(self, block_id: int) -> bool:
        """Let a client come back.

        Returns:
            Whether there was a block of that id.
        """
        block = self._rules.allow(block_id)
        if block is None:
            return False
        self.log.info("the administrator allows {block}", block=block)
        who = client_key(block.user, block.client_id or block.hostname)
        self._stats.events.add("allowed", client=who, address=block.address)
        return True

    def _note(self, kind: str, client: ClientStats) -> None:
        self.log.info("[{run_id}] {kind} by the administrator", run_id=client.run_id, kind=kind)
        self._stats.events.add(kind, client=client.key, address=client.address)

    # Proxies.

    @property
    def disabled(self) -> frozenset[str]:
        """Names of the proxies that nobody may reach."""
        return frozenset(self._rules.disabled)

    async def disable(self, proxy: str) -> bool:
        """Let nobody reach a proxy, and end what its users have.

        Args:
            proxy: its name on the wire, with the user.

        Returns:
            Whether there is one of that name, online or remembered.
        """
        known = self._stats.proxy(proxy)
        if known is None:
            return False
        if proxy in self._rules.disabled:
            return True
        self._rules.disable(proxy, known.type)
        self._stats.proxy_disabled(proxy, known.type)
        self._tell("disabled", proxy)
        open_one = self._context.proxies.get(proxy)
        if open_one is not None and open_one.opened:
            try:
                await open_one.close(DISABLED)
            finally:
                open_one.cut_users()
            open_one.client.tell_disabled(open_one)
        return True

    async def enable(self, proxy: str) -> bool:
        """Let users reach a proxy again: at once, if its client is there.

        Returns:
            Whether it was disabled.

        Raises:
            ProxyRefused: its port, or its name, is taken by now; it stays disabled.
        """
        if proxy not in self._rules.disabled:
            return False
        closed_one = self._context.proxies.get(proxy)
        if closed_one is not None:
            await closed_one.client.reopen(closed_one)
        self._rules.enable(proxy)
        self._stats.proxy_enabled(proxy)
        self._tell("enabled", proxy)
        return True

    def _tell(self, kind: str, proxy: str) -> None:
        self.log.info("[{proxy}] {kind} by the administrator", proxy=proxy, kind=kind)
        self._stats.events.add(kind, proxy=proxy)
