# -*- test-case-name: tests.e2e.test_dashboard -*-
"""The dashboard of a real server in a real browser, used as an administrator does."""

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.pages import UNREACHABLE, Watched, in_browser, open_page
from tests.e2e.services import connected, echo, echo_once, is_closed, request
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import Program, eventually, free_port

LOGIN: Options = {"dashboard_user": "admin", "dashboard_pwd": "secret"}
PIECE = b"x" * 16384
MORE_WINDOWS = 8
"""Than browsers have connections to a host with HTTP/1.1, which is 6."""


class DashboardTests(TunnelTestCase):
    """Each has a server, and a client with a TCP service and a web site."""

    def setUp(self) -> None:
        super().setUp()
        self.dashboard_port, self.remote_port = free_port(), free_port()
        self.site = f"http://127.0.0.1:{self.dashboard_port}/"
        self.server = self.start_dashboard()

    def start_dashboard(self) -> Program:
        options = {"dashboard_port": self.dashboard_port, "dashboard_addr": "127.0.0.1", **LOGIN}
        return self.start_server({**options, "subdomain_host": "tunnel.test"})

    def start_services(self, options: Options = NO_OPTIONS) -> None:
        service = self.local_service(echo)
        proxies = {
            "echo": tcp_proxy(service.port, self.remote_port),
            "site": http_proxy(self.local_site("site"), {"subdomain": "site"}),
        }
        self.start_client(proxies, {"client_id": "box", "login_fail_exit": False, **options})

    @contextmanager
    def dashboard(self, view: str = "overview") -> Iterator[Watched]:
        """Log in by the form, and show a view."""
        with open_page(self.site) as watched:
            watched.log_in()
            watched.page.wait_for_selector(".pulse.online")
            if view != "overview":
                watched.view(view)
            yield watched

    @in_browser
    def test_a_wrong_password(self) -> None:
        with open_page(self.site) as watched:
            watched.forgiven.append(re.compile(r" 403 "))
            watched.log_in(password="wrong")
            watched.page.wait_for_selector("#error:not(:empty)")
            watched.log_in()
            watched.page.wait_for_selector(".pulse.online")
            watched.page.click("button[aria-label='Log out']")
            watched.page.wait_for_selector("input[name=password]")
            watched.page.goto(self.site + "static/")
            watched.page.wait_for_selector("input[name=password]")

    @in_browser
    def test_the_first_minute(self) -> None:
        """Who has no client yet is told how to run one, and sees it come."""
        with self.dashboard() as watched:
            page = watched.page
            page.wait_for_selector("#panel-start:not([hidden])")
            text = page.inner_text("#panel-start")
            self.assertIn(f"tunnelsvc http 8888 --server 127.0.0.1:{self.bind_port}\n", text)
            self.assertIn(f"server_port = {self.bind_port}\n", text)
            self.assertIn(f"serverPort = {self.bind_port}\n", text)
            self.start_services()
            page.wait_for_selector("text=1 client is connected.")
            page.click("text=See the clients")
            watched.row("box").wait_for()
            self.assertIn("2 proxies", watched.row("box").inner_text())

    @in_browser
    def test_traffic_rises_while_a_transfer_runs(self) -> None:
        self.start_services()
        with self.dashboard() as watched:
            page = watched.page
            shown = "#panel-overview .stat:has-text('Traffic today') dd"
            before = page.inner_text(shown)
            curve = page.locator("#panel-overview .chart path.line.series-in")
            flat = curve.get_attribute("d")
            with self.transfer():
                watched.until(lambda: page.inner_text(shown) != before, "more traffic today")
                watched.until(lambda: curve.get_attribute("d") != flat, "a hill in the curve")
                label = "#panel-overview .chart >> nth=0"
                watched.until(
                    lambda: "now 0 B/s" not in (page.get_attribute(label, "aria-label") or ""),
                    "the curve's words",
                )
                watched.view("proxies")
                rate = re.compile(r"[KM]iB/s")
                watched.until(lambda: rate.search(watched.row("echo").inner_text()), "its rate")

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """Send through the tunnel, and take what comes back, until told to stop."""
        over = threading.Event()

        def send() -> None:
            with connected(self.remote_port) as user:
                while not over.wait(0.01):
                    echo_once(user, PIECE)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @in_browser
    def test_close_a_connection(self) -> None:
        self.start_services()
        with connected(self.remote_port) as user, self.dashboard("connections") as watched:
            self.assertTrue(echo_once(user))
            address = "{}:{}".format(*user.getsockname())
            row = watched.row(address)
            row.wait_for()
            row.locator("button").click()
            self.assertIn(f"{address} is cut off from echo", watched.page.inner_text("dialog"))
            self.assertTrue(echo_once(user), "nothing happens before one agrees")
            watched.agree("Close")
            eventually(lambda: is_closed(user), "the user's connection closed")
            row.wait_for(state="detached")
            watched.view("events")
            watched.row("Connection closed").first.wait_for()

    @in_browser
    def test_what_is_gone_by_then(self) -> None:
        """Who takes long to agree is told that it can't be done any more."""
        self.start_services()
        with self.dashboard("connections") as watched:
            watched.forgiven.append(re.compile(r" 404 "))
            with connected(self.remote_port) as user:
                self.assertTrue(echo_once(user))
                row = watched.row("{}:{}".format(*user.getsockname()))
                row.locator("button").click()
            row.wait_for(state="detached")
            watched.agree("Close")
            watched.page.wait_for_selector(".toast.bad:has-text('That failed: ')")

    @in_browser
    def test_kick_and_block_a_client(self) -> None:
        self.start_services()
        with connected(self.remote_port) as user, self.dashboard("clients") as watched:
            self.assertTrue(echo_once(user))
            row = watched.row("box")
            row.locator("button", has_text="Kick").click()
            self.assertIn("2 proxies", watched.page.inner_text("dialog"))
            watched.agree("Kick")
            eventually(lambda: is_closed(user), "its user's connection closed")
            watched.until(lambda: "Online" in row.inner_text() and self.reaches(), "it is back")
            row.locator("button", has_text="Block").click()
            watched.agree("Block")
            watched.until(lambda: "Blocked" in row.inner_text(), "it is blocked")
            self.assertFalse(self.reaches())
            watched.page.click(".blocks button")
            watched.agree("Allow")
            watched.until(lambda: "Online" in row.inner_text() and self.reaches(), "it is back")

    def reaches(self) -> bool:
        """Whether users reach the service."""
        try:
            with connected(self.remote_port) as user:
                return echo_once(user)
        except (OSError, AssertionError):
            return False

    @in_browser
    def test_disable_and_enable_a_proxy(self) -> None:
        self.start_services()
        with self.dashboard("proxies") as watched:
            row = watched.row("site")
            address = f"http://site.tunnel.test:{self.vhost_port}/"
            row.wait_for()
            self.assertEqual(row.locator("a[target=_blank]").get_attribute("href"), address)
            row.locator("button", has_text="Disable").click()
            watched.agree("Disable")
            watched.until(lambda: "Disabled" in row.inner_text(), "it is disabled")
            self.assertGreaterEqual(self.ask_site(), 400)
            row.locator("button", has_text="Enable").click()
            watched.agree("Enable")
            watched.until(lambda: "Online" in row.inner_text(), "it is enabled")
            self.assertEqual(self.ask_site(), 200)
            watched.row("echo").locator("a").first.click()
            watched.page.wait_for_selector("dialog .bar", state="attached")
            self.assertIn("Last start", watched.page.inner_text("dialog"))
            watched.page.keyboard.press("Escape")
            watched.page.wait_for_selector("dialog", state="detached")

    def ask_site(self) -> int:
        return request(self.vhost_port, "/", host="site.tunnel.test").status

    @in_browser
    def test_the_server_is_started_anew(self) -> None:
        """The page says that it is gone, and is as before when it's back: still logged in."""
        self.start_services()
        with self.dashboard("clients") as watched:
            page = watched.page
            watched.row("box").wait_for()
            watched.forgiven.append(UNREACHABLE)
            self.server.stop()
            page.wait_for_selector(".banner-text:has-text('hasn’t answered since')")
            watched.row("box").locator("button", has_text="Kick").click()
            watched.agree("Kick")
            unheard = page.locator(".toast.bad:has-text('That failed: ')")
            unheard.wait_for()
            page.click("button[aria-label='Log out']")
            watched.until(lambda: unheard.count() == 2, "that it isn't logged out")
            self.server = self.start_dashboard()
            page.wait_for_selector("text=The server is back.")
            self.assertTrue(page.is_hidden(".banner-text"))
            watched.until(lambda: "Online" in watched.row("box").inner_text(), "its client is back")
            # The token of the new server is known as well.
            watched.row("box").locator("button", has_text="Kick").click()
            watched.agree("Kick")
            page.wait_for_selector("text=was kicked")

    @in_browser
    def test_the_server_says_nothing_any_more(self) -> None:
        """A connection on which nothing comes is told from a server where nothing happens."""
        self.start_services()
        with self.dashboard("clients") as watched:
            os.kill(self.server.status.pid, signal.SIGSTOP)
            try:
                watched.page.wait_for_selector(".banner-text:has-text('hasn’t answered since')")
            finally:
                os.kill(self.server.status.pid, signal.SIGCONT)
            watched.page.wait_for_selector(".pulse.online")
            self.assertTrue(watched.page.is_hidden(".banner-text"))

    @in_browser
    def test_more_windows_than_a_browser_has_connections(self) -> None:
        self.start_services()
        with self.dashboard() as watched:
            pages = [watched.page]
            for _ in range(MORE_WINDOWS):
                page = watched.page.context.new_page()
                page.goto(self.site + "static/#/connections")
                page.wait_for_selector(".pulse.online")
                pages.append(page)
            pages.pop(1).close()
            with connected(self.remote_port) as user:
                self.assertTrue(echo_once(user))
                for page in pages:
                    page.wait_for_selector("#tab-connections .tab-badge:text-is('1')")
                row = pages[-1].locator("#panel-connections tbody tr", has_text="echo")
                row.locator("button").click()
                pages[-1].click("dialog button:has-text('Close')")
                eventually(lambda: is_closed(user), "the user's connection closed")
            for page in pages:
                page.wait_for_selector("#tab-connections .tab-badge:text-is('0')")
