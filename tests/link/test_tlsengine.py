# -*- test-case-name: tests.link.test_tlsengine -*-
"""Tests of OpenSSL between bytes and bytes."""

import contextlib
from itertools import pairwise
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.link.certificates import TLSError, client_context, self_signed, server_context
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


def connected(
    client: SSL.Connection | None = None, server_side: SSL.Connection | None = None
) -> tuple[Engine, Engine]:
    """Make two engines that have shaken hands, with nothing under way."""
    server, connecting = Engine(server_side or SERVER()), Engine(client or CLIENT())
    done = [False, False]
    while not all(done):
        done[1] = connecting.handshake()
        server.feed(connecting.take())
        done[0] = server.handshake()
        connecting.feed(server.take())
    for engine in (server, connecting):
        assert engine.read() == b""
        assert engine.hungry
    return server, connecting


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
        for client in (CLIENT(), old_client()):
            server, sender = connected(client)
            wire = b"".join(sender.encrypt(data) for data in writes) + sender.close()
            received = b""
            for start in range(0, len(wire), cut):
                server.feed(wire[start : start + cut])
                received += read_all(server)
            self.assertEqual(received, b"".join(writes))
            self.assertTrue(server.finished)

    def test_chunks(self) -> None:
        """Records that came together are read together, up to a chunk."""
        server, client = connected()
        for _ in range(3):
            server.feed(client.encrypt(bytes(CHUNK_BYTES)))
        self.assertEqual(len(server.read()), CHUNK_BYTES)
        self.assertFalse(server.hungry)
        self.assertEqual(len(read_all(server)), 2 * CHUNK_BYTES)
        self.assertTrue(server.hungry)

    def test_overhead_covers_a_chunk(self) -> None:
        """One read of OpenSSL's buffer takes all; nothing stays behind."""
        for client in (CLIENT(), old_client()):
            _, engine = connected(client)
            length = len(engine.encrypt(bytes(CHUNK_BYTES)))
            self.assertGreater(length, CHUNK_BYTES)
            self.assertLess(length, CHUNK_BYTES + OVERHEAD_BYTES)
            self.assertEqual(engine.take(), b"")

    def test_take_more_than_expected(self) -> None:
        server = Engine(SERVER())
        client = Engine(CLIENT())
        client.handshake()
        hello = client.take(16)
        self.assertGreater(len(hello), 16)
        server.feed(hello)
        self.assertFalse(server.handshake())
        self.assertGreater(len(server.take(1)), 100)

    def test_views(self) -> None:
        server, client = connected()
        server.feed(client.encrypt(memoryview(b"..view..")[2:6]))
        self.assertEqual(read_all(server), b"view")

    def test_half_close(self) -> None:
        """Each direction ends alone, in both orders and versions."""
        for version in (CLIENT, old_client):
            server, client = connected(version())
            self.half_close(first=server, second=client)
            server, client = connected(version())
            self.half_close(first=client, second=server)

    def half_close(self, first: Engine, second: Engine) -> None:
        second.feed(first.close())
        self.assertEqual(read_all(second), b"")
        self.assertTrue(second.finished)
        first.feed(second.encrypt(b"still here") + second.close())
        self.assertEqual(read_all(first), b"still here")
        self.assertTrue(first.finished)

    def test_data_before_the_end(self) -> None:
        server, client = connected()
        server.feed(client.encrypt(b"last words") + client.close())
        self.assertEqual(server.read(), b"last words")
        self.assertEqual(server.read(), b"")
        self.assertTrue(server.finished)

    def test_bytes_after_the_end(self) -> None:
        server, client = connected()
        server.feed(client.close())
        server.read()
        server.feed(b"whatever" * 1000)
        self.assertEqual(server.read(), b"")

    def test_forged_record(self) -> None:
        """What was authentic is read; then the error, as often as asked, and an alert."""
        server, client = connected()
        good = client.encrypt(b"authentic")
        forged = bytearray(client.encrypt(b"forged"))
        forged[-1] ^= 1
        server.feed(good + bytes(forged))
        self.assertEqual(server.read(), b"authentic")
        self.assertFalse(server.hungry)
        for _ in range(2):
            error = self.assertRaises(TLSError, server.read)
            self.assertIn("bad record mac", str(error))
        alert = server.take()
        self.assertNotEqual(alert, b"")
        client.feed(alert)
        self.assertIn("alert", str(self.assertRaises(TLSError, client.read)))

    def test_unusable_after_an_error(self) -> None:
        server, _ = connected()
        server.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertRaises(TLSError, server.read)
        self.assertRaises(TLSError, server.encrypt, b"x")
        self.assertRaises(TLSError, server.close)

    @STEADY
    @given(st.binary(min_size=1, max_size=2000))
    def test_any_bytes_instead_of_a_hello(self, garbage: bytes) -> None:
        server = Engine(SERVER())
        server.feed(garbage)
        try:
            self.assertFalse(server.handshake())
        except TLSError as error:
            self.assertIn("TLS handshake failed: ", str(error))

    @STEADY
    @given(st.binary(min_size=1, max_size=2 * RECORD_BYTES))
    def test_any_bytes_instead_of_records(self, garbage: bytes) -> None:
        server, _ = connected()
        server.feed(garbage)
        try:
            self.assertEqual(read_all(server), b"")
        except TLSError as error:
            self.assertIn("TLS failed: ", str(error))

    def test_peer_closes_during_the_handshake(self) -> None:
        server, client = Engine(SERVER()), Engine(CLIENT())
        client.handshake()
        server.feed(client.take())
        server.handshake()
        server.take()
        server.feed(b"\x15\x03\x03\x00\x02\x01\x00")  # close_notify, in plain
        self.assertIn("TLS handshake failed", str(self.assertRaises(TLSError, server.handshake)))

    def test_data_with_the_last_flight(self) -> None:
        """What follows the handshake at once is there to be read."""
        server, client = Engine(SERVER()), Engine(CLIENT())
        client.handshake()
        server.feed(client.take())
        server.handshake()
        client.feed(server.take())
        self.assertTrue(client.handshake())
        server.feed(client.take() + client.encrypt(b"at once"))
        self.assertTrue(server.handshake())
        self.assertFalse(server.hungry)
        self.assertEqual(server.read(), b"at once")

    def test_no_renegotiation(self) -> None:
        """A peer that asks for it in TLS 1.2 is refused, and the connection lives on."""
        connection = old_client()
        server, client = connected(connection)
        self.refused(connection, asking=client, asked=server)
        connection = old_server()
        server, client = connected(server_side=connection)
        self.refused(connection, asking=server, asked=client)

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
