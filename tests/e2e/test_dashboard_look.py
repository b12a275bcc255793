# -*- test-case-name: tests.e2e.test_dashboard_look -*-
"""The dashboard's pages as they look, read aloud, and by keyboard: of a server that isn't there."""

import os
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.admin.schemas import wrong_with
from tests.e2e.pages import NARROW, Watched, in_browser, open_page, picture_folder
from tests.e2e.services import request
from tests.programs import ProgramTestCase, accepts_connections, free_port

VIEWS: Final = ("overview", "clients", "proxies", "connections", "events", "start")


class MockedTestCase(ProgramTestCase):
    """Has the page, and a feed that says what it is told to."""

    def start_mock(self, *options: str) -> str:
        port = free_port()
        command = (sys.executable, "-m", "tests.e2e.dashboardmock", str(port), *options)
        root = Path(__file__).parents[2]
        environ = {**os.environ, "PYTHONPATH": str(root)}
        program = self.run_program(command, name="mock", environ=environ)
        program.wait_until(lambda: accepts_connections(port), "the mock listens")
        return f"http://127.0.0.1:{port}/static/"

    @staticmethod
    def settle(watched: Watched) -> None:
        """Wait until the view that is shown has what it shows."""
        watched.page.wait_for_selector(".pulse.online")
        shown = watched.page.locator(
            "[role=tabpanel]:not([hidden]) :is(tbody tr[role], .code, .bar)"
        )
        shown.first.wait_for(state="attached")


class FeedTests(MockedTestCase):
    """Pages of a server that isn't there are worth something if it says what one would."""

    def test_as_described(self) -> None:
        port = urlsplit(self.start_mock()).port
        assert port
        for path in ("session", "traffic", "blocks", "events", "start"):
            answer = request(port, f"/api/admin/{path}").json()
            self.assertEqual(wrong_with(answer, "get", f"/api/admin/{path}"), [])


class FaultTests(MockedTestCase):
    """By axe-core, which looks at each element: there are few rows, one of each kind."""

    @in_browser
    def test_no_serious_fault(self) -> None:
        """Neither in any view nor in a dialog, dark or light, wide or narrow."""
        self.site = self.start_mock("--clients", "9", "--proxies", "9", "--connections", "4")
        for look in ({"color_scheme": "light"}, {"color_scheme": "dark", "viewport": NARROW}):
            with open_page(self.site, **look) as watched:
                for view in VIEWS:
                    watched.view(view)
                    self.settle(watched)
                    self.assertEqual(watched.faults(), [], f"{view} {look}")
                watched.view("clients")
                watched.page.locator(".actions button:visible").first.click()
                self.assertEqual(watched.faults(), [], f"dialog {look}")


