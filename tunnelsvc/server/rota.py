# -*- test-case-name: tests.server.test_rota -*-
"""Whose turn it is in a group, and who may be in it: bookkeeping without any connection.

A group is there while it has members. The first one sets the key and the terms, and whoever joins
must bring the same. Nothing else is remembered, so that members may leave and join in any order:
when a client goes and comes back, when a newer login takes its place, when a check takes it out.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final, Generic, Protocol, TypeVar

from tunnelsvc.errors import ProxyRefused

FAILED_SECONDS: Final = 10.0
"""How long a member that couldn't serve is passed over while others can: nginx's
``fail_timeout``."""
MOST_TRIES: Final = 8
"""Members that are tried for one user: a client that doesn't answer takes ``user_conn_timeout``."""

Now = Callable[[], float]
"""The time, in seconds."""


class Member(Protocol):
    """What can take turns."""

    @property
    def name(self) -> str:
        """No two have the same."""


M = TypeVar("M", bound=Member)


class Rota(Generic[M]):
    """Whose turn it is: of those who can, who had it longest ago."""

    def __init__(self, now: Now) -> None:
        """Begin with nobody.

        Args:
            now: for the time that a failure is remembered.
        """
        self._now = now
        self._members: OrderedDict[str, M] = OrderedDict()  # the next one first
        self._failed: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, member: M) -> None:
        """Put a member in line behind the others.

        Raises:
            ProxyRefused: one of that name is there.
        """
        if member.name in self._members:
            raise ProxyRefused("group proxy repeated")
        self._members[member.name] = member

    def leave(self, member: M) -> None:
        """Take a member out. One that isn't there is no error."""
        if self._members.get(member.name) is member:
            del self._members[member.name]
            self._failed.pop(member.name, None)

    def take(self, tried: Collection[object] = ()) -> M | None:
        """Give somebody the turn.

        Args:
            tried: who isn't asked again.

        Returns:
            Who hasn't failed lately, else anybody; None: there is nobody who wasn't tried.
        """
        failing: M | None = None
        for member in self._members.values():
            if member in tried:
                continue
            if not self._failed or not self._is_failing(member.name):
                break
            failing = failing or member
        else:
            if failing is None:
                return None
            member = failing
        self._members.move_to_end(member.name)
        return member

    def failed(self, member: Member) -> None:
        """Take note that a member couldn't serve; one that left meanwhile doesn't matter."""
        if self._members.get(member.name) is member:
            self._failed[member.name] = self._now() + FAILED_SECONDS

    def turns(self) -> Iterator[M]:
        """Give the members for one user; who asks for one more couldn't be served by the last."""
        tried: list[M] = []
        while len(tried) < MOST_TRIES and (member := self.take(tried)) is not None:
            yield member
            self.failed(member)
            tried.append(member)

    def _is_failing(self, name: str) -> bool:
        until = self._failed.get(name)
        if until is None:
            return False
        if until > self._now():
            return True
        del self._failed[name]
        return False


class Group(Generic[M]):
    """Members, and what they must have in common."""

    def __init__(self, now: Now) -> None:
        """Begin without members; see `Rota`."""
        self.rota: Rota[M] = Rota(now)
        self._key = self._terms = b""

    def check(self, key: str, terms: bytes = b"") -> None:
        """See whether somebody may join.

        Args:
            key: the ``group_key``.
            terms: what else must be the same for all, and may be secret.

        Raises:
            ProxyRefused: with frp's texts.
        """
        if not self.rota:
            return
        if not hmac.compare_digest(self._key, _bytes(key)):
            raise ProxyRefused("group auth failed")
        if not hmac.compare_digest(self._terms, terms):
            raise ProxyRefused("group params invalid")

    def join(self, member: M, key: str, terms: bytes = b"") -> None:
        """Take a member in; see `check`."""
        self.check(key, terms)
        self.rota.join(member)
        self._key, self._terms = _bytes(key), terms


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
