# -*- test-case-name: tests.admin.test_login -*-
"""``/login`` and ``/logout``: sessions for people, by a form or by a page's script."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tunnelsvc.admin.answering import when_done
from tunnelsvc.admin.auth import Delays, Keeper
from tunnelsvc.admin.browsers import wants_page
from tunnelsvc.admin.cookies import CSRF_HEADER, cookies_of, is_token, set_cookie
from tunnelsvc.admin.endpoints import json_object
from tunnelsvc.admin.identity import identity_of
from tunnelsvc.admin.loginpage import login_page
from tunnelsvc.admin.pages import redirect
from tunnelsvc.admin.refusals import TooMany, retry_after
from tunnelsvc.admin.routing import APIError
from tunnelsvc.admin.sessions import SESSION_SECONDS, Sessions
from tunnelsvc.admin.web import (
    TOO_MANY_REQUESTS,
    DashboardRequest,
    answer_json,
    answer_text,
    refuse_method,
)

MOST_FIELDS: Final = 8
"""Of a form; ours has two."""
MOST_FIELD_CHARACTERS: Final = 1024
FORM: Final = b"application/x-www-form-urlencoded"
JSON: Final = b"application/json"


class Login(Resource):
    """``/login``: the form, and what becomes of it."""

    isLeaf = True

    def __init__(self, keeper: Keeper, sessions: Sessions, delays: Delays) -> None:
        """Begin.

        Args:
            keeper: knows the password.
            sessions: gets one more for who does, too.
            delays: holds the answers to others.
        """
        super().__init__()
        self._keeper = keeper
        self._sessions = sessions
        self._delays = delays

    def render(self, request: Request) -> bytes | int:
        """Answer with the form, or look at one."""
        if request.postpath:
            return answer_text(request, "Not Found\n", http.NOT_FOUND)
        if request.method in {b"GET", b"HEAD"}:
            wants_json = (request.getHeader(b"accept") or b"") == JSON
            return self._look(request) if wants_json else login_page(request, http.OK)
        if request.method != b"POST":
            return refuse_method(request, b"GET", b"HEAD", b"POST")
        try:
            given = fields_of(request)
        except APIError as why:
            return _failed(request, why.code, str(why))
        return self._try(request, f"{given.get('user', '')}:{given.get('password', '')}".encode())

    def _try(self, request: Request, given: bytes) -> bytes | int:
        verdict = self._keeper.asks(request, given)
        if verdict.right:
            return self._begin(request)
        if verdict.refused_seconds:
            return _locked(request, verdict.refused_seconds)
        self._delays.later(verdict.delay_seconds, request, lambda: _wrong(request))
        return NOT_DONE_YET

    def _look(self, request: Request) -> int:
        """Tell the form's script whether it has a session; no error that consoles show."""
        cookies = cookies_of(request, self._sessions.site)

        def found() -> bytes:
            session = self._sessions.find_among(cookies)
            token = request.getHeader(CSRF_HEADER) or b""
            is_in = session is not None and is_token(session.csrf, token)
            return answer_json(request, {"logged_in": is_in})

        return self._when_ready(request, found)

    def _begin(self, request: Request) -> int:
        return self._when_ready(request, lambda: self._begun(request))

    def _when_ready(self, request: Request, answer: Callable[[], bytes]) -> int:
        """Answer once the key of the sessions is there, to who is still there by then."""

        def go_on() -> None:
            request.write(answer())
            request.finish()

        return when_done(request, self._sessions.ready(), go_on)

    def _begun(self, request: Request) -> bytes:
        session = self._sessions.begin(self._keeper.place(request))
        self._keeper.logged_in(request)
        set_cookie(request, self._sessions.site, session.cookie, SESSION_SECONDS)
        if wants_page(request):
            return redirect(request, b"./", http.SEE_OTHER)
        return answer_json(request, {"csrf": session.csrf})


class Logout(Resource):
    """``/logout``: ends the session that a request is of."""

    isLeaf = True

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self._sessions = sessions

    def render(self, request: Request) -> bytes:
        """End it, and have the browser forget the cookie."""
        if request.postpath:
            return answer_text(request, "Not Found\n", http.NOT_FOUND)
        if request.method != b"POST":
            return refuse_method(request, b"POST")
        identity = identity_of(request)
        if identity.by == "cookie":
            if not _has_token(request, identity.csrf):
                return _failed(request, http.FORBIDDEN, "the token is missing or wrong")
            session = self._sessions.find_among(cookies_of(request, self._sessions.site))
            if session is not None:
                self._sessions.end(session)
            set_cookie(request, self._sessions.site, b"", 0)
        if wants_page(request):
            return redirect(request, b"login", http.SEE_OTHER)
        return answer_json(request, {})


def _has_token(request: Request, csrf: str) -> bool:
    """Look for the session's token, in the header or, as forms send it, in a field."""
    if is_token(csrf, request.getHeader(CSRF_HEADER) or b""):
        return True
    try:
        return is_token(csrf, fields_of(request).get("csrf", "").encode())
    except APIError:
        return False


def fields_of(request: Request) -> dict[str, str]:
    """Read what was filled in, as a form or as JSON.

    Raises:
        APIError: it is too long, or neither.
    """
    assert isinstance(request, DashboardRequest)
    if request.too_long:
        raise APIError(http.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
    kind = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind == JSON:
        fields = _of_json(request)
    elif kind == FORM:
        fields = _of_form(request.body())
    else:
        raise APIError(http.UNSUPPORTED_MEDIA_TYPE, "neither a form nor JSON")
    if any(len(value) > MOST_FIELD_CHARACTERS for value in fields.values()):
        raise APIError(http.BAD_REQUEST, f"longer than {MOST_FIELD_CHARACTERS} characters")
    return fields


def _of_json(request: DashboardRequest) -> dict[str, str]:
    read = json_object(request)
    if not all(isinstance(each, str) for each in read.values()):
        raise APIError(http.BAD_REQUEST, "not an object of texts")
    return read


def _of_form(body: bytes) -> dict[str, str]:
    try:
        read = parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise APIError(http.BAD_REQUEST, "not a form") from None
    if any(len(values) > 1 for values in read.values()):
        raise APIError(http.BAD_REQUEST, "a field is there twice")
    return {name: value for name, (value,) in read.items()}


def _wrong(request: Request) -> bytes:
    return _failed(request, http.FORBIDDEN, "wrong user or password")


def _locked(request: Request, seconds: float) -> bytes:
    if wants_page(request):
        return TooMany(seconds).render(request)
    retry_after(request, seconds)
    return _failed(request, TOO_MANY_REQUESTS, "too many failures from this address")


def _failed(request: Request, code: int, why: str) -> bytes:
    if wants_page(request):
        return login_page(request, code)
    return answer_json(request, APIError(code, why).shape(), code)
