# -*- test-case-name: tests.wire.test_socks5 -*-
"""The server's side of SOCKS 5 up to the reply (RFC 1928), with user and password (RFC 1929).

Sans-I/O. Only CONNECT is served: BIND and UDP ASSOCIATE need ports of their own, which users
behind the tunnel couldn't reach.
"""

import hmac
import re
from collections.abc import Callable
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import frozen

from tunnelsvc.errors import RemoteProtocolError

VERSION: Final = 5
MAX_CREDENTIAL_BYTES: Final = 255
"""Of a user's name, and of a password: their lengths are one byte each."""

LOGIN_VERSION: Final = 1
"""Of user and password, which have a version of their own."""
NO_LOGIN: Final = 0x00
USER_AND_PASSWORD: Final = 0x02
NONE_OF_THESE: Final = 0xFF
CONNECT: Final = 0x01
IPV4: Final = 0x01
DOMAIN: Final = 0x03
IPV6: Final = 0x04
PORT_BYTES: Final = 2
BEFORE_ADDRESS_BYTES: Final = 4
"""Of a request and of a reply: version, command or code, a reserved byte, kind of address."""
ADDRESS_BYTES: Final = {IPV4: 4, IPV6: 16}
# Names as resolvers take them: no blanks, no controls. Some clients put an address here as text.
_NAME: Final = re.compile(rb"[0-9A-Za-z._\-]+|[0-9A-Fa-f:.]+")


class Reply(IntEnum):
    """What becomes of a request (RFC 1928 section 6)."""

    SUCCEEDED = 0x00
    FAILED = 0x01
    NOT_ALLOWED = 0x02
    NETWORK_UNREACHABLE = 0x03
    HOST_UNREACHABLE = 0x04
    REFUSED = 0x05
    TIMED_OUT = 0x06
    """By the RFC "TTL expired"; Tor and others say so of a target that doesn't answer."""
    NO_SUCH_COMMAND = 0x07
    NO_SUCH_ADDRESS_TYPE = 0x08


class Socks5Error(RemoteProtocolError):
    """The client can't be served.

    Attributes:
        answer: what it is told before the connection ends; may be empty.
    """

    def __init__(self, what: str, answer: bytes = b"") -> None:
        super().__init__(what)
        self.answer = answer


@frozen
class Target:
    """Whom a client wants to be connected to.

    Attributes:
        host: name or address.
        port: TCP port.
    """

    host: str
    port: int


def reply(code: Reply, host: str = "0.0.0.0", port: int = 0) -> bytes:  # noqa: S104 - says nothing
    """Make the answer to a request.

    Args:
        code: what became of it.
        host: address from which the target is connected to.
        port: the same.
    """
    address = ip_address(host.partition("%")[0])
    kind = IPV4 if address.version == IPv4Address(0).version else IPV6
    head = bytes((VERSION, code, 0, kind))
    return head + address.packed + port.to_bytes(PORT_BYTES, "big")


