# -*- test-case-name: tests.admin.test_serverapi -*-
"""What frp's two JSON APIs have in common: paths with variables, and ``{"Code", "Msg"}``."""

from collections.abc import Mapping
from typing import Final, TypeVar

from twisted.web import http
from twisted.web.server import Request

from tunnelsvc.errors import TunnelError

ANY: Final = None
"""In a path of a table of routes: the part is a variable."""

H = TypeVar("H")
Routes = Mapping[tuple[str | None, ...], Mapping[bytes, H]]
"""Parts of the path below ``/api/`` to method to who answers. HEAD is answered as GET."""


class APIError(TunnelError):
    """A request that gets an error for an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def shape(self) -> dict[str, object]:
        """Return what becomes JSON."""
        return {"Code": self.code, "Msg": str(self)}


def route(routes: Routes[H], request: Request) -> tuple[H, list[str]]:
    """Find who answers, and the variable parts of the path.

    Raises:
        APIError: nobody does.
    """
    parts = [part.decode("utf-8", "replace") for part in request.postpath or ()]
    for pattern, methods in routes.items():
        if len(pattern) == len(parts) and all(
            part == fixed if fixed is not ANY else part
            for fixed, part in zip(pattern, parts, strict=True)
        ):
            variables = [part for fixed, part in zip(pattern, parts, strict=True) if fixed is ANY]
            return _method(request, methods), variables
    raise APIError(http.NOT_FOUND, "no such path")


def _method(request: Request, methods: Mapping[bytes, H]) -> H:
    handler = methods.get(b"GET" if request.method == b"HEAD" else request.method)
    if handler is None:
        allowed = [*methods, b"HEAD"] if b"GET" in methods else list(methods)
        request.setHeader(b"Allow", b", ".join(allowed))
        raise APIError(http.NOT_ALLOWED, "method not allowed")
    return handler


def query(request: Request, name: str) -> str:
    """Read one parameter of the query; empty if it isn't there."""
    value: bytes = request.args.get(name.encode(), [b""])[0]
    return value.decode("utf-8", "replace")
