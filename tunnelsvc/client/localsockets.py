# -*- test-case-name: tests.client.test_localsockets -*-
"""Hop 7 of a user's datagrams: a socket for each user, by which the local service tells them apart.

A service that isn't there costs datagrams, and nothing else: the next may find it again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from resource import RLIMIT_NOFILE, getrlimit

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import UnknownHostError

from tunnelsvc.addresses import unbracketed
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.link.dial import DialReactor, is_address, resolve
from tunnelsvc.link.udp import UDPSocket, connect_udp
from tunnelsvc.relay.datagrams import Outbox
from tunnelsvc.relay.drops import Drop
from tunnelsvc.relay.users import Users
from tunnelsvc.wire.datagrams import Datagram
from tunnelsvc.wire.messages import UDPAddress
from tunnelsvc.wire.proxyprotocol import Transport, header

IDLE_SECONDS = 30.0
"""How long a socket stays without a datagram in either direction (protocol notes 6.5)."""
MOST_SOCKETS = 4096
"""Of one proxy; for one more, the one that was silent for longest is closed."""
MOST_OF_DESCRIPTORS = 3 / 4
"""Of those that the process may have: the rest is left for users of proxies that aren't udp. The
lowest one is always given, so a high one tells that there are many, whoever has them."""
LOOK_UP_SECONDS = 10.0
"""Between two times that the name of the service is looked up: it may have moved."""


class LocalSockets:
    """The sockets of one proxy."""

    def __init__(
        self,
        reactor: DialReactor,
        config: ProxyConfig,
        outbox: Outbox,
        on_answer: Callable[[], None],
    ) -> None:
        """Begin with none.

        Args:
            reactor: watches, and is the clock.
            config: says where the service is.
            outbox: takes the answers.
            on_answer: called after each.
        """
        self._reactor = reactor
        self._config = config
        self._outbox = outbox
        self._on_answer = on_answer
        self._host = unbracketed(config.local_ip)
        self._address = self._host if is_address(self._host) else ""
        self._named = not self._address
        self._looked_up_at = float("-inf")
        self._first_too_high = int(getrlimit(RLIMIT_NOFILE)[0] * MOST_OF_DESCRIPTORS)
        self._sockets: Users[UDPSocket] = Users(
            reactor, most=MOST_SOCKETS, idle_seconds=IDLE_SECONDS, on_gone=lambda gone: gone.close()
        )

    async def look_up(self) -> None:
        """Find out where the service is, if it is known by name; an old address is kept if not."""
        if not self._named:
            return
        self._looked_up_at = self._reactor.seconds()
        try:
            found = await resolve(self._reactor, self._host)
        except UnknownHostError:
            self._outbox.drops.log.warn(
                "[{proxy}] local service: {host}: no such name",
                proxy=self._config.name, host=self._host,
            )  # fmt: skip
            return
        # As frpc does it: nobody answers to tell which of the two the service has.
        self._address = min(found, key=lambda address: ":" in address)

    def deliver(self, datagrams: Sequence[Datagram]) -> None:
        """Send users' datagrams to the service."""
        for user, content in datagrams:
            found = self._sockets.find(user)
            if found is not None:
                sent = found.send(content)
            else:
                made = self._open(user)
                if made is None:
                    continue
                sent = self._begin(user, made, content)
            if not sent:
                self._outbox.drops.add(Drop.UNSENT)

    def close(self) -> None:
        """Close all; there may be new ones."""
        self._sockets.clear()

    def _open(self, user: UDPAddress) -> UDPSocket | None:
        """Make a socket for a new user; None: there is no way to the service."""
        if self._named and self._reactor.seconds() - self._looked_up_at >= LOOK_UP_SECONDS:
            ensureDeferred(self.look_up())
        made = self._connect(user) if self._address else None
        if made is not None and 0 < self._first_too_high <= made.fileno():
            made.close()
            made = self._connect(user) if self._sockets.forget_oldest() else None
        if made is None:
            self._refused()
            return None
        return made

    def _begin(self, user: UDPAddress, made: UDPSocket, content: bytes) -> bool:
        """Send what tells who the user is, and the first datagram; False: it wasn't taken.

        Then the socket isn't kept, so that the next datagram tells it. The two may be longer
        together than a datagram can be.
        """
        sent = made.send(self._introduction(user) + content)
        if sent:
            self._sockets.add(user, made)
        else:
            made.close()
        return sent

    def _connect(self, user: UDPAddress) -> UDPSocket | None:
        port = self._config.local_port
        answered = partial(self._answered, user)
        with suppress(OSError):
            return connect_udp(self._reactor, self._address, port, answered, self._refused)
        return None

    def _refused(self, _: object = None) -> None:
        self._outbox.drops.add(Drop.NO_SERVICE)

    def _introduction(self, user: UDPAddress) -> bytes:
        """Make what goes before the first datagram of a user, to tell the service who that is."""
        version = self._config.proxy_protocol_version
        if not version:
            return b""
        service = self._address, self._config.local_port
        return header(version, (user.ip, user.port), service, Transport.DATAGRAM)

    def _answered(self, user: UDPAddress, data: bytes, _: object) -> None:
        self._sockets.find(user)  # a sign of life
        if self._outbox.put(user, data):
            self._on_answer()
