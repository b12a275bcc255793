# -*- test-case-name: tests.admin.test_origin -*-
"""Keep the pages of other sites away from an API that a browser on this machine can reach.

Any page can have the browser send requests to 127.0.0.1. What it can't is to read the answers, and
that only as long as the host that it asked for isn't its own: whose name leads to 127.0.0.1 a
moment later (DNS rebinding) is of one origin with the API, as far as the browser knows. So

* no request is taken of which the browser says that another site's page made it: by
  ``Sec-Fetch-Site`` (W3C Fetch Metadata) or, if it is too old for that, by ``Origin`` (RFC 6454),
  which means less where a proxy before us has changed ``Host``. This holds with a password, too,
  as browsers send those along;
* without a password, no request is taken for a host by name, but ``localhost`` and the one that the
  file has: an address can't be made to lead elsewhere. Browsers keep passwords for each name.
"""

from collections.abc import Collection
from typing import Final

from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from zope.interface import implementer

from tunnelsvc.addresses import LOCALHOST, is_address
from tunnelsvc.admin.refusals import Refusal
from tunnelsvc.admin.web import host_of

_SESSIONS: Final = (b"login", b"logout")
_SCHEMES: Final = ("http", "https")
_OWN_PAGES: Final = (b"same-origin", b"none")
"""Of Sec-Fetch-Site; ``none`` is a person's doing."""


@implementer(IResource)
class SameOrigin(Resource):
    """Lets requests pass to another resource that no other site's page made."""

    def __init__(self, inner: IResource, names: Collection[str] | None, keys: str) -> None:
        """Guard `inner`.

        Args:
            inner: what is behind.
            names: hosts by name that may be asked for besides ``localhost``; None: all.
            keys: of the password, for who needs one to ask for others.
        """
        super().__init__()
        self._inner = inner
        self._names = names
        self._keys = keys

    def getChildWithDefault(  # noqa: N802 - twisted.web's name
        self, path: bytes, request: Request
    ) -> IResource:
        """Find the resource to answer: one behind, or a refusal."""
        refusal = self._refusal(request, path)
        if refusal:
            return Refusal(http.FORBIDDEN, refusal)
        inner: IResource = self._inner.getChildWithDefault(path, request)
        return inner

    def _refusal(self, request: Request, path: bytes) -> str:
        host = (request.getHeader(b"host") or b"").decode("latin-1").lower()
        if self._names is not None and host and not self._is_known(host):
            return (
                "not asked for by an address or as localhost; other names are for whoever has set "
                f"a password ({self._keys})"
            )
        if not _has_effects(path, request):
            return ""
        return "a page of another site must not ask" if _is_foreign(request, host) else ""

    def _is_known(self, host: str) -> bool:
        name = host_of(host)
        named = name == LOCALHOST or name in (self._names or ())
        return named or is_address(name.partition("%")[0])


def _has_effects(path: bytes, request: Request) -> bool:
    """Tell what a link from elsewhere leads to, such as a page, from what does something.

    Of logging in by another's page, somebody would see a site that isn't the one he meant.
    """
    return path == b"api" or (path in _SESSIONS and request.method not in {b"GET", b"HEAD"})


def _is_foreign(request: Request, host: str) -> bool:
    """Tell whether another site's page asks; programs say nothing of it."""
    site = request.getHeader(b"sec-fetch-site")
    if site is not None:
        return site not in _OWN_PAGES
    origin = request.getHeader(b"origin")
    return origin is not None and _host_of(origin) != host


def _host_of(origin: bytes) -> str:
    """Return host and port of an origin; empty for what is none, as ``null``."""
    scheme, separator, rest = origin.decode("latin-1").lower().partition("://")
    return rest if separator and scheme in _SCHEMES else ""
