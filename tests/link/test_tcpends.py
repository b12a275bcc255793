# -*- test-case-name: tests.link.test_tcpends -*-
"""Tests of TCP streams on this machine: every way to end."""

import socket

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from tests.link.tcploopback import (
    BULK,
    LoopbackTestCase,
    Whole,
    fill,
    reactor,
    reset,
    turn,
    turns,
    until,
)
from tests.streams import Producer
from tunnelsvc.link.poller import watcher
from tunnelsvc.link.tcp import READ_BYTES


class HalfCloseTests(LoopbackTestCase):
    """A direction that ends alone."""

    async def test_ours_first(self) -> None:
        stream, reader, far = self.one_end(small=True)
        stream.write(BULK)
        stream.loseWriteConnection()
        stream.loseWriteConnection()
        stream.write(b"ignored")
        stream.writeSequence([b"ignored", BULK])
        self.assertEqual(reader.events, [])
        self.assertEqual(await self.received(far), BULK)
        await until(lambda: reader.events == ["finished"])
        far.send(b"answer")
        far.shutdown(socket.SHUT_WR)
        await until(lambda: "end" in reader.events)
        self.assertEqual((reader.events, reader.received), (["finished", "data", "end"], b"answer"))
        self.assertTrue(stream.connected)

    async def test_theirs_first(self) -> None:
        stream, reader, far = self.one_end()
        far.send(b"question")
        far.shutdown(socket.SHUT_WR)
        await until(lambda: "end" in reader.events)
        self.assertEqual((reader.events, reader.received), (["data", "end"], b"question"))
        stream.write(b"answer")
        stream.loseWriteConnection()
        self.assertEqual(await self.received(far), b"answer")
        await until(lambda: "finished" in reader.events)
        self.assertTrue(stream.connected)
        stream.loseConnection()
        self.assertEqual(reader.events, ["data", "end", "finished"])
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionDone)
        self.assertEqual(reader.events, ["data", "end", "finished", "lost"])

    async def test_waits_for_the_producer(self) -> None:
        stream, reader, far = self.one_end()
        stream.registerProducer(Producer(), True)
        stream.loseWriteConnection()
        await turns()
        self.assertEqual(reader.events, [])
        stream.unregisterProducer()
        self.assertEqual(await self.received(far), b"")
        await until(lambda: reader.events == ["finished"])

    async def test_reader_that_has_no_halves(self) -> None:
        """Their end is the end; ours is not told."""
        stream, reader, far = self.one_end(Whole())
        stream.loseWriteConnection()
        await turns()
        self.assertEqual(reader.events, [])
        far.send(b"data")
        far.close()
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionDone)
        self.assertEqual(reader.events, ["data", "lost"])

    async def test_end_while_paused(self) -> None:
        stream, reader, far = self.one_end()
        stream.pauseProducing()
        far.send(b"data")
        far.close()
        await turns()
        self.assertEqual(reader.events, [])
        stream.resumeProducing()
        await until(lambda: "end" in reader.events)
        self.assertEqual(reader.events, ["data", "end"])

    async def test_closed_before_it_is_told(self) -> None:
        stream, reader, _ = self.one_end()
        stream.loseWriteConnection()
        stream.abortConnection()
        await until(lambda: reader.reason)
        await turns()
        self.assertEqual(reader.events[-1], "lost")

    async def test_too_late(self) -> None:
        stream, reader, far = self.one_end()
        reset(far)
        await until(lambda: reader.reason)
        stream.loseWriteConnection()
        await turns()
        self.assertEqual(reader.events, ["lost"])


