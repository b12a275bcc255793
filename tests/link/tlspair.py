"""A client and a server of TLS on streams in memory."""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.link.test_tlsengine import client, server
from tests.streams import MemoryStream, Recorder, pair, pump
from tunnelsvc.link.tlsengine import Engine
from tunnelsvc.link.tlstransport import TLSTransport

HANDSHAKE_SECONDS = 10.0
STEADY = settings(derandomize=True, deadline=None, max_examples=40)
BULK = bytes(range(256)) * 4096


class Reader(Recorder):
    """A recorder that also does something at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.on_data: Callable[[], object] = list
        self.on_end: Callable[[], object] = list
        self.write_finished = 0

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.calls.append(len(data))
        self.on_data()

    def readConnectionLost(self) -> None:
        assert not self.finished, "the end came twice"
        super().readConnectionLost()
        self.on_end()

    def writeConnectionLost(self) -> None:
        self.write_finished += 1

    def connectionLost(self, reason: Failure) -> None:
        assert self.lost is None, "lost twice"
        super().connectionLost(reason)


class Whole:
    """A reader that knows no half-closed streams."""

    def __init__(self) -> None:
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class PairTestCase(SynchronousTestCase):
    """A client and a server on two ends of a stream in memory."""

    make_client = staticmethod(client)

    def setUp(self) -> None:
        self.make()

    def make(self, handshake: bool = True) -> None:
        self.clock = Clock()
        self.low_server, self.low_client = pair("tcp")
        self.server_reader, self.client_reader = Reader(), Reader()
        self.server = self.transport(self.low_server, server(), self.server_reader)
        self.client = self.transport(self.low_client, self.make_client(), self.client_reader)
        if handshake:
            self.start()

    def transport(self, low: MemoryStream, engine: Engine, reader: Any) -> TLSTransport:
        return TLSTransport(low, engine, reader, self.clock, HANDSHAKE_SECONDS)

    def start(self) -> None:
        self.server.start()
        self.client.start()
        self.pump()

    def pump(self) -> None:
        """Move everything, with what waits for the next turn of the reactor."""
        pump(self.low_server)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            pump(self.low_server)

    def coalesce(self) -> None:
        """Let what the client sent so far arrive in one read."""
        out = self.low_client.out
        data = b"".join(item for item in out if isinstance(item, bytes))
        out[:] = [data, *(item for item in out if not isinstance(item, bytes))]

    def assert_over(self) -> None:
        """Both ends were lost, and nothing is left behind."""
        for low, reader in (
            (self.low_server, self.server_reader),
            (self.low_client, self.client_reader),
        ):
            self.assertTrue(low.lost)
            self.assertIsNone(low.producer)
            self.assertIsNotNone(reader.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def reason(self, reader: Reader) -> Exception:
        assert reader.lost is not None
        error = reader.lost.value
        assert isinstance(error, Exception)
        return error
