# -*- test-case-name: tests.wire.test_auth -*-
"""How a client proves that it has the token (protocol notes 3.3)."""

import hashlib
import hmac


def login_key(token: str, timestamp: int) -> str:
    """Make the ``privilege_key`` of a message.

    Args:
        token: what both ends have in their configuration; may be empty.
        timestamp: Unix time in seconds, the one that goes into the same message.

    Returns:
        32 hexadecimal digits in lower case.
    """
    # MD5 is the peer's choice. Marked so that hosts in FIPS mode compute it all the same.
    return hashlib.md5(f"{token}{timestamp}".encode(), usedforsecurity=False).hexdigest()


def keys_match(expected: str, given: str) -> bool:
    """Compare two keys in a time that tells nothing about where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode())
