# -*- test-case-name: tests.admin.test_pages -*-
"""Tests of `tunnelsvc.admin.pages`, and of what the files promise."""

import re
from importlib import resources

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import Dashboard
from tunnelsvc.admin.pages import INDEX, SHARED, TYPES, StoredFile, files_of

A_FILE = "/static/shared/dom.js"


def text_of(folder: str, name: str) -> str:
    return (resources.files("tunnelsvc.admin") / "static" / folder / name).read_text("utf-8")


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
        seen = set()
        for folder in (SHARED, "server"):
            for file in files_of(folder):
                if file.name == INDEX:
                    continue
                answer = self.dashboard.ask(f"/static/{folder}/{file.name}")
                suffix = "." + file.name.rpartition(".")[2]
                self.assertEqual(
                    (answer.status, answer.headers["Content-Type"]), (200, TYPES[suffix])
                )
                self.assertEqual(answer.body, file.read_bytes())
                seen.add(suffix)
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


class ContentTests(SynchronousTestCase):
    """The pages keep the promises that their policy makes the browser enforce."""

    def texts(self) -> dict[str, str]:
        """Give every file that any page consists of."""
        return {
            f"{folder}/{file.name}": file.read_text("utf-8")
            for folder in (SHARED, "server")
            for file in files_of(folder)
        }

    def test_no_inline_code_and_no_inline_style(self) -> None:
        page = text_of("server", INDEX)
        self.assertEqual(re.findall(r"<script(?![^>]*\bsrc=)", page), [])
        self.assertEqual(re.findall(r"<style|\bstyle=|\bon\w+=|javascript:", page), [])

    def test_every_link_is_a_file_of_ours(self) -> None:
        links = re.findall(r'(?:src|href)="([^"#][^"]*)"', text_of("server", INDEX))
        self.assertGreater(len(links), 2)
        self.assertLessEqual(set(links), set(self.texts()))

    def test_no_other_host(self) -> None:
        for name, text in self.texts().items():
            found = set(re.findall(r"(?:https?:)?//[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", text))
            # The name of SVG's elements, which nobody asks for.
            self.assertEqual(found - {"http://www.w3.org"}, set(), name)

    def test_nothing_from_the_network_becomes_markup(self) -> None:
        pattern = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        for name, text in self.texts().items():
            if name.endswith(".js"):
                self.assertEqual(re.findall(pattern, text), [], name)
