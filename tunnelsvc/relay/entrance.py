# -*- test-case-name: tests.relay.test_entrance -*-
"""One UDP port with many users: hop 1 of their datagrams, and the last of the answers.

Of the server's side of a udp proxy, and of a sudp visitor. Answers go to users who were heard of
only: the other end can't make us send to anybody else.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.relay.datagrams import DatagramChannel, Outbox
from tunnelsvc.relay.drops import Drop, Drops
from tunnelsvc.relay.users import Users
from tunnelsvc.wire.datagrams import Datagram, SocketAddress, user_at

MOST_USERS = 10_000
"""Of one port at a time."""
IDLE_SECONDS = 60.0
"""How long a user stays one without a datagram in either direction: longer than the socket at the
other end does (30 s), so that whatever comes from there still finds him."""


class Port(Protocol):
    """What users' datagrams come from: a `tunnelsvc.link.udp.UDPSocket`."""

    def send_to(self, data: bytes, address: SocketAddress) -> bool:
        """Send to somebody; False: the system didn't take it."""


class Account(Protocol):
    """What is counted: see `tunnelsvc.metrics.counters.ProxyStats`."""

    def connection_opened(self) -> None:
        """Count a user who comes."""

    def connection_closed(self) -> None:
        """Count one who goes."""

    def add_traffic(self, in_bytes: int, out_bytes: int) -> None:
        """Count bytes from users, and to users."""


class NoAccount:
    """Where nothing is counted."""

    def connection_opened(self) -> None:
        """See `Account`."""

    def connection_closed(self) -> None:
        """See `Account`."""

    def add_traffic(self, in_bytes: int, out_bytes: int) -> None:
        """See `Account`."""


class Entrance:
    """Who uses a port, what waits to go on, and the channel that it goes by.

    Attributes:
        port: what the datagrams come from; to be set before the first comes.
        account: what is counted.
        outbox: what waits for a channel.
    """

    port: Port

    def __init__(
        self,
        clock: IReactorTime,
        drops: Drops,
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin without users and without a channel.

        Args:
            clock: for the time limits.
            drops: takes note of what can't go on.
            on_waiting: called for each datagram that comes while there is no channel.
        """
        self.account: Account = NoAccount()
        self.outbox = Outbox(drops)
        self._drops = drops
        self._on_waiting = on_waiting
        self._channel: DatagramChannel | None = None
        self._users: Users[SocketAddress] = Users(
            clock, most=MOST_USERS, idle_seconds=IDLE_SECONDS, on_gone=self._gone
        )

    def use(self, channel: DatagramChannel | None) -> None:
        """Go on by this channel; None: let datagrams wait."""
        self._channel = channel

    def received(self, data: bytes, address: SocketAddress) -> None:
        """Take a user's datagram, hop 1."""
        user = user_at(address)
        if self._users.find(user) is None:
            self._users.add(user, address)
            self.account.connection_opened()
        if not self.outbox.put(user, data):
            return
        self.account.add_traffic(len(data), 0)
        if self._channel is None:
            self._on_waiting()
        else:
            self._channel.wake()

    def deliver(self, datagrams: Sequence[Datagram]) -> None:
        """Send answers to their users."""
        sent_bytes = 0
        for user, content in datagrams:
            address = self._users.find(user)
            if address is None:
                self._drops.add(Drop.STRANGER)
            elif self.port.send_to(content, address):
                sent_bytes += len(content)
            else:
                self._drops.add(Drop.UNSENT)
        self.account.add_traffic(0, sent_bytes)

    def close(self) -> None:
        """Forget all users, and end the channel."""
        self._users.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _gone(self, _: SocketAddress) -> None:
        self.account.connection_closed()
