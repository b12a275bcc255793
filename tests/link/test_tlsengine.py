# -*- test-case-name: tests.link.test_tlsengine -*-
"""Tests of TLS between bytes and bytes, by either OpenSSL, in both versions."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import TLSError
from tunnelsvc.link.certificates import client_context, self_signed, server_context
from tunnelsvc.link.opensslengine import OpenSSLEngine
from tunnelsvc.link.sslengine import unverified_client
from tunnelsvc.link.tlsengine import CHUNK_BYTES, OVERHEAD_BYTES, RECORD_BYTES, Engine, RecordCount

STEADY = settings(derandomize=True, deadline=None)
SERVER = server_context(TLSConfig())
CLIENT = client_context(TLSConfig(), "server.example")


def old_client() -> SSL.Connection:
    """Make a client that knows TLS 1.2 only."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return connection


def old_server() -> SSL.Connection:
    """Make a server that knows TLS 1.2 only."""
    identity = self_signed()
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate(identity.certificate)
    context.use_privatekey(cast("ec.EllipticCurvePrivateKey", identity.key))
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return connection


def server() -> Engine:
    """Make a server."""
    return OpenSSLEngine(SERVER())


def client() -> Engine:
    """Make a client by pyOpenSSL."""
    return OpenSSLEngine(CLIENT())


small_client = unverified_client("server.example")
"""Makes a client by Python's ssl."""

Sides = Callable[[], tuple[Engine, Engine]]
"""Makes a server and a client."""

SIDES: tuple[Sides, ...] = (
    lambda: (server(), client()),
    lambda: (server(), small_client()),
    lambda: (server(), OpenSSLEngine(old_client())),
    lambda: (OpenSSLEngine(old_server()), client()),
    lambda: (OpenSSLEngine(old_server()), small_client()),
)
"""In TLS 1.3, and in TLS 1.2 because of one or the other."""


def connected(sides: Sides = SIDES[0]) -> tuple[Engine, Engine]:
    """Make a server and a client that have shaken hands, with nothing under way."""
    accepting, connecting = sides()
    done = [False, False]
    while not all(done):
        done[1] = connecting.handshake()
        accepting.feed(connecting.take())
        done[0] = accepting.handshake()
        connecting.feed(accepting.take())
    for engine in (accepting, connecting):
        assert engine.read() == b""
        assert engine.hungry
    return accepting, connecting


def both_ways() -> Iterator[tuple[Engine, Engine]]:
    """Make connected pairs, one to read and one to write, of all kinds."""
    for sides in SIDES:
        accepting, connecting = connected(sides)
        yield accepting, connecting
        accepting, connecting = connected(sides)
        yield connecting, accepting


def read_all(engine: Engine) -> bytes:
    data = b""
    while not engine.hungry and not engine.finished:
        data += engine.read()
    return data


