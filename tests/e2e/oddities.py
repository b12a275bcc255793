# -*- test-case-name: tests.e2e.test_odd_servers -*-
"""Web servers as they are found behind tunnels: what they send, and what a user has to get of it.

A server's answer is chosen by the path of the request, so that one server has all oddities and the
connections to it that are kept are used by all of them.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from attrs import frozen

from tests.e2e.services import CHUNK_BYTES, receive
from tunnelsvc.units import KiB

PLAIN_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain"

# Of one header: most of what is allowed for a head.
HUGE: Final = b"x" * (60 * KiB)

TOO_HUGE: Final = b"x" * (64 * KiB)

# More than all buffers on the way hold.
UNREAD_BYTES: Final = 64 * 1024 * KiB

CHUNKS: Final = (
    b"5;ext\r\nhello\r\n"
    b'006 ; name="a;b" ; other=1\r\n world\r\n'
    b"1\r\n!\r\n"
    b"0;last=1\r\nX-Sum: 12\r\nx-Empty:\r\n\r\n"
)


class End(Enum):
    """What becomes of the user's connection."""

    KEPT = auto()
    CLOSED = auto()
    RESET = auto()


class Shutting(Enum):
    """What the server does with its connection after its answer."""

    KEEPS = auto()
    CLOSES = auto()
    RESETS = auto()


@frozen
class Oddity:
    """One odd server.

    Attributes:
        answer: what it sends.
        shown: what the user gets, to the byte.
        page: status of a page of ours behind that; 0: there is none.
        end: of the user's connection.
        shutting: of the server's.
        request: with PATH where the path belongs, which leads to this server.
        bytewise: it sends one byte at a time.
    """

    answer: bytes
    shown: bytes
    page: int = 0
    end: End = End.KEPT
    shutting: Shutting = Shutting.KEEPS
    request: bytes = b"GET PATH HTTP/1.1\r\nHost: odd.test\r\n\r\n"
    bytewise: bool = False

    def request_for(self, path: bytes) -> bytes:
        """Give the user's request."""
        return self.request.replace(b"PATH", path)


def _closing(answer: bytes, shown: bytes, end: End = End.KEPT) -> Oddity:
    return Oddity(answer, shown, end=end, shutting=Shutting.CLOSES)


def _useless(answer: bytes, shutting: Shutting = Shutting.KEEPS) -> Oddity:
    return Oddity(answer, b"", 502, shutting=shutting)


def _asked(
    method: bytes, answer: bytes, shown: bytes, shutting: Shutting = Shutting.KEEPS
) -> Oddity:
    request = method + b" PATH HTTP/1.1\r\nHost: odd.test\r\n\r\n"
    return Oddity(answer, shown, shutting=shutting, request=request)


def _unchanged(answer: bytes, shutting: Shutting = Shutting.KEEPS) -> Oddity:
    return Oddity(answer, answer, shutting=shutting)