class LookTests(MockedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = self.start_mock()

    @in_browser
    def test_what_fails_shows_the_page(self) -> None:
        """Else nobody knows what the browser saw on another machine."""
        with self.assertRaises(AssertionError) as raised, open_page(self.site) as watched:
            self.settle(watched)
            watched.page.evaluate("console.error('oh dear')")
            watched.until(lambda: watched.wrong, "the console's line")
            self.fail("as wanted")
        reason, said, place, *text = str(raised.exception).splitlines()
        self.assertEqual(reason, "as wanted")
        self.assertIn("oh dear", said)
        picture = Path(place.rpartition(", see ")[2].removesuffix(":"))
        self.assertGreater(picture.stat().st_size, 10_000)
        picture.unlink()
        self.assertIn("Overview", text)

    @in_browser
    def test_narrow_pages_do_not_scroll_sideways(self) -> None:
        for language in ("en-GB", "zh-CN"):
            with open_page(self.site, viewport=NARROW, locale=language) as watched:
                for view in VIEWS:
                    watched.view(view)
                    self.settle(watched)
                    self.assertFalse(watched.scrolls_sideways(), f"{view} {language}")

    @in_browser
    def test_chinese(self) -> None:
        with open_page(self.site, locale="zh-CN") as watched:
            self.settle(watched)
            self.assertEqual(watched.page.get_attribute("html", "lang"), "zh-CN")
            for view, title in zip(VIEWS, ("概览", "客户端", "代理", "连接", "事件"), strict=False):
                watched.view(view)
                title_shown = watched.page.inner_text("[role=tabpanel]:not([hidden]) h1")
                self.assertEqual(title_shown, title)
            self.assertEqual(watched.page.inner_text(".pulse"), "实时")

    @in_browser
    def test_by_keyboard(self) -> None:
        """From the first link to a row's action, and back there when the dialog is gone."""
        with open_page(self.site + "#/overview") as watched:
            self.settle(watched)
            press, focused = watched.page.keyboard.press, lambda: focus_of(watched.page)
            press("Tab")
            self.assertEqual(focused(), "Skip to the content")
            press("Tab")
            self.assertEqual(focused(), "tab-overview")
            for key, reached in (
                ("End", "start"),
                ("ArrowRight", "overview"),
                ("ArrowDown", "clients"),
            ):
                press(key)
                self.assertEqual(focused(), f"tab-{reached}")
            watched.page.wait_for_selector("#panel-clients:not([hidden])")
            self.settle(watched)
            for _ in range(40):
                press("Tab")
                if focused().startswith("Kick"):
                    break
            kick = focused()
            self.assertRegex(kick, "^Kick .")
            press("Enter")
            self.assertIn(f"{kick}?", watched.page.inner_text("dialog"))
            self.assertEqual(focused(), "Cancel", "the button that does nothing has the focus")
            press("Escape")
            watched.page.wait_for_selector("dialog", state="detached")
            self.assertEqual(focused(), kick)
            press("Enter")
            press("Tab")
            press("Enter")
            watched.page.wait_for_selector("text=was kicked.")
            self.assertNotEqual(focused(), "BODY", "the focus isn't lost with the button")

    @in_browser
    def test_sort_search_and_filter(self) -> None:
        with open_page(self.site + "#/proxies") as watched:
            page = watched.page
            self.settle(watched)
            heading = page.locator("thead th", has_text="Connections")
            heading.locator("button").click()
            self.assertEqual(heading.get_attribute("aria-sort"), "descending")
            numbers = [
                int(each) for each in page.locator("tbody td:nth-child(4)").all_inner_texts()
            ]
            self.assertEqual(numbers, sorted(numbers, reverse=True))
            self.assertGreater(numbers[0], 0)
            page.fill("#panel-proxies input[type=search]", "JUPYTER")
            shown = page.locator("#panel-proxies tbody th a")
            watched.until(lambda: shown.count() < 10, "fewer rows")
            names = shown.all_inner_texts()
            self.assertTrue(names and all("jupyter" in each for each in names), names)
            page.locator("#panel-proxies .chip", has_text="Disabled").click()
            page.wait_for_selector("#panel-proxies .empty:has-text('Nothing matches')")

    @in_browser
    def test_older_events(self) -> None:
        with open_page(self.site + "#/events") as watched:
            page = watched.page
            self.settle(watched)
            page.locator("#panel-events .chip", has_text="Refusals").click()
            watched.until(lambda: page.locator("#panel-events tbody th").count() == 2, "two rows")
            self.assertTrue(watched.row("token doesn't match").is_visible())

    @in_browser
    def test_what_clients_send_is_text(self) -> None:
        """Whatever a client calls itself, no markup comes of it, and no link but to a web site."""
        with open_page(self.site + "#/proxies") as watched:
            self.settle(watched)
            evil = "<img src=x onerror=alert(1)>"
            row = {
                "name": evil,
                "type": "http",
                "client": evil,
                "online": True,
                "disabled": False,
                "urls": ["javascript:alert(1)"],
                "connections": 0,
                "rate": {"in": 0, "out": 0},
                "today": {"in": 0, "out": 0},
                "total": {"in": 0, "out": 0},
                "started_at": 1,
            }
            watched.page.evaluate(
                """async (row) => {
                    const { Proxies } = await import("/static/server/proxies.js");
                    const state = { proxies: { known: true, all: [row], get: () => row } };
                    const view = new Proxies(state, () => {});
                    document.querySelector("main").replaceChildren(view.panel);
                    view.show();
                }""",
                row,
            )
            self.assertIn(evil, watched.page.inner_text("tbody th"))
            self.assertEqual(watched.page.locator("main img").count(), 0)
            self.assertEqual(watched.page.locator("main a[href^=javascript]").count(), 0)

    @in_browser
    def test_colours_as_chosen(self) -> None:
        with open_page(self.site, color_scheme="light") as watched:
            self.settle(watched)
            ground = "getComputedStyle(document.body).backgroundColor"
            light = watched.page.evaluate(ground)
            for _ in ("light", "dark"):
                watched.page.click("button[aria-label^=Colours]")
            self.assertNotEqual(watched.page.evaluate(ground), light)
            watched.page.reload()
            self.assertNotEqual(watched.page.evaluate(ground), light, "it is remembered")

    @in_browser
    def test_pictures(self) -> None:
        """Each view can be drawn; a folder of pictures is kept if one is asked for."""
        folder = picture_folder() or self.directory
        folder.mkdir(parents=True, exist_ok=True)
        shots: dict[str, tuple[str, dict[str, Any]]] = {
            "overview": ("overview", {}),
            "overview-dark": ("overview", {"color_scheme": "dark"}),
            "proxies": ("proxies", {"color_scheme": "dark"}),
            "connections": ("connections", {}),
            "start": ("start", {}),
            "clients-narrow": ("clients", {"viewport": NARROW}),
            "overview-chinese": ("overview", {"locale": "zh-CN"}),
        }
        for name, (view, options) in shots.items():
            # By a name, as people see it.
            site = self.site.replace("127.0.0.1", "tunnel.example")
            with open_page(f"{site}#/{view}", **options) as watched:
                self.settle(watched)
                picture = folder / f"dashboard-{name}.png"
                watched.page.screenshot(path=picture)
                self.assertGreater(picture.stat().st_size, 10_000)


def focus_of(page: Any) -> str:
    """Say what has the focus: its id, or what is read out."""
    return str(
        page.evaluate(
            """() => {
                const node = document.activeElement;
                if (node === document.body) return "BODY";
                return node.id || node.getAttribute("aria-label") || node.textContent;
            }"""
        )
    )
