# -*- test-case-name: tests.e2e.test_sharing -*-
"""``static_file``, with curl."""

import os
from typing import Final

from tests.e2e.commands import curl
from tests.e2e.services import digest_of, pattern, request
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import free_port
from tunnelsvc.units import MiB

LARGE_BYTES: Final = 64 * MiB

# What the client may use at its worst, whatever it carries.
MEMORY_LIMIT_BYTES: Final = 100 * MiB

# Of which some download got as far as that.
HALF_BYTES: Final = 20 * MiB + 1

# Connections that the client has ready for the next users.
MOST_KEPT: Final = 32


class StaticFileTests(TunnelTestCase):
    """A directory with a large file and a text."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.directory / "shared"
        (self.shared / "sub").mkdir(parents=True)
        with (self.shared / "large").open("wb") as file:
            file.writelines(pattern(LARGE_BYTES))
        (self.shared / "a.txt").write_text("line\n" * 100_000)
        (self.shared / "sub" / "b.txt").write_text("deeper")
        self.port = free_port()
        self.start_server()

    def start_plugin(self, options: Options = NO_OPTIONS) -> None:
        plugin = {"plugin": "static_file", "plugin_local_path": self.shared}
        tcp = {"type": "tcp", "remote_port": self.port, **plugin, **options}
        http = {"type": "http", "custom_domains": "files.test", **plugin, **options}
        self.client = self.start_client({"files": tcp, "web": http})

    def curl(self, *arguments: str) -> bytes:
        """Run curl in the test's directory; return what it printed."""
        return curl(*arguments, directory=self.directory)

    def test_download(self) -> None:
        self.start_plugin()
        before = self.client.status.open_files()
        for url in f"http://127.0.0.1:{self.port}/large", "http://files.test/large":
            via = ("--connect-to", f"files.test:80:127.0.0.1:{self.vhost_port}")
            page = self.curl(*via, url)
            self.assertEqual(digest_of(iter([page])), digest_of(pattern(LARGE_BYTES)))
        self.assertLess(self.client.status.peak_memory_bytes(), MEMORY_LIMIT_BYTES)
        self.client.wait_until(
            lambda: self.client.status.open_files() <= before + MOST_KEPT, "files closed"
        )

    def test_resume(self) -> None:
        """As far as it is there already; and what is complete stays so."""
        self.start_plugin()
        part = self.directory / "part"
        with (self.shared / "large").open("rb") as file:
            part.write_bytes(file.read(HALF_BYTES))
        resumed = f"http://127.0.0.1:{self.port}/large"
        shown = self.curl("-C", "-", "-o", "part", "-w", "%{http_code} %{size_download}", resumed)
        self.assertEqual(shown, f"206 {LARGE_BYTES - HALF_BYTES}".encode())
        self.assertEqual(digest_of(iter([part.read_bytes()])), digest_of(pattern(LARGE_BYTES)))

    def test_parts(self) -> None:
        self.start_plugin()
        url = f"http://127.0.0.1:{self.port}/a.txt"
        self.assertEqual(self.curl("-r", "5-9", url), b"line\n")
        self.assertEqual(self.curl("--compressed", "-r", "-5", url), b"line\n")

    def test_compressed(self) -> None:
        self.start_plugin()
        url = f"http://127.0.0.1:{self.port}/a.txt"
        shown = self.curl("--compressed", "-o", "a", "-w", "%{size_download}", url)
        self.assertLess(int(shown), 10_000)
        self.assertEqual((self.directory / "a").read_bytes(), (self.shared / "a.txt").read_bytes())

    def test_not_again(self) -> None:
        """curl keeps the tag and the date of what it has."""
        self.start_plugin()
        url = f"http://127.0.0.1:{self.port}/a.txt"
        self.curl("--etag-save", "tag", "-R", "-o", "a", url)
        for condition in ("--etag-compare", "tag"), ("-z", "a"):
            shown = self.curl(*condition, "-o", os.devnull, "-w", "%{http_code}", url)
            self.assertEqual(shown, b"304")

    def test_both_types(self) -> None:
        """Below a prefix, for who has the password."""
        login = {"plugin_http_user": "alice", "plugin_http_passwd": "s3cret"}
        self.start_plugin({"plugin_strip_prefix": "files", **login})
        for port in self.port, self.vhost_port:

            def ask(path: str, user: str = "alice:s3cret", port: int = port) -> tuple[int, bytes]:
                answer = request(port, path, host="files.test", user=user)
                return answer.status, answer.body

            self.assertEqual(ask("/files/sub/b.txt"), (200, b"deeper"))
            self.assertEqual(ask("/files/sub/b.txt", user="alice:wrong")[0], 401)
            self.assertEqual(ask("/sub/b.txt")[0], 404)
            self.assertEqual(ask("/files/sub")[0], 301)
            self.assertIn(b'<a href="./b.txt">', ask("/files/sub/")[1])
