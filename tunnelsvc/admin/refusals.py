# -*- test-case-name: tests.admin.test_gate -*-
"""Answers to who may not pass: to people in a browser, to pages, to programs."""

import math
from typing import Final

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tunnelsvc.admin.auth import Delays
from tunnelsvc.admin.browsers import is_browser, is_navigation
from tunnelsvc.admin.loginpage import login_page, root_of
from tunnelsvc.admin.pages import redirect
from tunnelsvc.admin.routing import APIError
from tunnelsvc.admin.web import TOO_MANY_REQUESTS, answer_json, answer_text

CHALLENGE: Final = b'Basic realm="Restricted", charset="UTF-8"'
"""frp's realm, so that what browsers have stored goes on working."""
FORM_CHALLENGE: Final = b'Cookie realm="Restricted"'
"""For browsers. RFC 9110 section 11.6.1 wants one with each 401; this one opens no window."""


class Denied(Resource):
    """Answers to who isn't known: browsers with a page to log in by, programs as frp."""

    isLeaf = True

    def __init__(self, delays: Delays, seconds: float = 0.0) -> None:
        super().__init__()
        self._delays = delays
        self._seconds = seconds

    def render(self, request: Request) -> bytes | int:
        """Answer, or have it done when the time is over."""
        if not self._seconds:
            return deny(request)
        self._delays.later(self._seconds, request, lambda: deny(request))
        return NOT_DONE_YET


def deny(request: Request) -> bytes:
    """Answer with what is to be shown to log in.

    A person who comes for a page, and has said no password, is sent to the form: 401 would be an
    error on the browser's console, and there is none.
    """
    if is_navigation(request) and _comes_for_a_page(request):
        return redirect(request, root_of(request).encode() + b"login", http.SEE_OTHER)
    browser = is_browser(request)
    request.setHeader(b"WWW-Authenticate", FORM_CHALLENGE if browser else CHALLENGE)
    if is_navigation(request):
        return login_page(request, http.UNAUTHORIZED)
    return answer_text(request, "Unauthorized\n", http.UNAUTHORIZED)


def _comes_for_a_page(request: Request) -> bool:
    reads = request.method in {b"GET", b"HEAD"} and not request.path.startswith(b"/api/")
    return reads and request.getHeader(b"authorization") is None


class TooMany(Resource):
    """Answers to who mustn't ask now."""

    isLeaf = True

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, request: Request) -> bytes:
        """Answer."""
        retry_after(request, self._seconds)
        if is_navigation(request):
            return login_page(request, TOO_MANY_REQUESTS, self._seconds)
        return answer_text(request, "Too Many Requests\n", TOO_MANY_REQUESTS)


def retry_after(request: Request, seconds: float) -> None:
    """Say when to ask again."""
    request.setHeader(b"Retry-After", b"%d" % math.ceil(seconds))


class Refusal(Resource):
    """Answers with an error, as the APIs do."""

    isLeaf = True

    def __init__(self, code: int, why: str) -> None:
        super().__init__()
        self._error = APIError(code, why)

    def render(self, request: Request) -> bytes:
        """Answer."""
        return answer_json(request, self._error.shape(), self._error.code)
