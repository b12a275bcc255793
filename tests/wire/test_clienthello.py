# -*- test-case-name: tests.wire.test_clienthello -*-
"""Tests of `tunnelsvc.wire.clienthello`."""

import ssl
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.hellos import extension, message, openssl_hello, records, server_name, vector
from tunnelsvc.wire.clienthello import (
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_UNRECOGNIZED_NAME,
    MAX_HELLO_BYTES,
    MAX_RECORD_BYTES,
    ClientHello,
    ClientHelloError,
    ClientHelloReader,
)

STEADY = settings(derandomize=True, deadline=None)
ALPN = 16
HELLOS = {
    openssl_hello("Site.Example"): ClientHello("site.example"),
    openssl_hello(None): ClientHello(),
    openssl_hello("a.example", ["h2", "http/1.1"]): ClientHello("a.example", (b"h2", b"http/1.1")),
    openssl_hello("a.example", version=ssl.TLSVersion.TLSv1_2): ClientHello("a.example"),
    records(message(None)): ClientHello(),
    records(message()): ClientHello(),
    records(message(server_name(b"Under_Score.Example."))): ClientHello("under_score.example"),
    records(message(server_name(b"\xff", kind=7))): ClientHello(),
}


def outcome(*pieces: bytes) -> ClientHello | type[Exception] | None:
    """Feed a reader until it knows; give its answer."""
    reader = ClientHelloReader()
    for piece in pieces:
        try:
            hello = reader.feed(piece)
        except ClientHelloError:
            return ClientHelloError
        if hello is not None:
            return hello
    return None


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


class HelloTests(SynchronousTestCase):
    """What clients send."""

    def test_known(self) -> None:
        for data, hello in HELLOS.items():
            self.assertEqual(outcome(data), hello)

    def test_no_earlier_than_complete(self) -> None:
        for data in HELLOS:
            self.assertIsNone(outcome(data[:-1]))

    def test_what_follows_is_kept(self) -> None:
        """Early data behind the hello goes to whoever takes over, with everything else."""
        for data, hello in HELLOS.items():
            reader = ClientHelloReader()
            self.assertEqual(reader.feed(data + b"early"), hello)
            self.assertEqual(reader.seen, data + b"early")

    def test_over_many_records(self) -> None:
        whole = message(server_name(b"a.example"))
        for sizes in ([1] * len(whole), [3, 1, 50], [len(whole) - 1]):
            self.assertEqual(outcome(records(whole, sizes)), ClientHello("a.example"))

    def test_post_quantum(self) -> None:
        """A hello of several kilobytes, and one as long as may be."""
        for size in (3_000, MAX_RECORD_BYTES + 1, 60_000):
            padding = extension(21, bytes(size - 300))
            whole = message(padding + server_name(b"a.example"))
            data = records(whole, [MAX_RECORD_BYTES] * 4)
            self.assertEqual(outcome(*cut(data, [1400] * 50)), ClientHello("a.example"))

    def test_alerts_are_what_openssl_takes_them_for(self) -> None:
        for alert, words in (
            (ALERT_UNRECOGNIZED_NAME, "unrecognized name"),
            (ALERT_NO_APPLICATION_PROTOCOL, "no application protocol"),
        ):
            for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
                context = SSL.Context(SSL.TLS_METHOD)
                context.set_max_proto_version(version)
                client = SSL.Connection(context, None)
                client.set_connect_state()
                self.assertRaises(SSL.WantReadError, client.do_handshake)
                client.bio_write(alert)
                error = self.assertRaises(SSL.Error, client.do_handshake)
                self.assertIn(words, str(error))


class RefusedTests(SynchronousTestCase):
    """What isn't a hello."""

    def assert_refused(self, data: bytes) -> None:
        self.assertIs(outcome(data), ClientHelloError, data[:80])

    def test_other_protocols(self) -> None:
        """They are told by their first bytes."""
        for data in (
            *(b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\x17", b"\x80\x2e\x01\x03\x01"),
            *(b"\x16\x02", b"\x16\x03\x01\x00\x10\x02", b"\x15\x03\x01\x00\x02\x02\x28"),
        ):
            self.assert_refused(data)

    def test_records(self) -> None:
        whole = message(server_name(b"a.example"))
        self.assert_refused(b"\x16\x03\x01\x00\x00")
        self.assert_refused(b"\x16\x03\x01" + (MAX_RECORD_BYTES + 1).to_bytes(2, "big"))
        self.assert_refused(records(whole[:20]) + b"\x14\x03\x01\x00\x01\x01")

    def test_too_long(self) -> None:
        """Refused as soon as it says so, or as it is."""
        self.assert_refused(records(b"\x01" + MAX_HELLO_BYTES.to_bytes(3, "big")))
        whole = message(b"".join(extension(kind, bytes(9_000)) for kind in range(100, 107)))
        self.assertLess(len(whole), MAX_HELLO_BYTES)
        self.assert_refused(records(whole, [10] * 6_300))

    def test_fields(self) -> None:
        name = server_name(b"a.example")
        for data in (
            message(name + name),
            message(name, rest=b"\0"),
            message(name[:-1]),
            message(server_name(b"a.example", b"b.example")),
            message(server_name()),
            message(extension(0, b"")),
            message(extension(0, vector(2, b"\0" + vector(2, b"a")) + b"\0")),
            *(message(server_name(bad)) for bad in (b"", b"a\0b", b"a b", b"\xc3\xa4", b"a" * 256)),
            message(extension(ALPN, vector(2, b""))),
            message(extension(ALPN, vector(2, b"\x00"))),
            message(extension(ALPN, vector(2, b"\x05http"))),
            b"\x01" + vector(3, b"\x03\x03" + bytes(32) + vector(1, bytes(33))),
            b"\x01" + vector(3, b""),
        ):
            self.assert_refused(records(data))


def changed(data: bytes, at: int, to: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([to]) + data[at + 1 :]


def streams() -> Any:
    """Make streams: hellos, cut and changed somewhere, and anything that begins like one."""
    hello = st.sampled_from(sorted(HELLOS))
    return st.one_of(
        hello,
        st.builds(changed, hello, st.integers(0, 600), st.integers(0, 255)),
        st.builds(lambda data: records(b"\x01" + vector(3, data)), st.binary(max_size=300)),
        st.builds(lambda data: records(message(data)), st.binary(max_size=300)),
        st.builds(lambda data: b"\x16\x03\x01" + data, st.binary(max_size=100)),
        st.binary(max_size=100),
    )


class AnyBytesTests(SynchronousTestCase):
    @STEADY
    @given(streams(), st.lists(st.integers(0, 400), max_size=6))
    @example(records(message(server_name(b"a.example")), [1] * 20), [6, 1, 5])
    def test_pieces(self, data: bytes, sizes: list[int]) -> None:
        """No piece of anything raises another error; how it is cut makes no difference."""
        at_once = outcome(data)
        self.assertEqual(outcome(*cut(data, sizes)), at_once)
        self.assertEqual(outcome(*(data[i : i + 1] for i in range(len(data)))), at_once)

    @STEADY
    @given(
        st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True),
        st.lists(st.binary(min_size=1, max_size=255), max_size=5),
        st.lists(st.integers(1, 100), max_size=30),
    )
    def test_written_and_read(self, name: str, protocols: list[bytes], sizes: list[int]) -> None:
        extensions = server_name(name.upper().encode())
        if protocols:
            listed = b"".join(vector(1, each) for each in protocols)
            extensions += extension(ALPN, vector(2, listed))
        found = outcome(records(message(extensions), sizes))
        self.assertEqual(found, ClientHello(name, tuple(protocols)))
