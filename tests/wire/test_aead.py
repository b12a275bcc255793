# -*- test-case-name: tests.wire.test_aead -*-
"""Tests of `tunnelsvc.wire.aead`.

The vectors come from the protocol notes (4.3), where the code that frp uses made them.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.test_framing import STEADY
from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire import aead
from tunnelsvc.wire.aead import (
    CLIENT_TO_SERVER,
    KEY_BYTES,
    MAX_RECORD_BYTES,
    SERVER_TO_CLIENT,
    TAG_BYTES,
    Opener,
    Sealer,
    ciphers,
    derive_key,
    hchacha20,
    transcript,
)
from tunnelsvc.wire.framing2 import encode
from tunnelsvc.wire.hello import AES_256_GCM, ALGORITHMS, XCHACHA20_POLY1305, Negotiated
from tunnelsvc.wire.messages import Ping

CLIENT_HELLO = (
    b'{"bootstrap":{"transport":"tcp","tls":true,"tcpMux":true},"capabilities":{"message":{"codecs"'
    b':["json"]},"crypto":{"algorithms":["aes-256-gcm","xchacha20-poly1305"],"clientRandom":'
    b'"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}}'
)
SERVER_HELLO = (
    b'{"selected":{"message":{"codec":"json"},"crypto":{"algorithm":"%s","serverRandom":'
    b'"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="}}}'
)
TOKEN = "12345678"
NONCE_SIZES = {AES_256_GCM: 12, XCHACHA20_POLY1305: 24}
TRANSCRIPTS = {
    AES_256_GCM: "5ccf90b805bdc0b770f583b4244b2512db50418790b323924394ec5014df66a0",
    XCHACHA20_POLY1305: "0562fee7b410806a0302e109220f13dd4fb74589fbedb9d297280e72a61b38cb",
}
KEYS = {
    (AES_256_GCM, CLIENT_TO_SERVER): (
        "8f7fa4dc15696cf370c174d1a2fdc8d0c9bb99cb3d943fb79094e0928a278293"
    ),
    (AES_256_GCM, SERVER_TO_CLIENT): (
        "c35dffdfa348d68a1e5099de3027c78c2bebeb88aec19824ee70ba1b54ba3a05"
    ),
    (XCHACHA20_POLY1305, CLIENT_TO_SERVER): (
        "36827dca36cb5bf884ba1e08e5557800784aff286213e821f21a5d0357885488"
    ),
    (XCHACHA20_POLY1305, SERVER_TO_CLIENT): (
        "4d94a0c55df21294fe48a555425c468a59754358d6de1785f088d4262a7d43e7"
    ),
}
RECORDS = {
    AES_256_GCM: (
        "00000018 61941a739d38fe5035c4e88292a62b841c8a8d3b2ce0f08e"
        "00000014 1849e06dd57a19e127adc5337aca0cff81f76556"
    ),
    XCHACHA20_POLY1305: (
        "00000018 a1918ab7945b773dbcc8ae663d6859bd7bcb958bbbd551cb"
        "00000014 760c922ff06e37e63e219432e014fda900556458"
    ),
}
"""An empty Ping from client to server, head and payload in a record each."""


def negotiated(algorithm: str = AES_256_GCM) -> Negotiated:
    return Negotiated(algorithm, CLIENT_HELLO, SERVER_HELLO % algorithm.encode())


def nonce(algorithm: str) -> bytes:
    return bytes(range(0xA0, 0xA0 + NONCE_SIZES[algorithm]))


def pair(algorithm: str = AES_256_GCM) -> tuple[Sealer, Opener]:
    key = derive_key(TOKEN, negotiated(algorithm), CLIENT_TO_SERVER)
    return Sealer(algorithm, key), Opener(algorithm, key)


class KeyTests(SynchronousTestCase):
    def test_transcript(self) -> None:
        for algorithm, expected in TRANSCRIPTS.items():
            self.assertEqual(transcript(negotiated(algorithm)).hex(), expected)

    def test_keys(self) -> None:
        for (algorithm, direction), expected in KEYS.items():
            key = derive_key(TOKEN, negotiated(algorithm), direction)
            self.assertEqual(key.hex(), expected)
            self.assertEqual(derive_key(TOKEN.encode(), negotiated(algorithm), direction), key)

    def test_empty_token(self) -> None:
        self.assertEqual(
            derive_key("", negotiated(), CLIENT_TO_SERVER).hex(),
            "367937cf3c478c0e303d780a63b81844b2aa49b9899caf93b32ce79a0044a704",
        )

    def test_each_byte_of_a_hello_counts(self) -> None:
        key = derive_key(TOKEN, negotiated(), CLIENT_TO_SERVER)
        changed = Negotiated(AES_256_GCM, CLIENT_HELLO + b" ", SERVER_HELLO)
        self.assertNotEqual(derive_key(TOKEN, changed, CLIENT_TO_SERVER), key)
        swapped = Negotiated(AES_256_GCM, SERVER_HELLO, CLIENT_HELLO)
        self.assertNotEqual(transcript(swapped), transcript(negotiated()))

    def test_hchacha20(self) -> None:
        """The vector of draft-irtf-cfrg-xchacha-03, section 2.2.1."""
        derived = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
        self.assertEqual(
            derived.hex(), "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
        )

    def test_both_ends(self) -> None:
        """What one end seals the other opens, and not it itself."""
        for algorithm in ALGORITHMS:
            to_client, at_server = ciphers(TOKEN, negotiated(algorithm), server=True)
            to_server, at_client = ciphers(TOKEN, negotiated(algorithm), server=False)
            self.assertEqual(at_client.feed(to_client.feed(b"a")), b"a")
            self.assertEqual(at_server.feed(to_server.feed(b"b")), b"b")
            self.assertRaises(RemoteProtocolError, at_server.feed, to_client.feed(b"c"))


class SealerTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        data = encode(Ping())
        for algorithm, records in RECORDS.items():
            key = bytes.fromhex(KEYS[algorithm, CLIENT_TO_SERVER])
            sealer = Sealer(algorithm, key, nonce(algorithm))
            wire = sealer.feed(data[:8]) + sealer.feed(data[8:])
            self.assertEqual(wire, nonce(algorithm) + bytes.fromhex(records))

    def test_nothing_makes_nothing(self) -> None:
        sealer, _ = pair()
        self.assertEqual(sealer.feed(b""), b"")
        self.assertEqual(len(sealer.feed(b"a")), 12 + 4 + 1 + TAG_BYTES)
        self.assertEqual(len(sealer.feed(b"bc")), 4 + 2 + TAG_BYTES)

    def test_large_feeds_are_split(self) -> None:
        sealer, opener = pair()
        data = bytes(2 * MAX_RECORD_BYTES + 1)
        wire = sealer.feed(data)
        self.assertEqual(len(wire), 12 + 3 * (4 + TAG_BYTES) + len(data))
        self.assertEqual(opener.feed(wire), data)

    def test_random_nonce(self) -> None:
        self.assertNotEqual(pair()[0].feed(b"a")[:12], pair()[0].feed(b"a")[:12])

    def test_wrong_sizes(self) -> None:
        for algorithm in ALGORITHMS:
            self.assertRaises(LocalProtocolError, Sealer, algorithm, bytes(KEY_BYTES - 1))
            self.assertRaises(LocalProtocolError, Opener, algorithm, bytes(KEY_BYTES + 1))
            self.assertRaises(LocalProtocolError, Sealer, algorithm, bytes(KEY_BYTES), b"short")

    def test_no_nonce_comes_twice(self) -> None:
        """The last one counts up to all ones; then the direction is at its end, on both sides."""
        sealer = Sealer(AES_256_GCM, bytes(KEY_BYTES), b"\xff" * 11 + b"\xfe")
        opener = Opener(AES_256_GCM, bytes(KEY_BYTES))
        self.assertEqual(opener.feed(sealer.feed(b"a") + sealer.feed(b"b")), b"ab")
        self.assertRaises(LocalProtocolError, sealer.feed, b"c")
        with self.assertRaises(RemoteProtocolError) as caught:
            opener.feed(b"\0\0\0\x11" + bytes(17))
        self.assertIn("more sealed records", str(caught.exception))

    def test_most_records(self) -> None:
        self.patch(aead, "MOST_RECORDS", 2)
        sealer, _ = pair()
        sealer.feed(b"a")
        sealer.feed(b"b")
        self.assertRaises(LocalProtocolError, sealer.feed, b"c")

    def test_a_nonce_counts_over_its_whole_width(self) -> None:
        for algorithm, size in NONCE_SIZES.items():
            key = bytes(KEY_BYTES)
            sealer = Sealer(algorithm, key, b"\0" + b"\xff" * (size - 1))
            opener = Opener(algorithm, key)
            self.assertEqual(opener.feed(sealer.feed(b"a") + sealer.feed(b"b")), b"ab")


class OpenerTests(SynchronousTestCase):
    def refused(self, opener: Opener, data: bytes, text: str) -> None:
        with self.assertRaises(RemoteProtocolError) as caught:
            opener.feed(data)
        self.assertIn(text, str(caught.exception))

    def test_vectors_byte_by_byte(self) -> None:
        for algorithm, records in RECORDS.items():
            opener = Opener(algorithm, bytes.fromhex(KEYS[algorithm, CLIENT_TO_SERVER]))
            wire = nonce(algorithm) + bytes.fromhex(records)
            plain = b"".join(opener.feed(bytes([byte])) for byte in wire)
            self.assertEqual(plain, encode(Ping()))

    def test_empty_record(self) -> None:
        """One without a byte in it is legal, and skipped."""
        sealer, opener = pair()
        head = sealer.feed(b"a")
        length, sealed = sealer._seal(b"")
        self.assertEqual(opener.feed(head + length + sealed + sealer.feed(b"b")), b"ab")

    def test_lengths(self) -> None:
        """A length is judged before its record comes."""
        for length in (0, TAG_BYTES - 1, TAG_BYTES + MAX_RECORD_BYTES + 1, 2**32 - 1):
            _, opener = pair()
            text = f"sealed record of {length} bytes, 16 to 65552 expected"
            self.refused(opener, bytes(12) + length.to_bytes(4, "big"), text)

    def test_order(self) -> None:
        """Records that are missing, come twice, or in another order don't open."""
        sealer, _ = pair()
        first, second = sealer.feed(b"a"), sealer.feed(b"b")
        for wire in (first[:12] + second, first + first[12:], first[:12] + second + first[12:]):
            self.refused(pair()[1], wire, "doesn't open")

    def test_another_token(self) -> None:
        sealer, _ = ciphers("right", negotiated(), server=False)
        _, opener = ciphers("wrong", negotiated(), server=True)
        self.refused(opener, sealer.feed(b"a"), "changed on its way, or another token")

    @STEADY
    @given(st.sampled_from(ALGORITHMS), st.lists(st.binary(max_size=100)), st.integers(1, 80))
    def test_any_split(self, algorithm: str, writes: list[bytes], step: int) -> None:
        """What was sealed in some pieces is opened in any others."""
        sealer, opener = pair(algorithm)
        wire = b"".join(map(sealer.feed, writes))
        pieces = [wire[i : i + step] for i in range(0, len(wire), step)]
        self.assertEqual(b"".join(map(opener.feed, pieces)), b"".join(writes))

    @STEADY
    @given(st.data())
    def test_any_change(self, data: st.DataObject) -> None:
        """A changed bit, wherever it is, lets nothing through that wasn't sent."""
        writes = data.draw(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=3))
        sealer, opener = pair(data.draw(st.sampled_from(ALGORITHMS)))
        wire = bytearray(b"".join(map(sealer.feed, writes)))
        place = data.draw(st.integers(0, 8 * len(wire) - 1))
        wire[place // 8] ^= 1 << place % 8
        opened, ended = b"", False
        for byte in wire:
            try:
                opened += opener.feed(bytes([byte]))
            except RemoteProtocolError:
                ended = True
                break
        sent = b"".join(writes)
        self.assertTrue(sent.startswith(opened))
        self.assertNotEqual(opened, sent)
        # A length that became larger waits for bytes that don't come.
        self.assertTrue(ended or len(opener._unread) <= len(wire))

    @STEADY
    @given(st.sampled_from(ALGORITHMS), st.binary(max_size=200))
    def test_any_bytes(self, algorithm: str, data: bytes) -> None:
        """Any bytes give a wait, or an error of the peer's."""
        _, opener = pair(algorithm)
        try:
            plain = opener.feed(data)
        except RemoteProtocolError:
            return
        self.assertEqual(plain, b"")
