# -*- test-case-name: tests.link.test_sslengine -*-
"""TLS by Python's own ssl: for clients that show no certificate and verify none.

Such a client is what users have who set nothing, and most of its memory would be libraries that it
has no use for.
"""

import ssl
from collections import deque
from functools import partial

from tunnelsvc.errors import TLSError
from tunnelsvc.link.peername import PeerName
from tunnelsvc.link.tlsengine import CIPHERS, RECORD_BYTES, Engine, EngineFactory

_OPTIONS = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


class SSLEngine(Engine):
    """See `Engine`.

    Args:
        context: with the role of a client.
        server_name: what to send as such; None: nothing.
    """

    def __init__(self, context: ssl.SSLContext, server_name: bytes | None) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._ahead: deque[bytes | TLSError] = deque()

    def handshake(self) -> bool:
        """See `Engine`."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self.hungry = True
            return False
        except ssl.SSLError as error:
            raise TLSError(f"TLS handshake failed: {_describe(error)}") from None
        return True

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """See `Engine`."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise TLSError(f"TLS failed: {_describe(error)}") from None
        return self._outgoing.read()

    def close(self) -> bytes:
        """See `Engine`."""
        # Python then looks for the peer's, and breaks on data that is found instead.
        self._read_ahead()
        try:
            self._object.unwrap()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise TLSError(f"TLS failed: {_describe(error)}") from None
        return self._outgoing.read()

    def take(self) -> bytes:
        """See `Engine`."""
        return self._outgoing.read()

    def _put(self, data: bytes) -> None:
        self._incoming.write(data)

    def _next(self) -> bytes | None:
        if self._ahead:
            record = self._ahead.popleft()
            if isinstance(record, TLSError):
                raise record
            return record
        return self._decrypt()

    def _decrypt(self) -> bytes | None:
        try:
            return self._object.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise TLSError(f"TLS failed: {_describe(error)}") from None

    def _read_ahead(self) -> None:
        """Decrypt all that came; when the stream below is paused, as much as it read at once."""
        try:
            while (record := self._decrypt()) is not None:
                self._ahead.append(record)
                if not record:
                    return
        except TLSError as error:
            self._ahead.append(error)


def unverified_client(name: str) -> EngineFactory:
    """Make what begins the client's side of TLS with whoever answers (protocol notes 1.4).

    Args:
        name: of the server, who learns that he is meant by it, or its address, which he doesn't.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= _OPTIONS
    context.set_ciphers(CIPHERS.decode("ascii"))
    return partial(SSLEngine, context, PeerName.parse(name).server_name)


def _describe(error: ssl.SSLError) -> str:
    """Say it in OpenSSL's words, of which Python makes a name."""
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the peer closed it"
    return (error.reason or "protocol error").replace("_", " ").lower()
