# -*- test-case-name: tests.config.test_ranges -*-
"""Tests of `tunnelsvc.config.ranges`: ``[range:x]`` in a client's file."""

from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import STEADY, ConfigTestCase
from tunnelsvc.config import ranges
from tunnelsvc.config.proxies import TCPProxyConfig, UDPProxyConfig

RANGE = "[range:x]\ntype = {}\nlocal_ip = 10.0.0.1\nlocal_port = 1-2,5\nremote_port = 6001-6003\n"


class RangeTests(ConfigTestCase):
    def assertSays(self, text: str, *lines: str) -> None:
        self.assertEqual(self.client_says(f"[common]\n[range:x]\n{text}"), lines)

    def test_proxies(self) -> None:
        """One for each pair of ports, all else the same."""
        for kind, config in (("tcp", TCPProxyConfig), ("udp", UDPProxyConfig)):
            self.assertEqual(
                self.client(RANGE.format(kind)).proxies,
                tuple(
                    config(name=f"x_{n}", local_ip="10.0.0.1", local_port=local, remote_port=remote)
                    for n, (local, remote) in enumerate(((1, 6001), (2, 6002), (5, 6003)))
                ),
            )

    def test_blanks(self) -> None:
        proxies = self.client("[range: x ]\nlocal_port = 1 - 2\nremote_port = 3,4\n").proxies
        self.assertEqual([proxy.name for proxy in proxies], ["x_0", "x_1"])

    def test_started(self) -> None:
        """By the name in the file, as in frp 0.33, or by those of the proxies, as in 0.70."""
        for start, names in {
            "range:x": ["x_0", "x_1", "x_2"],
            "x_2,x_0": ["x_0", "x_2"],
            "range:x,other": ["x_0", "x_1", "x_2", "other"],
            "other": ["other"],
        }.items():
            other = "[other]\nlocal_port = 1\n"
            config = self.client(f"start = {start}\n{RANGE.format('tcp')}{other}")
            self.assertEqual([proxy.name for proxy in config.proxies], names)
        (problem,) = self.client_says(f"[common]\nstart = x\n{RANGE.format('tcp')}")
        self.assertIn("there is no proxy [x]", problem)

    def test_missing(self) -> None:
        what = "is missing: such as 6000-6006,6010"
        self.assertSays("", f"2: [range:x]: local_port {what}", f"2: [range:x]: remote_port {what}")
        self.assertSays("local_port = 1\n", f"2: [range:x]: remote_port {what}")

    def test_wrong(self) -> None:
        self.assertSays(
            "local_port = \nremote_port = x\n",
            "3: [range:x] local_port = : not a single number; a list is such as 6000-6006,6010",
            "4: [range:x] remote_port = x: not a list of numbers and ranges such as 6000-6006,6010",
        )
        self.assertSays(
            "local_port = 1-3\nremote_port = 1,2\n",
            "2: [range:x]: local_port and remote_port must have as many numbers (3 and 2)",
        )

    def test_wrong_ports(self) -> None:
        """What is wrong with single proxies is told once for each port, the rest once."""
        self.assertSays(
            "local_port = 0-1\nremote_port = 65535-65536\nuse_encryption = x\n",
            "3: [range:x] local_port = 0: not a port number (1 to 65535)",
            "5: [range:x] use_encryption = x: neither true nor false",
            "4: [range:x] remote_port = 65536: not a port number, or 0 (0 to 65535)",
        )

    def test_names_taken(self) -> None:
        (problem,) = self.client_says(
            "[common]\n[x_1]\nlocal_port = 1\n[range:x]\nlocal_port = 1-2\nremote_port = 1-2\n"
        )
        self.assertIn("[range:x]: proxy name [x_1] is duplicated", problem)

    def test_limit(self) -> None:
        """All ports once would be possible, in however many sections; more are not."""
        self.patch(ranges, "MAX_NUMBERS", 500)
        sections = "".join(
            f"[range:{name}]\nlocal_port = {ports}\nremote_port = {ports}\n"
            for name, ports in (("a", "0-499"), ("b", "1"))
        )
        problems = self.client_says(f"[common]\nstart = b_0\n{sections}")
        self.assertIn("[range:b]: with this, more than 500 proxies in ranges", problems[0])

    @STEADY
    @given(st.text(), st.text())
    def test_any_ports(self, local: str, remote: str) -> None:
        self.client_says(f"[common]\n[range:x]\nlocal_port = {local}\nremote_port = {remote}\n"
                         .encode(errors="replace"))  # fmt: skip
