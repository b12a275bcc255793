# -*- test-case-name: tests.server.test_ports -*-
"""The public ports that proxies listen on."""

from collections.abc import Hashable, Iterator
from itertools import chain, islice
from random import Random
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime

from tunnelsvc.config.schema import Ports
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.link.sockets import listen
from tunnelsvc.units import DAY

LAST_PORT = 65535
RESERVED_SECONDS = DAY
"""How long an owner finds its old port again (protocol notes 5.1)."""
MOST_RESERVED = 10_000
"""Owners remembered; the oldest is forgotten first."""
ATTEMPTS = 100
"""Free ports tried before "no available port"; frp tries 5."""


class Listening(Protocol):
    """What listens: a port of Twisted's, or a `tunnelsvc.link.udp.UDPSocket`."""

    def getHost(self) -> Any:
        """Return the address."""

    def stopListening(self) -> Any:
        """Stop; may return a Deferred."""


@define(eq=False)
class PublicPort:
    """A port that a proxy listens on."""

    number: int
    listening: Listening
    _manager: "PortManager"
    _owner: Hashable

    async def close(self) -> None:
        """Stop listening, and keep the number for its owner for a day."""
        try:
            await maybeDeferred(self.listening.stopListening)
        finally:
            self._manager.released(self._owner, self.number)


class Listen(Protocol):
    """Binds a port: `tunnelsvc.link.sockets.listen`, `tunnelsvc.link.udp.listen_udp`."""

    def __call__(self, reactor: Any, number: int, receiver: Any, /, *, interface: str) -> Listening:
        """Bind it; raise ``CannotListenError`` if it is taken."""


@define(eq=False)
class PortManager:
    """Gives out ports of one kind, TCP or UDP, within what the configuration allows."""

    reactor: Any
    clock: IReactorTime
    interface: str
    allowed: Ports
    random: Random = field(factory=Random)
    bind: Listen = listen
    """What binds a port: of TCP, unless another is given."""
    _used: set[int] = field(factory=set, init=False)
    _reserved: dict[Hashable, tuple[int, float]] = field(factory=dict, init=False)

    def listen(self, owner: Hashable, wanted: int, receiver: Any) -> PublicPort:
        """Listen on a port.

        Args:
            owner: the proxy's name, or what stands for a group, to give it its old port again when
                it has no wish.
            wanted: port number; 0: any.
            receiver: a factory that accepts connections; what takes datagrams.

        Raises:
            ProxyRefused: with frp's text.
        """
        if not wanted:
            return self._any(owner, receiver)
        if not 0 < wanted <= LAST_PORT or not self._allows(wanted):
            raise ProxyRefused("port not allowed")
        if wanted in self._used:
            raise ProxyRefused("port already used")
        try:
            return self._bind(owner, wanted, receiver)
        except CannotListenError:
            raise ProxyRefused("port unavailable") from None

    def released(self, owner: Hashable, number: int) -> None:
        """Take a port back."""
        self._used.discard(number)
        self._reserved.pop(owner, None)
        self._reserved[owner] = (number, self.clock.seconds())
        if len(self._reserved) > MOST_RESERVED:
            self._reserved.pop(next(iter(self._reserved)))

    def _any(self, owner: Hashable, receiver: Any) -> PublicPort:
        for number in islice(self._candidates(owner), ATTEMPTS):
            try:
                return self._bind(owner, number, receiver)
            except CannotListenError:
                continue
        raise ProxyRefused("no available port")

    def _candidates(self, owner: Hashable) -> Iterator[int]:
        """Yield the owner's old port, then free ones in random order; 0: the kernel's choice."""
        number, since = self._reserved.get(owner, (0, 0.0))
        recent = self.clock.seconds() - since < RESERVED_SECONDS
        if number and recent and self._allows(number) and number not in self._used:
            yield number
        if not self.allowed:
            yield 0
            return
        free = sorted(set(chain(*self.allowed)) - self._used)
        yield from self.random.sample(free, len(free))

    def _allows(self, number: int) -> bool:
        return not self.allowed or any(number in ports for ports in self.allowed)

    def _bind(self, owner: Hashable, number: int, receiver: Any) -> PublicPort:
        listening = self.bind(self.reactor, number, receiver, interface=self.interface)
        actual: int = listening.getHost().port
        self._used.add(actual)
        return PublicPort(actual, listening, self, owner)
