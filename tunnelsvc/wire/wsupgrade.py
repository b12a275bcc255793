# -*- test-case-name: tests.wire.test_wsupgrade -*-
"""The HTTP request that becomes a websocket (RFC 6455 section 4, protocol notes 1.5). Sans-I/O.

What is sent is what Go's library sends and takes: it wants exactly ``Connection: Upgrade`` in an
answer, and an ``Origin`` in a request, and answers 403 without one.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha1
from http import HTTPStatus
from os import urandom
from typing import Final
from urllib.parse import urlsplit

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.wire.httphead import RequestHead, ResponseHead

PATH: Final = b"/~!frp"
"""Where a server has its websocket (protocol notes 1.5)."""
KEY_BYTES: Final = 16
MOST_SHOWN_CHARACTERS: Final = 100
"""Of a server's words in an error."""

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"13"


class UpgradeRefusedError(RemoteProtocolError):
    """What was asked for is no websocket of ours.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status


class UpgradeFailedError(RemoteProtocolError):
    """The server's answer is no websocket."""


def new_key() -> bytes:
    """Make the key of one request."""
    return b64encode(urandom(KEY_BYTES))


def request(host: str, key: bytes) -> bytes:
    """Ask for a websocket.

    Args:
        host: of the server, with its port unless that is the usual one; an IPv6 address in
            brackets.
        key: see `new_key`.
    """
    name = host.encode("ascii" if host.isascii() else "idna")
    lines = (
        b"GET %b HTTP/1.1" % PATH,
        b"Host: " + name,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + key,
        b"Origin: http://" + name.lower(),
        b"Sec-WebSocket-Version: " + _VERSION,
    )
    return b"\r\n".join((*lines, b"", b""))


def check_answer(head: ResponseHead, key: bytes) -> None:
    """Look whether the server agrees; all after the head are frames then.

    Args:
        head: of the answer.
        key: of the request.

    Raises:
        UpgradeFailedError: it doesn't.
    """
    if head.status != HTTPStatus.SWITCHING_PROTOCOLS:
        reason = head.reason.decode("ascii", "replace")[:MOST_SHOWN_CHARACTERS]
        raise UpgradeFailedError(f"the server answers {head.status} {reason}".rstrip())
    if head.members(b"upgrade") != [b"websocket"] or b"upgrade" not in head.options:
        raise UpgradeFailedError("the server switches to another protocol")
    if head.values(b"sec-websocket-accept") != [_accepted(key)]:
        raise UpgradeFailedError("the answer is to another request; is there a cache in between?")
    if head.values(b"sec-websocket-extensions") or head.values(b"sec-websocket-protocol"):
        raise UpgradeFailedError("the server chose an extension that wasn't offered")


def answer(head: RequestHead) -> bytes:
    """Agree to a request for a websocket.

    Raises:
        UpgradeRefusedError: it isn't one that can be agreed to; see `refusal`.
    """
    if head.path.partition(b"?")[0] != PATH:
        raise UpgradeRefusedError(HTTPStatus.NOT_FOUND, "there is nothing at this path")
    if head.method != b"GET" or head.minor < 1 or head.length != 0:
        raise UpgradeRefusedError(
            HTTPStatus.BAD_REQUEST, "a websocket is asked for by GET, HTTP/1.1 and no body"
        )
    if b"websocket" not in head.members(b"upgrade") or b"upgrade" not in head.options:
        raise UpgradeRefusedError(
            HTTPStatus.BAD_REQUEST,
            "here is the websocket of a tunnel server. Upgrade: websocket or Connection: Upgrade "
            "is missing; does a proxy in between pass them on?",
        )
    if head.values(b"sec-websocket-version") != [_VERSION]:
        raise UpgradeRefusedError(HTTPStatus.UPGRADE_REQUIRED, "websockets are of version 13 here")
    keys = head.values(b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise UpgradeRefusedError(HTTPStatus.BAD_REQUEST, "no proper Sec-WebSocket-Key")
    _check_origin(head.values(b"origin"))
    lines = (
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + _accepted(keys[0]),
    )
    return b"\r\n".join((*lines, b"", b""))


def refusal(why: UpgradeRefusedError) -> bytes:
    """Give the answer to a request that isn't agreed to."""
    body = f"{why}\n".encode()
    lines = [
        f"HTTP/1.1 {why.status.value} {why.status.phrase}".encode(),
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    if why.status is HTTPStatus.UPGRADE_REQUIRED:
        lines.append(b"Sec-WebSocket-Version: " + _VERSION)
    return b"\r\n".join((*lines, b"", body))


def _check_origin(origins: list[bytes]) -> None:
    """Insist on an origin, as frps does: a frpc has one, and what hasn't is something else."""
    if not origins or not origins[0]:
        raise UpgradeRefusedError(
            HTTPStatus.FORBIDDEN,
            "Origin is missing: tunnel clients send it; does a proxy in between take it out?",
        )
    try:
        parts = urlsplit(origins[0].decode("ascii"))
    except ValueError:
        parts = urlsplit("")
    if len(origins) > 1 or not (parts.scheme and parts.netloc):
        raise UpgradeRefusedError(HTTPStatus.FORBIDDEN, "Origin is no URL such as http://host")


def _is_key(text: bytes) -> bool:
    try:
        return len(b64decode(text, validate=True)) == KEY_BYTES
    except Base64Error:
        return False


def _accepted(key: bytes) -> bytes:
    return b64encode(sha1(key + _MAGIC, usedforsecurity=False).digest())
