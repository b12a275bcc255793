# -*- test-case-name: tests.metrics.test_counters -*-
"""Hop 9 of a user connection: what the dashboard and ``/metrics`` show.

The server tells `ServerStats` who comes and goes, and a proxy's `ProxyStats` what moves. All of it
lives in memory; whoever saves it takes it from a `Journal`, and gives it back after a restart.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunnelsvc.metrics.clients import ClientStats, ClientTable
from tunnelsvc.metrics.connections import LiveConnection, User
from tunnelsvc.metrics.curve import Curves
from tunnelsvc.metrics.events import EventLog
from tunnelsvc.metrics.journal import Journal, ProxyRecord
from tunnelsvc.metrics.retention import Attic
from tunnelsvc.metrics.traffic import Account, Ledger, Meter, Past, Traffic


class ProxyStats:
    """One proxy, over all its registrations.

    Attributes:
        name: on the wire, with the user: ``alice.ssh``.
        type: as in the configuration file: ``tcp``, ``http``.
        conf: the client's configuration, in the shape of frp's API.
        user: who registered it last.
        client_id: what that client calls itself, else its run id.
        run_id: the login that registered it last.
        online: whether users can reach it.
        started_at: when it was registered last, Unix seconds.
        closed_at: when it went offline last, Unix seconds; None: never.
        closed_reason: why it did; empty: it never did.
        disabled: whether the administrator lets nobody reach it.
        remote_addr: where users reach it, as its client was told: ``:6000``,
            ``a.example.com:8080``.
    """

    def __init__(self, name: str, type: str, account: Account) -> None:  # noqa: A002
        self.name = name
        self.type = type
        self.conf: Mapping[str, Any] = {}
        self.user = ""
        self.client_id = ""
        self.run_id = ""
        self.online = False
        self.started_at = 0.0
        self.closed_at: float | None = None
        self.closed_reason = ""
        self.disabled = False
        self.remote_addr = ""
        self._account = account

    @property
    def connections(self) -> int:
        """How many are open at present."""
        return self._account.connections

    def track(self, meter: Meter, user: User | None = None) -> None:
        """Count a connection that opens now, and its bytes as they move.

        Args:
            meter: counts them.
            user: who has it; without, it isn't among the `ServerStats.live_connections`.
        """
        self._account.track(meter, user)

    def untrack(self, meter: Meter) -> None:
        """Count the end of a connection that `track` was told of.

        Raises:
            KeyError: it was not.
        """
        self._account.untrack(meter)

    def users(self) -> list[User]:
        """List those who have connections, or requests, at present."""
        running = self._account.running.values()
        return [each.user for each in running if each.user is not None]

    def last_days(self) -> list[Traffic]:
        """Traffic of the last `DAYS` days, today first, running transfers included."""
        return self._account.days()

    def traffic_today(self) -> Traffic:
        """Traffic of today: the first of the `last_days`, and cheaper."""
        return self._account.today()

    def total(self) -> Traffic:
        """Traffic since the proxy is known, running transfers included."""
        return self._account.total()

    def counted(self) -> Traffic:
        """The same without what was restored.

        For counters that only grow: what a crash has lost would make the total fall, which
        Prometheus takes for a start at zero.
        """
        return self._account.counted()

    def restore(self, past: Past) -> None:
        """Add what was counted before a restart."""
        self._account.restore(past)


class ServerStats:
    """Everything that the server counts.

    Attributes:
        now: the time, in Unix seconds.
        events: what happened lately.
        curves: how fast bytes move; all zeros unless somebody takes samples.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Start at zero.

        Args:
            now: the time, in Unix seconds. Days are those of the local time zone.
        """
        self.now = now
        self.events = EventLog(now)
        self._ledger = Ledger(now)
        self.curves = Curves(self._ledger)
        self._journal: Journal | None = None
        self._next_number = 1
        self._clients = ClientTable(now)
        self._proxies: dict[str, ProxyStats] = {}
        self._attic = Attic()

    def client_online(
        self,
        run_id: str,
        *,
        user: str,
        client_id: str,
        version: str,
        address: str,
        os: str,
        arch: str,
        hostname: str,
        wire_protocol: str = "v1",
    ) -> ClientStats:
        """Note a login.

        Args:
            run_id: the login.
            user: whom the client's proxies belong to; may be empty.
            client_id: what the client calls itself; may be empty.
            version: of the client's program.
            address: where it comes from, without a port.
            os: Go's name of its operating system.
            arch: Go's name of its processor.
            hostname: of its machine.
            wire_protocol: ``v1`` or ``v2``.
        """
        return self._clients.online(
            run_id,
            user=user,
            client_id=client_id,
            version=version,
            address=address,
            os=os,
            arch=arch,
            hostname=hostname,
            wire_protocol=wire_protocol,
        )

    def client_offline(self, run_id: str) -> None:
        """Note the end of a login. One that a newer login replaced is no news."""
        self._clients.offline(run_id)

    def proxy_online(
        self,
        name: str,
        *,
        type: str,  # noqa: A002 - frp's name for it
        conf: Mapping[str, Any],
        run_id: str,
        remote_addr: str = "",
    ) -> ProxyStats:
        """Note a registration, and find the proxy's counters: the old ones if it is known."""
        proxy = self._find_or_open(name, type)
        client = self._clients.by_run_id(run_id)
        proxy.conf = conf
        proxy.run_id = run_id
        proxy.user = client.user if client else ""
        proxy.client_id = client.shown_id if client else run_id
        proxy.remote_addr = remote_addr
        proxy.online = True
        proxy.started_at = self.now()
        self._attic.take(name)
        if self._journal is not None:
            self._journal.changed(proxy)
        return proxy

    def _find_or_open(self, name: str, type: str) -> ProxyStats:  # noqa: A002
        proxy = self._proxies.get(name)
        if proxy is None or proxy.type != type:
            account = self._ledger.open_account(name, type)
            proxy = self._proxies[name] = ProxyStats(name, type, account)
            if self._journal is not None:
                self._journal.fresh(proxy)
        return proxy

    def proxy_disabled(self, name: str, type: str) -> None:  # noqa: A002
        """Note that nobody may reach a proxy. It is remembered until that changes."""
        self._find_or_open(name, type).disabled = True
        self._attic.take(name)

    def proxy_enabled(self, name: str) -> None:
        """Note that a proxy may be reached again."""
        proxy = self._proxies.get(name)
        if proxy is None:
            return
        proxy.disabled = False
        if not proxy.online:
            self._attic.put(name, self.now())

    def proxy_offline(self, name: str, reason: str = "") -> None:
        """Note that users can't reach a proxy any more; what they have open still counts.

        Args:
            name: of the proxy.
            reason: why it is so.
        """
        proxy = self._proxies.get(name)
        if proxy is None or not proxy.online:
            return
        proxy.online = False
        proxy.closed_at = self.now()
        proxy.closed_reason = reason
        if not proxy.disabled:
            self._attic.put(name, proxy.closed_at)
        if self._journal is not None:
            self._journal.changed(proxy)
        self._clear()

    def clear_offline_proxies(self) -> int:
        """Forget all proxies that are offline, and say how many."""
        names = self._attic.keys()
        for name in names:
            self._attic.take(name)
            proxy = self._proxies.pop(name)
            if self._journal is not None:
                self._journal.cleared(name, proxy.type)
        return len(names)

    def proxy(self, name: str) -> ProxyStats | None:
        """Find a proxy, online or remembered."""
        self._clear()
        return self._proxies.get(name)

    def proxies(self) -> list[ProxyStats]:
        """List all proxies, online or remembered, by name."""
        self._clear()
        return [self._proxies[name] for name in sorted(self._proxies)]

    def proxies_by_type(self) -> dict[str, int]:
        """Count the proxies online, by type; a type with none but offline ones has 0."""
        counts: Counter[str] = Counter()
        for proxy in self.proxies():
            counts[proxy.type] += proxy.online
        return dict(counts)

    def client(self, key: str) -> ClientStats | None:
        """Find a client, online or remembered."""
        return self._clients.get(key)

    def clients(self) -> list[ClientStats]:
        """List all clients, online or remembered, by user and id."""
        return self._clients.all()

    @property
    def online_clients(self) -> int:
        """How many clients are logged in."""
        return self._clients.online_count

    @property
    def connections(self) -> int:
        """How many user connections are open, over all proxies."""
        return self._ledger.connections

    def live_connections(self) -> list[LiveConnection]:
        """List the connections of users, requests under way, and users of UDP ports."""
        live: list[LiveConnection] = []
        for account in self._ledger.busy.values():
            for each in account.running.values():
                if each.user is None:
                    continue
                if not each.number:
                    each.number, self._next_number = self._next_number, self._next_number + 1
                meter = each.meter
                live.append(
                    LiveConnection(
                        each.number, account.name, account.type, each.where(), each.since,
                        meter.up_bytes, meter.down_bytes,
                    )
                )  # fmt: skip
        return live

    def cut(self, id: int) -> bool:  # noqa: A002 - what the rest of the program calls it
        """End one of the `live_connections`, and nothing of anybody else.

        Returns:
            Whether it was still there.
        """
        if id <= 0:  # the number of those that nobody has seen yet
            return False
        for account in self._ledger.busy.values():
            for each in account.running.values():
                if each.number == id and each.user is not None:
                    self.events.add("cut", proxy=account.name, detail=each.where())
                    each.user.abortConnection()
                    return True
        return False

    def last_days(self) -> list[Traffic]:
        """Traffic of all proxies in the last `DAYS` days, today first; forgotten ones included."""
        return self._ledger.days()

    def traffic_today(self) -> Traffic:
        """Traffic of all proxies today: the first of the `last_days`, and cheaper."""
        return self._ledger.latest()

    def total(self) -> Traffic:
        """Traffic of all proxies since they are known, forgotten ones included."""
        return self._ledger.total()

    def keep_journal(self) -> Journal:
        """Note from now on what is to be saved; there is one journal at a time."""
        self._journal = journal = Journal()
        self._ledger.tallies.append(journal)
        return journal

    def restore(self, past: Past, proxies: Iterable[ProxyRecord]) -> None:
        """Add what was there before a restart.

        Args:
            past: traffic of all proxies together.
            proxies: those that are to be shown, offline; one that is known already is left out.
        """
        self._ledger.restore(past)
        for record in sorted(proxies, key=lambda each: each.closed_at or 0.0):
            if record.name not in self._proxies:
                self._restore(record)
        self._clear()

    def _restore(self, record: ProxyRecord) -> None:
        name, type = record.name, record.type  # noqa: A001
        proxy = ProxyStats(name, type, self._ledger.open_account(name, type))
        proxy.restore(record.past)
        proxy.user, proxy.client_id = record.user, record.client_id
        proxy.remote_addr = record.remote_addr
        proxy.started_at, proxy.closed_reason = record.started_at, record.closed_reason
        proxy.closed_at = record.closed_at or record.started_at
        self._proxies[name] = proxy
        self._attic.put(name, proxy.closed_at)

    def day(self) -> int:
        """Give the ordinal of today (`datetime.date.toordinal`), by local time."""
        return self._ledger.today()

    def roll(self) -> float:
        """Attribute what moves to the right day: call it when the day ends, or more often.

        Returns:
            Seconds until the day ends.
        """
        seconds = self._ledger.seconds_to_midnight()
        self._ledger.settle()
        return seconds

    def _clear(self) -> None:
        for name in self._attic.clear(self.now()):
            del self._proxies[name]
