# -*- test-case-name: tests.admin.test_sessions -*-
"""Sessions of people who have logged in: signed cookies, and nothing to remember but who has left.

A cookie's value is ``1.ID.EXPIRY.MAC``: 128 bits, Unix seconds, and HMAC-SHA256 of both. The
key comes from user and password by scrypt (RFC 7914), so sessions outlive a restart of the program
and end when the password changes. Slow, so that who has got hold of a cookie can't try passwords
by it faster than he can here. The token against requests by other sites' pages (CSRF) is another
HMAC of the id, which the cookie alone doesn't tell.
"""

import re
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from hmac import compare_digest, digest
from secrets import token_bytes
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IDelayedCall, IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from tunnelsvc.admin.identity import Callback
from tunnelsvc.units import HOUR

SESSION_SECONDS: Final = 12 * HOUR
MOST_COOKIE_BYTES: Final = 128
"""Longer values aren't looked at; ours have 82."""
MOST_ENDED: Final = 1_000
"""Sessions that are remembered because they were ended before their time."""
SCRYPT: Final = {"n": 2**15, "r": 8, "p": 1}
"""60 ms and 32 MiB, once; OWASP's advice for the memory is 2**17, for passwords that many have."""

_CHANCE_BYTES: Final = 10
_MARK_BYTES: Final = 6
"""Of an id: what comes by chance, and what says where the session began."""
_COOKIE: Final = re.compile(rb"1\.([A-Za-z0-9_-]{22})\.([0-9]{1,11})\.([A-Za-z0-9_-]{43})")

Derive = Callable[[Callable[[], bytes]], "Deferred[bytes]"]
"""Calls a function that takes long, off the reactor's thread."""


@frozen
class Session:
    """One login of one browser.

    Attributes:
        id: random text.
        expires_at: Unix seconds.
        cookie: what the browser sends.
        csrf: what changes have to come with.
    """

    id: bytes = field(repr=False)
    expires_at: int
    cookie: bytes = field(repr=False)
    csrf: str = field(repr=False)


@define(eq=False)
class _Watcher:
    callback: Callback
    timer: IDelayedCall | None = None


def parse(value: bytes) -> tuple[bytes, int, bytes] | None:
    """Read a cookie's value: id, expiry and MAC; None if it is none of ours."""
    if len(value) > MOST_COOKIE_BYTES:
        return None
    found = _COOKIE.fullmatch(value)
    return (found[1], int(found[2]), found[3]) if found else None


def session_key(site: str, user: str, password: str) -> bytes:
    """Make the key of a site's sessions; takes long.

    Args:
        site: which one, so that the cookies of one are worth nothing to another.
        user: who may log in.
        password: that user's.
    """
    # hashlib's would load a second OpenSSL (`tunnelsvc.lean`). For few: who logs in by a form.
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415

    salt = f"tunnelsvc sessions of {site}\0{user}".encode()
    return Scrypt(salt=salt, length=32, **SCRYPT).derive(password.encode())


def thread_of(reactor: Any) -> Derive:
    """Give what calls a function in a thread of a reactor's; at once, if it has none (a clock)."""
    if not IReactorThreads.providedBy(reactor):
        return execute
    return partial(deferToThreadPool, reactor, reactor.getThreadPool())


