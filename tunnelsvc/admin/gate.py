# -*- test-case-name: tests.admin.test_gate -*-
"""The gate of a site: lets those pass who know the password (RFC 7617) or have a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.web import http
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import Request
from zope.interface import implementer

from tunnelsvc.admin.answering import when_done
from tunnelsvc.admin.auth import Delays, Keeper, Report, report_nowhere
from tunnelsvc.admin.cookies import CSRF_HEADER, CSRF_PARAMETER, cookies_of, is_token
from tunnelsvc.admin.identity import NOBODY, Identity, identity_of
from tunnelsvc.admin.listening import Guard, Root
from tunnelsvc.admin.login import Login, Logout
from tunnelsvc.admin.loginpage import LoginFiles
from tunnelsvc.admin.refusals import Denied, Refusal, TooMany
from tunnelsvc.admin.sessions import Session, Sessions, session_key, thread_of
from tunnelsvc.admin.throttle import Throttle
from tunnelsvc.admin.web import ReadOnly, answer_json
from tunnelsvc.wire.basicauth import credentials_in

if TYPE_CHECKING:
    from tunnelsvc.gateway.forwarded import Trust

_READING: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_CHANGING: Final = ((b"api", b"reload"),)
"""What is asked for by GET, as frp has it, and changes something all the same."""
_PAGE: Final = (b"", b"static")
"""What the cookie alone is enough for: there is nothing in it that isn't in the package."""
_SESSION_INFO: Final = (b"api", b"admin", b"session")


class SessionInfo(ReadOnly):
    """``/api/admin/session``: who one is, and the token for changes."""

    def read(self, request: Request) -> bytes:
        """Answer."""
        return answer_json(request, identity_of(request).shape())


@implementer(IResource)
class OpenGate(Resource):
    """Lets everybody pass."""

    def __init__(self, inner: Guard) -> None:
        super().__init__()
        self._inner = inner

    def getChildWithDefault(  # noqa: N802 - twisted.web's name
        self, path: bytes, request: Request
    ) -> IResource:
        """Find the resource to answer."""
        return _enter(self._inner, path, request, NOBODY)


