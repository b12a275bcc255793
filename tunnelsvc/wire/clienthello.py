# -*- test-case-name: tests.wire.test_clienthello -*-
"""The first message of a TLS client: which server it wants, before anything is answered.

Only what routing needs is looked at (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2): the server
name (RFC 6066 section 3) and the protocols to be spoken inside (ALPN, RFC 7301). Whether the rest
makes sense is for whoever answers.
"""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.units import KiB

MAX_HELLO_BYTES: Final = 64 * KiB
"""Of all records that hold the hello. Browsers send 2 KiB, of which a post-quantum key share is
1.2 KiB; tickets and lists of authorities add some. Go takes 64 KiB, OpenSSL 128 KiB."""

MAX_RECORD_BYTES: Final = 16 * KiB
"""Of a record's content (RFC 8446 section 5.1)."""

ALERT_UNRECOGNIZED_NAME: Final = bytes.fromhex("15 0303 0002 02 70")
"""The whole record of a fatal alert: no server of that name (RFC 6066 section 3)."""

ALERT_NO_APPLICATION_PROTOCOL: Final = bytes.fromhex("15 0303 0002 02 78")
"""Likewise: none of the offered protocols is spoken here (RFC 7301 section 3.2)."""

_RECORD_HEADER_BYTES: Final = 5
_HANDSHAKE: Final = 0x16
_MAJOR_VERSION: Final = 3
_MESSAGE_HEADER_BYTES: Final = 4
_CLIENT_HELLO: Final = 1
_RANDOM_BYTES: Final = 32
_MAX_SESSION_ID_BYTES: Final = 32
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_ALPN: Final = 16
# RFC 6066: ASCII. Which names exist is for the router to say, so any visible characters will do;
# the length is that of a name in DNS.
_NAME: Final = re.compile(rb"[\x21-\x7e]{1,255}")


class ClientHelloError(RemoteProtocolError):
    """What came isn't a ClientHello, or none that can be read."""


@frozen
class ClientHello:
    """What a client says of itself.

    Attributes:
        server_name: in lower case, without a dot at the end; empty: it names none.
        protocols: names of what it wants to speak inside, the best first; empty: it doesn't say.
    """

    server_name: str = ""
    protocols: tuple[bytes, ...] = ()


class ClientHelloReader:
    """Reads a ClientHello off the beginning of a byte stream, over any number of records.

    It buffers `MAX_HELLO_BYTES` and what came with the last of them.
    """

    def __init__(self) -> None:
        self._seen = bytearray()
        self._position = 0
        """Of the next record in it."""
        self._message = bytearray()
        """What the records before held."""

    @property
    def seen(self) -> bytes:
        """All that came so far, for whoever takes over."""
        return bytes(self._seen)

    def feed(self, data: bytes) -> ClientHello | None:
        """Take bytes.

        Returns:
            The hello; None if it isn't complete.

        Raises:
            ClientHelloError: it won't be one, whatever follows.
        """
        self._seen += data
        while self._take_record():
            if self._is_complete():
                return _parse(memoryview(bytes(self._message))[_MESSAGE_HEADER_BYTES:])
        if len(self._seen) > MAX_HELLO_BYTES:
            raise ClientHelloError(f"a ClientHello of more than {MAX_HELLO_BYTES} bytes")
        return None

    def _take_record(self) -> bool:
        """Take the next record, if it is there."""
        seen, start = self._seen, self._position
        if len(seen) > start and seen[start] != _HANDSHAKE:
            raise ClientHelloError("not a TLS handshake")
        if len(seen) > start + 1 and seen[start + 1] != _MAJOR_VERSION:
            raise ClientHelloError("not a version of TLS")
        content = start + _RECORD_HEADER_BYTES
        if len(seen) < content:
            return False
        length = int.from_bytes(seen[content - 2 : content], "big")
        if not 0 < length <= MAX_RECORD_BYTES:
            raise ClientHelloError(f"a handshake record of {length} bytes")
        end = content + length
        if end > MAX_HELLO_BYTES:
            raise ClientHelloError(f"a ClientHello of more than {MAX_HELLO_BYTES} bytes")
        if not self._message and len(seen) > content and seen[content] != _CLIENT_HELLO:
            raise ClientHelloError("another handshake message than ClientHello")
        if len(seen) < end:
            return False
        self._message += seen[content:end]
        self._position = end
        return True

    def _is_complete(self) -> bool:
        if len(self._message) < _MESSAGE_HEADER_BYTES:
            return False
        end = _MESSAGE_HEADER_BYTES + int.from_bytes(self._message[1:_MESSAGE_HEADER_BYTES], "big")
        if end > MAX_HELLO_BYTES:
            raise ClientHelloError(f"a ClientHello of {end} bytes")
        if len(self._message) < end:
            return False
        del self._message[end:]
        return True


class _Fields:
    """Takes fields off the front of a structure."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, length: int) -> memoryview:
        """Take so many bytes."""
        if len(self._data) < length:
            raise ClientHelloError("a field of the ClientHello is cut off")
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def number(self, length: int) -> int:
        """Take an integer of so many bytes."""
        return int.from_bytes(self.take(length), "big")

    def vector(self, length: int) -> memoryview:
        """Take a vector whose length has so many bytes (RFC 8446 section 3.4)."""
        return self.take(self.number(length))


def _parse(body: memoryview) -> ClientHello:
    fields = _Fields(body)
    fields.take(2 + _RANDOM_BYTES)
    if len(fields.vector(1)) > _MAX_SESSION_ID_BYTES:
        raise ClientHelloError("a session id that is too long")
    fields.vector(2)  # cipher suites
    fields.vector(1)  # compression methods
    extensions = dict[int, memoryview]()
    if fields:  # RFC 5246 section 7.4.1.2: there may be none at all
        extensions = _extensions(_Fields(fields.vector(2)))
    if fields:
        raise ClientHelloError("something behind the extensions")
    name, protocols = extensions.get(_SERVER_NAME), extensions.get(_ALPN)
    return ClientHello(
        server_name="" if name is None else _host_name(name),
        protocols=() if protocols is None else tuple(_protocols(protocols)),
    )


def _extensions(fields: _Fields) -> dict[int, memoryview]:
    found: dict[int, memoryview] = {}
    while fields:
        kind = fields.number(2)
        if kind in found:  # RFC 8446 section 4.2; two readers could choose differently
            raise ClientHelloError(f"extension {kind} twice")
        found[kind] = fields.vector(2)
    return found


def _only_vector(data: memoryview) -> _Fields:
    """Take a structure that is one vector, and not empty."""
    fields = _Fields(data)
    inner = _Fields(fields.vector(2))
    if fields or not inner:
        raise ClientHelloError("an extension that is no list")
    return inner


def _host_name(data: memoryview) -> str:
    names = _only_vector(data)
    found: list[bytes] = []
    while names:
        kind, name = names.number(1), bytes(names.vector(2))
        if kind == _HOST_NAME:
            found.append(name)
    if len(found) > 1 or not all(map(_NAME.fullmatch, found)):
        raise ClientHelloError("a server name that can't be one")
    return found[0].decode("ascii").lower().removesuffix(".") if found else ""


def _protocols(data: memoryview) -> Iterator[bytes]:
    names = _only_vector(data)
    while names:
        name = bytes(names.vector(1))
        if not name:
            raise ClientHelloError("a protocol without a name")
        yield name
