# -*- test-case-name: tests.admin.test_auth -*-
"""HTTP Basic authentication (RFC 7617), slow for who guesses."""

from collections import OrderedDict
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.http import UNAUTHORIZED
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from tunnelsvc.addresses import site_of
from tunnelsvc.admin.web import answer_text
from tunnelsvc.units import MINUTE
from tunnelsvc.wire.basicauth import credentials_in

CHALLENGE: Final = b'Basic realm="Restricted", charset="UTF-8"'
"""frp's realm, so that what browsers have stored goes on working."""
TOO_MANY_REQUESTS: Final = 429
"""RFC 6585 section 4; twisted.web has no name for it."""
FIRST_DELAY_SECONDS: Final = 0.2
"""Before the answer to a first wrong password, as in frp. Doubles with each failure after it."""
MOST_DELAY_SECONDS: Final = 5.0
"""A person who mistypes still waits this long; a program tries for ever."""
FORGET_SECONDS: Final = 10 * MINUTE
"""After this time without a failure an address starts at the first delay again."""
MOST_WAITING: Final = 8
"""Delayed answers of one address at a time. More than this is refused unread, so that guessing on
many connections isn't faster; a browser opens at most six."""
MOST_ADDRESSES: Final = 10_000
"""Addresses whose failures are remembered; the one that failed longest ago is forgotten first."""


@define(eq=False)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    waiting: int = 0


class Throttle:
    """Knows who failed lately, and how long that one has to wait."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._delayed: set[IDelayedCall] = set()

    def refuses(self, address: str) -> bool:
        """Whether an address has so many answers due that it must not ask."""
        failures = self._failures.get(site_of(address))
        return failures is not None and failures.waiting >= MOST_WAITING

    def failed(self, address: str) -> tuple[int, float]:
        """Note a failure.

        Returns:
            How many in a row, and how long the answer has to wait, in seconds.
        """
        site, now = site_of(address), self._clock.seconds()
        failures = self._failures.pop(site, None) or _Failures()
        if now - failures.last_at > FORGET_SECONDS:
            failures.count = 0
        failures.count += 1
        failures.last_at = now
        self._failures[site] = failures
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        doublings = min(failures.count - 1, 32)
        delay = min(FIRST_DELAY_SECONDS * 2**doublings, MOST_DELAY_SECONDS)
        self._wait(failures, delay)
        return failures.count, delay

    def _wait(self, failures: _Failures, seconds: float) -> None:
        """Keep a place taken for the time of a delay, even if nobody waits for the answer."""

        def over() -> None:
            failures.waiting -= 1
            self._delayed.discard(call)

        failures.waiting += 1
        call = self._clock.callLater(seconds, over)
        self._delayed.add(call)

    def succeeded(self, address: str) -> None:
        """Note a success: the next failure is a first one. Answers that are due stay due."""
        failures = self._failures.get(site_of(address))
        if failures is not None:
            failures.count = 0

    def close(self) -> None:
        """Stop all timers."""
        delayed, self._delayed = self._delayed, set()
        for call in delayed:
            call.cancel()


@implementer(IResource)
class BasicAuth(Resource):
    """Lets those pass to another resource who know the password."""

    log = Logger()

    def __init__(self, inner: IResource, user: str, password: str, clock: IReactorTime) -> None:
        """Guard `inner`.

        Args:
            inner: what is behind.
            user: the only user there is.
            password: that user's.
            clock: for delays.
        """
        super().__init__()
        self.throttle = Throttle(clock)
        self._inner = inner
        self._clock = clock
        self._expected = _digest(f"{user}:{password}".encode())
        self._delayed: set[IDelayedCall] = set()

    def getChildWithDefault(  # noqa: N802 - twisted.web's name
        self, path: bytes, request: Request
    ) -> IResource:
        """Find the resource to answer: one behind, or a refusal."""
        given = _credentials(request)
        if given is None:
            return _Denied()
        address = getattr(request.getClientAddress(), "host", "")
        if self.throttle.refuses(address):
            return _TooMany()
        if compare_digest(_digest(given), self._expected):
            self.throttle.succeeded(address)
            inner: IResource = self._inner.getChildWithDefault(path, request)
            return inner
        count, delay = self.throttle.failed(address)
        self.log.warn(
            "wrong user or password from {address}, {count} in a row", address=address, count=count
        )
        return _Denied(self, delay)

    def later(self, seconds: float, request: Request) -> None:
        """Deny after a while, if whoever asked is still there by then."""

        def deny() -> None:
            self._delayed.discard(call)
            request.write(_deny(request))
            request.finish()

        def gone(_: object) -> None:
            if call in self._delayed:
                self._delayed.discard(call)
                call.cancel()

        call = self._clock.callLater(seconds, deny)
        self._delayed.add(call)
        request.notifyFinish().addErrback(gone)

    def close(self) -> None:
        """Stop all timers."""
        self.throttle.close()
        delayed, self._delayed = self._delayed, set()
        for call in delayed:
            call.cancel()


class _Denied(Resource):
    isLeaf = True

    def __init__(self, guard: BasicAuth | None = None, delay: float = 0.0) -> None:
        super().__init__()
        self._guard = guard
        self._delay = delay

    def render(self, request: Request) -> bytes | int:
        if self._guard is None:
            return _deny(request)
        self._guard.later(self._delay, request)
        return NOT_DONE_YET


class _TooMany(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.setHeader(b"Retry-After", b"%d" % MOST_DELAY_SECONDS)
        return answer_text(request, "Too Many Requests\n", TOO_MANY_REQUESTS)


def _deny(request: Request) -> bytes:
    request.setHeader(b"WWW-Authenticate", CHALLENGE)
    return answer_text(request, "Unauthorized\n", UNAUTHORIZED)


def _credentials(request: Request) -> bytes | None:
    """Read ``user:password``; None without an attempt, empty if it can't be read."""
    header = request.getHeader(b"authorization")
    if header is None:
        return None
    return credentials_in(header)


def _digest(value: bytes) -> bytes:
    """Make values of any length comparable without telling the length."""
    return sha256(value).digest()
