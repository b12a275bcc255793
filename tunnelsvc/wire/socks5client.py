# -*- test-case-name: tests.wire.test_socks5client -*-
"""The client's side of SOCKS 5 (RFC 1928), with user and password (RFC 1929). Sans-I/O."""

from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.wire.socks5 import (
    CONNECT,
    DOMAIN,
    IPV4,
    IPV6,
    LOGIN_VERSION,
    MAX_CREDENTIAL_BYTES,
    NO_LOGIN,
    USER_AND_PASSWORD,
    VERSION,
    Reply,
    length_with_address,
)

_TWO: Final = 2
"""Bytes of the answers before the last one."""

_WHY: Final = {
    Reply.FAILED: "it failed there",
    Reply.NOT_ALLOWED: "its rules don't allow it",
    Reply.NETWORK_UNREACHABLE: "the network is unreachable from there",
    Reply.HOST_UNREACHABLE: "the host is unreachable from there",
    Reply.REFUSED: "the connection was refused",
    Reply.TIMED_OUT: "the connection timed out",
    Reply.NO_SUCH_COMMAND: "it doesn't make connections",
    Reply.NO_SUCH_ADDRESS_TYPE: "it doesn't know this kind of address",
}


class Socks5RefusedError(RemoteProtocolError):
    """The proxy won't, or isn't one."""


class Socks5Client:
    """Asks a proxy for a connection. Buffers one message at most: 262 bytes.

    Attributes:
        connected: whether the proxy has made the connection; all that follows is the target's.
    """

    def __init__(self, host: str, port: int, user: str = "", password: str = "") -> None:
        """Begin.

        Args:
            host: name or address of the target; a name is looked up by the proxy.
            port: TCP port of the target.
            user: for a proxy that wants to know it; empty, with an empty password: nobody.
            password: of that user.

        Raises:
            Socks5RefusedError: name or login are longer than there is room for.
        """
        self.connected = False
        self._buffer = b""
        self._request = bytes((VERSION, CONNECT, 0)) + _address(host) + port.to_bytes(2, "big")
        self._login = _login(user, password) if user or password else b""
        self._length: Callable[[bytes], int] = lambda _: _TWO
        self._take: Callable[[bytes], bytes] = self._greeted

    @property
    def unread(self) -> bytes:
        """Bytes behind what was understood; once connected they are the target's."""
        return self._buffer

    def greeting(self) -> bytes:
        """Give what is said first. A login is offered only by who has one."""
        methods = (NO_LOGIN, USER_AND_PASSWORD) if self._login else (NO_LOGIN,)
        return bytes((VERSION, len(methods), *methods))

    def feed(self, data: bytes) -> bytes:
        """Take bytes.

        Returns:
            What to say next; may be empty.

        Raises:
            Socks5RefusedError: it's over.
        """
        self._buffer += data
        said = b""
        while not self.connected and self._buffer:
            length = self._length(self._buffer)
            if len(self._buffer) < length:
                break
            message, self._buffer = self._buffer[:length], self._buffer[length:]
            said += self._take(message)
        return said

    def _greeted(self, message: bytes) -> bytes:
        if message[0] != VERSION:
            raise Socks5RefusedError("it doesn't speak SOCKS 5")
        method = message[1]
        if method == USER_AND_PASSWORD and self._login:
            self._take = self._logged_in
            return self._login
        if method != NO_LOGIN:
            wish = "user and password" if not self._login else "another kind of login"
            raise Socks5RefusedError(f"it wants {wish}")
        return self._ask()

    def _logged_in(self, message: bytes) -> bytes:
        if message[1] != Reply.SUCCEEDED:
            raise Socks5RefusedError("it refuses user or password")
        return self._ask()

    def _ask(self) -> bytes:
        self._length, self._take = _reply_length, self._replied
        return self._request

    def _replied(self, message: bytes) -> bytes:
        if message[1] != Reply.SUCCEEDED:
            why = _WHY.get(message[1], f"error {message[1]}")  # type: ignore[call-overload]
            raise Socks5RefusedError(f"it gives no connection: {why}")
        self.connected = True
        return b""


def _address(host: str) -> bytes:
    with suppress(ValueError):
        address = ip_address(host)
        return bytes((IPV4 if address.version == 4 else IPV6,)) + address.packed  # noqa: PLR2004
    name = host.encode("ascii" if host.isascii() else "idna")
    return bytes((DOMAIN,)) + _field(name)


def _login(user: str, password: str) -> bytes:
    return bytes((LOGIN_VERSION,)) + _field(user.encode()) + _field(password.encode())


def _field(text: bytes) -> bytes:
    if len(text) > MAX_CREDENTIAL_BYTES:
        raise Socks5RefusedError(f"SOCKS 5 has no room for more than {MAX_CREDENTIAL_BYTES} bytes")
    return bytes((len(text),)) + text


def _reply_length(buffer: bytes) -> int:
    if buffer[0] != VERSION:
        raise Socks5RefusedError("it doesn't speak SOCKS 5")
    if len(buffer) >= _TWO and buffer[1] != Reply.SUCCEEDED:
        return _TWO  # with a refusal, some send no address, or one of no known kind
    length = length_with_address(buffer)
    if length is None:
        raise Socks5RefusedError("it names an address of no known kind")
    return length
