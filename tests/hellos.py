"""ClientHellos: made by OpenSSL, and by hand."""

import ssl
from collections.abc import Iterable, Sequence


def openssl_hello(
    name: str | None,
    protocols: Sequence[str] = (),
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bytes:
    """Give what Python's ``ssl`` sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def vector(size: int, data: bytes) -> bytes:
    """Give a vector whose length has so many bytes."""
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, data)


def server_name(*names: bytes, kind: int = 0) -> bytes:
    """Give the extension that names servers."""
    return extension(0, vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names)))


def message(extensions: bytes | None = b"", *, rest: bytes = b"") -> bytes:
    """Give a ClientHello; None: without a list of extensions."""
    body = (
        b"\x03\x03" + bytes(32) + vector(1, bytes(32)) + vector(2, b"\x13\x01") + vector(1, b"\0")
    )
    if extensions is not None:
        body += vector(2, extensions)
    return b"\x01" + vector(3, body + rest)


def records(data: bytes, sizes: Iterable[int] = ()) -> bytes:
    """Give handshake records: with so many bytes, the last with what is left."""
    made = b""
    for size in sizes:
        if part := data[:size]:
            made += b"\x16\x03\x01" + vector(2, part)
            data = data[size:]
    return made + b"\x16\x03\x01" + vector(2, data) if data else made
