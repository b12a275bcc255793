# -*- test-case-name: tests.admin.test_auth -*-
"""Who knows the password, and how often somebody may try: for HTTP Basic and the form alike."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web.server import Request

from tunnelsvc.addresses import site_of
from tunnelsvc.admin.throttle import Failed, Throttle
from tunnelsvc.link.tcpfacts import unmapped
from tunnelsvc.units import MINUTE

if TYPE_CHECKING:
    from tunnelsvc.gateway.forwarded import Trust

_OF_PROXIES: Final = (b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip")

LOGIN: Final = "dashboard_login"
REFUSED: Final = "dashboard_refused"
LOCKED: Final = "dashboard_locked"

Report = Callable[[str, str, str], None]
"""Is told of `LOGIN`, `REFUSED` or `LOCKED`, from which address, and details."""


def report_nowhere(kind: str, address: str, detail: str) -> None:
    """Tell nobody."""


@frozen
class Verdict:
    """What is to be answered to who says a password.

    Attributes:
        right: whether it was the right one.
        delay_seconds: how long the answer to a wrong one has to wait.
        refused_seconds: how long the address mustn't ask; 0: it might.
    """

    right: bool = False
    delay_seconds: float = 0.0
    refused_seconds: float = 0.0


class Keeper:
    """Knows the password of a site, and who has tried it.

    Attributes:
        user: the only user there is.
        throttle: who has failed.
        trust: whose ``X-Forwarded-For`` is believed; None: nobody's.
    """

    log = Logger()

    def __init__(
        self,
        user: str,
        password: str,
        throttle: Throttle,
        trust: Trust | None = None,
        report: Report = report_nowhere,
    ) -> None:
        self.user = user
        self.throttle = throttle
        self.trust = trust
        self._report = report
        self._expected = _digest(f"{user}:{password}".encode())

    def address(self, request: Request) -> str:
        """Tell from where a request comes: behind a proxy that is trusted, what that says."""
        peer = _peer_of(request)
        if self.trust is None or not self.trust.covers(peer):
            return peer
        said = request.requestHeaders.getRawHeaders(b"x-forwarded-for") or []
        hops = [hop.strip().decode("ascii", "replace") for hop in b",".join(said).split(b",")]
        return self.trust.user(peer, hops)

    def place(self, request: Request) -> str:
        """Tell from where a request comes, if there is nobody else; empty: there may be.

        All who come by a proxy that isn't trusted come from one address.
        """
        trusted = self.trust is not None and self.trust.covers(_peer_of(request))
        if not trusted and any(request.getHeader(name) is not None for name in _OF_PROXIES):
            return ""
        return site_of(self.address(request))

    def asks(self, request: Request, given: bytes) -> Verdict:
        """Look whether somebody knows the password.

        Args:
            request: the one that says it.
            given: ``user:password``; empty for what couldn't be read.
        """
        address = self.address(request)
        refused = self.throttle.refused_seconds(address)
        if refused > 0:
            return Verdict(refused_seconds=refused)
        if compare_digest(_digest(given), self._expected):
            self.throttle.succeeded(address)
            return Verdict(right=True)
        failed = self.throttle.failed(address)
        self._tell(address, failed)
        return Verdict(delay_seconds=failed.delay_seconds, refused_seconds=failed.locked_seconds)

    def _tell(self, address: str, failed: Failed) -> None:
        self.log.warn(
            "wrong user or password from {address}, {count} in a row",
            address=address, count=failed.count,
        )  # fmt: skip
        self._report(REFUSED, address, f"{failed.count} in a row")
        if failed.locked_seconds:
            minutes = round(failed.locked_seconds / MINUTE)
            self.log.warn(
                "{address} is locked out for {minutes} minutes", address=address, minutes=minutes
            )
            self._report(LOCKED, address, f"{minutes} minutes")

    def logged_in(self, request: Request) -> None:
        """Tell that somebody has begun a session."""
        address = self.address(request)
        self.log.info("{user} logged in from {address}", user=self.user, address=address)
        self._report(LOGIN, address, self.user)


class Delays:
    """Answers that wait."""

    def __init__(self, throttle: Throttle) -> None:
        self._clock = throttle.clock
        self._delayed: dict[IDelayedCall, Callable[[], None]] = {}

    def later(self, seconds: float, request: Request, answer: Callable[[], bytes]) -> None:
        """Answer after a while, if whoever asked is still there by then.

        Args:
            seconds: how long.
            request: the one to answer.
            answer: fills in the response, and returns its body.
        """

        def over() -> None:
            self._delayed.pop(call, None)
            request.write(answer())
            request.finish()

        def gone(_: object) -> None:
            if self._delayed.pop(call, None):
                call.cancel()

        call = self._clock.callLater(seconds, over)
        self._delayed[call] = over
        request.notifyFinish().addErrback(gone)

    def hurry(self) -> None:
        """Answer all at once."""
        for call, over in list(self._delayed.items()):
            call.cancel()
            over()

    def close(self) -> None:
        """Answer nobody any more."""
        delayed, self._delayed = self._delayed, {}
        for call in delayed:
            call.cancel()


def _peer_of(request: Request) -> str:
    return unmapped(getattr(request.getClientAddress(), "host", ""))


def _digest(value: bytes) -> bytes:
    """Make values of any length comparable without telling the length."""
    return sha256(value).digest()
