# -*- test-case-name: tests.client.plugins.test_listing -*-
"""Tests of `tunnelsvc.client.plugins.listing`."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client.plugins import listing
from tunnelsvc.client.plugins.listing import BATCH_ENTRIES, list_directory


class ListingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def page(self, *, parent: bool = False, hidden: bytes = b"") -> str:
        with os.scandir(os.fsencode(self.directory)) as entries:
            pieces = list_directory(
                entries, "/<a>/", parent=parent, shown=lambda entry: entry.name != hidden
            )
            return b"".join(pieces).decode()

    def test_files(self) -> None:
        for name, size in ("b", 0), ("a", 5000), ("c", 3 << 20):
            path = self.directory / name
            path.touch()
            os.truncate(path, size)
            os.utime(path, (1_000_000_000, 1_000_000_000))
        (self.directory / "d").mkdir()
        rows = [line for line in self.page().splitlines() if line.startswith("<tr>")]
        changed = "2001-09-09 01:46"
        self.assertEqual(
            rows[:3],
            [
                f'<tr><td><a href="./a">a</a></td><td>4.88 KiB</td><td>{changed}</td></tr>',
                f'<tr><td><a href="./b">b</a></td><td>0 B</td><td>{changed}</td></tr>',
                f'<tr><td><a href="./c">c</a></td><td>3 MiB</td><td>{changed}</td></tr>',
            ],
        )
        self.assertIn('<a href="./d/">d/</a></td><td></td>', rows[3])

    def test_names_are_only_names(self) -> None:
        for name in b"<script>", b'"&', b"a b", b"javascript:x", b"\xff", "ä".encode(), b"%2e":
            (self.directory / os.fsdecode(name)).touch()
        page = self.page()
        for link in (
            '<a href="./%3Cscript%3E">&lt;script&gt;</a>',
            '<a href="./%22%26">&quot;&amp;</a>',
            '<a href="./a%20b">a b</a>',
            '<a href="./javascript%3Ax">javascript:x</a>',
            '<a href="./%FF">\N{REPLACEMENT CHARACTER}</a>',
            '<a href="./%C3%A4">ä</a>',
            '<a href="./%252e">%2e</a>',
            "<title>Index of /&lt;a&gt;/</title>",
        ):
            self.assertIn(link, page)

    def test_parent(self) -> None:
        self.assertNotIn("../", self.page())
        self.assertIn('<a href="../">../</a>', self.page(parent=True))

    def test_what_isn_t_shown(self) -> None:
        for name in "seen", "hidden":
            (self.directory / name).touch()
        page = self.page(hidden=b"hidden")
        self.assertIn("seen", page)
        self.assertNotIn("hidden", page)

    def test_what_leads_nowhere(self) -> None:
        (self.directory / "link").symlink_to("nowhere")
        self.assertIn('<a href="./link">link</a></td><td></td><td></td>', self.page())

    def test_many(self) -> None:
        """A long directory takes many turns, and all of it is there."""
        number = 3 * BATCH_ENTRIES
        for index in range(number):
            (self.directory / f"{index:04}").touch()
        with os.scandir(os.fsencode(self.directory)) as entries:
            pieces = list(list_directory(entries, "/", parent=False, shown=lambda _: True))
        self.assertGreaterEqual(len(pieces), 2 * number / BATCH_ENTRIES)
        self.assertLessEqual(max(piece.count(b"<tr>") for piece in pieces), BATCH_ENTRIES)
        self.assertEqual(b"".join(pieces).count(b"<tr>"), number)

    def test_too_many(self) -> None:
        self.patch(listing, "MOST_ENTRIES", 3)
        for index in range(5):
            (self.directory / f"{index}").touch()
        page = self.page()
        self.assertEqual(page.count("<a "), 3)
        self.assertIn("There are more than 3 entries", page)
