# -*- test-case-name: tests.link.test_peername -*-
"""Tests of names as people write them and as TLS has them."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.link.handshakes import STEADY
from tunnelsvc.link.peername import PeerName


class PeerNameTests(SynchronousTestCase):
    """Names without a handshake."""

    def test_names(self) -> None:
        for text, name in {
            "Server.Example.": "server.example",
            " my_host ": "my_host",
            "bücher.example": "xn--bcher-kva.example",
        }.items():
            self.assertEqual(PeerName.parse(text), PeerName(name, is_address=False))

    def test_addresses(self) -> None:
        for text, address in {
            "192.0.2.1": "192.0.2.1",
            "[2001:DB8::1]": "2001:db8::1",
            "fe80::1%eth0": "fe80::1",
        }.items():
            self.assertEqual(PeerName.parse(text), PeerName(address, is_address=True))
            self.assertIsNone(PeerName.parse(text).server_name)

    @STEADY
    @given(st.text(max_size=300))
    def test_any_text(self, text: str) -> None:
        """No name crashes, and what is sent is a name."""
        name = PeerName.parse(text)
        self.assertTrue(name.text.isascii())
        self.assertLessEqual(len(name.text), 253)
        sent = name.server_name
        if sent is not None:
            self.assertRegex(sent, rb"^[a-z0-9._-]+$")
