# -*- test-case-name: tests.admin.test_loginpage -*-
"""Tests of `tunnelsvc.admin.loginpage`."""

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import Answer, Dashboard, Visitor
from tunnelsvc.admin.loginpage import TEXTS, language_of


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.visitor = Visitor(Dashboard().site)

    def page(self, path: str = "/login", **headers: Any) -> Answer:
        return self.visitor.ask(path, Accept="text/html", **headers)

    def test_every_link_leads_somewhere_from_wherever_it_is_shown(self) -> None:
        for path in ("/login", "/api/", "/api/a/b/c", "/api/x?y=/z/"):
            text = self.page(path).body.decode()
            self.assertIn("</html>", text)
            for url in re.findall(r'(?:href|src)="([^"]+)"', text):
                answer = self.visitor.ask(urljoin(f"http://x{path}", url).removeprefix("http://x"))
                self.assertEqual(answer.status, 200, (path, url))
            action = re.findall(r'action="([^"]+)"', text)[0]
            self.assertEqual(urljoin(f"http://x{path}", action), "http://x/login")
            # Behind a prefix, too.
            self.assertEqual(urljoin(f"http://x/p{path}", action), "http://x/p/login")

    def test_nothing_inline(self) -> None:
        """The policy forbids it."""
        text = self.page().body.decode()
        self.assertIsNone(re.search(r"<style|\sstyle=|\son\w+=|javascript:", text))
        self.assertEqual(re.findall(r"<script[^>]*>(.*?)</script>", text), [""])

    def test_each_field_has_a_label(self) -> None:
        text = self.page().body.decode()
        fields = re.findall(r'<input id="(\w+)"', text)
        self.assertEqual(fields, ["user", "password"])
        self.assertEqual(re.findall(r'<label for="(\w+)"', text), fields)

    def test_languages(self) -> None:
        for accepted, language in (("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de,en-GB;q=0.7", "en")):
            text = unescape(self.page(Accept_Language=accepted).body.decode())
            self.assertIn(f'<html lang="{language}">', text)
            for name in ("title", "user", "password"):
                self.assertIn(f">{TEXTS[language][name]}<", text)
            self.assertIn('role="alert"></p>', text)

    def test_all_languages_say_the_same(self) -> None:
        self.assertEqual({frozenset(texts) for texts in TEXTS.values()}, {frozenset(TEXTS["en"])})

    def test_files(self) -> None:
        for name, content_type in {
            "login.css": "text/css; charset=utf-8",
            "login.js": "text/javascript; charset=utf-8",
            "icon.svg": "image/svg+xml",
        }.items():
            answer = self.visitor.ask(f"/static/login/{name}")
            self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, content_type))
            self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        for name in ("", "index.html", "../index.html", "%2e%2e/app.js", "login.css/", "x"):
            self.assertEqual(self.visitor.ask(f"/static/login/{name}").status, 404, name)
        self.assertEqual(self.visitor.ask("/static/login").status, 404)


class LanguageTests(SynchronousTestCase):
    def test_by_weight(self) -> None:
        for accepted, language in {
            b"": "en", b"zh": "zh", b"zh-Hant-TW": "zh", b"en,zh": "en", b"zh, en": "zh",
            b"en;q=0.5, zh;q=0.8": "zh", b"zh;q=0": "en", b"fr": "en", b"*": "en", b"ZH": "zh",
            b"zh;q=x, en": "en", b"zh;level=1": "en", b"zh;q=.": "en",
        }.items():  # fmt: skip
            self.assertEqual(language_of(accepted), language, accepted)

    @settings(derandomize=True, deadline=None)
    @given(st.one_of(st.binary(), st.text("enzh-q=.,;01 *", max_size=80).map(str.encode)))
    def test_any(self, accepted: bytes) -> None:
        self.assertIn(language_of(accepted), TEXTS)
