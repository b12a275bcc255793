# -*- test-case-name: tests.wire.test_socks5client -*-
"""Tests of `tunnelsvc.wire.socks5client`."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.socks5 import Handshake, Reply, Target, reply
from tunnelsvc.wire.socks5client import Socks5Client, Socks5RefusedError

STEADY = settings(derandomize=True, deadline=None)
LONGEST_KEPT_BYTES = 262
ACCEPTED = b"\x05\x00"


class ProxyTests(SynchronousTestCase):
    """Against our own server's side."""

    def converse(self, client: Socks5Client, proxy: Handshake) -> None:
        """Let them talk until the proxy knows the target."""
        said = client.greeting()
        while said and proxy.target is None:
            said = client.feed(proxy.feed(said))

    def test_targets(self) -> None:
        for host, port in (("192.0.2.7", 80), ("2001:db8::1", 7000), ("vps.example.com", 65535)):
            proxy, client = Handshake(), Socks5Client(host, port)
            self.converse(client, proxy)
            self.assertEqual(proxy.target, Target(host, port))
            self.assertFalse(client.connected)
            client.feed(reply(Reply.SUCCEEDED, "2001:db8::9", 1) + b"first words")
            self.assertTrue(client.connected)
            self.assertEqual(client.unread, b"first words")

    def test_login(self) -> None:
        client = Socks5Client("vps", 7000, "ann", "pässword")
        proxy = Handshake("ann", "pässword")
        self.converse(client, proxy)
        self.assertEqual(proxy.target, Target("vps", 7000))

    def test_a_login_that_nobody_wants(self) -> None:
        proxy = Handshake()
        self.converse(Socks5Client("vps", 7000, "ann", "password"), proxy)
        self.assertEqual(proxy.target, Target("vps", 7000))

    def test_international_name(self) -> None:
        proxy = Handshake()
        self.converse(Socks5Client("bücher.example", 7000), proxy)
        self.assertEqual(proxy.target, Target("xn--bcher-kva.example", 7000))


class RefusalTests(SynchronousTestCase):
    """What proxies say no with, and what isn't one."""

    def refusal(self, *said: bytes, user: str = "") -> str:
        client = Socks5Client("vps", 7000, user)
        with self.assertRaises(Socks5RefusedError) as caught:
            for data in said:
                client.feed(data)
        return str(caught.exception)

    def test_login(self) -> None:
        self.assertEqual(self.refusal(b"\x05\xff"), "it wants user and password")
        self.assertEqual(self.refusal(b"\x05\x02"), "it wants user and password")
        self.assertEqual(self.refusal(b"\x05\xff", user="ann"), "it wants another kind of login")
        wrong = self.refusal(b"\x05\x02", b"\x01\x01", user="ann")
        self.assertEqual(wrong, "it refuses user or password")

    def test_replies(self) -> None:
        for code, why in (
            (Reply.REFUSED, "the connection was refused"),
            (Reply.NOT_ALLOWED, "its rules don't allow it"),
        ):
            self.assertIn(why, self.refusal(ACCEPTED, reply(code)))
        self.assertIn("error 66", self.refusal(ACCEPTED, b"\x05\x42"))

    def test_no_proxy(self) -> None:
        for said in (b"HTTP/1.1 400", b"\x04\x00"):
            self.assertEqual(self.refusal(said), "it doesn't speak SOCKS 5")
        self.assertEqual(self.refusal(ACCEPTED, b"HTTP"), "it doesn't speak SOCKS 5")
        odd = self.refusal(ACCEPTED, b"\x05\x00\x00\x09\x00")
        self.assertEqual(odd, "it names an address of no known kind")

    def test_too_long(self) -> None:
        with self.assertRaises(Socks5RefusedError):
            Socks5Client("vps", 7000, "x" * 256)

    @STEADY
    @given(st.lists(st.binary(max_size=40), max_size=30))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        client = Socks5Client("vps", 7000, "ann", "pw")
        with contextlib.suppress(Socks5RefusedError):
            for piece in pieces:
                client.feed(piece)
                if client.connected:
                    return
                self.assertLessEqual(len(client.unread), LONGEST_KEPT_BYTES)

    @STEADY
    @given(st.lists(st.integers(1, 30), min_size=1))
    def test_any_cuts(self, cuts: list[int]) -> None:
        data = ACCEPTED + b"\x05\x00\x00\x03\x0bexample.com\x01\xbb" + b"rest"
        client = Socks5Client("vps", 7000)
        at, said = 0, b""
        for cut in [*cuts, len(data)]:
            said += client.feed(data[at : at + cut])
            at += cut
            if client.connected:
                break
        self.assertTrue(client.connected)
        self.assertTrue(b"rest".startswith(client.unread))
        self.assertEqual(said, b"\x05\x01\x00\x03\x03vps\x1b\x58")
