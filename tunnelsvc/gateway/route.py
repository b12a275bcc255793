# -*- test-case-name: tests.gateway.test_exchange -*-
"""What the parts of the vhost path ask of each other, and of those around it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tunnelsvc.gateway.deadline import Deadline
from tunnelsvc.gateway.forwarded import Origin, Trust
from tunnelsvc.gateway.gate import Gate
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.pool import BackendPool
from tunnelsvc.gateway.router import Router
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed, Meter

if TYPE_CHECKING:
    from tunnelsvc.gateway.accesslog import AccessLog, Record


@frozen
class Asker:
    """The address of who makes a request, as well as it is known."""

    host: str
    port: int
    """0 where only proxies before us know it."""


class Underway(Protocol):
    """A request that is let in, and what it became, until it is over.

    See `tunnelsvc.metrics.connections.User`.
    """

    def getPeer(self) -> Asker:
        """Tell who makes it."""

    def abortConnection(self) -> None:
        """Take the answer from him: the connection, or the stream of HTTP/2, is reset."""

    def turn_away(self) -> None:
        """Say that the service isn't there any more, or reset what can't be told that."""


class Target(Protocol):
    """What a router finds: a `Route`, or several that take turns."""

    def for_request(self) -> "Route":
        """Return who takes the next request; called once for each."""

    def instead_of(self, tried: Sequence["Route"]) -> "Route | None":
        """Return who takes a request that others couldn't serve and did nothing of.

        Args:
            tried: those, the latest at the end.

        Returns:
            One who isn't among them; None: there is nobody else.
        """


class Route(Target, Protocol):
    """Where requests go: an http proxy."""

    @property
    def name(self) -> str:
        """How the access log calls it."""

    @property
    def rules(self) -> Rules:
        """What is done to requests."""

    @property
    def backend(self) -> BackendPool:
        """Connections to the local service."""

    def exchange_started(self, meter: Meter, request: Underway) -> None:
        """Take note of a request that is let in.

        Args:
            meter: counts its bytes while they move: up to the service, down to the user, heads
                included as they are passed on.
            request: it itself.
        """

    def exchange_finished(self, meter: Meter) -> None:
        """Take note that all is over with that request; called once for each."""


class LoneRoute:
    """What a `Route` does that stands alone, and counts nothing."""

    def for_request(self) -> Self:
        """Take every request."""
        return self

    def instead_of(self, tried: Sequence[Route]) -> None:
        """Nobody stands in."""

    def exchange_started(self, meter: Meter, request: Underway) -> None:
        """Nothing to do."""

    def exchange_finished(self, meter: Meter) -> None:
        """Nothing to do."""


class UserSide(Protocol):
    """What an exchange asks of the user's connection.

    Attributes:
        stream: the connection.
        origin: who the user is, for the service.
        deadline: for the exchange while it lasts.
        record: of the request under way, for the access log; None if there is no log.
    """

    stream: Stream
    origin: Origin
    deadline: Deadline
    record: "Record | None"

    @property
    def full(self) -> bool:
        """Whether the user doesn't take what was written."""

    @property
    def finished_writing(self) -> bool:
        """Whether the user's end of file has come."""

    def advance(self) -> None:
        """Give the exchange what was read of the request's body."""

    def throttle(self, *, on: bool) -> None:
        """Read no more, or read again."""

    def finished(self, *, keep: bool) -> None:
        """Take note that the response was written. Keep the connection, or end it."""

    def failed(self, status: int, *, unserved_by: Route | None = None) -> None:
        """Write an error response: nothing else was written.

        Args:
            status: of the response.
            unserved_by: the route, if it did nothing of the request and another one may.
        """

    def broken(self) -> None:
        """Reset the connection: the response can't be completed."""

    def hand_over(self) -> bytes:
        """Leave the stream to somebody else; return what was read and not used."""


class Joiner(Protocol):
    """How two streams become one: `tunnelsvc.relay.join`."""

    def __call__(
        self,
        near: Stream,
        far: Stream,
        near_unread: bytes = ...,
        far_unread: bytes = ...,
        *,
        clock: IReactorTime,
        far_half_closes: bool = ...,
        meter: Meter | None = ...,
    ) -> Deferred[Closed]:
        """Join; the result fires at the end and never fails."""


@define(eq=False)
class Site:
    """What all users' connections of one server share; what it holds may be exchanged meanwhile.

    Attributes:
        router: finds the proxy of a request.
        clock: for the time limits.
        response_timeout_seconds: how long a service may take from the end of a request to the
            head of its response (``vhost_http_timeout``).
        pages: makes error responses.
        join: joins the two sides of an upgraded connection.
        trust: whom to believe who a request is from (``trusted_proxies``); None: the key isn't set.
        access_log: takes note of every request; None: nobody wants to know.
        gate: looks at each request first, if there is one.
        hsts: value of Strict-Transport-Security in responses (RFC 6797); empty: none.
    """

    router: Router[Target]
    clock: IReactorTime
    response_timeout_seconds: float
    pages: Pages
    join: Joiner
    trust: Trust | None = None
    access_log: "AccessLog | None" = None
    gate: Gate | None = None
    hsts: bytes = b""