OLD: Final[Mapping[str, Oddity]] = {
    "HTTP/1.0 without a length": _closing(
        b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nServer: BaseHTTP/0.6\r\nConnection: close\r\n\r\nuntil the end",
        End.CLOSED,
    ),
    "HTTP/1.0 without a length, empty": _closing(
        b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", End.CLOSED
    ),
    "HTTP/1.0 with a length": _closing(
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "HTTP/1.0 that keeps its connection": Oddity(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "HTTP/1.1 without a length": _closing(
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        End.CLOSED,
    ),
    "a length and Connection: close": _closing(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "a length and Connection: close, and it waits": Oddity(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "keeps, it says, and closes": _closing(
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n"
        b"Content-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
}
"""Servers that are old, or close their connections after an answer."""

HEADS: Final[Mapping[str, Oddity]] = {
    "lower case, order, doubles": _unchanged(
        b"HTTP/1.1 200 OK\r\nset-cookie: b=2\r\nX-ZZ:  \r\ndate: now\r\nSet-Cookie: a=1\r\n"
        b"content-length: 2\r\n\r\nhi".replace(b"X-ZZ:  ", b"X-ZZ: ")
    ),
    "an odd reason": _unchanged(b"HTTP/1.1 299 \xe4ndert sich\r\nContent-Length: 0\r\n\r\n"),
    "no reason": Oddity(
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
    ),
    "huge headers": _unchanged(
        b"HTTP/1.1 200 OK\r\nX-Huge: %b\r\nContent-Length: 2\r\n\r\nhi" % HUGE
    ),
    "200 headers": _unchanged(
        b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nhi"
        % b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(200))
    ),
    "line ends without CR": Oddity(
        b"HTTP/1.1 200 OK\nX-Bare: yes\nContent-Length: 4\n\na\nb\n",
        b"HTTP/1.1 200 OK\r\nX-Bare: yes\r\nContent-Length: 4\r\n\r\na\nb\n",
    ),
    "a folded line": Oddity(
        b"HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Long: one two\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "a blank before a colon": Oddity(
        b"HTTP/1.1 200 OK\r\nX-Blank : yes\r\nContent-Length\t: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Blank: yes\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "a status that nobody knows": _unchanged(
        b"HTTP/1.1 999 Request denied\r\nContent-Length: 2\r\n\r\nhi"
    ),
    "a blank line behind the status line": Oddity(
        b"HTTP/1.1 200 OK\r\n  X-Odd: 1\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "empty lines before the head": Oddity(
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "hop-by-hop headers": Oddity(
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nUpgrade: h2\r\n"
        b"Proxy-Connection: x\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "a byte at a time": Oddity(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        bytewise=True,
    ),
}
"""Heads that are unusual but mean one thing."""

BODIES: Final[Mapping[str, Oddity]] = {
    "chunks with extensions and trailers": _unchanged(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS
    ),
    "chunks for HTTP/1.0": Oddity(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world!",
        end=End.CLOSED,
        request=b"GET PATH HTTP/1.0\r\nHost: odd.test\r\nConnection: keep-alive\r\n\r\n",
    ),
    "chunk sizes with blanks behind them": Oddity(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5     \r\nhello\r\n1 \t \r\n!\r\n0     \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    ),
    "100 first": _unchanged(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    ),
    "early hints and processing first": _unchanged(
        b"HTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.css>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    ),
    "early hints for HTTP/1.0": Oddity(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        end=End.CLOSED,
        request=b"GET PATH HTTP/1.0\r\nHost: odd.test\r\n\r\n",
    ),
    "a body for HEAD": _asked(
        b"HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ),
    "chunked for HEAD": _asked(
        b"HEAD",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "no length for HEAD": _asked(
        b"HEAD", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", Shutting.CLOSES
    ),
    "204 with a length": Oddity(
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-End: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX-End: 1\r\n\r\n",
    ),
    "204 with a body": Oddity(
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    "304 with a length": _unchanged(
        b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 5\r\n\r\n'
    ),
    "304 with a body": Oddity(
        b"HTTP/1.1 304 Not Modified\r\n\r\nhello", b"HTTP/1.1 304 Not Modified\r\n\r\n"
    ),
    "more than its length": Oddity(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "an answer nobody asked for": Oddity(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ),
    "an upgrade it doesn't make": Oddity(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        request=b"GET PATH HTTP/1.1\r\nHost: odd.test\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
    ),
}
"""Bodies, and answers before the answer."""

BROKEN: Final[Mapping[str, Oddity]] = {
    "closes at once": _useless(b"", Shutting.CLOSES),
    "closes within the head": _useless(b"HTTP/1.1 200 OK\r\nContent-Le", Shutting.CLOSES),
    "closes after early hints": Oddity(
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        502,
        shutting=Shutting.CLOSES,
    ),
    "resets at once": _useless(b"", Shutting.RESETS),
    "doesn't speak HTTP": _useless(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", Shutting.CLOSES),
    "HTTP/0.9": _useless(b"<html>hello</html>", Shutting.CLOSES),
    "an error in text": _useless(
        b"Connection refused by secret.internal:3306\n\n", Shutting.CLOSES
    ),
    "two different lengths": _useless(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nhello"
    ),
    "two lengths in one": _useless(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 2\r\n\r\nhello"),
    "a negative length": _useless(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    "a length and chunks": _useless(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
    ),
    "a coding we don't know": _useless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS
    ),
    "NUL in a head": _useless(b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nhi"),
    "a head without an end": _useless(b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % TOO_HUGE),
    "300 headers": _useless(b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"X: y\r\n" * 300)),
    "101 that nobody asked for": _useless(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\n"
    ),
    "closes within the body": _closing(
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart",
        End.RESET,
    ),
    "closes between chunks": _closing(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        End.RESET,
    ),
    "closes within trailers": _closing(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n",
        End.RESET,
    ),
}
"""Answers that can't be passed on, or end too early."""

SECRET: Final = b"secret.internal"
"""What a server says to itself: no page of ours has it."""

_ALL: Final = [*OLD.items(), *HEADS.items(), *BODIES.items(), *BROKEN.items()]

BY_PATH: Final = {b"/%d" % number: oddity for number, (_, oddity) in enumerate(_ALL)}

PATHS: Final = {name: b"/%d" % number for number, (name, _) in enumerate(_ALL)}


def serve_oddly(connection: socket.socket) -> None:
    """Service: answer each request as the oddity of its path does; all other paths are plain."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while head := read_head(connection):
        oddity = BY_PATH.get(head.split(b" ")[1], Oddity(PLAIN_ANSWER, PLAIN_ANSWER))
        parts = [b"%c" % byte for byte in oddity.answer] if oddity.bytewise else [oddity.answer]
        for part in parts:
            connection.sendall(part)
        if oddity.shutting is Shutting.CLOSES:
            return
        if oddity.shutting is Shutting.RESETS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return


def read_head(connection: socket.socket) -> bytes:
    """Read up to the empty line; less if the connection ends before it."""
    head = b""
    with suppress(ConnectionError):
        while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
            head += byte
    return head


def read_page(connection: socket.socket) -> tuple[int, bytes]:
    """Read a response with a length; return its status, and all of it."""
    head = read_head(connection)
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    page = receive(connection, size)
    assert len(page) == size, page
    return int(head.split(b" ")[1]), head + page


def refuse_unread(connection: socket.socket) -> None:
    """Service: say 413 after the head, never read the body, and close."""
    read_head(connection)
    connection.sendall(
        b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\nToo big."
    )


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side has finished sending."""
    received = bytearray()
    while data := connection.recv(CHUNK_BYTES):
        received += data
    return bytes(received)
