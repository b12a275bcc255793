# -*- test-case-name: tests.relay.test_sockets -*-
"""The fast way of a joined pair: two sockets, nothing in between.

When both streams are plain TCP connections (a direct work connection without TLS, cipher and
compression), their bytes need not become objects of Python that a protocol takes and a transport
gives. When the other one is TLS, they are encrypted where they were read. A `Mover` replaces the
reading of one stream, and only that. Everything else stays where it is: who pauses whom, how a
direction ends and what a loss means is in `tunnelsvc.relay.join`, and closing, aborting and what
the kernel doesn't take is in the stream.

Two gears
=========

*Small.* ``recv_into`` a buffer that all share, ``send`` from it in the same turn. The bytes are
never owned by anybody; what the kernel doesn't take is copied and given to the target's ``write``,
whose back-pressure then works as ever. For a few hundred bytes nothing is faster.

*Bulk.* After some reads in a row that filled the buffer, `os.splice` moves pages from socket to
pipe to socket within the kernel, at a third of the processor time for a byte. What is in the pipe
is neither here nor there, so the source is not read while the target takes no more: the target is
watched for writing, and only an empty pipe lets the source go on. Hence a direction's end is never
seen before its last byte is out. A pipe is borrowed while bytes flow in bulk, and given back at the
first lull: an idle connection holds none, and without pipes (no descriptors left) the small gear
does everything.

In either gear the kernel lets what it has received grow with the speed of who reads, up to 6 or
32 MiB a connection (``net.ipv4.tcp_rmem``). A distance needs that. If a sender is on this machine,
as a local service mostly is, it's only memory, and bytes that have left the processor's cache
before anybody reads them: once it sends in bulk, the kernel shall keep no more than a turn's worth.

The two sockets of a pair are two movers, one for each direction, which know nothing of each other.
Where `os.splice` is missing there is only the small gear; where streams are no sockets, or the
reactor watches no descriptors, there is no mover.
"""

import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from tunnelsvc.interfaces import ISocketStream, IViewConsumer, SocketStream, Stream
from tunnelsvc.units import KiB, MiB

BUFFER_BYTES = 256 * KiB
"""Of the shared buffer: what one turn moves in the small gear."""
BULK_BYTES = 64 * KiB
"""A read of this much is a sign of bulk, as it needs a sender that is ahead of us."""
BULK_READS = 4
"""So many of them in a row are bulk."""
PIPE_BYTES = 1 * MiB
"""What a pipe holds and one turn moves in bulk; the most that Linux grants without privileges."""
NEAR_BYTES = PIPE_BYTES
"""What the kernel keeps of a sender on this machine; where ``net.core.rmem_max`` is less, that."""
SPARE_PIPES = 8
"""Pipes kept for the next who need one."""

_BUFFER = memoryview(bytearray(BUFFER_BYTES))
_CAN_SPLICE = hasattr(os, "splice") and hasattr(fcntl, "F_SETPIPE_SZ")
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE if _CAN_SPLICE else 0

Count = Callable[[int], None]
"""Takes note of so many bytes moved."""


def move_sockets(
    source: Stream, target: Stream, count: Count, *, near: bool = False
) -> "Mover | None":
    """Let a mover carry `source`'s bytes to `target`, if that is possible.

    Args:
        source: whose protocol is told of its end and loss as before, but of no more bytes.
        target: has `source` as its producer.
        count: for the accounts.
        near: whether `source` is on our side of the tunnel, and who sends may be on this machine.

    Returns:
        The mover, to be closed when both are gone; None if there can't be one.
    """
    if not (ISocketStream.providedBy(source) and IViewConsumer.providedBy(target)):
        return None
    splices = _CAN_SPLICE and ISocketStream.providedBy(target)
    ends = cast("SocketStream", source), cast("SocketStream", target)
    mover = Mover(*ends, count, splices=splices, near=near)
    mover.source.read_by(mover.readable)
    return mover


def _bound(sock: socket.socket) -> None:
    """Let the kernel keep `NEAR_BYTES` at most, if who sends is on this machine."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):  # it is gone already, which is seen by who reads
        if sock.getpeername()[0] == sock.getsockname()[0]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NEAR_BYTES)


class _Pipe:
    """A pipe of the kernel, to splice through."""

    __slots__ = ("held", "inlet", "outlet")

    def __init__(self) -> None:
        self.outlet, self.inlet = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        with suppress(OSError):  # the user's pipes may be too large together; small ones work, too
            fcntl.fcntl(self.inlet, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def close(self) -> None:
        os.close(self.inlet)
        os.close(self.outlet)


_spare: list[_Pipe] = []


def _borrow() -> _Pipe | None:
    try:
        return _spare.pop() if _spare else _Pipe()
    except OSError:
        return None


def _give_back(pipe: _Pipe) -> None:
    if pipe.held or len(_spare) >= SPARE_PIPES:
        pipe.close()
    else:
        _spare.append(pipe)


class Mover:
    """Carries the bytes of one direction."""

    __slots__ = ("_count", "_full_reads", "_near", "_pipe", "_splices", "source", "target")

    def __init__(
        self, source: SocketStream, target: SocketStream, count: Count, *, splices: bool, near: bool
    ) -> None:
        self.source = source
        self.target = target
        self._splices = splices
        self._near = near
        self._count = count
        self._full_reads = 0
        self._pipe: _Pipe | None = None

    def readable(self) -> None:
        """Move what there is; called by the source instead of reading."""
        try:
            if self._pipe is not None:
                self._splice(self._pipe)
            else:
                self._copy()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as why:
            self.source.read_failed(why)

    # Small.

    def _copy(self) -> None:
        length = self.source.getHandle().recv_into(_BUFFER)
        if not length:
            self.source.end_arrived()
            return
        self._count(length)
        self.target.write(_BUFFER[:length])
        self._full_reads = self._full_reads + 1 if length >= BULK_BYTES else 0
        if self._full_reads >= BULK_READS:
            self._bulk_begins()

    # Bulk.

    def _bulk_begins(self) -> None:
        if self._near:
            self._near = False
            _bound(self.source.getHandle())
        if self._splices and not self.target.unsent_bytes:
            self._full_reads = 0
            self._pipe = _borrow()

    def _splice(self, pipe: _Pipe) -> None:
        try:
            length = os.splice(self.source.fileno(), pipe.inlet, PIPE_BYTES, flags=_FLAGS)
        except BlockingIOError:
            self.close()
            return
        if not length:
            self.close()
            self.source.end_arrived()
            return
        self._count(length)
        pipe.held = length
        if not self._pour():
            self.source.pauseProducing()
            self.target.fill_by(self._refill)
        elif length < BULK_BYTES:
            self.close()

    def _pour(self) -> bool:
        """Move from the pipe to the target; return whether the pipe is empty."""
        pipe = self._pipe
        if pipe is None:
            return True
        try:
            while pipe.held:
                pipe.held -= os.splice(pipe.outlet, self.target.fileno(), pipe.held, flags=_FLAGS)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as why:
            self.target.write_failed(why)
            self.close()
        return True

    def _refill(self) -> bool:
        """Go on when the target can take more; return whether all is out."""
        if not self._pour():
            return False
        self.source.resumeProducing()
        return True

    def close(self) -> None:
        """Go back to the small gear; what the pipe still holds is lost."""
        if self._pipe is not None:
            _give_back(self._pipe)
            self._pipe = None
