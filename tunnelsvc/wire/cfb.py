# -*- test-case-name: tests.wire.test_cfb -*-
"""Hop 6: AES-128-CFB, for control connections and ``use_encryption`` (protocol notes 4.2).

Each direction starts with a random initialisation vector in clear, sent right before the first
encrypted byte. Nothing is authenticated: this is what the peer speaks, and TLS is what protects.
"""

import secrets
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from tunnelsvc.errors import LocalProtocolError

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # pragma: no cover - where CFB was before cryptography 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

KEY_BYTES: Final = 16
IV_BYTES: Final = 16

# What the peer derives keys with. So few rounds protect no weak token; they can't be changed.
_SALT: Final = b"frp"
_ROUNDS: Final = 64

# Derived keys kept: a program has one token and a secret for each of its visitors.
_CACHED_KEYS: Final = 64


@lru_cache(maxsize=_CACHED_KEYS)
def derive_key(secret: str | bytes) -> bytes:
    """Make the 16-byte key from a token or a proxy's secret; the empty one is legal."""
    password = secret.encode() if isinstance(secret, str) else secret
    # Not hashlib's, which brings a second OpenSSL along (see `tunnelsvc.lean`).
    return PBKDF2HMAC(hashes.SHA1(), KEY_BYTES, _SALT, _ROUNDS).derive(password)  # noqa: S303


def _cipher(key: bytes, iv: bytes) -> "Cipher[CFB]":
    if len(key) != KEY_BYTES or len(iv) != IV_BYTES:
        raise LocalProtocolError(f"AES-128-CFB: key and IV have {KEY_BYTES} bytes each")
    return Cipher(AES(key), CFB(iv))


class Encryptor:
    """The sending direction.

    Args:
        key: 16 bytes, see `derive_key`.
        iv: 16 bytes that are never used twice; random when None.
    """

    def __init__(self, key: bytes, iv: bytes | None = None) -> None:
        self._iv = secrets.token_bytes(IV_BYTES) if iv is None else iv
        self._context: CipherContext = _cipher(key, self._iv).encryptor()

    def feed(self, data: bytes) -> bytes:
        """Encrypt. The IV comes before the first bytes; nothing makes nothing."""
        if not data:
            return b""
        head, self._iv = self._iv, b""
        return head + self._context.update(data)


class Decryptor:
    """The receiving direction.

    Args:
        key: 16 bytes, see `derive_key`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._iv = b""
        self._context: CipherContext | None = None

    def feed(self, data: bytes) -> bytes:
        """Decrypt. Gives nothing until the IV is complete, however it is split."""
        if self._context is None:
            missing = IV_BYTES - len(self._iv)
            self._iv += data[:missing]
            if len(self._iv) < IV_BYTES:
                return b""
            data = data[missing:]
            self._context = _cipher(self._key, self._iv).decryptor()
        return self._context.update(data)