class CloseTests(LoopbackTestCase):
    """Both directions end after what is written."""

    async def test_everything_was_sent(self) -> None:
        stream, reader, far = self.one_end()
        stream.write(b"last words")
        stream.loseConnection()
        stream.loseConnection()
        stream.write(b"ignored")
        self.assertTrue(stream.disconnecting)
        self.assertEqual(reader.events, [])
        self.assertEqual(await self.received(far), b"last words")
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionDone)
        self.assertEqual(reader.events, ["lost"])

    async def test_bytes_wait(self) -> None:
        stream, reader, far = self.one_end(small=True)
        stream.write(BULK)
        stream.loseConnection()
        far.send(b"nobody reads any more")
        await turns()
        self.assertEqual(reader.events, [])
        self.assertTrue(stream.connected)
        # The kernel resets what it can't give to anybody, but not before it has sent ours.
        with self.assertRaises(ConnectionResetError):
            await self.received(far)

    async def test_bytes_wait_and_arrive(self) -> None:
        stream, reader, far = self.one_end(small=True)
        stream.write(BULK)
        stream.loseConnection()
        self.assertEqual(await self.received(far), BULK)
        await until(lambda: reader.events == ["lost"])
        self.assertIsInstance(reader.reason, ConnectionDone)

    async def test_waits_for_the_producer(self) -> None:
        stream, reader, far = self.one_end()
        producer = Producer()
        stream.registerProducer(producer, True)
        stream.loseConnection()
        await turns()
        self.assertTrue(stream.connected)
        stream.unregisterProducer()
        self.assertEqual(reader.events, [])
        self.assertEqual(await self.received(far), b"")
        await until(lambda: reader.events == ["lost"])
        self.assertEqual(producer.told, [])

    async def test_registered_between_close_and_end(self) -> None:
        stream, reader, _ = self.one_end()
        stream.loseConnection()
        producer = Producer()
        stream.registerProducer(producer, True)
        await until(lambda: reader.reason)
        self.assertEqual(producer.told, ["stop"])

    async def test_after_our_direction(self) -> None:
        stream, reader, far = self.one_end()
        stream.loseWriteConnection()
        await until(lambda: reader.events == ["finished"])
        stream.loseConnection()
        self.assertEqual(await self.received(far), b"")
        await until(lambda: reader.events == ["finished", "lost"])

    async def test_from_within_a_delivery(self) -> None:
        stream, reader, far = self.one_end()
        reader.on_data = stream.loseConnection
        fill(stream)
        far.send(b"data")
        await until(lambda: reader.received)
        await self.received(far)
        await until(lambda: reader.events == ["data", "lost"])

    async def test_descriptor_goes_with_the_end(self) -> None:
        stream, reader, _ = self.one_end()
        stream.loseConnection()
        self.assertGreaterEqual(stream.fileno(), 0)
        reader.on_lost = lambda: self.assertEqual(stream.fileno(), -1)
        await until(lambda: reader.reason)
        self.assertFalse(stream.connected)


class AbortTests(LoopbackTestCase):
    """Both directions end now."""

    async def test_reset(self) -> None:
        stream, reader, far = self.one_end()
        stream.abortConnection()
        stream.abortConnection()
        self.assertEqual(reader.events, [])
        self.assertTrue(await self.is_reset(far))
        await turns()
        self.assertIsInstance(reader.reason, ConnectionAborted)
        self.assertEqual(reader.events, ["lost"])
        stream.abortConnection()

    async def test_with_bytes_and_a_producer(self) -> None:
        stream, reader, far = self.one_end(small=True)
        producer = Producer()
        stream.registerProducer(producer, True)
        fill(stream)
        stream.abortConnection()
        stream.write(b"ignored")
        stream.resumeProducing()
        self.assertNotIn(stream, watcher(reactor).getReaders() + watcher(reactor).getWriters())
        self.assertTrue(await self.is_reset(far))
        await until(lambda: reader.reason)
        self.assertEqual(producer.told[-1:], ["stop"])
        self.assertEqual(reader.events, ["lost"])

    async def test_unregistered_afterwards(self) -> None:
        stream, reader, far = self.one_end()
        stream.registerProducer(Producer(), True)
        stream.abortConnection()
        stream.unregisterProducer()
        self.assertTrue(await self.is_reset(far))
        await turns()
        self.assertEqual(reader.events, ["lost"])
        self.assertIsInstance(reader.reason, ConnectionAborted)

    async def test_of_what_closes(self) -> None:
        stream, reader, far = self.one_end()
        stream.loseConnection()
        stream.abortConnection()
        self.assertTrue(await self.is_reset(far))
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionAborted)

    async def test_of_what_closes_when_bytes_are_sent(self) -> None:
        stream, reader, far = self.one_end(small=True)
        fill(stream)
        stream.loseConnection()
        stream.abortConnection()
        self.assertTrue(await self.is_reset(far))
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionAborted)

    async def test_from_within_a_delivery(self) -> None:
        """The reactor would also have us write in this turn."""
        stream, reader, far = self.one_end(small=True)
        fill(stream)
        stream.pauseProducing()
        far.send(b"data")
        far.recv(len(BULK))
        reader.on_data = stream.abortConnection
        stream.resumeProducing()
        await until(lambda: reader.reason)
        self.assertEqual(reader.events, ["data", "lost"])
        self.assertIsInstance(reader.reason, ConnectionAborted)


