# -*- test-case-name: tests.metrics.test_clients -*-
"""Who is and who was logged in."""

from collections.abc import Callable
from typing import Any

from attrs import define

from tunnelsvc.metrics.retention import Attic


def client_key(user: str, name: str) -> str:
    """Make the key of a client: ``user.name``, or the name alone without a user.

    Args:
        user: whose it is; may be empty.
        name: what it calls itself, else its login or its machine; may be empty.
    """
    return ".".join(filter(None, (user, name)))


@define(eq=False, kw_only=True)
class ClientStats:
    """One client, over all its logins. Times are Unix seconds."""

    key: str
    """By `client_key`, of what it calls itself, else its login."""
    run_id: str
    user: str
    client_id: str
    """What the client calls itself; most have no such name."""
    version: str
    address: str
    os: str
    arch: str
    hostname: str
    wire_protocol: str
    online: bool = True
    first_connected_at: float
    last_connected_at: float
    disconnected_at: float | None = None
    """None while online."""

    @property
    def shown_id(self) -> str:
        """The client's own id, else that of its last login."""
        return self.client_id or self.run_id

    def is_probably(self, other: "ClientStats") -> bool:
        """Whether both are one program without a client id, once before a restart, once after."""
        return (
            not (self.client_id or other.client_id)
            and self.user == other.user
            and self.hostname == other.hostname
            and self.address == other.address
        )


class ClientTable:
    """All clients that are online, and some that were."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Make an empty table.

        Args:
            now: the time, in Unix seconds.
        """
        self._now = now
        self._clients: dict[str, ClientStats] = {}
        self._key_of_run: dict[str, str] = {}
        self._attic = Attic()

    def online(self, run_id: str, *, user: str, client_id: str, **facts: Any) -> ClientStats:
        """Note a login; `facts` are the fields of `ClientStats` that a login tells."""
        key = client_key(user, client_id or run_id)
        now = self._now()
        if self._key_of_run.get(run_id, key) != key:
            self.offline(run_id)
        before = self._clients.pop(key, None)
        self._attic.take(key)
        client = ClientStats(
            key=key,
            run_id=run_id,
            user=user,
            client_id=client_id,
            first_connected_at=before.first_connected_at if before else now,
            last_connected_at=now,
            **facts,
        )
        if before is not None:
            self._key_of_run.pop(before.run_id, None)
        self._forget_former(client)
        self._clients[key] = client
        self._key_of_run[run_id] = key
        return client

    def _forget_former(self, client: ClientStats) -> None:
        """Forget the client's own record under the run id that it lost in a restart."""
        for key in self._attic.keys():  # noqa: SIM118 - not a mapping
            if self._clients[key].is_probably(client):
                self._drop(key)

    def offline(self, run_id: str) -> None:
        """Note the end of a login; one that was replaced or never seen is no news."""
        key = self._key_of_run.pop(run_id, None)
        if key is None:
            return
        client = self._clients[key]
        client.online = False
        client.disconnected_at = self._now()
        self._attic.put(key, client.disconnected_at)
        self._clear()

    def by_run_id(self, run_id: str) -> ClientStats | None:
        """Find the client that a login belongs to, while it holds."""
        return self._clients.get(self._key_of_run.get(run_id, ""))

    def get(self, key: str) -> ClientStats | None:
        """Find a client by its key."""
        self._clear()
        return self._clients.get(key)

    def all(self) -> list[ClientStats]:
        """List all clients, by user, then id."""
        self._clear()
        return sorted(self._clients.values(), key=lambda each: (each.user, each.shown_id))

    @property
    def online_count(self) -> int:
        """How many are logged in."""
        return len(self._key_of_run)

    def _clear(self) -> None:
        for key in self._attic.clear(self._now()):
            del self._clients[key]

    def _drop(self, key: str) -> None:
        self._attic.take(key)
        del self._clients[key]
