# -*- test-case-name: tests.relay.test_sockets -*-
"""Tests of `tunnelsvc.relay.sockets`, on real sockets: what a kernel does is the point."""

import contextlib
import errno
import gc
import hashlib
import socket
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock
from weakref import ref

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.streams import pair
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.poller import watcher
from tunnelsvc.link.tcp import TCPStream
from tunnelsvc.relay import Closed, Meter, Reason, join, sockets
from tunnelsvc.units import KiB, MiB

PATIENCE = 60
clock: Any = reactor


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class SocketsCase(TestCase):
    """A joined pair of TCP connections; the test has the outer ends, which block."""

    timeout = 2 * PATIENCE

    async def setUp(self) -> None:  # type: ignore[override]
        await deferLater(clock, 0)
        watcher(clock)  # the reactor has its own by now
        close_spare_pipes()
        self.descriptors = open_descriptors()
        self.user, near = self.connection()
        self.service, far = self.connection()
        self.near, self.far = near, far
        self.meter = Meter()
        self.closed: Deferred[Closed] = join(near, far, clock=clock, meter=self.meter)
        self.addCleanup(self.check_descriptors)

    def connection(self) -> tuple[socket.socket, TCPStream]:
        """Connect; return the outer end and the inner one, parked."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            outer = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
            inner, peer = listening.accept()
        self.addCleanup(outer.close)
        parked = Parked()
        stream = TCPStream(inner, peer, parked, clock)
        parked.makeConnection(stream)
        return outer, stream

    async def check_descriptors(self) -> None:
        """Nothing stays open but the pipes that are kept for the next."""
        self.user.close()
        self.service.close()
        await self.closed
        close_spare_pipes()
        self.assertEqual(open_descriptors(), self.descriptors)


def close_spare_pipes() -> None:
    """Close what this test, or one before it, has left for the next."""
    while sockets._spare:
        sockets._spare.pop().close()


def send(sender: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        sender.sendall(piece)
    sender.shutdown(socket.SHUT_WR)


def receive(receiver: socket.socket, sizes: Random | None = None) -> "hashlib._Hash":
    """Read to the end; slowly, in odd pieces, if there are `sizes`."""
    seen = hashlib.sha256()
    while data := receiver.recv(sizes.choice((100, 3_000, 70_000)) if sizes else MiB):
        seen.update(data)
    return seen


class DataTests(SocketsCase):
    """Bytes arrive, whatever the gears do."""

    async def check(self, pieces: list[bytes], *, slow: bool) -> None:
        """Send the pieces both ways at once."""
        sizes = Random(1) if slow else None
        done = [
            deferToThread(send, self.user, pieces),
            deferToThread(send, self.service, pieces[::-1]),
        ]
        up = deferToThread(receive, self.service, sizes)
        down = deferToThread(receive, self.user, sizes)
        self.assertEqual((await up).digest(), hashlib.sha256(b"".join(pieces)).digest())
        self.assertEqual((await down).digest(), hashlib.sha256(b"".join(pieces[::-1])).digest())
        for each in done:
            await each
        closed = await self.closed
        total = sum(map(len, pieces))
        self.assertEqual((closed.up_bytes, closed.down_bytes), (total, total))
        self.closed = Deferred()
        self.closed.callback(closed)

    async def test_small(self) -> None:
        await self.check([b"question"] * 50, slow=False)

    async def test_bulk(self) -> None:
        await self.check([Random(2).randbytes(16 * MiB)], slow=False)

    async def test_bulk_to_slow_readers(self) -> None:
        await self.check([Random(3).randbytes(6 * MiB)], slow=True)

    async def test_now_and_then(self) -> None:
        """Lulls and bursts: up and down through the gears."""
        random = Random(4)
        sizes = [random.choice((1, 500, 40 * KiB, 3 * MiB)) for _ in range(40)]
        await self.check([random.randbytes(size) for size in sizes], slow=False)

    async def test_without_pipes(self) -> None:
        def refuse() -> None:
            raise OSError(errno.EMFILE, "no descriptors left")

        self.patch(sockets, "_spare", [])
        self.patch(sockets, "_Pipe", refuse)
        await self.check([Random(5).randbytes(8 * MiB)], slow=False)

    async def test_where_nothing_can_be_spliced(self) -> None:
        self.patch(sockets, "_CAN_SPLICE", False)
        await self.check([Random(6).randbytes(8 * MiB)], slow=False)


class BoundTests(SocketsCase):
    """A reader that doesn't read stops the writer."""

    async def test_memory(self) -> None:
        self.user.setblocking(False)
        sent, moved, still = 0, 0, 0
        while still < 20:
            with contextlib.suppress(BlockingIOError):
                sent += self.user.send(bytes(MiB))
                still = 0
            await deferLater(clock, 0.01)
            # The far end's kernel tries now and then, and may take something after all.
            still = still + 1 if self.meter.up_bytes == moved else 0
            moved = self.meter.up_bytes
        # The kernel has it, and at most one pipe; we have next to nothing.
        self.assertLess(self.far.unsent_bytes, 2 * sockets.BUFFER_BYTES)
        self.user.close()
        received = await deferToThread(lambda: sum(iter(lambda: len(self.service.recv(MiB)), 0)))
        self.assertEqual(received, sent)


