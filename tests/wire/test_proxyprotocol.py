# -*- test-case-name: tests.wire.test_proxyprotocol -*-
"""Tests of `tunnelsvc.wire.proxyprotocol`; `read` is a reader of its own, by the specification."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.proxyprotocol import MOST_HEADER_BYTES, VERSIONS, Transport, header

USER = ("192.0.2.7", 5678)
ENTRANCE = ("203.0.113.1", 443)
USER_V6 = ("2001:db8::7", 5678)
ENTRANCE_V6 = ("2001:db8::1", 443)

Read = tuple[str, str, int, str, int]
"""Family and transport, then source and destination."""


def read(data: bytes) -> tuple[Read | None, bytes]:
    """Read a header as a service does; return who it is (None: unknown) and what is behind."""
    if data.startswith(b"PROXY "):
        line, _, rest = data.partition(b"\r\n")
        words = line.decode("ascii").split(" ")
        if words[1] == "UNKNOWN":
            return None, rest
        family = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}[words[1]]
        for word in words[2:4]:
            socket.inet_pton(family, word)
        return (words[1], words[2], int(words[4]), words[3], int(words[5])), rest
    signature, command, kind, length = struct.unpack_from("!12sBBH", data)
    assert signature == b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
    content, rest = data[16 : 16 + length], data[16 + length :]
    if command == 0x20:
        return None, rest
    assert command == 0x21
    name, family, size = {
        0x11: ("TCP4", socket.AF_INET, 4),
        0x12: ("UDP4", socket.AF_INET, 4),
        0x21: ("TCP6", socket.AF_INET6, 16),
        0x22: ("UDP6", socket.AF_INET6, 16),
    }[kind]
    source, destination, source_port, destination_port = struct.unpack(
        f"!{size}s{size}sHH", content
    )
    texts = [socket.inet_ntop(family, each) for each in (source, destination)]
    return (name, texts[0], source_port, texts[1], destination_port), rest


class HeaderTests(SynchronousTestCase):
    """The bytes."""

    def test_v1(self) -> None:
        self.assertEqual(
            header("v1", USER, ENTRANCE), b"PROXY TCP4 192.0.2.7 203.0.113.1 5678 443\r\n"
        )
        self.assertEqual(
            header("v1", USER_V6, ENTRANCE_V6), b"PROXY TCP6 2001:db8::7 2001:db8::1 5678 443\r\n"
        )

    def test_v2(self) -> None:
        """The example of the protocol notes, which a real frpc sent."""
        self.assertEqual(
            header("v2", ("1.2.3.4", 5678), ("127.0.0.1", 0)).hex(),
            "0d0a0d0a000d0a515549540a2111000c010203047f000001162e0000",
        )
        self.assertEqual(
            header("v2", USER_V6, ENTRANCE_V6).hex(),
            "0d0a0d0a000d0a515549540a21210024"
            "20010db8000000000000000000000007"
            "20010db8000000000000000000000001162e01bb",
        )

    def test_datagrams(self) -> None:
        self.assertEqual(header("v1", USER, ENTRANCE, Transport.DATAGRAM), b"PROXY UNKNOWN\r\n")
        self.assertEqual(header("v2", USER, ENTRANCE, Transport.DATAGRAM)[12:16].hex(), "2112000c")
        self.assertEqual(
            header("v2", USER_V6, ENTRANCE_V6, Transport.DATAGRAM)[12:16].hex(), "21220024"
        )

    def test_mixed_families(self) -> None:
        """Both are told as IPv6; frp drops the user."""
        for version in VERSIONS:
            self.assertEqual(
                read(header(version, USER_V6, ("127.0.0.1", 80)))[0],
                ("TCP6", "2001:db8::7", 5678, "::ffff:127.0.0.1", 80)
                if version == "v2"
                else ("TCP6", "2001:db8::7", 5678, "::ffff:7f00:1", 80),
            )
            read_back, _ = read(header(version, USER, ENTRANCE_V6))
            assert read_back is not None
            self.assertEqual((read_back[0], read_back[3]), ("TCP6", "2001:db8::1"))

    def test_mapped_and_scoped(self) -> None:
        """What a socket that takes both families calls an IPv4 user."""
        self.assertEqual(header("v1", ("::ffff:192.0.2.7", 5678), ENTRANCE),
                         header("v1", USER, ENTRANCE))  # fmt: skip
        self.assertIn(b"TCP6 fe80::1 fe80::2", header("v1", ("fe80::1%eth0", 1), ("fe80::2%2", 2)))

    def test_no_address(self) -> None:
        """The service goes by the connection that it has."""
        for source, destination in ((("name", 1), ENTRANCE), (USER, ("", 1))):
            self.assertEqual(header("v1", source, destination), b"PROXY UNKNOWN\r\n")
            self.assertEqual(header("v2", source, destination)[12:].hex(), "20000000")

    def test_no_port(self) -> None:
        """Messages of datagrams have numbers of any size there."""
        for port in (-1, 65536, 2**62):
            source = USER[0], port
            self.assertEqual(header("v1", source, ENTRANCE), b"PROXY UNKNOWN\r\n")
            made = header("v2", source, ENTRANCE, Transport.DATAGRAM)
            self.assertEqual(made[12:].hex(), "20000000")

    @given(
        st.sampled_from(VERSIONS),
        st.sampled_from(Transport),
        *(st.tuples(st.ip_addresses().map(str), st.integers(0, 65535)) for _ in range(2)),
        st.binary(max_size=100),
    )
    def test_is_read_as_written(
        self,
        version: str,
        transport: Transport,
        source: tuple[str, int],
        destination: tuple[str, int],
        content: bytes,
    ) -> None:
        made = header(version, source, destination, transport)
        self.assertLessEqual(len(made), MOST_HEADER_BYTES)
        seen, rest = read(made + content)
        self.assertEqual(rest, content)
        if seen is None:
            self.assertEqual((version, transport), ("v1", Transport.DATAGRAM))
        else:
            self.assertEqual((seen[2], seen[4]), (source[1], destination[1]))

    @given(st.text(max_size=50), st.text(max_size=50))
    def test_any_text(self, source: str, destination: str) -> None:
        """Whatever the server says, the service gets a header and nothing else."""
        for version in VERSIONS:
            made = header(version, (source, 1), (destination, 2))
            self.assertEqual(read(made)[1], b"")