class Sessions:
    """The sessions of one site.

    `ready` comes before everything that has to do with a cookie.

    Attributes:
        site: its name, of which the cookie's is made.
    """

    def __init__(
        self, site: str, make_key: Callable[[], bytes], derive: Derive, clock: IReactorTime
    ) -> None:
        """Begin; the key is made when it is needed.

        Args:
            site: its name.
            make_key: see `session_key`.
            derive: calls that.
            clock: what time it is (Unix seconds).
        """
        self.site = site
        self._make_key = make_key
        self._derive = derive
        self._clock = clock
        self._key: bytes | None = None
        self._waiting: list[Deferred[None]] = []
        self._ended: OrderedDict[bytes, int] = OrderedDict()
        self._not_before = -1
        self._watchers: dict[bytes, list[_Watcher]] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the key is there."""
        return self._key is not None

    def ready(self) -> "Deferred[None]":
        """Make the key, once for all who wait; fires when it is there, fails if it can't be made.

        Who doesn't wait any more may cancel.
        """
        waiting: Deferred[None] = Deferred(self._waiting_cancelled)
        if self._key is not None:
            waiting.callback(None)
            return waiting
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._derive(self._make_key).addBoth(self._derived)
        return waiting

    def _waiting_cancelled(self, waiting: "Deferred[None]") -> None:
        """Leave it in the list: by that it is known that the key is being made."""

    def _derived(self, result: bytes | Failure) -> None:
        all_waiting, self._waiting = self._waiting, []
        if not isinstance(result, Failure):
            self._key = result
        for waiting in all_waiting:
            if waiting.called:
                continue
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                waiting.callback(None)

    def begin(self, place: str = "") -> Session:
        """Make a session.

        Args:
            place: where it begins, for `began_at`; empty: nowhere in particular.
        """
        expires_at = int(self._clock.seconds() + SESSION_SECONDS)
        chance = token_bytes(_CHANCE_BYTES)
        return self._session(_text(chance + self._mark(chance, place)), expires_at)

    def began_at(self, session: Session, place: str) -> bool:
        """Tell whether a session began at a place, which its id says to who has the key."""
        whole = urlsafe_b64decode(session.id + b"==")
        chance, mark = whole[:_CHANCE_BYTES], whole[_CHANCE_BYTES:]
        return bool(place) and compare_digest(mark, self._mark(chance, place))

    def _mark(self, chance: bytes, place: str) -> bytes:
        assert self._key is not None
        return digest(self._key, b"place " + chance + place.encode(), "sha256")[:_MARK_BYTES]

    def find(self, value: bytes) -> Session | None:
        """Find the session that a cookie is of; None if it is of none that still runs."""
        parsed = parse(value)
        if parsed is None:
            return None
        id_, expires_at, mac = parsed
        session = self._session(id_, expires_at)
        if not compare_digest(session.cookie.rpartition(b".")[2], mac):
            return None
        now = self._clock.seconds()
        if not now < expires_at <= now + SESSION_SECONDS + 1 or id_ in self._ended:
            return None
        return session if expires_at > self._not_before + SESSION_SECONDS else None

    def find_among(self, values: Iterable[bytes]) -> Session | None:
        """Find the first session that one of several cookies is of; see `find`."""
        return next(filter(None, map(self.find, values)), None)

    def _session(self, id_: bytes, expires_at: int) -> Session:
        assert self._key is not None
        signed = b"1.%b.%d" % (id_, expires_at)
        cookie = b"%b.%b" % (signed, _text(digest(self._key, b"cookie " + signed, "sha256")))
        csrf = _text(digest(self._key, b"csrf " + signed, "sha256")).decode()
        return Session(id_, expires_at, cookie, csrf)

    def end(self, session: Session) -> None:
        """End a session before its time."""
        now = self._clock.seconds()
        for id_ in [id_ for id_, expires_at in self._ended.items() if expires_at <= now]:
            del self._ended[id_]
        if len(self._ended) >= MOST_ENDED:
            # None of them may come back to life, so all others end, too.
            self._ended.clear()
            self._not_before = int(now)
        self._ended[session.id] = session.expires_at
        self._call(self._watchers.pop(session.id, []))

    def watch(self, session: Session | None, callback: Callback) -> Callback:
        """Call back when a session ends.

        Args:
            session: which one; None: that of somebody who knows the password, which ends when that
                changes.
            callback: is called once.

        Returns:
            Takes that back.
        """
        id_ = session.id if session is not None else b""
        watcher = _Watcher(callback)
        self._watchers.setdefault(id_, []).append(watcher)

        def unwatch() -> None:
            if watcher.timer is not None and watcher.timer.active():
                watcher.timer.cancel()
            remaining = self._watchers.get(id_, [])
            if watcher in remaining:
                remaining.remove(watcher)
            if not remaining:
                self._watchers.pop(id_, None)

        def over() -> None:
            unwatch()
            callback()

        if session is not None:
            left = max(0.0, session.expires_at - self._clock.seconds())
            watcher.timer = self._clock.callLater(left, over)
        return unwatch

    def close(self) -> None:
        """End all; whoever holds a cookie may come back to `Sessions` of the same password."""
        self._not_before = sys.maxsize  # for requests that still waited for the key
        watchers, self._watchers = self._watchers, {}
        for each in watchers.values():
            self._call(each)

    @staticmethod
    def _call(watchers: list[_Watcher]) -> None:
        for watcher in list(watchers):
            if watcher.timer is not None and watcher.timer.active():
                watcher.timer.cancel()
            watcher.callback()


def _text(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")