class NearTests(SocketsCase):
    """What the kernel keeps of who sends in bulk."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        # Whoever is as quick as the sender reads less than what is bulk otherwise.
        self.patch(sockets, "BULK_BYTES", KiB)

    async def carry(self, sender: socket.socket, receiver: socket.socket) -> None:
        """Send 8 MiB and wait until they are there."""
        sent = deferToThread(sender.sendall, bytes(8 * MiB))
        await deferToThread(self.take, receiver, 8 * MiB)
        await sent

    def take(self, receiver: socket.socket, length: int) -> None:
        while length:
            length -= len(receiver.recv(length))

    async def test_sender_on_this_machine(self) -> None:
        """No more than of any socket for which the same is asked."""
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, sockets.NEAR_BYTES)
            limit = other.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        await self.carry(self.user, self.service)
        self.assertEqual(
            self.near.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), limit
        )

    async def test_small(self) -> None:
        """Who doesn't send in bulk is left alone, and so is the other end of the tunnel."""
        bounded: list[socket.socket] = []
        self.patch(sockets, "_bound", bounded.append)
        self.user.sendall(b"question")
        await deferToThread(self.take, self.service, len(b"question"))
        await self.carry(self.service, self.user)
        self.assertEqual(bounded, [])
        await self.carry(self.user, self.service)
        await self.carry(self.user, self.service)
        self.assertEqual(bounded, [self.near.getHandle()])

    def test_sender_elsewhere(self) -> None:
        """A distance needs what the kernel finds right."""
        distant = Mock(family=socket.AF_INET)
        distant.getpeername.return_value = "192.0.2.1", 50000
        distant.getsockname.return_value = "192.0.2.2", 443
        sockets._bound(distant)
        distant.setsockopt.assert_not_called()

    def test_nobody(self) -> None:
        """Who is gone is no reason to fail, nor is a socket without host."""
        with socket.socket() as unconnected:
            sockets._bound(unconnected)
        for end in socket.socketpair():
            sockets._bound(end)
            end.close()


class EndTests(SocketsCase):
    """How it ends, with bulk under way."""

    async def bulk(self) -> None:
        """Bring the way up into the upper gear, with a reader that is behind."""
        self.user.setblocking(False)
        while self.meter.up_bytes < 3 * MiB:
            try:
                self.user.send(bytes(MiB))
            except BlockingIOError:
                await deferToThread(self.service.recv, MiB)
        self.user.settimeout(PATIENCE)

    async def test_nothing_is_left(self) -> None:
        """Both streams are gone with the pair, without a look for garbage."""
        gone = ref(self.near), ref(self.far)
        del self.near, self.far
        self.addCleanup(gc.enable)
        gc.disable()
        self.user.close()
        self.service.close()
        await self.closed
        await deferLater(clock, 0)
        self.assertEqual([stream() for stream in gone], [None, None])

    async def test_answer_after_a_half_close(self) -> None:
        await self.bulk()
        self.user.shutdown(socket.SHUT_WR)
        await deferToThread(receive, self.service)
        self.service.sendall(b"the answer")
        self.service.close()
        self.assertEqual(await deferToThread(self.user.recv, 100), b"the answer")
        self.assertEqual(await deferToThread(self.user.recv, 100), b"")
        self.user.close()
        self.assertEqual((await self.closed).reason, Reason.NEAR_CLOSED)

    async def test_reset_by_the_reader(self) -> None:
        await self.bulk()
        self.service.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.service.close()

        def write_on() -> None:
            while True:
                self.user.sendall(bytes(MiB))

        with self.assertRaises(OSError):
            await deferToThread(write_on)
        self.assertEqual((await self.closed).reason, Reason.FAR_LOST)

    async def test_reset_by_the_writer(self) -> None:
        await self.bulk()
        self.user.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.user.close()
        with self.assertRaises(ConnectionResetError):
            await deferToThread(receive, self.service)
        self.assertEqual((await self.closed).reason, Reason.NEAR_LOST)

    async def test_cut_by_us(self) -> None:
        await self.bulk()
        self.near.abortConnection()
        with self.assertRaises(ConnectionResetError):
            await deferToThread(receive, self.service)
        await self.closed


class NoSocketTests(SynchronousTestCase):
    """Streams that aren't sockets go the usual way."""

    def test_no_mover(self) -> None:
        ours: Stream
        ours, _ = pair("memory")
        self.assertIsNone(sockets.move_sockets(ours, ours, lambda _: None))
