# -*- test-case-name: tests.link.test_tcp -*-
"""Tests of `tunnelsvc.link.tcp`: bytes, back-pressure, and what a connection knows of itself."""

import errno
import hashlib
import socket
from itertools import pairwise
from random import Random
from typing import Any

from twisted.internet import interfaces
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionLost
from zope.interface.verify import verifyObject

from tests.link.tcploopback import (
    BULK,
    Half,
    LoopbackTestCase,
    fill,
    reactor,
    reset,
    turn,
    turns,
    until,
)
from tests.streams import Producer
from tunnelsvc.interfaces import ISocketStream
from tunnelsvc.link.poller import watcher
from tunnelsvc.link.sockets import connect
from tunnelsvc.link.tcp import BUFFER_BYTES, JOIN_BYTES, MOST_READ_BYTES, READ_BYTES, TCPStream

SEED = 20
ROUNDS = 300
MOST_BYTES = 150_000


class Source(Producer):
    """Writes random sizes of random bytes as long as it may, and keeps their hash."""

    def __init__(self, stream: TCPStream, random: Random) -> None:
        super().__init__()
        self.stream = stream
        self.random = random
        self.hash = hashlib.sha256()
        self.left = ROUNDS
        self.paused = False
        self.most_unsent = 0

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self.paused = True

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.paused = False

    def go_on(self) -> None:
        """Write a little; finish the direction with the last."""
        while self.left and not self.paused and self.random.random() < 0.9:
            self.left -= 1
            pieces = [
                self.random.randbytes(int(MOST_BYTES ** self.random.random()))
                for _ in range(self.random.choice((1, 1, 3)))
            ]
            self.hash.update(b"".join(pieces))
            if len(pieces) == 1:
                self.stream.write(pieces[0])
            else:
                self.stream.writeSequence(pieces)
            if not self.left:
                self.stream.unregisterProducer()
                self.stream.loseWriteConnection()


class BytesTests(LoopbackTestCase):
    """What is written arrives."""

    async def test_random_writes_against_slow_readers(self) -> None:
        """Both ways at once, in order, with producers and readers that pause and resume."""
        random = Random(SEED)
        near, near_reader, far, far_reader = self.two_ends(small=True)
        sources = [Source(stream, random) for stream in (near, far)]
        for source in sources:
            source.stream.registerProducer(source, True)
        while "end" not in near_reader.events or "end" not in far_reader.events:
            for source in sources:
                source.go_on()
            for stream in (near, far):
                random.choice((stream.pauseProducing, stream.resumeProducing))()
            await turn()
        for source, reader in zip(sources, (far_reader, near_reader), strict=True):
            self.assertEqual(hashlib.sha256(reader.received).digest(), source.hash.digest())
            self.assertIn("resume", source.told)
            self.assertEqual(source.told[::2], ["pause"] * len(source.told[::2]))
            self.assertEqual(reader.events.count("end"), 1)

    async def test_at_once(self) -> None:
        """What the kernel takes needs no turn of the reactor, and nobody watches."""
        stream, _, far = self.one_end()
        stream.write(b"one ")
        stream.writeSequence([b"two ", b"", b"three ", bytes(JOIN_BYTES)])
        self.assertEqual(far.recv(READ_BYTES), b"one two three " + bytes(JOIN_BYTES))
        self.assertNotIn(stream, watcher(reactor).getWriters())

    async def test_nothing(self) -> None:
        stream, _, far = self.one_end()
        stream.write(b"")
        stream.writeSequence([])
        stream.loseConnection()
        self.assertEqual(await self.received(far), b"")

    async def test_more_pieces_than_the_kernel_takes(self) -> None:
        stream, reader, far = self.one_end()
        pieces = [b"%05d" % number for number in range(5000)]
        stream.writeSequence(iter(pieces))
        stream.loseConnection()
        self.assertEqual(await self.received(far), b"".join(pieces))
        await until(lambda: reader.events == ["lost"])

    async def test_pieces_that_wait(self) -> None:
        """Whichever way they are written, those that come later stay behind."""
        stream, _, far = self.one_end(small=True)
        written = fill(stream)
        for number in range(100):
            stream.writeSequence([b"%d" % number, bytes(JOIN_BYTES)])
            stream.write(b"%d" % number)
        stream.loseConnection()
        expected = b"".join(b"%d%b%d" % (n, bytes(JOIN_BYTES), n) for n in range(100))
        self.assertEqual((await self.received(far))[written:], expected)

    async def test_pieces_that_wait_in_part(self) -> None:
        stream, _, far = self.one_end(small=True)
        stream.writeSequence([BULK, b"and", BULK])
        stream.loseConnection()
        self.assertEqual(await self.received(far), BULK + b"and" + BULK)

    async def test_fair(self) -> None:
        """A turn reads a limited amount, whatever there is, and more where there is more."""
        stream, reader, far = self.one_end()
        lengths = [0]
        reader.on_data = lambda: lengths.append(len(reader.received))
        stream.pauseProducing()
        sent = far.send(BULK)
        stream.resumeProducing()
        await until(lambda: len(reader.received) == sent)
        steps = [after - before for before, after in pairwise(lengths)]
        self.assertEqual(steps[0], READ_BYTES)
        self.assertGreater(max(steps), READ_BYTES)
        self.assertLessEqual(max(steps), MOST_READ_BYTES)