class EngineTests(SynchronousTestCase):
    """Two engines, and nothing between them."""

    @STEADY
    @given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.integers(1, 500))
    def test_any_cuts(self, writes: list[bytes], cut: int) -> None:
        for reading, writing in both_ways():
            wire = b"".join(writing.encrypt(data) for data in writes) + writing.close()
            received = b""
            for start in range(0, len(wire), cut):
                reading.feed(wire[start : start + cut])
                received += read_all(reading)
            self.assertEqual(received, b"".join(writes))
            self.assertTrue(reading.finished)

    def test_chunks(self) -> None:
        """Records that came together are read together, up to a chunk."""
        for reading, writing in both_ways():
            for _ in range(3):
                reading.feed(writing.encrypt(bytes(CHUNK_BYTES)))
            self.assertEqual(len(reading.read()), CHUNK_BYTES)
            self.assertFalse(reading.hungry)
            self.assertEqual(len(read_all(reading)), 2 * CHUNK_BYTES)
            self.assertTrue(reading.hungry)

    def test_overhead_covers_a_chunk(self) -> None:
        """One read of OpenSSL's buffer takes all; nothing stays behind."""
        for sides in SIDES:
            for engine in connected(sides):
                length = len(engine.encrypt(bytes(CHUNK_BYTES)))
                self.assertGreater(length, CHUNK_BYTES)
                self.assertLess(length, CHUNK_BYTES + OVERHEAD_BYTES)
                self.assertEqual(engine.take(), b"")

    def test_take_more_than_expected(self) -> None:
        connecting, accepting = OpenSSLEngine(CLIENT()), OpenSSLEngine(SERVER())
        connecting.handshake()
        hello = connecting.take(16)
        self.assertGreater(len(hello), 16)
        accepting.feed(hello)
        self.assertFalse(accepting.handshake())
        self.assertGreater(len(accepting.take(1)), 100)

    def test_views(self) -> None:
        for sides in SIDES:
            accepting, connecting = connected(sides)
            accepting.feed(connecting.encrypt(memoryview(b"..view..")[2:6]))
            self.assertEqual(read_all(accepting), b"view")

    def test_half_close(self) -> None:
        """Each direction ends alone, in both orders and versions."""
        for first, second in both_ways():
            self.half_close(first, second)

    def half_close(self, first: Engine, second: Engine) -> None:
        second.feed(first.close())
        self.assertEqual(read_all(second), b"")
        self.assertTrue(second.finished)
        first.feed(second.encrypt(b"still here") + second.close())
        self.assertEqual(read_all(first), b"still here")
        self.assertTrue(first.finished)

    def test_close_before_all_is_read(self) -> None:
        """What has come stays readable, and what comes is."""
        for reading, writing in both_ways():
            reading.feed(writing.encrypt(b"before ") + writing.encrypt(b"it "))
            end = reading.close()
            reading.feed(writing.encrypt(b"and after") + writing.close())
            self.assertEqual(read_all(reading), b"before it and after")
            self.assertTrue(reading.finished)
            writing.feed(end)
            self.assertEqual(read_all(writing), b"")
            self.assertTrue(writing.finished)

    def test_close_after_the_peer(self) -> None:
        for reading, writing in both_ways():
            reading.feed(writing.close())
            self.assertEqual(read_all(reading), b"")
            writing.feed(reading.close())
            self.assertEqual(read_all(writing), b"")
            self.assertTrue(writing.finished)

    def test_data_before_the_end(self) -> None:
        for reading, writing in both_ways():
            reading.feed(writing.encrypt(b"last words") + writing.close())
            self.assertEqual(reading.read(), b"last words")
            self.assertEqual(reading.read(), b"")
            self.assertTrue(reading.finished)

    def test_bytes_after_the_end(self) -> None:
        for reading, writing in both_ways():
            reading.feed(writing.close())
            reading.read()
            reading.feed(b"whatever" * 1000)
            self.assertEqual(reading.read(), b"")

    def test_forged_record(self) -> None:
        """What was authentic is read; then the error, as often as asked, and an alert."""
        for reading, writing in both_ways():
            self.forged(reading, writing)

    def forged(self, reading: Engine, writing: Engine) -> None:
        good = writing.encrypt(b"authentic")
        forged = bytearray(writing.encrypt(b"forged"))
        forged[-1] ^= 1
        reading.feed(good + bytes(forged))
        self.assertEqual(reading.read(), b"authentic")
        self.assertFalse(reading.hungry)
        for _ in range(2):
            error = self.assertRaises(TLSError, reading.read)
            self.assertRegex(str(error), "bad record mac|cipher operation failed")
        alert = reading.take()
        self.assertNotEqual(alert, b"")
        writing.feed(alert)
        self.assertIn("alert", str(self.assertRaises(TLSError, writing.read)))

    def test_unusable_after_an_error(self) -> None:
        for sides in SIDES:
            for engine in connected(sides):
                engine.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
                self.assertRaises(TLSError, engine.read)
                self.assertRaises(TLSError, engine.encrypt, b"x")
                self.assertRaises(TLSError, engine.close)

    @STEADY
    @given(st.binary(min_size=1, max_size=2000))
    def test_any_bytes_instead_of_a_hello(self, garbage: bytes) -> None:
        for make in (server, client, small_client):
            engine = make()
            if make is not server:
                self.assertFalse(engine.handshake())
            engine.feed(garbage)
            try:
                self.assertFalse(engine.handshake())
            except TLSError as error:
                self.assertIn("TLS handshake failed: ", str(error))

    @STEADY
    @given(st.binary(min_size=1, max_size=2 * RECORD_BYTES))
    def test_any_bytes_instead_of_records(self, garbage: bytes) -> None:
        for sides in SIDES:
            for engine in connected(sides):
                engine.feed(garbage)
                try:
                    self.assertEqual(read_all(engine), b"")
                except TLSError as error:
                    self.assertIn("TLS failed: ", str(error))

    def test_peer_closes_during_the_handshake(self) -> None:
        end = b"\x15\x03\x03\x00\x02\x01\x00"  # close_notify, in plain
        for sides in SIDES:
            accepting, connecting = sides()
            connecting.handshake()
            accepting.feed(connecting.take())
            accepting.handshake()
            accepting.take()
            for engine in (accepting, connecting):
                engine.feed(end)
                error = self.assertRaises(TLSError, engine.handshake)
                self.assertIn("TLS handshake failed", str(error))

    def test_data_with_the_last_flight(self) -> None:
        """What follows the handshake at once is there to be read."""
        for sides in SIDES[:2]:
            accepting, connecting = sides()
            connecting.handshake()
            accepting.feed(connecting.take())
            accepting.handshake()
            connecting.feed(accepting.take())
            self.assertTrue(connecting.handshake())
            accepting.feed(connecting.take() + connecting.encrypt(b"at once"))
            self.assertTrue(accepting.handshake())
            self.assertFalse(accepting.hungry)
            self.assertEqual(accepting.read(), b"at once")

    def test_no_renegotiation(self) -> None:
        """A peer that asks for it in TLS 1.2 is refused, and the connection lives on."""
        old = old_client()
        asked, asking = connected(lambda: (server(), OpenSSLEngine(old)))
        self.refused(old, asking, asked)
        for make in (client, small_client):
            self.server_is_refused(make)

    def server_is_refused(self, make: Callable[[], Engine]) -> None:
        old = old_server()
        asking, asked = connected(lambda: (OpenSSLEngine(old), make()))
        self.refused(old, asking, asked)

    def refused(self, connection: SSL.Connection, asking: Engine, asked: Engine) -> None:
        connection.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            connection.do_handshake()
        asked.feed(asking.take())
        self.assertEqual(read_all(asked), b"")
        header, nonce, alert, tag = 5, 8, 2, 16
        self.assertEqual(len(asked.take()), header + nonce + alert + tag)
        self.assertNotEqual(asked.encrypt(b"as before"), b"")


class RecordCountTests(SynchronousTestCase):
    """Where records end, whatever the pieces."""

    @given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 39), st.data())
    def test_any_cuts(self, lengths: list[int], rest: int, data: st.DataObject) -> None:
        records = [
            b"\x17\x03\x03" + length.to_bytes(2, "big") + bytes(length) for length in [*lengths, 40]
        ]
        stream = b"".join(records[:-1]) + records[-1][:rest]
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        count = RecordCount()
        for start, end in pairwise([0, *cuts, len(stream)]):
            count.feed(stream[start:end])
        self.assertEqual(count.complete, len(lengths))

    def test_the_last(self) -> None:
        count = RecordCount()
        count.feed(2 * b"\x17\x03\x03\0\1!")
        self.assertEqual([count.took_last(), count.took_last()], [False, True])