class LossTests(LoopbackTestCase):
    """The peer resets the connection."""

    async def test_while_reading(self) -> None:
        _, reader, far = self.one_end()
        far.send(b"last words")
        reset(far)
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertIn("reset", str(reader.reason))
        self.assertEqual((reader.events, reader.received), (["data", "lost"], b"last words"))

    async def test_while_writing(self) -> None:
        """What was said before is read, and nobody takes it for all there was."""
        stream, reader, far = self.one_end()
        stream.write(b"never read: so close() is a reset")
        far.send(b"last words")
        far.close()
        stream.write(b"fails")
        stream.write(b"ignored")
        stream.writeSequence([b"ignored", BULK])
        self.assertEqual(reader.events, [])
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertEqual((reader.events, reader.received), (["data", "lost"], b"last words"))

    async def test_while_writing_several_pieces(self) -> None:
        stream, reader, far = self.one_end()
        far.send(b"last words")
        reset(far)
        stream.writeSequence([BULK, BULK])
        await until(lambda: reader.reason)
        self.assertEqual((reader.events, reader.received), (["data", "lost"], b"last words"))

    async def test_paused_between_the_last_words(self) -> None:
        """Once broken and read on, it is read to the end at the pace of the reader."""
        stream, reader, far = self.one_end()
        last_words = BULK[: READ_BYTES + 1000]  # more than is read in a turn
        far.send(last_words)
        reset(far)
        stream.write(b"fails")
        reader.on_data = stream.pauseProducing
        while not reader.reason:
            stream.write(b"ignored")
            stream.resumeProducing()
            await turn()
        self.assertEqual(reader.received, last_words)
        self.assertIsInstance(reader.reason, ConnectionLost)

    async def test_while_paused(self) -> None:
        """Nobody would notice otherwise."""
        stream, reader, far = self.one_end()
        stream.pauseProducing()
        reset(far)
        stream.write(b"fails")
        self.assertEqual(reader.events, [])
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertEqual(reader.events, ["lost"])

    async def test_while_paused_and_bytes_wait(self) -> None:
        stream, reader, far = self.one_end(small=True)
        producer = Producer()
        stream.registerProducer(producer, True)
        fill(stream)
        stream.pauseProducing()
        reset(far)
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertEqual(producer.told[-1:], ["stop"])

    async def test_while_closing(self) -> None:
        stream, reader, far = self.one_end(small=True)
        fill(stream)
        stream.loseConnection()
        reset(far)
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)

    async def test_before_our_direction_ends(self) -> None:
        stream, reader, far = self.one_end()
        far.send(b"last words")
        reset(far)
        stream.loseWriteConnection()
        await until(lambda: reader.reason)
        self.assertIsInstance(reader.reason, ConnectionLost)
        self.assertEqual((reader.events, reader.received), (["data", "lost"], b"last words"))


class ErrorTests(LoopbackTestCase):
    """Readers that fail end their own connection, and no other."""

    async def test_in_data_received(self) -> None:
        stream, reader, far = self.one_end()
        _, other_reader, other_far = self.one_end()

        def fail() -> None:
            raise ValueError("reader")

        reader.on_data = fail
        far.send(b"data")
        other_far.send(b"data")
        await until(lambda: reader.reason and other_reader.received)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIsInstance(reader.reason, ValueError)
        self.assertEqual(reader.events, ["data", "lost"])
        self.assertEqual(stream.fileno(), -1)
        other_far.send(b" flows")
        await until(lambda: other_reader.received == b"data flows")
        self.assertEqual(await self.received(far), b"")

    async def test_after_an_abort(self) -> None:
        stream, reader, far = self.one_end()

        def abort_and_fail() -> None:
            stream.abortConnection()
            raise ValueError("reader")

        reader.on_data = abort_and_fail
        far.send(b"data")
        self.assertTrue(await self.is_reset(far))
        await turns()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(reader.events, ["data", "lost"])
