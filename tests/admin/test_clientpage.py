# -*- test-case-name: tests.admin.test_clientpage -*-
"""Tests of `tunnelsvc.admin.clientpage`."""

from html.parser import HTMLParser

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import SSH, AdminTester
from tunnelsvc.admin.web import HEADERS
from tunnelsvc.client.status import START_ERROR, ProxyStatus


class Elements(HTMLParser):
    """What is in a page: elements with their attributes, and the text of cells."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tester = AdminTester("")

    def page(self) -> Elements:
        answer = self.tester.ask("/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        policy = HEADERS[b"Content-Security-Policy"].decode()
        self.assertEqual(answer.headers["Content-Security-Policy"], policy)
        return Elements(answer.body)

    def test_statuses(self) -> None:
        self.tester.client.statuses.append(
            ProxyStatus(evolve(SSH, name="x"), START_ERROR, "port already used")
        )
        page = self.page()
        for text in ("ssh", "running", "127.0.0.1:22", "vps:6000", "start error"):
            self.assertIn(text, page.texts)
        self.assertIn("port already used", page.texts)
        self.assertEqual([each.get("class") for tag, each in page.found if tag == "tr"][1:],
                         ["good", "bad"])  # fmt: skip

    def test_no_proxies(self) -> None:
        self.tester.client.statuses.clear()
        self.assertIn("No proxies.", self.page().texts)

    def test_what_others_choose_is_text(self) -> None:
        """Names are the file's, errors the server's."""
        self.tester.client.statuses = [
            ProxyStatus(evolve(SSH, name="<b>"), START_ERROR, "<script>alert(1)</script>")
        ]
        page = self.page()
        self.assertIn("<script>alert(1)</script>", page.texts)
        self.assertFalse({"script", "b"} & {tag for tag, _ in page.found})

    def test_nothing_that_the_policy_forbids(self) -> None:
        for tag, attributes in self.page().found:
            self.assertNotIn(tag, ("script", "style", "iframe"))
            self.assertFalse([name for name in attributes if name.startswith(("on", "style"))])

    def test_all_that_it_links_to_is_there(self) -> None:
        links = [attributes["href"] for tag, attributes in self.page().found if tag == "link"]
        self.assertEqual(len(links), 2)
        for link in links:
            answer = self.tester.ask(f"/{link}")
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.body)

    def test_bookmarks_of_frpc(self) -> None:
        answer = self.tester.ask("/static/")
        self.assertEqual((answer.status, answer.headers["Location"]), (301, ".."))
        self.assertEqual(self.tester.ask("/static/app.js").status, 404)

    def test_only_to_be_read(self) -> None:
        self.assertEqual(self.tester.ask("/", "POST").status, 405)
