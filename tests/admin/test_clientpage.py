# -*- test-case-name: tests.admin.test_clientpage -*-
"""Tests of what the files of the client's page promise; what they do, browsers show (tests/e2e)."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import AdminTester
from tests.admin.pagefiles import check_files, scripts, text_of
from tunnelsvc.admin import clienthints
from tunnelsvc.admin.pages import INDEX, SHARED
from tunnelsvc.admin.web import HEADERS

LANGUAGES = ("en", "zh")
TEXT = r'"([\w.]+)": (".*?"|\{.*?\}),'
"""One text: its key, and what it says, for one or for many."""
KEY = r'"((?:%s)\.\w+)"'
MADE_KEY = r"`(\w+\.)\$\{"
"""A key of which the end is found out only when the page runs."""


def texts(folder: str) -> dict[str, dict[str, str]]:
    """Give the dictionaries of a ``texts.js``: language, key, text."""
    source = text_of(folder, "texts.js")
    parts = re.findall(r"^  (\w+): \{$(.+?)^  \},$", source, re.DOTALL | re.MULTILINE)
    return {language: dict(re.findall(TEXT, part)) for language, part in parts}


class SiteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tester = AdminTester("")

    def test_the_root_leads_to_the_page(self) -> None:
        answer = self.tester.ask("/")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, "static/"))
        page = self.tester.ask("/static/")
        self.assertEqual((page.status, page.body.decode()), (200, text_of("client", INDEX)))
        policy = HEADERS[b"Content-Security-Policy"].decode()
        self.assertEqual(page.headers["Content-Security-Policy"], policy)

    def test_files(self) -> None:
        for folder in (SHARED, "client"):
            check_files(self, self.tester.ask, folder)

    def test_the_servers_page_is_not_here(self) -> None:
        self.assertEqual(self.tester.ask("/static/server/app.js").status, 404)

    def test_only_to_be_read(self) -> None:
        self.assertEqual(self.tester.ask("/", "POST").status, 405)


class TextsTests(SynchronousTestCase):
    """The page speaks two languages."""

    def setUp(self) -> None:
        self.own = texts("client")
        self.known = set(self.own["en"]) | set(texts(SHARED)["en"])

    def test_both_have_all_texts(self) -> None:
        self.assertEqual(sorted(self.own), sorted(LANGUAGES))
        self.assertGreater(len(self.own["en"]), 100)
        self.assertEqual(set(self.own["en"]), set(self.own["zh"]))

    def test_both_fill_in_the_same(self) -> None:
        def names(text: str) -> set[str]:
            return set(re.findall(r"\{(\w+)\}", text))

        for key, text in self.own["en"].items():
            self.assertEqual(names(text), names(self.own["zh"][key]), key)

    def test_chinese_is_chinese(self) -> None:
        """But for names, and what is only filled in."""
        same = {
            key for key, text in self.own["zh"].items() if not re.search(r"[\u4e00-\u9fff]", text)
        }
        self.assertEqual(same, {"inspector.countOf", "body.viewJson"})

    def test_hints(self) -> None:
        """Each has a translation."""
        translated = re.findall(r"^  (\w+): \"", text_of("client", "hints.js"), re.MULTILINE)
        self.assertEqual(sorted(translated), sorted(set(clienthints.KEYS) - {""}))

    def test_what_is_used_is_there(self) -> None:
        pattern = KEY % "|".join({key.partition(".")[0] for key in self.known})
        for name, script in scripts("client").items():
            missing = set(re.findall(pattern, script)) - self.known
            files = {each for each in missing if each.endswith(".js")}
            self.assertEqual(missing - files, set(), name)

    def test_what_is_there_is_used(self) -> None:
        everything = "\n".join(
            text
            for folder in (SHARED, "client")
            for name, text in scripts(folder).items()
            if name != "texts.js"
        )
        made = tuple(re.findall(MADE_KEY, everything))
        unused = [
            key
            for key in self.own["en"]
            if f'"{key}"' not in everything and not key.startswith(made)
        ]
        self.assertEqual(unused, [])
