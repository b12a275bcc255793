# -*- test-case-name: tests.admin.test_origin -*-
"""Tests of `tunnelsvc.admin.origin`: what pages in a browser can't have done."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import HOST, OPEN, SECURED, AdminTester
from tests.admin.support import RIGHT


class HostTests(SynchronousTestCase):
    """Which host may be asked for."""

    def test_addresses_and_localhost(self) -> None:
        tester = AdminTester("")
        for host in (
            "127.0.0.1", HOST, "localhost", "LOCALHOST:7400", "[::1]:7400", "192.0.2.7",
        ):  # fmt: skip
            self.assertEqual(tester.ask("/api/status", host=host).status, 200, host)

    def test_names(self) -> None:
        """Whoever owns one can make it lead here."""
        tester = AdminTester("")
        for host in (
            "evil.example", "evil.example:7400", "127.0.0.1.evil.example", "localhost.evil.example",
            "evil.localhost.example", "[::1", "127.0.0.1@evil.example", "127.1.evil", "x",
        ):  # fmt: skip
            for path in ("/api/status", "/", "/api/config", "/static/client.css"):
                answer = tester.ask(path, host=host)
                self.assertEqual((answer.status, answer.json["Code"]), (403, 403), host)
        self.assertIn("admin_pwd", answer.json["Msg"])

    def test_the_one_of_the_file(self) -> None:
        tester = AdminTester("", evolve(OPEN, addr="Box.example"))
        self.assertEqual(tester.ask("/api/status", host="box.example:7400").status, 200)

    def test_with_a_password(self) -> None:
        """The browser has it for one name only."""
        tester = AdminTester("", SECURED)
        answer = tester.ask("/api/status", host="admin.example", Authorization=RIGHT.decode())
        self.assertEqual(answer.status, 200)

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
    def test_any(self, host: str) -> None:
        """Whatever is sent for one is refused or known, never an error of ours."""
        self.assertIn(AdminTester("").ask("/api/status", host=host).status, (200, 400, 403))
        self.assertEqual(self.flushLoggedErrors(), [])


class PageTests(SynchronousTestCase):
    """Which pages may ask."""

    def setUp(self) -> None:
        self.tester = AdminTester("")

    def test_foreign_origins(self) -> None:
        for origin in (
            "https://evil.example", "null", "", "http://127.0.0.1:8000", "http://localhost:7400",
            "http://127.0.0.1:7400.evil.example", "127.0.0.1:7400", "ftp://127.0.0.1:7400",
        ):  # fmt: skip
            for method, path in ("GET", "reload"), ("POST", "stop"), ("PUT", "config"):
                answer = self.tester.ask(f"/api/{path}", method, Origin=origin)
                self.assertEqual(answer.status, 403, origin)
        self.assertEqual((self.tester.client.strict, self.tester.client.stops), ([], 0))

    def test_own_origin(self) -> None:
        answer = self.tester.ask("/api/reload", Origin=f"http://{HOST}")
        self.assertEqual(answer.status, 200)

    def test_fetch_metadata(self) -> None:
        for site, status in {
            "cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200,
        }.items():  # fmt: skip
            answer = self.tester.ask("/api/reload", Sec_Fetch_Site=site)
            self.assertEqual(answer.status, status, site)

    def test_behind_a_proxy(self) -> None:
        """The browser knows better than we do which host it has asked for."""
        answer = self.tester.ask(
            "/api/reload", Sec_Fetch_Site="same-origin", Origin="https://admin.example"
        )
        self.assertEqual(answer.status, 200)

    def test_with_a_password(self) -> None:
        """Browsers send it along."""
        self.tester = AdminTester("", SECURED)
        answer = self.tester.ask(
            "/api/stop", "POST", Authorization=RIGHT.decode(), Origin="https://evil.example"
        )
        self.assertEqual(answer.status, 403)

    def test_a_link_to_the_page(self) -> None:
        for path, status in (("/", 301), ("/static/", 200)):
            self.assertEqual(self.tester.ask(path, Sec_Fetch_Site="cross-site").status, status)
