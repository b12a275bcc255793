# -*- test-case-name: tests.admin.test_pages -*-
"""Tests of `tunnelsvc.admin.pages`, and of what the dashboard says."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.pagefiles import check_files, scripts, text_of
from tests.admin.support import Dashboard
from tunnelsvc.admin.pages import SHARED, TYPES, StoredFile, files_of
from tunnelsvc.metrics.events import GROUPS

A_FILE = "/static/shared/dom.js"


class StaticFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()

    def test_the_root_leads_to_the_page(self) -> None:
        answer = self.dashboard.ask("/")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "static/"))

    def test_without_the_slash(self) -> None:
        answer = self.dashboard.ask("/static")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "static/"))

    def test_the_page(self) -> None:
        answer = self.dashboard.ask("/static/")
        self.assertEqual(answer.status, 200)
        self.assertIn(b"<!DOCTYPE html>", answer.body)
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")

    def test_each_file_has_its_type(self) -> None:
        seen: set[str] = set()
        for folder in (SHARED, "server"):
            seen |= check_files(self, self.dashboard.ask, folder)
        self.assertEqual(seen, set(TYPES) - {".html"})

    def test_head_is_get_without_the_body(self) -> None:
        got, head = self.dashboard.ask("/static/"), self.dashboard.ask("/static/", "HEAD")
        self.assertEqual(head.body, b"")
        for name in ("Content-Length", "Content-Type", "ETag"):
            self.assertEqual(head.headers[name], got.headers[name])

    def test_what_the_browser_has_is_not_sent_again(self) -> None:
        first = self.dashboard.ask(A_FILE)
        self.assertEqual(first.headers["Cache-Control"], "no-cache")
        more = f"If-None-Match: {first.headers['ETag']}\r\n".encode("ascii")
        answer = self.dashboard.ask(A_FILE, more=more)
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_another_file_has_another_etag(self) -> None:
        etags = [StoredFile.read(file).etag for file in files_of(SHARED)]
        self.assertEqual(len(set(etags)), len(etags))

    def test_nothing_else(self) -> None:
        for path in (
            *("x", "index.html", "shared", "shared/", "shared/x", "shared/dom.js/", "server/"),
            *("server/index.html", "shared/dom.js/x", "shared/../../auth.py", "..%2fauth.py"),
            *("shared/..%2f..%2fauth.py", "%00", "shared/%00", "shared//dom.js", "//"),
        ):
            self.assertEqual(self.dashboard.ask(f"/static/{path}").status, 404, path)

    def test_the_other_sites_page_is_not_here(self) -> None:
        for path in ("client", "client/", "client/index.html", "client/app.js"):
            self.assertEqual(self.dashboard.ask(f"/static/{path}").status, 404, path)

    def test_only_to_be_read(self) -> None:
        answer = self.dashboard.ask(A_FILE, "POST")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))


class TextTests(SynchronousTestCase):
    """All that the pages say is there in both languages."""

    LINE = re.compile(r'^    "([\w.]+)": (.+),$', re.MULTILINE)
    PLACEHOLDER = re.compile(r"\{(\w+)\}")
    # Keys with a part that the code fills in, and what that can be.
    FILLED = re.compile(r"\bt\(`([^`]*)`")

    def languages(self, folder: str) -> dict[str, dict[str, str]]:
        """Give the texts of a folder by language and key."""
        found = re.findall(
            r"^  (en|zh): \{\n(.+?)^  \},", text_of(folder, "texts.js"), re.DOTALL | re.MULTILINE
        )
        self.assertEqual([name for name, _ in found], ["en", "zh"])
        return {name: dict(self.LINE.findall(part)) for name, part in found}

    def test_each_line_is_a_text(self) -> None:
        """The tests below see all there are."""
        for folder in (SHARED, "server"):
            lines = re.findall(r"^    \S.*$", text_of(folder, "texts.js"), re.MULTILINE)
            count = sum(len(each) for each in self.languages(folder).values())
            self.assertEqual(len(lines), count)
            self.assertGreater(count, 60)

    def test_no_key_is_there_twice(self) -> None:
        for folder in (SHARED, "server"):
            keys = self.LINE.findall(text_of(folder, "texts.js"))
            self.assertEqual(len(keys), sum(map(len, self.languages(folder).values())))

    def test_both_languages_say_the_same(self) -> None:
        for folder in (SHARED, "server"):
            texts = self.languages(folder)
            self.assertEqual(set(texts["en"]), set(texts["zh"]))
            for key, english in texts["en"].items():
                names = set(self.PLACEHOLDER.findall(english))
                self.assertEqual(names, set(self.PLACEHOLDER.findall(texts["zh"][key])), key)

    def test_what_is_said_is_there(self) -> None:
        for folder in (SHARED, "server"):
            known = {key for each in {SHARED, folder} for key in self.languages(each)["en"]}
            for name, script in scripts(folder).items():
                used = set(re.findall(r'\bt\("([^"]+)"', script))
                self.assertEqual(used - known, set(), name)
                for pattern in self.FILLED.findall(script):
                    shape = re.compile(re.sub(r"\\\$\\\{.+?\\\}", r"\\w+", re.escape(pattern)))
                    self.assertTrue(any(map(shape.fullmatch, known)), f"{name}: {pattern}")

    def test_all_is_said(self) -> None:
        """No text is left that nothing says."""
        everything = "".join(
            text
            for folder in (SHARED, "server")
            for name, text in scripts(folder).items()
            if name != "texts.js"
        )
        shapes = [
            re.compile(re.sub(r"\\\$\\\{.+?\\\}", r"\\w+", re.escape(pattern)))
            for pattern in re.findall(r"`([\w.]*\$\{[^`]+\}[\w.]*)`", everything)
        ]
        unused = [
            key
            for folder in (SHARED, "server")
            for key in self.languages(folder)["en"]
            if f'"{key}"' not in everything
            and not any(shape.fullmatch(key) for shape in shapes)
            and not key.startswith("overview.port.")
        ]
        self.assertEqual(unused, [])

    def test_every_event_has_words(self) -> None:
        kinds = {f"event.{kind}" for kinds in GROUPS.values() for kind in kinds}
        texts = set(self.languages("server")["en"])
        self.assertEqual({key for key in texts if key.startswith("event.")}, kinds)
        groups = {f"group.{group}" for group in GROUPS}
        self.assertEqual({key for key in texts if key.startswith("group.")}, groups)
