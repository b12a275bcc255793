# -*- test-case-name: tests.admin.test_browsers -*-
"""Tests of `tunnelsvc.admin.browsers`: what those send whom we have met."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from tunnelsvc.admin.browsers import is_browser, is_navigation

PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"
METADATA = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FETCH = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


class BrowserTests(SynchronousTestCase):
    def check(self, headers: dict[str, str], *, browser: bool, navigates: bool) -> None:
        request: Any = DummyRequest([b""])
        for name, value in headers.items():
            request.requestHeaders.addRawHeader(name, value)
        self.assertEqual((is_browser(request), is_navigation(request)), (browser, navigates))

    def test_pages(self) -> None:
        self.check({"Accept": PAGE, **METADATA}, browser=True, navigates=True)
        self.check({"Accept": PAGE}, browser=True, navigates=True)  # http to another machine
        self.check({"Accept": "Text/HTML"}, browser=True, navigates=True)

    def test_what_pages_ask_for(self) -> None:
        self.check({"Accept": "*/*", **FETCH}, browser=True, navigates=False)
        self.check({"Accept": PAGE, **FETCH}, browser=True, navigates=False)
        for name in ("Referer", "Origin"):
            headers = {"Accept": "*/*", name: "http://192.0.2.1:7500/static/"}
            self.check(headers, browser=True, navigates=False)
        self.check({"Accept": "text/event-stream"}, browser=True, navigates=False)
        self.check({"X-CSRF-Token": "x"}, browser=True, navigates=False)
        self.check({"Accept": PAGE, "Sec-Fetch-Dest": "iframe"}, browser=True, navigates=False)

    def test_programs(self) -> None:
        for accept in ("*/*", "application/json", "text/plain", ""):
            self.check({"Accept": accept}, browser=False, navigates=False)
        self.check({}, browser=False, navigates=False)
