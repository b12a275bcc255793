# -*- test-case-name: tests.wire.test_aead -*-
"""What protects a control connection of wire protocol v2: AEAD records (protocol notes 4.3).

Each direction starts with a random nonce in clear, sent right before the first record. A record is
its length and the sealed bytes; the nonce counts up by one for each. Unlike `tunnelsvc.wire.cfb`
this notices whoever changes, repeats, drops or reorders anything.
"""

import secrets
import struct
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.hello import AES_256_GCM, Negotiated

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
MAX_RECORD_BYTES: Final = 65536
"""Plain bytes in one record, as frp has it."""
MOST_RECORDS: Final = 2**32
"""In one direction; more would weaken AES-GCM. At a ping a second that is 136 years."""

CLIENT_TO_SERVER: Final = "client-to-server"
SERVER_TO_CLIENT: Final = "server-to-client"

_LENGTH: Final = struct.Struct(">I")
_PART: Final = struct.Struct(">Q")
_LABEL: Final = b"frp wire v2 crypto transcript"
# "expand 32-byte k", the first four words of ChaCha20's state.
_CHACHA_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")


class _AEAD(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Seal."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Open; raises ``InvalidTag``."""


class XChaCha20Poly1305:
    """XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): `cryptography` has only its parts."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Seal under a nonce of 24 bytes."""
        aead, rest = self._aead(nonce)
        return aead.encrypt(rest, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Open; raises ``InvalidTag``."""
        aead, rest = self._aead(nonce)
        return aead.decrypt(rest, data, associated_data)

    def _aead(self, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
        return ChaCha20Poly1305(hchacha20(self._key, nonce[:16])), bytes(4) + nonce[16:]


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Derive a key (section 2.2 of the draft).

    HChaCha20 is the block function of ChaCha20 without its last step, which adds the state from
    before the rounds. Of the eight words of the result that state is known, so that it can be
    subtracted from a block of the key stream: the constants, and the nonce with the counter.

    Args:
        key: 32 bytes.
        nonce: 16 bytes, which ChaCha20 takes as counter and nonce.
    """
    block = Cipher(ChaCha20(key, nonce), None).encryptor().update(bytes(64))
    words = struct.unpack("<16I", block)
    added = (*_CHACHA_CONSTANTS, *struct.unpack("<4I", nonce))
    mixed = zip(words[:4] + words[12:], added, strict=True)
    return struct.pack("<8I", *((word - before) % 2**32 for word, before in mixed))


def ciphers(
    secret: str | bytes, negotiated: Negotiated, *, server: bool
) -> tuple["Sealer", "Opener"]:
    """Make both directions of one end.

    Args:
        secret: the token; may be empty.
        negotiated: what the hellos came to.
        server: whether that end is the server.
    """
    ours, theirs = CLIENT_TO_SERVER, SERVER_TO_CLIENT
    if server:
        ours, theirs = theirs, ours
    algorithm = negotiated.algorithm
    return (
        Sealer(algorithm, derive_key(secret, negotiated, ours)),
        Opener(algorithm, derive_key(secret, negotiated, theirs)),
    )


def derive_key(secret: str | bytes, negotiated: Negotiated, direction: str) -> bytes:
    """Make the key of one direction.

    Args:
        secret: the token; may be empty.
        negotiated: what the hellos came to.
        direction: `CLIENT_TO_SERVER` or `SERVER_TO_CLIENT`.
    """
    info = f"frp wire v2 control aead {negotiated.algorithm} {direction}"
    material = secret.encode() if isinstance(secret, str) else secret
    return HKDF(SHA256(), KEY_BYTES, transcript(negotiated), info.encode()).derive(material)


def transcript(negotiated: Negotiated) -> bytes:
    """Hash both hellos, byte for byte as they were on the wire."""
    digest = Hash(SHA256())
    digest.update(_LABEL)
    for label, payload in (
        (b"client hello", negotiated.client_hello),
        (b"server hello", negotiated.server_hello),
    ):
        digest.update(b"\0" + label + b"\0" + _PART.pack(len(payload)))
        digest.update(payload)
    return digest.finalize()


def _make(algorithm: str, key: bytes) -> tuple[_AEAD, int]:
    """Return a cipher and the bytes of its nonce."""
    if len(key) != KEY_BYTES:
        raise LocalProtocolError(f"{algorithm}: a key has {KEY_BYTES} bytes")
    return (AESGCM(key), 12) if algorithm == AES_256_GCM else (XChaCha20Poly1305(key), 24)


class _Nonces:
    """The nonces of one direction, each once."""

    def __init__(self, first: bytes) -> None:
        self._size = len(first)
        self._next = int.from_bytes(first, "big")
        self._end = min(self._next + MOST_RECORDS, 2 ** (8 * self._size))

    def take(self) -> bytes | None:
        """Return the next one; None: there is none left."""
        if self._next >= self._end:
            return None
        nonce = self._next.to_bytes(self._size, "big")
        self._next += 1
        return nonce


class Sealer:
    """The sending direction."""

    def __init__(self, algorithm: str, key: bytes, nonce: bytes | None = None) -> None:
        """Begin.

        Args:
            algorithm: one of `hello.ALGORITHMS`.
            key: 32 bytes, see `derive_key`.
            nonce: the first, never used twice with one key; random when None.
        """
        self._aead, size = _make(algorithm, key)
        self._first = secrets.token_bytes(size) if nonce is None else nonce
        if len(self._first) != size:
            raise LocalProtocolError(f"{algorithm}: a nonce has {size} bytes")
        self._nonces = _Nonces(self._first)
        self._head = self._first

    def feed(self, data: bytes) -> bytes:
        """Seal. The nonce comes before the first record; nothing makes nothing.

        Raises:
            LocalProtocolError: the direction has had all the records that it may have.
        """
        if not data:
            return b""
        pieces, self._head = [self._head], b""
        for start in range(0, len(data), MAX_RECORD_BYTES):
            pieces += self._seal(data[start : start + MAX_RECORD_BYTES])
        return b"".join(pieces)

    def _seal(self, plain: bytes) -> tuple[bytes, bytes]:
        length = _LENGTH.pack(len(plain) + TAG_BYTES)
        nonce = self._nonces.take()
        if nonce is None:
            raise LocalProtocolError("no nonce is left for another record")
        return length, self._aead.encrypt(nonce, plain, self._first + length)


class Opener:
    """The receiving direction. Keeps at most one record that isn't complete."""

    def __init__(self, algorithm: str, key: bytes) -> None:
        """Begin.

        Args:
            algorithm: one of `hello.ALGORITHMS`.
            key: 32 bytes, see `derive_key`.
        """
        self._aead, self._nonce_bytes = _make(algorithm, key)
        self._first = b""
        self._nonces: _Nonces | None = None
        self._unread = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Open what is complete.

        Raises:
            RemoteProtocolError: a record isn't from the peer or not in its place, or its length
                can't be one. The stream is worth nothing from there on.
        """
        self._unread += data
        if self._nonces is None:
            if len(self._unread) < self._nonce_bytes:
                return b""
            self._first = bytes(self._unread[: self._nonce_bytes])
            del self._unread[: self._nonce_bytes]
            self._nonces = _Nonces(self._first)
        pieces = []
        while (plain := self._open(self._nonces)) is not None:
            pieces.append(plain)
        return b"".join(pieces)

    def _open(self, nonces: _Nonces) -> bytes | None:
        """Open one record; None when more bytes are needed."""
        if len(self._unread) < _LENGTH.size:
            return None
        length = bytes(self._unread[: _LENGTH.size])
        end = _LENGTH.size + self._record_bytes(length)
        if len(self._unread) < end:
            return None
        nonce = nonces.take()
        if nonce is None:
            raise RemoteProtocolError("more sealed records than there may be")
        sealed = bytes(self._unread[_LENGTH.size : end])
        try:
            plain = self._aead.decrypt(nonce, sealed, self._first + length)
        except InvalidTag:
            raise RemoteProtocolError(
                "a sealed record doesn't open: changed on its way, or another token"
            ) from None
        del self._unread[:end]
        return plain

    def _record_bytes(self, head: bytes) -> int:
        [length] = _LENGTH.unpack(head)
        if not TAG_BYTES <= length <= TAG_BYTES + MAX_RECORD_BYTES:
            raise RemoteProtocolError(
                f"sealed record of {length} bytes,"
                f" {TAG_BYTES} to {TAG_BYTES + MAX_RECORD_BYTES} expected"
            )
        return int(length)
