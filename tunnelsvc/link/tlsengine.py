# -*- test-case-name: tests.link.test_tlsengine -*-
"""TLS between bytes and bytes: no transport, no reader, no time.

There are two engines, of the two OpenSSLs that a Python program can have. pyOpenSSL's
(`tunnelsvc.link.opensslengine`) brings cryptography along, which reads certificates, and shows and
verifies them. Python's own (`tunnelsvc.link.sslengine`) takes 8 MiB less.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from tunnelsvc.errors import TLSError
from tunnelsvc.units import KiB

RECORD_BYTES = 16 * KiB
"""Plaintext of the longest record (RFC 8446 section 5.1)."""

HEADER_BYTES = 5
"""Of each record: type, version, length."""

CHUNK_BYTES = 64 * KiB
"""What is decrypted, and encrypted, in one go: OpenSSL's buffers grow to this and never shrink."""

CIPHERS = (
    b"ECDH+AESGCM:ECDH+CHACHA20:DH+AESGCM:DH+CHACHA20:ECDH+AES256:DH+AES256:ECDH+AES128:DH+AES:"
    b"RSA+AESGCM:RSA+AES:!aNULL:!MD5:!DSS"
)
"""Twisted's: with forward secrecy first, then those that old peers may need. For TLS 1.2; those of
TLS 1.3 are OpenSSL's choice."""

OVERHEAD_BYTES = KiB
"""More than what TLS adds to a chunk of five records, whatever the cipher."""


class RecordCount:
    """Tells when everything that came has been read.

    OpenSSL can only be asked by trying to read once more, and its answer, an error of five calls,
    takes longer than a small record. Its input shows as well as to itself where records end.

    Attributes:
        complete: records that came whole and may not have been read. Those without data, which
            OpenSSL passes over, stay in the count until it has nothing more.
    """

    def __init__(self) -> None:
        self.complete = 0
        self._missing = 0
        """Of the record under way, if its header is there."""
        self._header = b""
        """If only a part of its header is."""

    def feed(self, data: bytes) -> None:
        """Take note of bytes from the peer."""
        if self._header:
            data, self._header = self._header + data, b""
        position, end = self._missing, len(data)
        if position > end:
            self._missing -= end
            return
        if position:
            self.complete += 1
        self._missing = 0
        while end - position >= HEADER_BYTES:
            position += HEADER_BYTES + (data[position + 3] << 8 | data[position + 4])
            if position > end:
                self._missing = position - end
                return
            self.complete += 1
        self._header = data[position:]

    def took_last(self) -> bool:
        """Take note of a record that was read; return whether it was the last."""
        self.complete -= 1
        return self.complete <= 0


class Engine(ABC):
    """TLS of one connection, between bytes and bytes.

    Attributes:
        hungry: there is nothing to read until more is fed.
        finished: the peer's close_notify was read.
    """

    def __init__(self) -> None:
        self.hungry = True
        self.finished = False
        self._error: TLSError | None = None
        self._records = RecordCount()

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer; those after its end don't count."""
        self.hungry = False
        self._records.feed(data)
        if not self.finished:
            self._put(data)

    def read(self) -> bytes:
        """Decrypt what there is, a chunk at most.

        Raises:
            TLSError: what follows the bytes read so far is not what the peer sent, or an alert.
        """
        records: list[bytes] = []
        size = 0
        while size < CHUNK_BYTES and (record := self._record()):
            records.append(record)
            size += len(record)
            if self._records.took_last():
                self.hungry = True
                break
        if not records and self._error is not None:
            raise self._error
        return records[0] if len(records) == 1 else b"".join(records)

    def _record(self) -> bytes:
        """Decrypt a record; empty, with the reason noted, if there is none."""
        if self.finished or self._error is not None:
            return b""
        try:
            record = self._next()
        except TLSError as error:
            self._error = error
            return b""
        if record is None:
            self.hungry = True
            self._records.complete = 0
            return b""
        self.finished = not record
        return record

    @abstractmethod
    def handshake(self) -> bool:
        """Go on with the handshake; True: it is complete.

        Raises:
            TLSError: it failed.
        """

    @abstractmethod
    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Return the records of `data`, a chunk at most.

        Raises:
            TLSError: the connection is over.
        """

    @abstractmethod
    def close(self) -> bytes:
        """Return close_notify.

        Raises:
            TLSError: the connection is over.
        """

    @abstractmethod
    def take(self) -> bytes:
        """Return what is to be sent besides: of a handshake, or an alert."""

    @abstractmethod
    def _put(self, data: bytes) -> None:
        """Give bytes from the peer to OpenSSL."""

    @abstractmethod
    def _next(self) -> bytes | None:
        """Decrypt a record; empty: the peer's end; None: there is no whole one.

        Raises:
            TLSError: it isn't what the peer sent, or an alert.
        """


EngineFactory = Callable[[], Engine]
"""Makes the engine of one connection, its role set."""
