# -*- test-case-name: tests.admin.test_stream -*-
"""Tests of `tunnelsvc.admin.stream`."""

import socket
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.admin.streams import Listener
from tunnelsvc.admin.channel import Channel, DashboardSite
from tunnelsvc.admin.stream import (
    ALIVE_SECONDS,
    MOST_STREAMS,
    RETRY_MILLISECONDS,
    SLOW_SECONDS,
    Hub,
)
from tunnelsvc.admin.topics import TableTopic, ValueTopic
from tunnelsvc.units import KiB

RETRY = ("retry", str(RETRY_MILLISECONDS))
ALIVE: tuple[str, object] = ("alive", {})


class Page(Resource):
    isLeaf = True

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub
        self.watchers: list[Callable[[], None]] = []

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def render(self, request: Request) -> int:
        names = [name.decode() for name in request.args.get(b"topic", [])]
        return self.hub.open(request, names, self.watch)


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.value = 0
        self.rows: dict[int, dict[str, Any]] = {1: {"id": 1, "in": 0}}
        self.looks = 0
        self.hub = Hub(
            [
                ValueTopic("value", lambda: self.value, 1.0),
                TableTopic("rows", "id", self.read, interval=2.0),
            ],
            self.clock,
        )
        self.page = Page(self.hub)
        self.site = DashboardSite(self.page, self.clock)

    def read(self) -> dict[int, dict[str, Any]]:
        self.looks += 1
        return dict(self.rows)

    def listen(self, *topics: str, method: str = "GET") -> Listener:
        query = "&".join(f"topic={topic}" for topic in topics)
        return Listener(self.site, f"/?{query}", method=method)

    def advance(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_snapshot_then_deltas(self) -> None:
        reader = self.listen("rows", "value", "rows")
        rows = {"topic": "rows", "rows": [{"id": 1, "in": 0}]}
        self.assertEqual(
            reader.take(),
            [RETRY, ("snapshot", rows), ("snapshot", {"topic": "value", "value": 0})],
        )
        self.assertIn("HTTP/1.1 200 OK", reader.head)
        self.assertIn("Content-Type: text/event-stream; charset=utf-8", reader.head)
        self.assertIn("Cache-Control: no-store", reader.head)
        self.advance(2)
        self.assertEqual(reader.take(), [])
        self.rows[1] = {"id": 1, "in": 512}
        self.value = 7
        self.advance(2)
        self.assertEqual(
            reader.take(),
            [
                ("delta", {"topic": "value", "value": 7}),
                ("delta", {"topic": "rows", "changed": [{"id": 1, "in": 512}], "gone": []}),
            ],
        )

    def test_one_look_for_all_and_none_for_nobody(self) -> None:
        self.advance(10)
        self.assertEqual((self.looks, self.clock.getDelayedCalls()), (0, []))
        readers = [self.listen("rows") for _ in range(10)]
        self.assertEqual(self.looks, 1)
        self.advance(2)
        self.assertEqual(self.looks, 2)
        for reader in readers:
            reader.leave()
        self.advance(10)
        self.assertEqual((self.looks, self.clock.getDelayedCalls()), (2, []))

    def test_who_comes_later_sees_what_the_others_see(self) -> None:
        first = self.listen("rows")
        self.rows[2] = {"id": 2, "in": 5}
        second = self.listen("rows")
        first.take()
        self.assertEqual(len(second.take()[1][1]["rows"]), 1)
        self.advance(2)
        self.assertEqual(first.take(), second.take())
        third = self.listen("rows")
        self.assertEqual(len(third.take()[1][1]["rows"]), 2)

    def test_signs_of_life(self) -> None:
        reader = self.listen("value")
        reader.take()
        self.advance(int(ALIVE_SECONDS) * 2)
        self.assertEqual(reader.take(), [ALIVE, ALIVE])

    def test_a_slow_reader_misses_and_catches_up(self) -> None:
        reader = self.listen("value", "rows")
        reader.take()
        reader.pause()
        for number in range(1, 20):
            self.value = number
            self.advance(1)
        self.assertEqual(reader.take(), [])
        reader.resume()
        self.assertEqual(reader.take(), [("snapshot", {"topic": "value", "value": 19})])
        self.value = 20
        self.advance(1)
        self.assertIn(("delta", {"topic": "value", "value": 20}), reader.take())
        self.advance(int(SLOW_SECONDS))
        self.assertFalse(reader.transport.disconnecting or reader.transport.disconnected)

    def test_what_is_caught_up_is_what_the_next_delta_begins_from(self) -> None:
        reader = self.listen("value")
        reader.pause()
        reader.take()
        self.value = 1
        self.advance(1)
        self.assertEqual(reader.take(), [])
        self.value = 2  # not looked at yet
        reader.resume()
        self.assertEqual(reader.take(), [("snapshot", {"topic": "value", "value": 1})])
        self.advance(1)
        self.assertEqual(reader.take(), [("delta", {"topic": "value", "value": 2})])

    def test_who_takes_nothing_is_dropped(self) -> None:
        reader = self.listen("value")
        reader.pause()
        self.advance(int(SLOW_SECONDS) - 1)
        self.assertFalse(reader.transport.disconnected)
        self.advance(1)
        self.assertTrue(reader.transport.disconnected)
        self.assertEqual((self.hub.streams, self.clock.getDelayedCalls()), (set(), []))

    def test_a_stream_ends_with_its_session(self) -> None:
        reader, idle = self.listen("value"), self.listen("rows")
        slow = self.listen("value")
        slow.pause()
        for end in list(self.page.watchers):
            end()
        reader.take()
        self.assertTrue(reader.ended)
        self.assertTrue(slow.transport.disconnected)
        idle.take()
        self.assertTrue(idle.ended)
        self.assertEqual((self.hub.streams, self.page.watchers), (set(), []))

    def test_nobody_waits_for_the_end_of_a_session_in_vain(self) -> None:
        reader = self.listen("value")
        self.assertEqual(len(self.page.watchers), 1)
        reader.leave()
        self.assertEqual(self.page.watchers, [])

    def test_no_more_than_so_many(self) -> None:
        for _ in range(MOST_STREAMS - 1):
            self.listen("value")
        self.assertFalse(self.hub.is_full)
        last = self.listen("value")
        self.assertTrue(self.hub.is_full)
        last.leave()
        self.assertFalse(self.hub.is_full)

    def test_closed(self) -> None:
        reader = self.listen("value")
        self.hub.close()
        reader.take()
        self.assertTrue(reader.ended)
        self.value = 1
        self.advance(int(ALIVE_SECONDS))
        self.assertEqual((self.hub.streams, reader.take()), (set(), []))

    def test_only_the_head(self) -> None:
        reader = self.listen("value", method="HEAD")
        reader.take()
        self.assertIn("text/event-stream", reader.head)
        self.assertEqual(self.hub.streams, set())

    def test_a_topic_that_cannot_begin(self) -> None:
        self.rows = None  # type: ignore[assignment]
        reader = self.listen("value", "rows")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertIn(b"500 Internal Server Error", reader.transport.value())
        self.assertEqual(self.hub.streams, set())
        self.rows = {}
        reader = self.listen("value", "rows")
        self.assertEqual(len(reader.take()), 3)

    def test_a_look_that_fails(self) -> None:
        """The next one is made all the same."""
        reader = self.listen("rows")
        reader.take()
        row = self.rows
        self.rows = None  # type: ignore[assignment]
        self.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.rows = row
        row[2] = {"id": 2, "in": 0}
        self.advance(2)
        self.assertEqual(reader.take()[-1][1]["changed"], [{"id": 2, "in": 0}])


class Reader(Protocol):
    """A reader on a real connection; a slow one takes nothing."""

    def __init__(self, slow: bool) -> None:
        self.slow = slow
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"GET /?topic=value HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if self.slow:
            transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KiB)
            transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


