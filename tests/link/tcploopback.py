"""Real TCP connections on this machine, and who reads and produces on them."""

import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tunnelsvc.link.poller import watcher
from tunnelsvc.link.tcp import TCPStream

reactor = cast("Any", installed_reactor)

SMALL_BUFFER_BYTES = 4096
"""Asked of the kernel, which takes what it thinks is the least."""
BULK = bytes(range(256)) * 16384
"""4 MiB: more than the buffers of a loopback connection."""
LINGER_ZERO = b"\1\0\0\0\0\0\0\0"
"""With this option close() sends a reset."""


class Whole:
    """Keeps what it is told, and in which order; can't half-close."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.events: list[str] = []
        self.reason: BaseException | None = None
        self.on_data: Callable[[], object] = lambda: None
        self.on_lost: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.events.append("data")
        self.on_data()

    def readConnectionLost(self) -> None:
        self.events.append("end")

    def writeConnectionLost(self) -> None:
        self.events.append("finished")

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.events.append("lost")
        self.reason = reason.value
        self.on_lost()


@implementer(IHalfCloseableProtocol)
class Half(Whole):
    """Likewise, and can."""


async def turn() -> None:
    """Let the reactor turn once."""
    await deferLater(reactor, 0)


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor turn until something is so; a broken test waits for trial's limit."""
    while not condition():
        await turn()


async def turns(count: int = 5) -> None:
    """Let the reactor turn, for what must not happen."""
    for _ in range(count):
        await turn()


def sockets(family: int = socket.AF_INET, *, small: bool = False) -> tuple[Any, Any]:
    """Make the two sockets of a connection; small: with buffers that are soon full."""
    with socket.socket(family) as port, port:
        near = socket.socket(family)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF) if small else ():
            port.setsockopt(socket.SOL_SOCKET, option, SMALL_BUFFER_BYTES)
            near.setsockopt(socket.SOL_SOCKET, option, SMALL_BUFFER_BYTES)
        port.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        port.listen()
        near.connect(port.getsockname())
        far, _ = port.accept()
    return near, far


class LoopbackTestCase(TestCase):
    """Makes streams, and looks that none of them leaves anything behind."""

    def setUp(self) -> None:
        self.streams: list[TCPStream] = []
        self.addCleanup(self.check_nothing_left)

    async def check_nothing_left(self) -> None:
        for stream in self.streams:
            stream.abortConnection()
        await turns(2)
        self.assertEqual([stream.fileno() for stream in self.streams], [-1] * len(self.streams))
        self.assertFalse(any(stream.connected for stream in self.streams))
        watched = {*watcher(reactor).getReaders(), *watcher(reactor).getWriters()}
        self.assertEqual(watched.intersection(self.streams), set())

    def wrap(self, sock: socket.socket, reader: Any) -> TCPStream:
        """Make a stream of a socket; it reads."""
        stream = TCPStream(sock, sock.getpeername(), reader, reactor)
        self.streams.append(stream)
        stream.resumeProducing()
        return stream

    def one_end(self, reader: Any = None, **how: Any) -> tuple[TCPStream, Any, socket.socket]:
        """Make a stream, its reader, and the bare socket at the other end of it."""
        near, far = sockets(**how)
        far.setblocking(False)
        self.addCleanup(far.close)
        reader = reader or Half()
        return self.wrap(near, reader), reader, far

    def two_ends(self, **how: Any) -> tuple[TCPStream, Any, TCPStream, Any]:
        """Make a stream, its reader, and likewise at the other end."""
        near, far = sockets(**how)
        a, b = Half(), Half()
        return self.wrap(near, a), a, self.wrap(far, b), b

    async def received(self, far: socket.socket) -> bytes:
        """Read all that comes out of a bare socket, up to its end."""
        found = bytearray()
        while True:
            try:
                data = far.recv(65536)
            except BlockingIOError:
                await turn()
                continue
            if not data:
                return bytes(found)
            found += data

    async def is_reset(self, far: socket.socket) -> bool:
        """Tell whether a bare socket ends by a reset."""
        try:
            await self.received(far)
        except ConnectionResetError:
            return True
        return False


def reset(far: socket.socket) -> None:
    """Close a bare socket with a reset."""
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    far.close()


def fill(stream: TCPStream) -> int:
    """Write until bytes wait; return how many were written."""
    written = 0
    while stream not in watcher(reactor).getWriters():
        stream.write(bytes(65536))
        written += 65536
    return written
