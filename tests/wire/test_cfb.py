# -*- test-case-name: tests.wire.test_cfb -*-
"""Tests of `tunnelsvc.wire.cfb`."""

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.wire import cfb
from tunnelsvc.wire.cfb import IV_BYTES, KEY_BYTES, Decryptor, Encryptor, derive_key
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.messages import Ping

STEADY = settings(derandomize=True, deadline=None)
IV = bytes(range(IV_BYTES))
LONELY = "tests.wire.lonely"
"""A module that isn't loaded."""
PING_ON_THE_WIRE = bytes.fromhex("000102030405060708090a0b0c0d0e0f4498a24026e4cf47613434")


class DeriveKeyTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """The keys are the ones that the real programs derive."""
        for secret, key in (
            ("", "cdc9dc4c472c37331281df4c232a8407"),
            ("12345678", "b7eac3f66310824c114f56f8274fdfea"),
            ("token", "c16a8f63832926cee123eea29f95d670"),
            ("abc", "62e5ed67fdd04e5f1f71d779ceb9667f"),
        ):
            self.assertEqual(derive_key(secret).hex(), key)

    def test_text_is_utf8(self) -> None:
        """Text and its UTF-8 bytes give the same key."""
        self.assertEqual(derive_key("пароль"), derive_key("пароль".encode()))

    @STEADY
    @given(st.binary(max_size=200))
    def test_pbkdf2(self, secret: bytes) -> None:
        """A library that has all of it comes to the same."""
        other = PBKDF2HMAC(SHA1(), KEY_BYTES, b"frp", 64)
        self.assertEqual(derive_key(secret), other.derive(secret))


class EncryptorTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """An empty Ping is encrypted as the real programs do it."""
        encryptor = Encryptor(derive_key("12345678"), IV)
        self.assertEqual(encryptor.feed(encode(Ping())), PING_ON_THE_WIRE)

    def test_nothing_makes_nothing(self) -> None:
        """The IV waits for the first bytes, and comes once."""
        encryptor = Encryptor(derive_key(""))
        self.assertEqual(encryptor.feed(b""), b"")
        self.assertEqual(len(encryptor.feed(b"a")), IV_BYTES + 1)
        self.assertEqual(encryptor.feed(b""), b"")
        self.assertEqual(len(encryptor.feed(b"bc")), 2)

    def test_random_iv(self) -> None:
        """Two streams with one key begin differently."""
        key = derive_key("token")
        first, second = (Encryptor(key).feed(b"x" * 16) for _ in range(2))
        self.assertNotEqual(first[:IV_BYTES], second[:IV_BYTES])
        self.assertNotEqual(first[IV_BYTES:], second[IV_BYTES:])

    def test_wrong_sizes(self) -> None:
        """A key for another AES, or a short IV, is our own mistake and is said at once."""
        self.assertRaises(LocalProtocolError, Encryptor, bytes(2 * KEY_BYTES))
        self.assertRaises(LocalProtocolError, Encryptor, bytes(KEY_BYTES), b"short")
        self.assertRaises(LocalProtocolError, Encryptor, bytes(KEY_BYTES), b"")


class DecryptorTests(SynchronousTestCase):
    def test_byte_by_byte(self) -> None:
        """The IV may come in any pieces; then every byte gives a byte."""
        decryptor = Decryptor(derive_key("12345678"))
        pieces = [decryptor.feed(bytes([byte])) for byte in PING_ON_THE_WIRE]
        self.assertEqual(pieces[:IV_BYTES], [b""] * IV_BYTES)
        self.assertEqual([len(piece) for piece in pieces[IV_BYTES:]], [1] * 11)
        self.assertEqual(b"".join(pieces), encode(Ping()))

    def test_empty_feeds(self) -> None:
        """Nothing fed changes nothing, before and after the IV."""
        decryptor = Decryptor(derive_key("12345678"))
        self.assertEqual(decryptor.feed(b""), b"")
        self.assertEqual(decryptor.feed(PING_ON_THE_WIRE[:IV_BYTES]), b"")
        self.assertEqual(decryptor.feed(b""), b"")
        self.assertEqual(decryptor.feed(PING_ON_THE_WIRE[IV_BYTES:]), encode(Ping()))

    def test_wrong_key(self) -> None:
        """With another key the bytes come out, but others."""
        plain = Decryptor(derive_key("87654321")).feed(PING_ON_THE_WIRE)
        self.assertEqual(len(plain), len(encode(Ping())))
        self.assertNotEqual(plain, encode(Ping()))


class WithoutOpenSSL:
    """Where nobody has loaded it, a small library has the cipher."""

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.patch(cfb, "_OPENSSL", LONELY)  # type: ignore[attr-defined]


class SmallEncryptorTests(WithoutOpenSSL, EncryptorTests):
    """As above."""


class SmallDecryptorTests(WithoutOpenSSL, DecryptorTests):
    """As above."""


class LibraryTests(WithoutOpenSSL, SynchronousTestCase):
    """Whose cipher it is makes no difference but of speed and memory."""

    def test_choice(self) -> None:
        """The small one, unless the other is there already or there is much to do."""
        started: list[str] = []

        def note(name: str) -> None:
            start = getattr(cfb, name)

            def noting(*arguments: object) -> object:
                started.append(name)
                return start(*arguments)

            self.patch(cfb, name, noting)

        small, large = "_start_pycryptodome", "_start_openssl"
        note(small)
        note(large)
        key = derive_key("token")
        for bulk in (False, True):
            wire = Encryptor(key, bulk=bulk).feed(b"data")
            self.assertEqual(Decryptor(key, bulk=bulk).feed(wire), b"data")
        self.patch(cfb, "_OPENSSL", "sys")
        Encryptor(key)
        self.assertEqual(started, [small] * 2 + [large] * 3)

    @STEADY
    @given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), st.lists(st.binary(max_size=100)))
    def test_same(self, key: bytes, writes: list[bytes]) -> None:
        small, large = (Encryptor(key, IV, bulk=bulk) for bulk in (False, True))
        self.assertEqual(list(map(small.feed, writes)), list(map(large.feed, writes)))

    @STEADY
    @given(st.lists(st.binary(max_size=100)), st.integers(1, 40), st.booleans())
    def test_any_split(self, writes: list[bytes], step: int, bulk: bool) -> None:
        """What was encrypted in some pieces is decrypted in any others."""
        key = derive_key("token")
        encryptor, decryptor = Encryptor(key, bulk=bulk), Decryptor(key, bulk=not bulk)
        wire = b"".join(map(encryptor.feed, writes))
        pieces = [wire[i : i + step] for i in range(0, len(wire), step)]
        self.assertEqual(b"".join(map(decryptor.feed, pieces)), b"".join(writes))
