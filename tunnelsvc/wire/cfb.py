# -*- test-case-name: tests.wire.test_cfb -*-
"""Hop 6: AES-128-CFB, for control connections and ``use_encryption`` (protocol notes 4.2).

Each direction starts with a random initialisation vector in clear, sent right before the first
encrypted byte. Nothing is authenticated: this is what the peer speaks, and TLS is what protects.
"""

import hmac
import secrets
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import Final

from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.lean import later, standing_in, without

KEY_BYTES: Final = 16
IV_BYTES: Final = 16

# What the peer derives keys with. So few rounds protect no weak token; they can't be changed.
_SALT: Final = b"frp"
_ROUNDS: Final = 64

# Derived keys kept: a program has one token and a secret for each of its visitors.
_CACHED_KEYS: Final = 64

_OPENSSL: Final = "cryptography.hazmat.bindings._rust"
"""The module of cryptography that takes 9 MiB; loaded by all that show or verify certificates."""

_BY_CTYPES: Final = {
    # It has the paths of its own code. Who searches needs subprocess and shutil: 1 MiB.
    "ctypes.util": {"find_library": later("ctypes.util", "find_library")},
    # It wants to know whether this is Windows, and would have file(1) run to find out.
    "platform": {"architecture": lambda: ("", "")},
}
"""What pycryptodome imports to load its code (`tunnelsvc.lean.StandIn`)."""

_Update = Callable[[bytes], bytes]
"""Makes the next bytes of a stream of the last ones."""


@lru_cache(maxsize=_CACHED_KEYS)
def derive_key(secret: str | bytes) -> bytes:
    """Make the 16-byte key from a token or a proxy's secret; the empty one is legal."""
    password = secret.encode() if isinstance(secret, str) else secret
    # PBKDF2 (RFC 8018 section 5.2) of one block. Not hashlib's, which is OpenSSL's.
    keyed = hmac.new(password, digestmod="sha1")
    block, key = _SALT + bytes((0, 0, 0, 1)), 0
    for _ in range(_ROUNDS):
        prf = keyed.copy()
        prf.update(block)
        block = prf.digest()
        key ^= int.from_bytes(block, "big")
    return key.to_bytes(len(block), "big")[:KEY_BYTES]


def _start(key: bytes, iv: bytes, *, encrypts: bool, bulk: bool) -> _Update:
    """Begin a direction, with one of the two libraries that know the cipher.

    OpenSSL's is the faster one, up to 30 times, and large. A conversation of a message now and
    then isn't worth it: it takes what is in memory anyway, or else what is small.
    """
    if len(key) != KEY_BYTES or len(iv) != IV_BYTES:
        raise LocalProtocolError(f"AES-128-CFB: key and IV have {KEY_BYTES} bytes each")
    start = _start_openssl if bulk or _OPENSSL in sys.modules else _start_pycryptodome
    return start(key, iv, encrypts)


def _start_openssl(key: bytes, iv: bytes, encrypts: bool) -> _Update:
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415

    try:
        from cryptography.hazmat.decrepit.ciphers.modes import CFB  # noqa: PLC0415
    except ImportError:  # pragma: no cover - where CFB was before cryptography 47
        from cryptography.hazmat.primitives.ciphers.modes import CFB  # noqa: PLC0415
    cipher = Cipher(AES(key), CFB(iv))
    return (cipher.encryptor() if encrypts else cipher.decryptor()).update


def _start_pycryptodome(key: bytes, iv: bytes, encrypts: bool) -> _Update:
    _load_pycryptodome()
    from Crypto.Cipher import AES  # noqa: PLC0415 - see above

    cipher = AES.new(key, AES.MODE_CFB, iv=iv, segment_size=8 * IV_BYTES)
    return cipher.encrypt if encrypts else cipher.decrypt


@cache
def _load_pycryptodome() -> None:
    # It loads its code by ctypes as well, for 1.5 MiB less.
    with without("cffi"), standing_in(_BY_CTYPES, imported_too=True):
        import_module("Crypto.Cipher.AES")


class Encryptor:
    """The sending direction.

    Args:
        key: 16 bytes, see `derive_key`.
        iv: 16 bytes that are never used twice; random when None.
        bulk: whether much may come.
    """

    def __init__(self, key: bytes, iv: bytes | None = None, *, bulk: bool = False) -> None:
        self._iv = secrets.token_bytes(IV_BYTES) if iv is None else iv
        self._update = _start(key, self._iv, encrypts=True, bulk=bulk)

    def feed(self, data: bytes) -> bytes:
        """Encrypt. The IV comes before the first bytes; nothing makes nothing."""
        if not data:
            return b""
        head, self._iv = self._iv, b""
        return head + self._update(data)


class Decryptor:
    """The receiving direction.

    Args:
        key: 16 bytes, see `derive_key`.
        bulk: whether much may come.
    """

    def __init__(self, key: bytes, *, bulk: bool = False) -> None:
        self._key = key
        self._bulk = bulk
        self._iv = b""
        self._update: _Update | None = None

    def feed(self, data: bytes) -> bytes:
        """Decrypt. Gives nothing until the IV is complete, however it is split."""
        if self._update is None:
            missing = IV_BYTES - len(self._iv)
            self._iv += data[:missing]
            if len(self._iv) < IV_BYTES:
                return b""
            data = data[missing:]
            self._update = _start(self._key, self._iv, encrypts=False, bulk=self._bulk)
        return self._update(data)
