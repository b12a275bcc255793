# -*- test-case-name: tests.relay.test_entrance -*-
"""One UDP port with many users: hop 1 of their datagrams, and the last of the answers.

Of the server's side of a udp proxy, and of a sudp visitor. Answers go to users who were heard of
only: the other end can't make us send to anybody else.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.address import IPv4Address, IPv6Address
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


class PortUser:
    """One user of a port: his meter, and his end of something like a connection.

    Attributes:
        address: as the port has it.
        up_bytes: those of him that went on.
        down_bytes: those that were sent to him.
    """

    __slots__ = ("_forget", "address", "down_bytes", "up_bytes")

    def __init__(self, address: SocketAddress, forget: Callable[["PortUser"], None]) -> None:
        self.address = address
        self.up_bytes = self.down_bytes = 0
        self._forget = forget

    def getPeer(self) -> IPv4Address | IPv6Address:
        """Tell where he is."""
        user = user_at(self.address)
        return (IPv6Address if ":" in user.ip else IPv4Address)("UDP", user.ip, user.port)

    def abortConnection(self) -> None:
        """Forget him: nothing is sent to him until he comes again."""
        self._forget(self)


class Account(Protocol):
    """What is counted: see `tunnelsvc.metrics.counters.ProxyStats`."""

    def track(self, meter: PortUser, user: PortUser) -> None:
        """Count a user who comes, and his bytes as they move."""

    def untrack(self, meter: PortUser) -> None:
        """Count one who goes."""


class NoAccount:
    """Where nothing is counted."""

    def track(self, meter: PortUser, user: PortUser) -> None:
        """See `Account`."""

    def untrack(self, meter: PortUser) -> None:
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
        self._users: Users[PortUser] = Users(
            clock, most=MOST_USERS, idle_seconds=IDLE_SECONDS, on_gone=self._gone
        )

    def use(self, channel: DatagramChannel | None) -> None:
        """Go on by this channel; None: let datagrams wait."""
        self._channel = channel

    def received(self, data: bytes, address: SocketAddress) -> None:
        """Take a user's datagram, hop 1."""
        user = user_at(address)
        known = self._users.find(user)
        if known is None:
            known = PortUser(address, self._forget)
            self._users.add(user, known)
            self.account.track(known, known)
        if not self.outbox.put(user, data):
            return
        known.up_bytes += len(data)
        if self._channel is None:
            self._on_waiting()
        else:
            self._channel.wake()

    def deliver(self, datagrams: Sequence[Datagram]) -> None:
        """Send answers to their users."""
        for user, content in datagrams:
            known = self._users.find(user)
            if known is None:
                self._drops.add(Drop.STRANGER)
            elif self.port.send_to(content, known.address):
                known.down_bytes += len(content)
            else:
                self._drops.add(Drop.UNSENT)

    def close(self) -> None:
        """Forget all users, and end the channel."""
        self._users.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _forget(self, user: PortUser) -> None:
        self._users.forget(user_at(user.address))

    def _gone(self, user: PortUser) -> None:
        self.account.untrack(user)
