# -*- test-case-name: tests.admin.test_web -*-
"""Tests of `tunnelsvc.admin.web`: what holds for every answer."""

from email.message import Message

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests.admin.support import Conversation, Dashboard
from tunnelsvc.admin.channel import DashboardSite
from tunnelsvc.admin.web import HEADERS, OPENER


class HeaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()

    def check(self, headers: Message, cache: str = "no-store") -> None:
        wanted = {name.decode(): value.decode() for name, value in HEADERS.items()}
        wanted["Cache-Control"] = cache
        wanted[OPENER[0].decode()] = OPENER[1].decode()
        for name, value in wanted.items():
            self.assertEqual(headers.get_all(name), [value], name)

    def test_on_every_answer(self) -> None:
        for method, path, status in [
            ("GET", "/api/serverinfo", 200),
            ("HEAD", "/api/serverinfo", 200),
            ("GET", "/api/nothing", 404),
            ("POST", "/api/serverinfo", 405),
            ("GET", "/nothing", 404),
            ("GET", "/static/nothing", 404),
            ("GET", "/healthz", 200),
            ("PUT", "/healthz", 405),
            ("GET", "/metrics", 200),
            ("GET", "/", 301),
            ("BREW", "/", 405),
            ("OPTIONS", "*", 200),
        ]:
            answer = self.dashboard.ask(path, method)
            self.assertEqual(answer.status, status, f"{method} {path}")
            self.check(answer.headers)

    def test_one_that_browsers_heed_on_secure_sites_only(self) -> None:
        for host, more, there in (
            ("dashboard.example:7500", b"", False),
            ("192.0.2.1", b"", False),
            ("dashboard.example", b"X-Forwarded-Proto: https\r\n", True),
            ("localhost", b"", True),
            ("[::1]:7500", b"", True),
            ("[::1", b"", False),
        ):
            headers = self.dashboard.ask("/", more=more, host=host).headers
            self.assertEqual(OPENER[0].decode() in headers, there, host)

    def test_on_a_refusal(self) -> None:
        self.check(self.dashboard.ask("/", authorization=None).headers)

    def test_on_files(self) -> None:
        for path in ("/static/", "/static/shared/dom.js"):
            self.check(self.dashboard.ask(path).headers, cache="no-cache")

    def test_on_a_failure_of_ours(self) -> None:
        class Broken(Resource):
            isLeaf = True

            def render(self, request: Request) -> bytes:
                raise ZeroDivisionError

        connection = Conversation(DashboardSite(Broken(), self.dashboard.clock))
        connection.send("GET", "/")
        answer = connection.answer()
        self.assertEqual(answer.status, 500)
        self.check(answer.headers)
        self.assertNotIn(b"ZeroDivision", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_policy_permits_no_inline_code_and_no_other_host(self) -> None:
        policy = HEADERS[b"Content-Security-Policy"].decode()
        self.assertTrue(policy.startswith("default-src 'none'"))
        self.assertNotIn("unsafe", policy)
        self.assertNotIn("http", policy)

    def test_no_word_about_the_library(self) -> None:
        self.assertEqual(self.dashboard.ask("/api/serverinfo").headers["Server"], "tunnelsvc")


class BodyTests(SynchronousTestCase):
    def test_a_body_is_read_past_and_not_kept(self) -> None:
        dashboard = Dashboard()
        connection = dashboard.connect()
        connection.send("GET", "/healthz", None, b"Content-Length: 1000000\r\n")
        for _ in range(10):
            self.assertFalse(connection.answered())
            connection.channel.dataReceived(b"x" * 100_000)
        self.assertEqual(connection.answer().status, 200)

    def test_nothing_of_it_reaches_the_request(self) -> None:
        kept: list[bytes] = []

        class Reader(Resource):
            isLeaf = True

            def render(self, request: Request) -> bytes:
                assert request.content is not None
                kept.append(request.content.read())
                return b""

        connection = Conversation(DashboardSite(Reader(), Dashboard().clock))
        connection.send("POST", "/", None, b"Transfer-Encoding: chunked\r\n")
        connection.channel.dataReceived(b"5\r\nhello\r\n0\r\n\r\n")
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(kept, [b""])

    def test_two_requests_on_a_connection(self) -> None:
        connection = Dashboard().connect()
        for _ in range(2):
            connection.send("GET", "/api/serverinfo")
            self.assertEqual(connection.answer().status, 200)

    def test_requests_leave_no_lines_in_the_log(self) -> None:
        dashboard = Dashboard()
        dashboard.site.startFactory()
        self.addCleanup(dashboard.site.stopFactory)
        written: list[object] = []
        self.patch(dashboard.site.logFile, "write", written.append)
        dashboard.ask("/healthz")
        self.assertEqual(written, [])
