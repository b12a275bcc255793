# -*- test-case-name: tests.e2e.test_login -*-
"""People log in to both sites in a real browser."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.e2e.browser import log_in, opened
from tests.e2e.secure import Trust
from tests.e2e.services import request
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import Program, free_port
from tunnelsvc.admin.loginpage import TEXTS

NAME: Final = "dashboard.test"
LOGIN: Final[Options] = {"dashboard_user": "admin", "dashboard_pwd": "secret"}
SMALL: Final = {"width": 360, "height": 640}
FORM: Final = "#password"


class LoginTestCase(TunnelTestCase):
    """Has a dashboard, by a name that browsers don't hold for this machine's."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()

    def start(self, options: Options = NO_OPTIONS) -> Program:
        return self.start_server({"dashboard_port": self.port, **LOGIN, **options})

    @contextmanager
    def page(self, *flags: str, **options: Any) -> Iterator[Any]:
        """Open a page, in a window of its own; none of its scripts and policies may fail."""
        rule = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
        with opened(rule, *flags) as first:
            page = first.context.browser.new_context(**options).new_page()
            failed: list[str] = []
            page.on("pageerror", lambda error: failed.append(str(error)))
            page.on(
                "console",
                lambda said: failed.append(said.text) if "Policy" in said.text else None,
            )
            page.on("dialog", lambda dialog: failed.append("a window"))
            yield page
            self.assertEqual(failed, [])

    def is_in(self, page: Any, path: str = "/") -> bool:
        """Go to the site anew; tell whether it shows itself rather than the form."""
        page.goto(f"{self.site}{path}")
        return not page.query_selector(FORM)

    @property
    def site(self) -> str:
        return f"http://{NAME}:{self.port}"


class DashboardTests(LoginTestCase):
    """The server's."""

    def test_wrong_and_right(self) -> None:
        """What is wrong is said, by the page's script; then it is right, and stays so."""
        server = self.start()
        with self.page(viewport=SMALL, locale="zh-CN", color_scheme="dark") as page:
            page.goto(f"{self.site}/static/#/clients")
            self.assertEqual(page.evaluate("document.activeElement.id"), "user")
            width = page.evaluate("document.documentElement.scrollWidth")
            self.assertLessEqual(width, SMALL["width"])
            page.keyboard.type("admin")
            page.keyboard.press("Tab")
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
            page.get_by_role("alert").get_by_text(TEXTS["zh"]["wrong"]).wait_for()
            self.assertEqual(page.evaluate("document.activeElement.id"), "password")
            page.keyboard.type("secret")  # over what is selected
            page.keyboard.press("Enter")
            page.wait_for_selector(FORM, state="detached")
            self.assertTrue(page.url.endswith("/static/#/clients"), page.url)
            (cookie,) = page.context.cookies()
            self.assertEqual(cookie["name"], f"tunnelsvc_server_{self.port}")
            self.assertEqual((cookie["httpOnly"], cookie["sameSite"]), (True, "Strict"))
            self.assertEqual(page.evaluate("document.cookie"), "")
            server.stop()
            self.start()
            self.assertTrue(self.is_in(page))

    def test_a_link_from_elsewhere(self) -> None:
        """The browser keeps the cookie back there; who is in gets on nevertheless."""
        self.start()
        elsewhere = self.local_site("elsewhere")
        with self.page() as page:
            log_in(page, self.site, "admin", "secret")
            for path in ("/static/", "/login", "/static/#/events"):
                page.goto(f"http://127.0.0.1:{elsewhere}/")
                page.evaluate(
                    """url => {
                      const link = document.createElement("a");
                      link.href = url;
                      document.body.append(link);
                      link.click();
                    }""",
                    f"{self.site}{path}",
                )
                page.wait_for_url(f"{self.site}/static/**")
                page.wait_for_selector(FORM, state="detached")
                page.evaluate("sessionStorage.clear()")

    def test_without_scripts(self) -> None:
        self.start()
        with self.page(java_script_enabled=False, locale="en-GB") as page:
            page.goto(self.site)
            page.fill("#user", "admin")
            page.fill(FORM, "wrong")
            page.click("button")
            page.get_by_text(TEXTS["en"]["wrong"]).wait_for()
            log_in(page, self.site, "admin", "secret")
            self.assertEqual(page.url, f"{self.site}/static/")

    def test_another_password(self) -> None:
        """When the file is read again nobody is in any more."""
        server = self.start()
        with self.page() as page:
            log_in(page, self.site, "admin", "secret")
            self.assertTrue(self.is_in(page))
            common = {"dashboard_port": self.port, **LOGIN, "dashboard_pwd": "other"}
            self.write_config("frps.ini", self.server_sections(common))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("dashboard_pwd has changed")
            page.wait_for_selector(FORM)  # it goes there by itself, which we mustn't disturb
            self.assertFalse(self.is_in(page))
            log_in(page, self.site, "admin", "other")
            self.assertTrue(self.is_in(page))

    def test_several_windows(self) -> None:
        """Who logs out in one is out in all, and who logs in again is in in all, where he was."""
        self.start()
        with self.page() as page:
            log_in(page, self.site, "admin", "secret")
            other = page.context.new_page()
            other.goto(f"{self.site}/static/#/events")
            other.wait_for_selector("#panel-events:not([hidden])")
            page.click("button[aria-label='Log out']")
            page.wait_for_selector(FORM)
            other.wait_for_selector(FORM)
            log_in(page, self.site, "admin", "secret")
            other.wait_for_selector("#panel-events:not([hidden])")
            self.assertTrue(other.url.endswith("/static/#/events"), other.url)

    def test_tls(self) -> None:
        trust = Trust(self.directory)
        files = trust.issue("site", NAME)
        self.start({
            "dashboard_tls_mode": True,
            "dashboard_tls_cert_file": files.cert,
            "dashboard_tls_key_file": files.key,
        })  # fmt: skip
        flag = f"--ignore-certificate-errors-spki-list={trust.fingerprint}"
        with self.page(flag) as page:
            site = f"https://{NAME}:{self.port}/"
            log_in(page, site, "admin", "secret")
            (cookie,) = page.context.cookies()
            self.assertEqual(cookie["name"], f"__Host-tunnelsvc_server_{self.port}")
            self.assertTrue(cookie["secure"])
            page.goto(site)
            self.assertIsNone(page.query_selector(FORM))

    def test_a_script(self) -> None:
        """It goes on by Basic, as with frp."""
        self.start()
        answer = request(self.port, "/api/serverinfo")
        self.assertEqual(answer.status, 401)
        self.assertIn("Basic", answer.headers["WWW-Authenticate"])
        answer = request(self.port, "/api/serverinfo", user="admin:secret")
        self.assertEqual(answer.status, 200)


class ClientTests(LoginTestCase):
    """The client's, beside the server's on the same host."""

    def test_both(self) -> None:
        self.start()
        port = free_port()
        self.start_client({}, {"admin_port": port, "admin_user": "me", "admin_pwd": "mine"})
        with self.page() as page:
            log_in(page, self.site, "admin", "secret")
            log_in(page, f"http://{NAME}:{port}", "me", "mine")
            self.assertEqual(len(page.context.cookies()), 2)
            page.goto(f"http://{NAME}:{port}")
            self.assertIsNone(page.query_selector(FORM))
            self.assertTrue(self.is_in(page))
