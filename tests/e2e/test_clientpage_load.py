# -*- test-case-name: tests.e2e.test_clientpage_load -*-
"""The client's page with much to show and much that is wrong, from a client that isn't there."""

import json
from collections.abc import Callable
from typing import Any, Final

from tests.e2e.clientpagecontent import CONFIG, JSON_TYPE, RIGHT, WRONG, WRONG_LINE, fill
from tests.e2e.clientpagemock import MockSite, exchange, side
from tests.e2e.webpages import CONTRAST, PageMixin

# Requests in the list, and those that come while it is looked at.
FULL: Final = 500
MORE: Final = 60

# Milliseconds of the browser's scripts for one update.
MOST_SCRIPTING_MS: Final = 50

# Of the documentation's pictures.
PICTURE: Final = {"width": 1200, "height": 720}
PICTURES: Final = {"client-status", "client-config", "inspector-request", "inspector-replay"}

SIZES: Final = {"small": (360, 740), "tablet": (768, 1000), "wide": (1920, 1080)}


class MockTests(PageMixin):
    """With `tests.e2e.clientpagemock`."""

    def setUp(self) -> None:
        super().setUp()
        self.site = MockSite()
        self.url = self.site.url
        self.addCleanup(self.site.close)

    def fill(self, number: int) -> None:
        """Have so many requests made."""
        for at in range(1, number + 1):
            self.add(at)

    def add(self, at: int) -> None:
        """Have one made."""
        method, status = ("GET", "POST", "PUT")[at % 3], (200, 301, 404, 500)[at % 4]
        row = exchange(at, method, f"http://web.example:8080/shop/{at}?page={at}", status)
        request = side({"Host": "web.example:8080", "Authorization": "Bearer secret"})
        response = side(
            {"Content-Type": JSON_TYPE}, json.dumps({"at": at, "list": [1, {"deep": [None, True]}]})
        )
        self.site.add(row, {"request": request, "response": response})


class UpdateTests(MockTests):
    """What live updates cost while the list is full."""

    def test_scripting(self) -> None:
        """Hundreds of requests in the list, one of them shown, and more arriving."""
        self.fill(FULL)
        self.browse(self.watch_more)

    def watch_more(self, page: Any) -> None:
        page.goto(f"{self.url}#/inspector/{FULL}")
        page.wait_for_selector(f"#request-{FULL}.shown")
        page.wait_for_selector(".json")
        self.assertLess(page.locator("[role=option]").count(), 100)
        debugger = page.context.new_cdp_session(page)
        debugger.send("Performance.enable")

        def scripting() -> float:
            metrics = debugger.send("Performance.getMetrics")["metrics"]
            found = {each["name"]: each["value"] for each in metrics}
            return float(found["ScriptDuration"]) * 1000

        before = scripting()
        for at in range(FULL + 1, FULL + MORE + 1):
            self.add(at)
            # So that each is an update of its own.
            page.wait_for_timeout(20)
        page.wait_for_selector(f"#request-{FULL + MORE}")
        spent = (scripting() - before) / MORE
        page.wait_for_selector(f"[role=option][aria-setsize='{FULL}'] >> nth=0")
        self.assertLess(spent, MOST_SCRIPTING_MS)

    def test_reader_keeps_his_place(self) -> None:
        """Who has scrolled down goes on seeing what he reads."""
        self.fill(FULL)

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/inspector")
            page.wait_for_selector(f"#request-{FULL}")
            box = page.locator(".request-list")
            box.evaluate("list => { list.scrollTop = 4000 }")
            first = page.locator("#request-420")
            first.wait_for()
            before = first.bounding_box()
            self.add(FULL + 1)
            self.add(FULL + 2)
            page.wait_for_selector(f"#request-420[aria-posinset='{FULL + 3 - 420}']")
            self.assertAlmostEqual(first.bounding_box()["y"], before["y"], delta=1)

        self.browse(look)

    def test_keys(self) -> None:
        """The list is gone through, and marked, without a mouse."""
        self.fill(30)

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/inspector")
            page.locator("#request-30").wait_for()
            page.locator(".request-list").focus()
            for key in ("ArrowDown", "ArrowDown", "Space", "End", "Space"):
                page.keyboard.press(key)
            page.wait_for_selector("#request-1.shown[aria-selected=true]")
            active = page.locator(".request-list").get_attribute("aria-activedescendant")
            self.assertEqual(active, "request-1")
            page.get_by_role("button", name="Export 2 as HAR").press("Enter")
            page.wait_for_selector("dialog a.primary:focus")
            har = page.get_by_role("link", name="Mask secrets").get_attribute("href")
            self.assertTrue(har.endswith("requests.har?ids=29%2C1"), har)
            page.keyboard.press("Escape")
            page.locator(".request-list").press("Enter")
            page.wait_for_selector(".detail:focus")
            page.go_back()
            page.wait_for_selector(".detail .empty")

        self.browse(look)

    def test_filters(self) -> None:
        """By method, by class of status, and by text, also where only the client can look."""
        self.fill(24)

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/inspector")
            shown = page.locator(".inspector-tools .count")
            page.get_by_role("combobox", name="Method").select_option("POST")
            page.get_by_text("8 of 24").wait_for()
            page.get_by_role("combobox", name="Status").select_option("4xx")
            page.get_by_text("2 of 24").wait_for()
            page.get_by_role("combobox", name="Status").select_option("")
            page.get_by_role("combobox", name="Method").select_option("")
            page.get_by_role("searchbox").fill('"at\\": 17,')
            page.get_by_text("1 of 24").wait_for()
            self.assertEqual(page.locator("[role=option]").get_attribute("id"), "request-17")
            page.get_by_role("searchbox").fill("nothing has this in it")
            page.get_by_text("No request is like that.").wait_for()
            self.assertEqual(shown.inner_text(), "0 of 24")

        self.browse(look)


