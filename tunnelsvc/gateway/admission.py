# -*- test-case-name: tests.gateway.test_admission -*-
"""Hop 2 of an HTTP request: whose it is, and whether it may go there."""

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from tunnelsvc.gateway.router import Router
from tunnelsvc.gateway.rules import user_of
from tunnelsvc.wire.httphead import RequestHead

T = TypeVar("T")


def find_target(router: Router[T], head: RequestHead) -> T | None:
    """Find the proxy, or the group of some, that a request is for."""
    path = head.path.partition(b"?")[0]
    if b"%" in path:
        path = unquote_to_bytes(path)
    user = _text(user_of(head)) if router.by_user else ""
    return router.find(head.host.decode(), _text(path), user)


def absence(router: Router[T], head: RequestHead) -> HTTPStatus:
    """Give the status for a request that no proxy was found for."""
    missed = router.misses(head.host.decode())
    return HTTPStatus.SERVICE_UNAVAILABLE if missed else HTTPStatus.NOT_FOUND


def refusal(head: RequestHead) -> HTTPStatus:
    """Give the status for a request without the right credentials (RFC 9110 section 15.5.8)."""
    if head.is_for_proxy:
        return HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    return HTTPStatus.UNAUTHORIZED


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
