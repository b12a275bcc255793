# -*- test-case-name: tests.e2e.test_dashboard_load -*-
"""The dashboard of 500 proxies and 2,000 connections, all of which change all the time."""

from statistics import median
from typing import Final

from tests.e2e.pages import Watched, in_browser, open_page
from tests.e2e.test_dashboard_look import MockedTestCase

UPDATES: Final = 20
MOST_MILLISECONDS: Final = 50
"""Of scripts for an update. The median: on a machine that has other work some take longer."""
MOST_ROWS: Final = 80
"""Of a long table in the page at a time."""


class LoadTests(MockedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = self.start_mock(
            *("--clients", "60", "--proxies", "500", "--connections", "2000", "--seconds", "0.2")
        )

    def costs(self, watched: Watched, view: str) -> list[float]:
        """Measure what updates of a view cost, by the marks around each."""
        watched.page.evaluate(
            """() => {
                window.costs = [];
                new PerformanceObserver((list) => {
                    const found = list.getEntries().map((each) => [each.name, each.duration]);
                    window.costs.push(...found);
                }).observe({ type: "measure" });
            }"""
        )

        costs: list[float] = []

        def enough() -> bool:
            found = watched.page.evaluate("window.costs")
            costs[:] = [cost for name, cost in found if name == f"live:{view}"]
            return len(costs) >= UPDATES

        watched.until(enough, f"{UPDATES} updates")
        return costs

    @in_browser
    def test_updates_are_cheap(self) -> None:
        for view in ("connections", "proxies"):
            with open_page(f"{self.site}#/{view}") as watched:
                self.settle(watched)
                costs = self.costs(watched, view)
                self.assertLess(median(costs), MOST_MILLISECONDS, f"{view}: {costs}")
                rows = watched.page.locator("tbody:not(.spacer) tr").count()
                self.assertLess(rows, MOST_ROWS, "what nobody sees isn't in the page")

    @in_browser
    def test_all_rows_are_reached(self) -> None:
        """The page is as long as its rows, and shows those where it is."""
        with open_page(f"{self.site}#/connections") as watched:
            page = watched.page
            self.settle(watched)
            last = page.locator("#panel-connections tr[aria-rowindex]").last

            def seen() -> int:
                return int(last.get_attribute("aria-rowindex") or 0)

            watched.until(lambda: page.evaluate("document.body.scrollHeight") > 2000 * 40, "length")
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            watched.until(lambda: seen() > 1990, "the last row")
            self.assertTrue(last.is_visible())
            page.evaluate("window.scrollTo(0, 0)")
            watched.until(lambda: seen() < 100, "the first rows")