class Handshake:
    """The conversation with one client until it has said whom it wants.

    Buffers one incomplete message at most, whose length is in its first bytes: 513 bytes.

    Attributes:
        target: whom the client wants to be connected to; None: it hasn't said.
    """

    def __init__(self, user: str = "", password: str = "") -> None:
        """Begin.

        Args:
            user: who may come in; with an empty password too, everybody.
            password: of that user.
        """
        self.target: Target | None = None
        self._login = _fields(user, password) if user or password else None
        self._buffer = b""
        self._version = VERSION
        self._length: Callable[[bytes], int] = _greeting_length
        self._take: Callable[[bytes], bytes] = self._greeted

    @property
    def unread(self) -> bytes:
        """Bytes behind what was understood; of a complete handshake they are for the target."""
        return self._buffer

    def feed(self, data: bytes) -> bytes:
        """Take bytes.

        Returns:
            What to answer; empty: nothing yet, or nothing before the request's outcome is known.

        Raises:
            Socks5Error: that's all; nothing may be fed any more.
        """
        self._buffer += data
        answer = b""
        while self.target is None and self._buffer:
            try:
                if self._buffer[0] != self._version:
                    raise Socks5Error("this isn't SOCKS 5")
                length = self._length(self._buffer)
                if len(self._buffer) < length:
                    break
                message, self._buffer = self._buffer[:length], self._buffer[length:]
                answer += self._take(message)
            except Socks5Error as error:
                error.answer = answer + error.answer
                raise
        return answer

    def _greeted(self, message: bytes) -> bytes:
        method = NO_LOGIN if self._login is None else USER_AND_PASSWORD
        if method not in message[2:]:
            what = "no login" if self._login is None else "a login by user and password"
            refusal = bytes((VERSION, NONE_OF_THESE))
            raise Socks5Error(f"the client doesn't offer {what}", refusal)
        if self._login is None:
            self._length, self._take = _request_length, self._requested
        else:
            self._version = LOGIN_VERSION
            self._length, self._take = _login_length, self._logged_in
        return bytes((VERSION, method))

    def _logged_in(self, message: bytes) -> bytes:
        assert self._login is not None
        if not hmac.compare_digest(message[1:], self._login):
            raise Socks5Error("wrong user or password", bytes((LOGIN_VERSION, Reply.FAILED)))
        self._version = VERSION
        self._length, self._take = _request_length, self._requested
        return bytes((LOGIN_VERSION, Reply.SUCCEEDED))

    def _requested(self, message: bytes) -> bytes:
        if message[1] != CONNECT:
            raise _refused(Reply.NO_SUCH_COMMAND, "only CONNECT is served")
        address = message[BEFORE_ADDRESS_BYTES:-PORT_BYTES]
        port = int.from_bytes(message[-PORT_BYTES:], "big")
        self.target = Target(_host(message[BEFORE_ADDRESS_BYTES - 1], address), port)
        return b""


def _fields(user: str, password: str) -> bytes:
    """Give a login as it is sent, behind its version."""
    fields = [text.encode() for text in (user, password)]
    return b"".join(bytes((len(field),)) + field for field in fields)


def _refused(code: Reply, what: str) -> Socks5Error:
    return Socks5Error(what, reply(code))


def _host(kind: int, address: bytes) -> str:
    if kind == IPV4:
        return str(IPv4Address(address))
    if kind == IPV6:
        return str(IPv6Address(address))
    name = address[1:]
    if _NAME.fullmatch(name) is None:
        raise _refused(Reply.FAILED, "a host name that is none")
    return name.decode("ascii")


# How long a message is, as far as its beginning tells.


def _greeting_length(buffer: bytes) -> int:
    return 2 + buffer[1] if len(buffer) > 1 else 2


def _login_length(buffer: bytes) -> int:
    length = 3 + buffer[1] if len(buffer) > 1 else 3
    return length + buffer[length - 1] if len(buffer) >= length else length


def _request_length(buffer: bytes) -> int:
    length = length_with_address(buffer)
    if length is None:
        raise _refused(Reply.NO_SUCH_ADDRESS_TYPE, "an address of no known kind")
    return length


def length_with_address(buffer: bytes) -> int | None:
    """Say how long a request or a reply is, or what is needed of it to say that.

    Args:
        buffer: its first bytes.

    Returns:
        A number of bytes; None: it has an address of no known kind.
    """
    if len(buffer) <= BEFORE_ADDRESS_BYTES:
        return BEFORE_ADDRESS_BYTES + 1
    kind = buffer[BEFORE_ADDRESS_BYTES - 1]
    if kind == DOMAIN:
        return BEFORE_ADDRESS_BYTES + 1 + buffer[BEFORE_ADDRESS_BYTES] + PORT_BYTES
    if kind in ADDRESS_BYTES:
        return BEFORE_ADDRESS_BYTES + ADDRESS_BYTES[kind] + PORT_BYTES
    return None
