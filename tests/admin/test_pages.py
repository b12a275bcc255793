# -*- test-case-name: tests.admin.test_pages -*-
"""Tests of `tunnelsvc.admin.pages`."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import Dashboard
from tunnelsvc.admin.pages import FILES


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
        self.assertEqual(self.dashboard.ask("/static/index.html").body, answer.body)

    def test_each_file_has_its_type(self) -> None:
        for name, content_type in FILES.items():
            answer = self.dashboard.ask(f"/static/{name}")
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, content_type))
            self.assertEqual(answer.headers["Content-Length"], str(len(answer.body)))

    def test_head_is_get_without_the_body(self) -> None:
        got, head = self.dashboard.ask("/static/"), self.dashboard.ask("/static/", "HEAD")
        self.assertEqual(head.body, b"")
        for name in ("Content-Length", "Content-Type", "ETag"):
            self.assertEqual(head.headers[name], got.headers[name])

    def test_what_the_browser_has_is_not_sent_again(self) -> None:
        etag = self.dashboard.ask("/static/app.js").headers["ETag"]
        answer = self.dashboard.ask(
            "/static/app.js", more=f"If-None-Match: {etag}\r\n".encode("ascii")
        )
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_nothing_else(self) -> None:
        for path in ("x", "app.js/", "app.js/x", "../auth.py", "..%2fauth.py", "%00", "index.htm"):
            self.assertEqual(self.dashboard.ask(f"/static/{path}").status, 404, path)

    def test_only_to_be_read(self) -> None:
        answer = self.dashboard.ask("/static/app.js", "POST")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))


class ContentTests(SynchronousTestCase):
    """The page keeps the promises that its policy makes the browser enforce."""

    def text(self, name: str) -> str:
        return Dashboard().ask(f"/static/{name}").body.decode()

    def test_no_inline_code_and_no_inline_style(self) -> None:
        page = self.text("index.html")
        self.assertEqual(re.findall(r"<script(?![^>]*\bsrc=)", page), [])
        self.assertEqual(re.findall(r"<style|\bstyle=|\bon\w+=|javascript:", page), [])

    def test_every_link_is_a_file_of_ours(self) -> None:
        links = re.findall(r'(?:src|href)="([^"#][^"]*)"', self.text("index.html"))
        self.assertEqual(sorted(links), sorted(set(FILES) - {"index.html"}))

    def test_no_other_host(self) -> None:
        for name in ("index.html", "app.js", "style.css"):
            self.assertEqual(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", self.text(name)), [], name)

    def test_nothing_from_the_network_becomes_markup(self) -> None:
        script = self.text("app.js")
        self.assertEqual(
            re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script), []
        )

    def test_both_languages_have_all_texts(self) -> None:
        script = self.text("app.js")
        texts = re.findall(r"^  (?:en|zh): \{(.+?)^  \}", script, re.DOTALL | re.MULTILINE)
        self.assertEqual(len(texts), 2)
        keys = [set(re.findall(r"\b(\w+): \"", part)) for part in texts]
        self.assertEqual(keys[0], keys[1])
        used = set(re.findall(r'data-text="(\w+)"', self.text("index.html")))
        self.assertGreater(len(used), 10)
        self.assertLessEqual(used, keys[0])
