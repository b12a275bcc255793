# -*- test-case-name: tests.server.test_rules -*-
"""What the administrator has forbidden: who may not log in, and which proxies nobody may reach.

Bookkeeping without any connection; `tunnelsvc.server.moderation` makes it come true.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import asdict, define, field, fields_dict, frozen

from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.wire.messages import Login

BLOCKED: Final = "blocked by the server's administrator"
DISABLED: Final = "disabled by the server's administrator"
KICKED: Final = "kicked by the server's administrator"


@frozen(kw_only=True)
class Block:
    """A client that may not log in."""

    id: int
    user: str
    client_id: str
    """What it calls itself. Those that don't are known by machine and address."""
    hostname: str
    address: str
    """Without a port."""
    since: float
    """Unix seconds."""

    def bars(self, *, user: str, client_id: str, hostname: str, address: str) -> bool:
        """Tell whether a login is the client's."""
        if self.client_id or client_id:
            return (self.user, self.client_id) == (user, client_id)
        return (self.user, self.hostname, self.address) == (user, hostname, address)


def who_is(client: Login | ClientStats, address: str) -> dict[str, str]:
    """Give what a block knows a client by, for `Block.bars`."""
    return {
        "user": client.user,
        "client_id": client.client_id,
        "hostname": client.hostname,
        "address": address,
    }


@define(eq=False)
class Rules:
    """All that is forbidden.

    Attributes:
        blocks: by their ids.
        disabled: proxies, by their names on the wire, with their types.
        on_change: called after every change, for who keeps them.
    """

    blocks: dict[int, Block] = field(factory=dict, init=False)
    disabled: dict[str, str] = field(factory=dict, init=False)
    on_change: Callable[[], None] = field(default=lambda: None, init=False)
    _next_id: int = field(default=1, init=False)

    def bar(self, who: Mapping[str, str]) -> Block | None:
        """Find what forbids a login; None: nothing does.

        Args:
            who: the keywords of `Block.bars`.
        """
        return next((block for block in self.blocks.values() if block.bars(**who)), None)

    def block(self, client: ClientStats, since: float) -> Block:
        """Forbid a client to log in; once."""
        who = who_is(client, client.address)
        block = self.bar(who)
        if block is None:
            block = Block(id=self._next_id, since=since, **who)
            self._next_id += 1
            self.blocks[block.id] = block
            self.on_change()
        return block

    def allow(self, block_id: int) -> Block | None:
        """Take back a block; None: there is none of that id."""
        block = self.blocks.pop(block_id, None)
        if block is not None:
            self.on_change()
        return block

    def disable(self, name: str, kind: str) -> None:
        """Let nobody reach a proxy."""
        self.disabled[name] = kind
        self.on_change()

    def enable(self, name: str) -> None:
        """Take that back; a proxy that isn't disabled is no error."""
        if self.disabled.pop(name, None) is not None:
            self.on_change()

    def saved(self) -> dict[str, Any]:
        """Give all of it in JSON's types, for `restore`."""
        blocks = [asdict(block) for block in self.blocks.values()]
        return {"blocks": blocks, "disabled": dict(self.disabled)}

    def restore(self, saved: Any) -> None:
        """Go on with what `saved` gave; this is no change.

        Raises:
            ValueError: it isn't that; nothing is forbidden by it.
        """
        match saved:
            case {"blocks": list(listed), "disabled": dict(disabled)}:
                blocks = [_block(one) for one in listed]
            case _:
                raise ValueError("no rules of ours")
        if not all(isinstance(text, str) for pair in disabled.items() for text in pair):
            raise ValueError("disabled proxies have names and types")
        self.blocks = {block.id: block for block in blocks}
        self.disabled = dict(disabled)
        self._next_id = max(self.blocks, default=0) + 1


_NUMBERS: Final[Mapping[str, tuple[type, ...]]] = {"id": (int,), "since": (float, int)}


def _block(saved: Any) -> Block:
    names = fields_dict(Block)
    if not isinstance(saved, dict) or set(saved) != set(names):
        raise ValueError(f"a block has {', '.join(names)}")
    if not all(isinstance(saved[name], _NUMBERS.get(name, (str,))) for name in names):
        raise ValueError("a block's id and since are numbers, all else is text")
    return Block(**saved)