class PausedTests(LoopbackTestCase):
    """Streams that nobody reads for the moment."""

    async def test_starts_paused(self) -> None:
        near, far = socket.socketpair()
        self.addCleanup(far.close)
        stream = TCPStream(near, ("192.0.2.1", 1), Half(), reactor)
        self.streams.append(stream)
        self.assertNotIn(stream, watcher(reactor).getReaders())
        self.assertEqual(near.gettimeout(), 0)

    async def test_gets_nothing(self) -> None:
        stream, reader, far = self.one_end()
        stream.pauseProducing()
        stream.pauseProducing()
        far.send(b"data")
        await turns()
        self.assertEqual(reader.events, [])
        stream.resumeProducing()
        stream.resumeProducing()
        self.assertEqual(reader.events, [])
        await until(lambda: reader.received)
        self.assertEqual(reader.received, b"data")

    async def test_paused_by_another_in_the_same_turn(self) -> None:
        """The reactor has seen the bytes, and knows the descriptor because output waits."""
        first, first_reader, first_far = self.one_end()
        second, second_reader, second_far = self.one_end(small=True)
        fill(second)
        readers = {first: first_reader, second: second_reader}
        for stream, other in ((first, second), (second, first)):
            fill(stream)
            readers[stream].on_data = other.pauseProducing
        for far in (first_far, second_far):
            far.send(b"data")
        await turns()
        events = [reader.events for reader in (first_reader, second_reader)]
        self.assertEqual(sorted(events), [[], ["data"]])

    async def test_does_not_resume_what_is_over(self) -> None:
        stream, _, far = self.one_end()
        far.shutdown(socket.SHUT_WR)
        await until(lambda: stream not in watcher(reactor).getReaders())
        stream.resumeProducing()
        self.assertNotIn(stream, watcher(reactor).getReaders())
        stream.loseConnection()
        stream.resumeProducing()
        self.assertNotIn(stream, watcher(reactor).getReaders())
        await until(lambda: not stream.connected)
        stream.resumeProducing()
        self.assertNotIn(stream, watcher(reactor).getReaders())


