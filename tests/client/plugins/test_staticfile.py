# -*- test-case-name: tests.client.plugins.test_staticfile -*-
"""Tests of `tunnelsvc.client.plugins.staticfile`."""

from pathlib import Path

from tests.client.plugins.usersupport import ProxyCase
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.config.proxies import TCPProxyConfig


def sharing(path: Path) -> TCPProxyConfig:
    """Make a proxy for the files below a directory."""
    config = StaticFileConfig(
        local_path=str(path), strip_prefix="files", http_user="alice", http_password="s3cret"
    )
    return TCPProxyConfig(name="files", type="tcp", plugin=config)


class StaticFileTests(ProxyCase):
    """Users of a client with this plugin."""

    def test_a_file(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "a.txt").write_bytes(b"hello")
        self.serve(sharing(directory))
        user = self.user()
        self.say(
            user,
            b"GET /files/a.txt HTTP/1.1\r\nHost: a\r\n"
            b"Authorization: Basic YWxpY2U6czNjcmV0\r\n\r\n",
        )
        self.clock.advance(0)
        self.pump()
        self.assertTrue(user.received.endswith(b"\r\n\r\nhello"))
        user.end.loseConnection()
        self.pump()
        [line] = self.lines
        self.assertIn("192.0.2.1:5: closed by the server, ", line)
        self.assertIn(f"{len(user.received)} bytes out", line)

    def test_no_directory(self) -> None:
        """That is said at the start; the directory may come later."""
        missing = Path(self.mktemp())
        self.start(sharing(missing))
        self.assertIn(
            f"[files] plugin_local_path {missing} is no directory now: users get 404", self.lines
        )
