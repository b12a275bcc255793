# -*- test-case-name: tests.client.plugins.test_sharedfiles -*-
"""Tests of `tunnelsvc.client.plugins.sharedfiles`."""

import gzip
import os
import re
from base64 import b64encode
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.plugins.websupport import SiteCase, Visitor
from tests.loglines import LogLines
from tunnelsvc.client.plugins.sharedfiles import LEAST_COMPRESSED_BYTES, READ_BYTES, SharedFiles

STEADY = settings(derandomize=True, deadline=None)
TEXT = b"line\n" * LEAST_COMPRESSED_BYTES
NOISE = bytes(range(256)) * (3 * READ_BYTES // 256)
SECRET = b"not for you"
PARTS = [
    *b".. . %2e%2e %2f / // sub up out %00 outside.txt shared-not ? # ; http://x % \\".split(),
    b"\xff",
]


class Answer:
    """A response in its parts."""

    def __init__(self, raw: bytes, *, head: bool = False) -> None:
        first, _, rest = raw.partition(b"\r\n")
        lines, _, body = rest.partition(b"\r\n\r\n")
        self.status = int(first.split()[1])
        pairs = [line.split(b": ", 1) for line in lines.split(b"\r\n") if line]
        self.headers = {name.lower().decode(): value.decode() for name, value in pairs}
        if self.headers.get("transfer-encoding") == "chunked" and not head:
            body = b"".join(
                re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)", body, re.DOTALL)
            )
        self.body = body


class SharedFilesCase(SiteCase):
    """A directory with a few files, and something beside it."""

    def setUp(self) -> None:
        super().setUp()
        base = Path(self.mktemp()).absolute()
        self.root = base / "shared"
        self.root.mkdir(parents=True)
        (base / "shared-not").mkdir()
        for path in base / "outside.txt", base / "shared-not" / "outside.txt":
            path.write_bytes(SECRET)
        (self.root / "a.txt").write_bytes(TEXT)
        (self.root / "noise.bin").write_bytes(NOISE)
        (self.root / "empty").touch()
        (self.root / "sub").mkdir()
        (self.root / "sub" / "b").write_bytes(b"deeper")
        self.outside = base / "outside.txt"
        self.options: dict[str, str] = {}

    def ask(
        self, path: str | bytes, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Answer:
        """Make one request, on a connection of its own."""
        target = path if isinstance(path, bytes) else path.encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()
        visitor = self.visitor()
        raw = visitor.ask(b"%s %s %s" % (method.encode(), target, head))
        visitor.end.loseConnection()
        visitor.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.open_files(), [])
        return Answer(raw, head=method == "HEAD")

    def visitor(self) -> Visitor:
        return self.visit(SharedFiles(str(self.root), self.clock, **self.options))

    def open_files(self) -> list[str]:
        """Files of the directory that are still open."""
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        targets = [str(link.readlink()) for link in links]
        return [target for target in targets if target.startswith(str(self.root))]


