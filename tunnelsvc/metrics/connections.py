# -*- test-case-name: tests.metrics.test_connections -*-
"""Who is connected at this moment, for who wants to see it, or to end it.

A connection that opens leaves what it has anyway: its meter, and the user's transport. Addresses
are written and numbers given only when somebody looks, which mostly nobody does.
"""

from typing import TYPE_CHECKING, Protocol

from attrs import define, frozen

from tunnelsvc.addresses import bracketed, host_and_port

if TYPE_CHECKING:
    from tunnelsvc.metrics.traffic import Meter


class User(Protocol):
    """A user's end of a connection: of Twisted's ``ITransport`` as much as is asked here."""

    def getPeer(self) -> object:
        """Where he is: has ``host`` and ``port``, where there are such."""

    def abortConnection(self) -> None:
        """End what he has, at once."""


@frozen
class LiveConnection:
    """A connection of a user, a request of one, or a user of a UDP port, as it is now."""

    id: int
    """Of no other connection of this server, before or after."""
    proxy: str
    type: str
    user: str
    """Address and port, an IPv6 address in brackets; without a port where none is known."""
    started_at: float
    """Unix seconds."""
    in_bytes: int
    """From the user."""
    out_bytes: int
    """To the user."""


@define(eq=False)
class Connection:
    """What is kept of a connection while it is open.

    Attributes:
        meter: counts its bytes.
        user: who has it; None: nobody who could be named or cut off.
        since: when it opened, Unix seconds.
        up_bytes: of what the meter says, how much is accounted for.
        down_bytes: likewise.
        number: its id; 0: it has none yet.
        shown: the user's address; empty: nobody has asked for it yet.
    """

    meter: "Meter"
    user: User | None
    since: float
    up_bytes: int = 0
    down_bytes: int = 0
    number: int = 0
    shown: str = ""

    def where(self) -> str:
        """Write the user's address."""
        if not self.shown and self.user is not None:
            self.shown = written(self.user.getPeer())
        return self.shown


def written(address: object) -> str:
    """Write an address of Twisted's as `LiveConnection.user` has it."""
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    if not host:
        return "?"
    return host_and_port(host, port) if port else bracketed(host)