@implementer(IResource)
class Gate(Resource):
    """Lets those pass to another resource who know the password or have a session.

    Attributes:
        keeper: knows the password.
        sessions: of who has logged in.
        delays: answers that wait.
    """

    def __init__(self, inner: IResource, keeper: Keeper, sessions: Sessions) -> None:
        """Guard `inner`.

        Args:
            inner: what is behind.
            keeper: knows the password.
            sessions: of who has logged in by the form.
        """
        super().__init__()
        self.keeper = keeper
        self.sessions = sessions
        self.delays = Delays(keeper.throttle)
        self._inner = inner
        self._login = Login(keeper, sessions, self.delays)
        self._logout = Logout(sessions)
        self._static = Root()
        self._static.putChild(b"login", LoginFiles())

    @classmethod
    def of_site(
        cls,
        site: str,
        inner: IResource,
        user: str,
        password: str,
        reactor: Any,
        *,
        throttle: Throttle | None = None,
        trust: Trust | None = None,
        report: Report = report_nowhere,
    ) -> Gate:
        """Make the gate of a site.

        Args:
            site: its name, of which the cookie's is made.
            inner: what is behind.
            user: the only user there is.
            password: that user's.
            reactor: the clock of delays, and threads.
            throttle: who has failed so far; None: nobody.
            trust: see `Keeper`.
            report: likewise.
        """
        keeper = Keeper(user, password, throttle or Throttle(reactor), trust, report)
        make_key = partial(session_key, site, user, password)
        return cls(inner, keeper, Sessions(site, make_key, thread_of(reactor), reactor))

    def getChildWithDefault(  # noqa: N802 - twisted.web's name
        self, path: bytes, request: Request
    ) -> IResource:
        """Find the resource to answer: one behind, one for who isn't in yet, or a refusal."""
        rest = request.postpath or []
        if path == b"login":
            return self._login
        if path == b"static" and rest[:1] == [b"login"]:
            return self._static
        cookies = cookies_of(request, self.sessions.site)
        if cookies and not self.sessions.is_ready:
            return Later(self.sessions.ready(), lambda: self._find(path, request, cookies))
        return self._find(path, request, cookies)

    def _find(self, path: bytes, request: Request, cookies: list[bytes]) -> IResource:
        session = self.sessions.find_among(cookies)
        if session is not None and _may_do(session, path, request):
            return self._enter(path, request, self.identity(session))
        header = request.getHeader(b"authorization")
        if header is not None:
            return self._by_password(path, request, header)
        if session is not None and path == b"logout":
            # A form can't send the header; it has the token in a field.
            return self._enter(path, request, self.identity(session))
        if session is not None and not _is_reading(path, request):
            return Refusal(http.FORBIDDEN, "X-CSRF-Token is missing, or not this session's")
        if session is not None and self.sessions.began_at(session, self.keeper.place(request)):
            return self._enter(path, request, evolve(self.identity(session), csrf=""))
        return Denied(self.delays)

    def _by_password(self, path: bytes, request: Request, header: bytes) -> IResource:
        verdict = self.keeper.asks(request, credentials_in(header))
        if verdict.right:
            return self._enter(path, request, self.identity(None))
        if verdict.refused_seconds:
            return TooMany(verdict.refused_seconds)
        return Denied(self.delays, verdict.delay_seconds)

    def _enter(self, path: bytes, request: Request, identity: Identity) -> IResource:
        if path == b"logout":
            request.identity = identity  # type: ignore[attr-defined]
            return self._logout
        return _enter(self._inner, path, request, identity)

    def identity(self, session: Session | None) -> Identity:
        """Tell who has a session; None: who said the password with the request."""

        def watch(callback: Callable[[], None]) -> Callable[[], None]:
            return self.sessions.watch(session, callback)

        if session is None:
            return Identity("basic", self.keeper.user, on_end=watch)
        return Identity("cookie", self.keeper.user, session.csrf, watch)

    def retire(self) -> None:
        """Have no more to say: another password is to be asked for."""
        self.delays.hurry()
        self.sessions.close()

    def close(self) -> None:
        """Stop all timers."""
        self.delays.close()
        self.sessions.close()
        self.keeper.throttle.close()


def _enter(inner: Guard, path: bytes, request: Request, identity: Identity) -> IResource:
    request.identity = identity  # type: ignore[attr-defined]
    if (path, *(request.postpath or [])) == _SESSION_INFO:
        request.postpath = []
        return SessionInfo()
    return inner.getChildWithDefault(path, request)


def _may_do(session: Session, path: bytes, request: Request) -> bool:
    """Tell whether a request is one that nobody else can make with the cookie.

    Pages of other sites can have it sent. And browsers send it to all ports of a host (RFC 6265
    section 8.5), so whoever has a tunnel on one of ours may get to see it, and ask by himself. From
    where the session began he mostly can't: there the cookie alone is enough to look.
    """
    if is_token(session.csrf, request.getHeader(CSRF_HEADER) or b""):
        return True
    if not _is_reading(path, request):
        return False
    # Images, downloads and streams can't send headers.
    return path in _PAGE or is_token(session.csrf, request.args.get(CSRF_PARAMETER, [b""])[0])


def _is_reading(path: bytes, request: Request) -> bool:
    return request.method in _READING and (path, *(request.postpath or [])) not in _CHANGING


class Later(Resource):
    """Answers by a resource that is found when something has been done."""

    isLeaf = True

    def __init__(self, done: Deferred[None], find: Callable[[], IResource]) -> None:
        super().__init__()
        self._done = done
        self._find = find

    def render(self, request: Request) -> int:
        """Wait; nobody is answered who has gone."""

        def go_on() -> None:
            request.render(getChildForRequest(self._find(), request))

        return when_done(request, self._done, go_on)