class AccessTests(MockTests):
    """Everybody can use the page."""

    def test_light(self) -> None:
        self.browse(self.look_everywhere, color_scheme="light", viewport=PICTURE)

    def test_dark(self) -> None:
        """What is another one in the dark are the colours."""
        self.browse(lambda page: self.look_everywhere(page, CONTRAST), color_scheme="dark")

    def setUp(self) -> None:
        super().setUp()
        self.order = fill(self.site)

    def look_everywhere(self, page: Any, *rules: str) -> None:
        for what, go in self.places().items():
            go(page)
            self.check_access(page, what, *rules)
            if not rules and what in PICTURES:
                self.picture(page, what)

    def places(self) -> dict[str, Callable[[Any], object]]:
        """Give ways to everything there is to see, by the names that pictures of it have."""
        return {
            "client-status": lambda page: self.go_to(page, "status", ".item"),
            "inspector-request": lambda page: self.go_to(page, f"inspector/{self.order}", ".json"),
            "inspector-edit": lambda page: page.get_by_role("button", name="Edit and").click(),
            "inspector-replay": lambda page: self.go_to(
                page, f"inspector/{self.order + 1}", ".compare-bodies"
            ),
            "inspector-bytes": lambda page: self.go_to(
                page, f"inspector/{self.order - 1}", ".body-dump"
            ),
            "client-problem": self.make_mistake,
            "client-config": self.review,
        }

    def go_to(self, page: Any, place: str, wanted: str) -> None:
        page.goto(f"{self.url}#/{place}")
        page.wait_for_selector(wanted)

    def make_mistake(self, page: Any) -> None:
        self.site.check["problems"] = [WRONG]
        self.go_to(page, "config", ".editor-line >> nth=9")
        page.locator(".editor-text").fill(CONFIG.replace("http", "htp", 1))
        page.wait_for_selector(f".editor-line.wrong:nth-child({WRONG_LINE})")

    def review(self, page: Any) -> None:
        self.site.check |= RIGHT
        page.locator(".editor-text").press("End")
        page.keyboard.type(".")
        page.get_by_role("button", name="Review and apply").click()
        page.wait_for_selector("dialog .diff-add")

    def test_narrow_and_wide(self) -> None:
        """Nothing is wider than the screen, in both languages."""

        def look(page: Any) -> None:
            for name, (width, height) in SIZES.items():
                page.set_viewport_size({"width": width, "height": height})
                for place, wanted in {
                    "status": ".item",
                    "inspector/none": "[role=option]",
                    f"inspector/{self.order}": ".json",
                    f"inspector/{self.order + 1}": ".compare-bodies",
                    f"inspector/{self.order - 1}": ".body-dump",
                    "config": ".editor-line >> nth=3",
                }.items():
                    self.go_to(page, place, wanted)
                    self.check_width(page, f"{place}, {name}")

        self.browse(look)
        self.browse(look, locale="zh-CN")

    def test_nothing_is_inspected(self) -> None:
        """The page says how to switch it on."""
        self.site.requests.clear()
        self.site.say(proxies=[])

        def look(page: Any) -> None:
            self.go_to(page, "inspector", ".intro")
            text = page.locator(".intro").inner_text()
            self.assertIn("inspect = true", text)
            self.assertIn("tunnelsvc http 8888", text)
            self.check_access(page, "intro")

        self.browse(look)


class TroubleTests(MockTests):
    """What a real client makes too rarely to wait for."""

    def test_tab_and_its_way_out(self) -> None:
        """Tab indents, but keeps nobody who has no mouse."""
        self.site.config["text"] = "[a]\n"

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/config")
            page.wait_for_selector(".editor-line >> nth=1")
            area = page.locator(".editor-text")
            area.press("Tab")
            area.press("x")
            self.assertIn("  x", area.input_value())
            area.press("Shift+Tab")
            self.assertNotIn("  x", area.input_value())
            area.press("Escape")
            area.press("Tab")
            self.assertFalse(area.evaluate("area => area === document.activeElement"))

        self.browse(look)

    def test_file_that_somebody_else_has_written(self) -> None:
        self.site.config["text"] = "[common]\n"
        self.site.check |= RIGHT

        def look(page: Any) -> None:
            page.goto(f"{self.url}#/config")
            page.wait_for_selector(".editor-line >> nth=1")
            page.locator(".editor-text").fill("[common]\nmine = 1\n")
            page.get_by_role("button", name="Review and apply").click()
            self.site.config |= {"etag": "2", "text": "[common]\ntheirs = 1\n"}
            page.get_by_role("button", name="Write and reload").click()
            page.get_by_role("heading", name="The file has changed meanwhile").wait_for()
            page.get_by_role("button", name="Overwrite with mine").click()
            page.get_by_text("The file is written").first.wait_for()
            self.assertEqual(self.site.config["text"], "[common]\nmine = 1\n")

        self.browse(look, forgiven="409 .*/config")