class SmallChannel(Channel):
    """The server's end, where the kernel holds little."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KiB)
        super().connectionMade()


class MemoryTests(TestCase):
    """On real connections."""

    message_bytes = 100 * KiB
    slow = 5

    def setUp(self) -> None:
        self.ticks = 0
        topic = ValueTopic("value", self.read, 0.01)
        self.hub = Hub([topic], reactor)
        site = DashboardSite(Page(self.hub), reactor)
        site.protocol = SmallChannel
        port: Any = reactor.listenTCP(0, cast("Any", site), interface="127.0.0.1")
        self.port = port.getHost().port
        self.addCleanup(port.stopListening)

    def read(self) -> str:
        self.ticks += 1
        return f"{self.ticks:08}" * (self.message_bytes // 8)

    async def connect(self, slow: bool) -> Reader:
        reader = Reader(slow)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        await connectProtocol(endpoint, reader)
        return reader

    async def watch(self) -> None:
        readers = [await self.connect(slow) for slow in [True] * self.slow + [False] * 45]
        while len(self.hub.streams) < MOST_STREAMS:
            await deferLater(reactor, 0.01)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        first = self.ticks
        while self.ticks < first + 100:
            await deferLater(reactor, 0.01)
        _, peak = tracemalloc.get_traced_memory()
        # What the slow ones alone would have waiting, were it kept for them.
        self.assertLess(peak, self.slow * 100 * self.message_bytes / 2)
        for reader in readers[self.slow :]:
            self.assertGreater(reader.received, 2 * self.message_bytes)
        for reader in readers:
            transport: Any = reader.transport
            transport.abortConnection()
            await reader.lost
        while self.hub.streams:
            await deferLater(reactor, 0.01)

    def test_fifty_readers_of_whom_some_are_slow(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.watch())