class ReadTests(SharedFilesCase):
    """Files as they are."""

    def test_a_file(self) -> None:
        answer = self.ask("/noise.bin")
        self.assertEqual((answer.status, answer.body), (200, NOISE))
        self.assertGreater(len(NOISE), 2 * READ_BYTES)
        self.assertEqual(answer.headers["content-length"], str(len(NOISE)))
        self.assertEqual(answer.headers["accept-ranges"], "bytes")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertNotIn("server", answer.headers)

    def test_below(self) -> None:
        self.assertEqual(self.ask("/sub/b").body, b"deeper")
        self.assertEqual(self.ask("/sub/b?x=/../..").body, b"deeper")
        self.assertEqual(self.ask("/%73ub/%62").body, b"deeper")
        self.assertEqual(self.ask("http://files.example/sub/b").body, b"deeper")

    def test_empty(self) -> None:
        answer = self.ask("/empty")
        self.assertEqual((answer.status, answer.headers["content-length"]), (200, "0"))

    def test_head(self) -> None:
        answer = self.ask("/noise.bin", method="HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-length"], str(len(NOISE)))
        self.assertEqual(self.ask("/", method="HEAD").body, b"")
        self.assertEqual(self.ask("/nope", method="HEAD").body, b"")

    def test_methods(self) -> None:
        for method in "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND":
            answer = self.ask("/a.txt", {"Content-Length": "0"}, method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
        self.assertEqual((self.root / "a.txt").read_bytes(), TEXT)

    def test_types(self) -> None:
        for name, content, kind in (
            ("a.html", b"", "text/html; charset=utf-8"),
            ("A.PNG", b"", "image/png"),
            ("a.js", b"", "text/javascript; charset=utf-8"),
            ("a.json", b"", "application/json"),
            ("a.tar.gz", b"", "application/gzip"),
            ("a.xz", b"", "application/x-xz"),
            ("README", "läuft".encode(), "text/plain; charset=utf-8"),
            ("cut", b"a" * 511 + "ä".encode(), "text/plain; charset=utf-8"),
            ("latin", b"l\xe4uft", "application/octet-stream"),
            ("binary", b"abc\0", "application/octet-stream"),
            ("data:text", b"\0", "application/octet-stream"),
        ):
            (self.root / name).write_bytes(content)
            self.assertEqual(self.ask(f"/{name}").headers["content-type"], kind, name)

    def test_names_beyond_ascii(self) -> None:
        (self.root / os.fsdecode(b"\xff")).write_bytes(b"odd")
        (self.root / "ä b").write_bytes(b"even")
        self.assertEqual(self.ask("/%ff").body, b"odd")
        self.assertEqual(self.ask("/%C3%A4%20b").body, b"even")


class PartTests(SharedFilesCase):
    """What a request wants of a file; all cases are with `tunnelsvc.wire.httpselect`."""

    def test_range(self) -> None:
        for wanted, start, end in (
            ("bytes=10-19", 10, 20),
            ("bytes=-5", len(NOISE) - 5, len(NOISE)),
            (f"bytes={READ_BYTES - 1}-{READ_BYTES + 1}", READ_BYTES - 1, READ_BYTES + 2),
        ):
            answer = self.ask("/noise.bin", {"Range": wanted, "Accept-Encoding": "gzip"})
            self.assertEqual((answer.status, answer.body), (206, NOISE[start:end]))
            content = f"bytes {start}-{end - 1}/{len(NOISE)}"
            self.assertEqual(answer.headers["content-range"], content)
            self.assertEqual(answer.headers["content-length"], str(end - start))

    def test_behind_the_end(self) -> None:
        answer = self.ask("/noise.bin", {"Range": f"bytes={len(NOISE)}-"})
        self.assertEqual((answer.status, answer.body), (416, b""))
        self.assertEqual(answer.headers["content-range"], f"bytes */{len(NOISE)}")

    def test_not_modified(self) -> None:
        headers = self.ask("/noise.bin").headers
        for name, value in (
            ("If-None-Match", headers["etag"]),
            ("If-Modified-Since", headers["last-modified"]),
        ):
            answer = self.ask("/noise.bin", {name: value})
            self.assertEqual((answer.status, answer.body), (304, b""))
            self.assertNotIn("content-length", answer.headers)
            self.assertEqual(answer.headers["etag"], headers["etag"])

    def test_changed(self) -> None:
        """A download isn't resumed with another file."""
        tag = self.ask("/noise.bin").headers["etag"]
        (self.root / "noise.bin").write_bytes(NOISE + b"!")
        resume = {"Range": "bytes=10-", "If-Range": tag}
        self.assertEqual(self.ask("/noise.bin", resume).body, NOISE + b"!")
        self.assertEqual(self.ask("/noise.bin", {"If-Match": tag}).status, 412)

    def test_gzip(self) -> None:
        answer = self.ask("/a.txt", {"Accept-Encoding": "br, gzip"})
        self.assertEqual(answer.headers["content-encoding"], "gzip")
        self.assertEqual(answer.headers["vary"], "Accept-Encoding")
        self.assertTrue(answer.headers["etag"].startswith('W/"'))
        self.assertEqual(gzip.decompress(answer.body), TEXT)
        self.assertLess(len(answer.body), len(TEXT) / 10)
        again = {"Accept-Encoding": "gzip", "If-None-Match": answer.headers["etag"]}
        self.assertEqual(self.ask("/a.txt", again).status, 304)

    def test_no_gzip(self) -> None:
        (self.root / "short.txt").write_bytes(b"short")
        for path, headers in (
            ("/a.txt", {}),
            ("/a.txt", {"Accept-Encoding": "gzip;q=0"}),
            ("/a.txt", {"Accept-Encoding": "gzip", "Range": "bytes=0-"}),
            ("/noise.bin", {"Accept-Encoding": "gzip"}),
            ("/short.txt", {"Accept-Encoding": "gzip"}),
        ):
            answer = self.ask(path, headers)
            self.assertNotIn("content-encoding", answer.headers, path)
            self.assertEqual(answer.body, (self.root / path[1:]).read_bytes())

    def test_refusals_aren_t_encoded(self) -> None:
        answer = self.ask("/a.txt", {"Accept-Encoding": "gzip", "If-Match": '"x"'})
        self.assertEqual(answer.status, 412)
        self.assertNotIn("content-encoding", answer.headers)
        self.assertEqual(answer.headers["content-length"], "0")


class BoundsTests(SharedFilesCase):
    """What may not be read."""

    def test_outside(self) -> None:
        (self.root / "out").symlink_to(self.outside)
        (self.root / "sideways").symlink_to("../shared-not")
        (self.root / "up").symlink_to("..")
        for path in (
            "/../outside.txt",
            "/sub/../../outside.txt",
            "/%2e%2e/outside.txt",
            "/..%2foutside.txt",
            "/sub%2f..%2f..%2foutside.txt",
            "/out",
            "/sideways/outside.txt",
            "/up/outside.txt",
            "/up/",
            f"/{self.outside}",
            f"/%2f{self.outside}",
            "//etc/passwd",
            "/./a.txt",
            "/sub/../a.txt",
            "/a.txt%00.html",
            "/" + "a" * 300,
            "/sub//b",
            "/a.txt/",
            "/a.txt/b",
            "/nope",
        ):
            answer = self.ask(path)
            self.assertEqual((answer.status, answer.body), (404, b"404 Not Found\n"), path)

    @STEADY
    @given(
        st.lists(
            st.sampled_from(PARTS),
            max_size=8,
        )
    )
    def test_any_path(self, parts: list[bytes]) -> None:
        """Nothing beside the directory is ever sent, and nothing fails."""
        if not (self.root / "up").is_symlink():
            (self.root / "up").symlink_to("..")
            (self.root / "out").symlink_to(self.outside)
        answer = self.ask(b"/" + b"".join(parts))
        self.assertNotIn(SECRET, answer.body)
        self.assertNotIn(b"outside", answer.body)
        self.assertIn(answer.status, (200, 301, 400, 404))

    def test_links_inside(self) -> None:
        (self.root / "link").symlink_to("sub/b")
        (self.root / "linked").symlink_to(self.root / "sub")
        self.assertEqual(self.ask("/link").body, b"deeper")
        self.assertEqual(self.ask("/linked/b").body, b"deeper")

    def test_a_link_that_comes_while_we_look(self) -> None:
        """In place of the file, or of a directory on the way to it."""
        (self.root / "sub2" / "dir").mkdir(parents=True)
        (self.root / "sub2" / "dir" / "passwd").write_bytes(b"mine")
        hidden = self.outside.parent / "hidden"
        hidden.mkdir()
        (hidden / "passwd").write_bytes(b"secret")
        realpath = os.path.realpath

        def swap(where: Path, to: Path, path: bytes, **kwargs: bool) -> bytes:
            found = realpath(path, **kwargs)
            if path != os.fsencode(self.root) and not where.is_symlink():
                where.rename(where.with_name("old"))
                where.symlink_to(to)
            return found

        for where, to, url in (
            (self.root / "sub2" / "dir" / "passwd", hidden / "passwd", "/sub2/dir/passwd"),
            (self.root / "sub2" / "dir", hidden, "/sub2/dir/passwd"),
            (self.root / "sub2", hidden.parent, "/sub2/"),
        ):
            self.patch(os.path, "realpath", partial(swap, where, to))
            answer = self.ask(url)
            self.assertTrue(where.is_symlink())
            self.assertEqual((answer.status, answer.body), (404, b"404 Not Found\n"), url)
            self.patch(os.path, "realpath", realpath)
            where.unlink()
            where.with_name("old").rename(where)
            self.assertEqual(self.ask(url).status, 200)

    def test_the_root_is_a_link(self) -> None:
        """It may lead to another place tomorrow."""
        link = self.root.with_name("current")
        link.symlink_to(self.root)
        self.root = link
        self.assertEqual(self.ask("/sub/b").body, b"deeper")

    def test_a_link_out_is_told_once(self) -> None:
        """To who can do something about it."""
        (self.root / "out").symlink_to(self.outside)
        lines = LogLines(self)
        visitor = self.visitor()
        for _ in range(3):
            visitor.ask(b"GET /out HTTP/1.1\r\nHost: a\r\n\r\n")
        [line] = lines
        self.assertIn("/out leads out of ", line)

    def test_what_isn_t_a_file(self) -> None:
        """A FIFO would keep us waiting."""
        os.mkfifo(self.root / "fifo")
        (self.root / "null").symlink_to("/dev/null")
        (self.root / "loop").symlink_to("loop")
        for name in "fifo", "null", "loop":
            self.assertEqual(self.ask(f"/{name}").status, 404)
            self.assertNotIn(name, self.ask("/").body.decode())

    def test_no_permission(self) -> None:
        def refuse(*_: object, **__: object) -> int:
            raise PermissionError(13, "Permission denied", str(self.root))

        self.patch(os, "open", refuse)
        answer = self.ask("/a.txt")
        self.assertEqual((answer.status, answer.body), (403, b"403 Forbidden\n"))

    def test_no_descriptors(self) -> None:
        def fail(*_: object, **__: object) -> int:
            raise OSError(24, "Too many open files", str(self.root))

        self.patch(os, "open", fail)
        lines = LogLines(self)
        answer = self.ask("/a.txt")
        self.assertEqual((answer.status, answer.body), (503, b"503 Service Unavailable\n"))
        self.assertEqual(len(lines), 1)

    def test_no_root(self) -> None:
        self.root = self.root / "not mounted"
        for path in "/", "/a.txt":
            self.assertEqual(self.ask(path).status, 404)

    def test_becomes_shorter(self) -> None:
        """The user notices that the rest is missing."""
        visitor = self.visitor()
        visitor.end.pauseProducing()
        visitor.ask(b"GET /noise.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        os.truncate(self.root / "noise.bin", READ_BYTES + 1)
        visitor.end.resumeProducing()
        visitor.turn()
        self.assertIsNotNone(visitor.seen.lost)
        self.assertLess(len(visitor.take()), len(NOISE))
        self.assertEqual(len(self.flushLoggedErrors(EOFError)), 1)

    def test_becomes_longer(self) -> None:
        """What is sent is what was announced, so that the next response is understood."""
        visitor = self.visitor()
        visitor.end.pauseProducing()
        visitor.ask(b"GET /noise.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        with (self.root / "noise.bin").open("ab") as file:
            file.write(b"more")
        visitor.end.resumeProducing()
        visitor.turn()
        self.assertTrue(visitor.take().endswith(NOISE))
        self.assertIn(b"deeper", visitor.ask(b"GET /sub/b HTTP/1.1\r\nHost: a\r\n\r\n"))


class DirectoryTests(SharedFilesCase):
    def test_listing(self) -> None:
        answer = self.ask("/")
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
        for link in b'"./a.txt"', b'"./sub/"', b'"./noise.bin"':
            self.assertIn(link, answer.body)
        self.assertNotIn(b'"../"', answer.body)
        self.assertIn(b'"../"', self.ask("/sub/").body)

    def test_index(self) -> None:
        (self.root / "sub" / "index.html").write_bytes(b"welcome")
        self.assertEqual(self.ask("/sub/").body, b"welcome")

    def test_an_index_elsewhere(self) -> None:
        (self.root / "sub" / "index.html").symlink_to(self.outside)
        answer = self.ask("/sub/")
        self.assertIn(b'"./b"', answer.body)
        self.assertNotIn(b"index.html", answer.body)

    def test_slash(self) -> None:
        """Relative, so that it's right under any name and behind any proxy."""
        (self.root / "a:b").mkdir()
        (self.root / "sub" / "deep").mkdir()
        for path, location in (
            ("/sub", "./sub/"),
            ("/sub?a=b&c", "./sub/?a=b&c"),
            ("/sub/deep", "./deep/"),
            ("/a:b", "./a%3Ab/"),
        ):
            answer = self.ask(path)
            self.assertEqual((answer.status, answer.headers["location"]), (301, location))


class PrefixTests(SharedFilesCase):
    def setUp(self) -> None:
        super().setUp()
        self.options = {"prefix": "files/v1"}

    def test_below(self) -> None:
        self.assertEqual(self.ask("/files/v1/sub/b").body, b"deeper")
        self.assertIn(b'"./a.txt"', self.ask("/files/v1/").body)
        self.assertNotIn(b'"../"', self.ask("/files/v1/").body)
        self.assertEqual(self.ask("/files/v1/sub").headers["location"], "./sub/")

    def test_elsewhere(self) -> None:
        for path in "/", "/files", "/files/", "/files/v1x/a.txt", "/sub/b", "/files/v1/../v1/a.txt":
            self.assertEqual(self.ask(path).status, 404, path)

    def test_slash(self) -> None:
        answer = self.ask("/files/v1")
        self.assertEqual((answer.status, answer.headers["location"]), (301, "./v1/"))


class CredentialsTests(SharedFilesCase):
    def setUp(self) -> None:
        super().setUp()
        self.options = {"user": "alice", "password": "s3:cret"}

    def with_login(self, login: bytes) -> Answer:
        return self.ask("/sub/b", {"Authorization": f"Basic {b64encode(login).decode()}"})

    def test_right(self) -> None:
        self.assertEqual(self.with_login(b"alice:s3:cret").body, b"deeper")

    def test_wrong(self) -> None:
        answers = [self.with_login(login) for login in (b"alice:", b"alice", b":", b"a:s3:cret")]
        answers += [self.ask("/sub/b"), self.ask("/sub/b", {"Authorization": "Basic !"})]
        answers += [self.ask("/nope"), self.ask("/sub/b", method="PUT")]
        for answer in answers:
            self.assertEqual((answer.status, answer.body), (401, b"401 Unauthorized\n"))
            self.assertEqual(answer.headers["www-authenticate"], 'Basic realm="Restricted"')
