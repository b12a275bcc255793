# -*- test-case-name: tests.server.test_groups -*-
"""Proxies that stand in for one another: ``group`` and ``group_key`` (protocol notes 6.1 to 6.3).

What a group's members share is a port (`SharedPorts`) or a place in a router (`SharedRoutes`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from twisted.internet.defer import DeferredLock

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.gateway.route import Route
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Connections, ParkingFactory
from tunnelsvc.interfaces import Stream
from tunnelsvc.server.ports import PortManager, PublicPort
from tunnelsvc.server.rota import MOST_TRIES, Group, Member, Now
from tunnelsvc.wire.messages import NewProxy

MOST_NAME_CHARACTERS: Final = 512
"""Of a group's name, which is kept with its port for a day."""


class StreamMember(Member, Protocol):
    """Takes user connections: any proxy."""

    def accept(self, user: Stream, seen: bytes, others: Iterator["StreamMember"]) -> None:
        """Take a user, and what was read of it.

        The first of the others does if this one can't, and so on.
        """


class RequestMember(Member, Route, Protocol):
    """Takes requests: an http proxy."""


class StreamGroup(Group[StreamMember]):
    """Its members take whole connections (tcp, https, tcpmux)."""

    def accept(self, user: Stream, seen: bytes = b"") -> None:
        """Hop 1: let a member take a paused user connection, and what was read of it."""
        turns = self.rota.turns()
        member = next(turns, None)
        if member is None:  # the last one left as this user came
            user.abortConnection()
        else:
            member.accept(user, seen, turns)


class NamedGroup(StreamGroup):
    """A group of type https; see `tunnelsvc.server.context.NamedProxy`.

    Attributes:
        domains: the name or wildcard by which it is found.
    """

    def __init__(self, now: Now, domain: str) -> None:
        super().__init__(now)
        self.domains = (domain,)


class ConnectGroup(StreamGroup):
    """A group of type tcpmux; see `tunnelsvc.server.context.ConnectTarget`."""

    @property
    def credentials(self) -> bytes:
        """Who may enter by one member may by all."""
        return self._terms


class RequestGroup(Group[RequestMember]):
    """Its members take requests (http); see `tunnelsvc.gateway.route.Target`."""

    def for_request(self) -> Route:
        """Let the next member take a request."""
        member = self.rota.take()
        assert member is not None  # a group without members isn't in the router
        return member

    def instead_of(self, tried: Sequence[Route]) -> Route | None:
        """Let another member take a request."""
        self.rota.failed(tried[-1])
        return self.rota.take(tried) if len(tried) < MOST_TRIES else None


class SharedPort(StreamGroup):
    """A group of type tcp."""

    def __init__(self, name: str, ports: PortManager, connections: Connections) -> None:
        """Begin without a port.

        Args:
            name: by which it finds its old port again.
            ports: gives it one.
            connections: takes note of its users'.
        """
        super().__init__(ports.clock.seconds)
        self._owner = ("group", name)
        self._ports = ports
        self._factory = ParkingFactory(self.accept, connections)
        self._wanted = 0
        self._port: PublicPort | None = None
        # A port closes in the next turn: who joins meanwhile waits, instead of finding it taken.
        self._turn = DeferredLock()

    @property
    def is_idle(self) -> bool:
        """Whether it can be forgotten."""
        return not (self.rota or self._turn.locked)

    async def open(self, member: StreamMember, wanted: int, key: str) -> int:
        """Take a member in.

        Args:
            member: a proxy.
            wanted: the ``remote_port`` that it asks for; 0: any.
            key: its ``group_key``.

        Returns:
            The port that it gets.

        Raises:
            ProxyRefused: with frp's texts.
        """
        async with self._turn:
            self.check(key)
            if self._port is None:
                self._port = self._ports.listen(self._owner, wanted, self._factory)
                self._wanted = wanted
            elif self._wanted != wanted:
                raise ProxyRefused("group should have same remote port")
            self.join(member, key)
            return self._port.number

    async def close(self, member: StreamMember) -> None:
        """Take a member out, and close the port behind the last one."""
        self.rota.leave(member)
        async with self._turn:
            if not self.rota and self._port is not None:
                port, self._port = self._port, None
                await port.close()


