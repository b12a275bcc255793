# -*- test-case-name: tests.admin.test_serverapi -*-
"""What our HTTP APIs have in common: paths with variables to functions that answer, and errors."""

from collections.abc import Mapping
from typing import Final, TypeVar

from twisted.web import http
from twisted.web.server import Request

from tunnelsvc.errors import TunnelError

T = TypeVar("T")

ANY: Final = None
"""In a path of `Routes`: the part is a variable."""

Routes = Mapping[tuple[str | None, ...], Mapping[bytes, T]]
"""Parts of the path below the API to method to who answers. HEAD is answered as GET."""


class APIError(TunnelError):
    """A request that gets an error for an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def shape(self) -> dict[str, object]:
        """Return what becomes JSON, in frp's first API."""
        return {"Code": self.code, "Msg": str(self)}


def route(routes: Routes[T], request: Request) -> tuple[T, list[str]]:
    """Find who answers, and the variable parts of the path.

    Raises:
        APIError: there is no such path, or it has no such method.
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


def _method(request: Request, methods: Mapping[bytes, T]) -> T:
    handler = methods.get(b"GET" if request.method == b"HEAD" else request.method)
    if handler is None:
        also = [b"HEAD"] if b"GET" in methods else []
        request.setHeader(b"Allow", b", ".join([*methods, *also]))
        raise APIError(http.NOT_ALLOWED, "method not allowed")
    return handler


def query(request: Request, name: str) -> str:
    """Read one parameter of the query; empty if it isn't there."""
    return given(request, name) or ""


def given(request: Request, name: str) -> str | None:
    """Read one parameter of the query; None if it isn't there."""
    values = request.args.get(name.encode())
    return values[0].decode("utf-8", "replace") if values else None
