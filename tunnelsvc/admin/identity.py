# -*- test-case-name: tests.admin.test_gate -*-
"""Who makes a request, as the guard of a site has found."""

from collections.abc import Callable
from typing import Final, Literal

from attrs import field, frozen
from twisted.web.server import Request

from tunnelsvc import __version__

Callback = Callable[[], None]
Watch = Callable[[Callback], Callback]
"""Given what to call when a session ends, return what takes that back."""


def for_ever(callback: Callback) -> Callback:  # noqa: ARG001 - it is never called
    """See `Watch`: of somebody who needs no session."""
    return lambda: None


@frozen(eq=False)
class Identity:
    """Somebody who may pass.

    Attributes:
        by: how that is known: by a session's cookie, by a password with the request, or not at
            all, where a site asks for none.
        user: the name; empty if there is none.
        csrf: what changes have to come with (``X-CSRF-Token``); empty: nothing, or that isn't to be
            told.
        on_end: calls back, once, when this one may pass no more: logged out, session over, or
            password changed. Gives what takes the callback back; long answers want both.
    """

    by: Literal["cookie", "basic", "none"]
    user: str = ""
    csrf: str = field(default="", repr=False)
    on_end: Watch = field(default=for_ever, repr=False)

    def shape(self) -> dict[str, str]:
        """Return what becomes JSON (``GET /api/admin/session``)."""
        return {"user": self.user, "csrf": self.csrf, "by": self.by, "version": __version__}


NOBODY: Final = Identity("none")
"""Makes the requests to a site that asks for no password."""


def identity_of(request: Request) -> Identity:
    """Tell who makes a request that a guard has let pass."""
    identity: Identity = getattr(request, "identity", NOBODY)
    return identity
