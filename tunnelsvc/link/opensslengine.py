# -*- test-case-name: tests.link.test_tlsengine -*-
"""TLS by pyOpenSSL: for all who show a certificate or verify one."""

from OpenSSL import SSL

from tunnelsvc.errors import TLSError
from tunnelsvc.link.certificates import describe
from tunnelsvc.link.tlsengine import OVERHEAD_BYTES, RECORD_BYTES, Engine


class OpenSSLEngine(Engine):
    """See `Engine`.

    Args:
        connection: on memory buffers, its role set; see `tunnelsvc.link.certificates`.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        super().__init__()
        self._connection = connection

    def handshake(self) -> bool:
        """See `Engine`."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self.hungry = True
            return False
        except SSL.Error as error:
            raise TLSError(f"TLS handshake failed: {describe(error)}") from None
        return True

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """See `Engine`."""
        try:
            self._connection.sendall(data)
        except SSL.Error as error:
            raise TLSError(f"TLS failed: {describe(error)}") from None
        return self.take(len(data) + OVERHEAD_BYTES)

    def close(self) -> bytes:
        """See `Engine`."""
        try:
            self._connection.shutdown()
        except SSL.Error as error:
            raise TLSError(f"TLS failed: {describe(error)}") from None
        return self.take()

    def take(self, size: int = OVERHEAD_BYTES) -> bytes:
        """See `Engine`; more than `size` bytes take longer."""
        taken: list[bytes] = []
        try:
            while not taken or len(taken[-1]) == size:
                taken.append(self._connection.bio_read(size))
        except SSL.WantReadError:
            pass
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _put(self, data: bytes) -> None:
        while data:
            data = data[self._connection.bio_write(data) :]

    def _next(self) -> bytes | None:
        try:
            return self._connection.recv(RECORD_BYTES)
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            raise TLSError(f"TLS failed: {describe(error)}") from None
