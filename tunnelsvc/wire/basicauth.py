# -*- test-case-name: tests.wire.test_basicauth -*-
"""User and password as HTTP has them: the Basic scheme (RFC 7617)."""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error


def credentials(user: str, password: str) -> bytes:
    """Give ``user:password`` of those who may enter; empty, as both then are: everybody may."""
    return f"{user}:{password}".encode() if user or password else b""


def credentials_in(authorization: bytes) -> bytes:
    """Give ``user:password`` of such a header; empty: it hasn't any of the Basic scheme."""
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except Base64Error:
        return b""


def admits(wanted: bytes, given: bytes) -> bool:
    """Tell whether somebody may enter, in a time that tells nothing.

    Args:
        wanted: of `credentials`.
        given: of `credentials_in`.
    """
    return not wanted or hmac.compare_digest(given, wanted)
