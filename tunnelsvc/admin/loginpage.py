# -*- test-case-name: tests.admin.test_loginpage -*-
"""The page to log in by: a plain form, which scripts only make nicer."""

import math
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Final

from twisted.web import http
from twisted.web.server import Request

from tunnelsvc.admin.pages import INDEX, SHARED, Folder, StaticFile, StoredFile
from tunnelsvc.admin.web import TOO_MANY_REQUESTS, answer
from tunnelsvc.units import MINUTE

FOLDER: Final = "login"
"""With the page and what it needs, which is open to all."""
ICON: Final = "icon.svg"

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "Log in",
        "user": "User",
        "password": "Password",
        "submit": "Log in",
        "wrong": "The user or the password is wrong.",
        "locked": "Too many failures from your address. Try again in {minutes} min.",
        "gone": "The program doesn’t answer. Try again.",
        "refused": "That didn’t work. Load this page anew and try again.",
    },
    "zh": {
        "title": "登录",
        "user": "用户名",
        "password": "密码",
        "submit": "登录",
        "wrong": "用户名或密码错误。",
        "locked": "您的地址失败次数过多，请在 {minutes} 分钟后重试。",
        "gone": "程序没有响应，请重试。",
        "refused": "登录未成功。请刷新页面后重试。",
    },
}
"""By language; the first is for whoever understands none of them."""

MOST_LANGUAGES: Final = 20
"""Of Accept-Language; what comes after these isn't looked at."""


class LoginFiles(Folder):
    """``/static/login/``: what the page needs."""

    def __init__(self) -> None:
        super().__init__(FOLDER)
        icon = resources.files("tunnelsvc.admin") / "static" / SHARED / ICON
        self.putChild(ICON.encode(), StaticFile(StoredFile.read(icon)))


def login_page(request: Request, code: int, locked_seconds: float = 0.0) -> bytes:
    """Answer with the page, at whatever URL.

    Args:
        request: the one to answer.
        code: 200 and 401 show the form as it is, others say what was wrong.
        locked_seconds: how long nobody may try from there.
    """
    language = language_of(request.getHeader(b"accept-language") or b"")
    request.setHeader(b"Vary", b"Accept-Language, Cookie")
    page = _page(language, _error(language, code, locked_seconds), root_of(request))
    return answer(request, page.encode(), "text/html; charset=utf-8", code)


def _error(language: str, code: int, locked_seconds: float) -> str:
    texts = TEXTS[language]
    if code in {http.OK, http.UNAUTHORIZED}:
        return ""
    if code == TOO_MANY_REQUESTS:
        return texts["locked"].format(minutes=math.ceil(locked_seconds / MINUTE))
    return texts["wrong" if code == http.FORBIDDEN else "refused"]


def _page(language: str, error: str, root: str) -> str:
    texts = {name: escape(text) for name, text in TEXTS[language].items()}
    return _template().substitute(texts, language=language, error=escape(error), root=root)


@cache
def _template() -> Template:
    """Read the page, once: whoever isn't in may ask for it as often as he likes."""
    file = resources.files("tunnelsvc.admin") / "static" / FOLDER / INDEX
    return Template(file.read_text(encoding="utf-8"))


def root_of(request: Request) -> str:
    """Give the site's root relative to a request's URL, so that it holds behind a prefix, too."""
    depth = request.path.count(b"/") - 1
    return "../" * depth or "./"


def language_of(accepted: bytes) -> str:
    """Choose among the languages of `TEXTS` by Accept-Language (RFC 9110 section 12.5.4)."""
    best, weight = next(iter(TEXTS)), 0.0
    for each in (
        accepted.decode("ascii", "replace").lower().split(",", MOST_LANGUAGES)[:MOST_LANGUAGES]
    ):
        name, _, parameter = each.partition(";")
        language = name.strip().partition("-")[0]
        quality = _quality(parameter)
        if language in TEXTS and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameter: str) -> float:
    """Read ``q=0.8``; what can't be read is 0."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    digits = value.strip()[:5]
    return float(digits) if name == "q" and digits.replace(".", "", 1).isdecimal() else 0.0