class ProducerTests(LoopbackTestCase):
    """Who produces what we send."""

    async def test_paused_and_resumed(self) -> None:
        stream, _, far = self.one_end(small=True)
        producer = Producer()
        stream.registerProducer(producer, True)
        while not producer.told:
            stream.write(bytes(1000))
        stream.write(bytes(BUFFER_BYTES))
        self.assertEqual(producer.told, ["pause"])
        while len(producer.told) == 1:
            far.setblocking(True)
            far.recv(1000)
            far.setblocking(False)
            await turn()
        self.assertEqual(producer.told, ["pause", "resume"])
        self.assertNotIn(stream, watcher(reactor).getWriters())

    async def test_not_paused_below_the_limit(self) -> None:
        stream, _, far = self.one_end(small=True)
        producer = Producer()
        while stream not in watcher(reactor).getWriters():
            stream.write(bytes(1000))
        stream.registerProducer(producer, True)
        stream.write(bytes(BUFFER_BYTES // 2))
        stream.loseWriteConnection()
        stream.unregisterProducer()
        await self.received(far)
        self.assertEqual(producer.told, [])

    async def test_unregistered_while_paused(self) -> None:
        stream, _, far = self.one_end(small=True)
        first, second = Producer(), Producer()
        stream.registerProducer(first, True)
        fill(stream)
        stream.write(bytes(BUFFER_BYTES))
        stream.unregisterProducer()
        stream.registerProducer(second, True)
        stream.write(b"more")
        stream.unregisterProducer()
        stream.loseConnection()
        await self.received(far)
        self.assertEqual((first.told, second.told), (["pause"], ["pause"]))

    async def test_only_one_that_pushes(self) -> None:
        stream, _, _ = self.one_end()
        self.assertRaises(RuntimeError, stream.registerProducer, Producer(), False)
        stream.registerProducer(Producer(), True)
        self.assertRaises(RuntimeError, stream.registerProducer, Producer(), True)

    async def test_stopped_when_lost(self) -> None:
        stream, reader, far = self.one_end()
        producer = Producer()
        stream.registerProducer(producer, True)
        reader.on_lost = lambda: self.assertEqual(producer.told, ["stop"])
        reset(far)
        await until(lambda: reader.reason)
        self.assertEqual(producer.told, ["stop"])

    async def test_too_late(self) -> None:
        stream, reader, far = self.one_end()
        reset(far)
        await until(lambda: reader.reason)
        producer = Producer()
        stream.registerProducer(producer, True)
        self.assertEqual(producer.told, ["stop"])

    async def test_stop_producing(self) -> None:
        """Whom we produce for asks us to close."""
        stream, reader, far = self.one_end()
        stream.write(b"last words")
        stream.stopProducing()
        self.assertEqual(await self.received(far), b"last words")
        await until(lambda: reader.events == ["lost"])


class CarriedTests(LoopbackTestCase):
    """Streams whose bytes somebody else carries."""

    async def test_read_by(self) -> None:
        stream, reader, far = self.one_end()
        found: list[bytes] = []

        def move() -> None:
            data = stream.getHandle().recv(READ_BYTES)
            if data:
                found.append(data)
            else:
                stream.end_arrived()

        stream.read_by(move)
        stream.pauseProducing()
        far.send(b"data")
        await turns()
        self.assertEqual(found, [])
        stream.resumeProducing()
        await until(lambda: found)
        far.shutdown(socket.SHUT_WR)
        await until(lambda: reader.events)
        self.assertEqual((found, reader.events), ([b"data"], ["end"]))

    async def test_read_failed(self) -> None:
        stream, reader, far = self.one_end()

        def move() -> None:
            try:
                stream.getHandle().recv(READ_BYTES)
            except OSError as why:
                stream.read_failed(why)

        stream.read_by(move)
        reset(far)
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)

    async def test_fill_by(self) -> None:
        """It comes after what waits, and the end after it."""
        stream, reader, far = self.one_end(small=True)
        written = fill(stream)
        calls: list[int] = []

        def fill_in() -> bool:
            calls.append(stream.unsent_bytes)
            return len(calls) == 2 and stream.getHandle().send(b"filled in") == 9

        stream.fill_by(fill_in)
        stream.loseConnection()
        data = await self.received(far)
        self.assertEqual((len(data), data[written:], calls), (written + 9, b"filled in", [0, 0]))
        await until(lambda: reader.events == ["lost"])

    async def test_fill_by_when_nothing_waits(self) -> None:
        stream, _, far = self.one_end()
        calls: list[int] = []

        def fill_in() -> bool:
            calls.append(0)
            return True

        stream.fill_by(fill_in)
        self.assertEqual(calls, [])
        await until(lambda: calls)
        await turns()
        self.assertEqual(calls, [0])
        self.assertNotIn(stream, watcher(reactor).getWriters())
        stream.write(b"goes on")
        self.assertEqual(far.recv(READ_BYTES), b"goes on")

    async def test_fill_by_when_over(self) -> None:
        stream, reader, _ = self.one_end()
        stream.abortConnection()
        stream.fill_by(self.fail)
        self.assertNotIn(stream, watcher(reactor).getWriters())
        await until(lambda: reader.reason)
        stream.fill_by(self.fail)
        await turns()

    async def test_write_failed(self) -> None:
        stream, reader, far = self.one_end()
        far.send(b"last words")

        def fill_in() -> bool:
            stream.write_failed(OSError(errno.EPIPE, "Broken pipe"))
            return True

        stream.fill_by(fill_in)
        far.shutdown(socket.SHUT_WR)
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertEqual(reader.events, ["data", "lost"])

    async def test_what_waits_is_copied(self) -> None:
        """A view may be of a buffer that is filled again at once."""
        stream, _, far = self.one_end(small=True)
        written = fill(stream)
        buffer = bytearray(b"mine")
        stream.write(memoryview(buffer))
        buffer[:] = b"lost"
        stream.loseConnection()
        self.assertEqual((await self.received(far))[written:], b"mine")


class FactsTests(LoopbackTestCase):
    """What a stream is and knows."""

    async def test_interfaces(self) -> None:
        stream, _, _ = self.one_end()
        for interface in (
            interfaces.ITCPTransport,
            interfaces.IConsumer,
            interfaces.IPushProducer,
            interfaces.IReadWriteDescriptor,
            interfaces.IHalfCloseableDescriptor,
            interfaces.ISystemHandle,
            ISocketStream,
        ):
            self.assertTrue(verifyObject(interface, stream))

    async def test_lean(self) -> None:
        stream, _, _ = self.one_end()
        self.assertFalse(hasattr(stream, "__dict__"))
        self.assertEqual(stream.logPrefix(), "Half")

    async def check_addresses(self, family: int, kind: Any, host: str, nowhere: str) -> None:
        stream, reader, far = self.one_end(family=family)
        peer = kind("TCP", host, far.getsockname()[1])
        self.assertEqual(stream.getPeer(), peer)
        self.assertEqual(stream.getHost(), kind("TCP", host, far.getpeername()[1]))
        reset(far)
        await until(lambda: reader.reason)
        self.assertEqual(stream.getPeer(), peer)
        self.assertEqual(stream.getHost(), kind("TCP", nowhere, 0))

    async def test_addresses(self) -> None:
        await self.check_addresses(socket.AF_INET, IPv4Address, "127.0.0.1", "0.0.0.0")
        await self.check_addresses(socket.AF_INET6, IPv6Address, "::1", "::")

    async def test_options(self) -> None:
        stream, _, _ = self.one_end()
        handle = stream.getHandle()
        for enabled in (True, False):
            stream.setTcpNoDelay(enabled)
            stream.setTcpKeepAlive(enabled)
            self.assertIs(stream.getTcpNoDelay(), enabled)
            self.assertIs(stream.getTcpKeepAlive(), enabled)
            for level, option in (
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            ):
                self.assertEqual(bool(handle.getsockopt(level, option)), enabled)

    async def test_untaken_bytes(self) -> None:
        """With what the kernel has; none is left when the peer has read all."""
        stream, _, far = self.one_end(small=True)
        self.assertEqual(stream.untaken_bytes(), 0)
        written = fill(stream)
        untaken = stream.untaken_bytes()
        self.assertLess(stream.unsent_bytes, untaken)
        self.assertLessEqual(untaken, written)
        self.assertTrue(far.recv(READ_BYTES))
        await until(lambda: stream.untaken_bytes() < untaken)
        stream.loseWriteConnection()
        await self.received(far)
        await until(lambda: stream.untaken_bytes() == 0)
        stream.abortConnection()
        await turns(2)
        self.assertEqual(stream.untaken_bytes(), 0)


class DescriptorTests(LoopbackTestCase):
    """The reactor may still have an event for a descriptor that was closed in this turn."""

    def fall_in_one_turn(self) -> tuple[Any, Any, Any]:
        """Make two streams for which the reactor will have something in the same turn.

        Of the first it is data, of the second, which is paused and has output waiting, a reset.
        """
        first, first_reader, first_far = self.one_end()
        second, second_reader, second_far = self.one_end(small=True)
        second.pauseProducing()
        fill(second)
        first_far.send(b"data")
        reset(second_far)
        return first, first_reader, (second, second_reader)

    async def test_another_connection_is_not_taken_for_the_closed_one(self) -> None:
        port = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(port.close)
        number = port.getsockname()[1]
        _, reader, (second, _) = self.fall_in_one_turn()
        fresh: list[TCPStream] = []
        fresh_reader = Half()

        def close_and_connect() -> None:
            second.abortConnection()
            connecting = ensureDeferred(connect(reactor, "127.0.0.1", number, timeout=60))
            connecting.addCallback(begin)

        def begin(stream: TCPStream) -> None:
            stream.protocol = fresh_reader
            stream.resumeProducing()
            self.streams.append(stream)
            fresh.append(stream)

        reader.on_data = close_and_connect
        await until(lambda: fresh)
        await turns()
        self.assertEqual(fresh_reader.events, [])
        self.assertTrue(fresh[0].connected)

    async def test_a_reset_is_no_end(self) -> None:
        """Resumed in the turn in which the reactor has seen a reset of the paused stream."""
        _, reader, (second, second_reader) = self.fall_in_one_turn()
        reader.on_data = second.resumeProducing
        await until(lambda: second_reader.reason)
        self.assertIsInstance(second_reader.reason, ConnectionLost)
        self.assertEqual(second_reader.events, ["lost"])