class SharedPorts:
    """The groups of type tcp, by name."""

    def __init__(self, ports: PortManager, connections: Connections) -> None:
        """Begin without groups; see `SharedPort`."""
        self._ports = ports
        self._connections = connections
        self._groups: dict[str, SharedPort] = {}

    async def open(self, name: str, member: StreamMember, wanted: int, key: str) -> int:
        """Take a member into the group of that name; see `SharedPort`."""
        check_name(name)
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = SharedPort(name, self._ports, self._connections)
        try:
            return await group.open(member, wanted, key)
        finally:
            self._tidy(name)

    async def close(self, name: str, member: StreamMember) -> None:
        """Take a member out again."""
        try:
            await self._groups[name].close(member)
        finally:
            self._tidy(name)

    def _tidy(self, name: str) -> None:
        group = self._groups.get(name)
        if group is not None and group.is_idle:
            del self._groups[name]


Place = tuple[str, str, str]
"""What a router knows a target by: domain, location, HTTP user."""
G = TypeVar("G", bound=Group)  # type: ignore[type-arg]


class SharedRoutes(Generic[G]):
    """The groups of a type that is found by names: one group for each place and group name.

    frp up to 0.42 has that too. Later ones know groups by their name alone, so that all members
    have one and the same place; such members find one another here as well.
    """

    def __init__(self, router: Router[Any], make: Callable[[str], G]) -> None:
        """Begin without groups.

        Args:
            router: of the type; finds groups among other targets.
            make: makes an empty group for a domain.
        """
        self._router = router
        self._make = make
        self._groups: dict[tuple[str, Place], G] = {}

    def places(self, member: "GroupMember", terms: bytes = b"") -> "MemberPlaces":
        """Give what stands for the router to a member; see `Group.check`."""
        return MemberPlaces(self, member, terms)

    def join(self, name: str, place: Place, member: Member, key: str, terms: bytes = b"") -> None:
        """Take a member into the group of that name and place; see `Group.check`.

        Raises:
            ProxyRefused: with frp's texts; also if the place is somebody else's.
        """
        check_name(name)
        group = self._groups.get((name, place))
        if group is not None:
            group.join(member, key, terms)
            return
        group = self._make(place[0])
        domain, location, user = place
        self._router.add(domain, location, group, user=user)
        group.join(member, key, terms)
        self._groups[name, place] = group

    def leave(self, name: str, place: Place, member: Member) -> None:
        """Take a member out again."""
        group = self._groups[name, place]
        group.rota.leave(member)
        if not group.rota:
            del self._groups[name, place]
            domain, location, user = place
            self._router.remove(domain, location, user=user)


class GroupMember(Member, Protocol):
    """A proxy with ``group`` and ``group_key``."""

    @property
    def request(self) -> NewProxy:
        """Has them."""


class MemberPlaces:
    """A router, as one member of groups in it sees it."""

    def __init__(self, groups: SharedRoutes[Any], member: GroupMember, terms: bytes) -> None:
        self._groups = groups
        self._member = member
        self._terms = terms

    def add(self, domain: str, location: str, target: Member, *, user: str = "") -> None:
        """Join the group of a place."""
        request, place = self._member.request, (domain, location, user)
        self._groups.join(request.group, place, target, request.group_key, self._terms)

    def remove(self, domain: str, location: str, *, user: str = "") -> None:
        """Leave it."""
        self._groups.leave(self._member.request.group, (domain, location, user), self._member)


def check_name(name: str) -> None:
    """Refuse what can't be the name of a group.

    Raises:
        ProxyRefused: it's too long, or not printable.
    """
    if len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise ProxyRefused(f"a group has a name of at most {MOST_NAME_CHARACTERS} characters")
