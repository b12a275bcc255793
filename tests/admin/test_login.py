# -*- test-case-name: tests.admin.test_login -*-
"""Tests of `tunnelsvc.admin.login`, and of the gate for who comes with a session's cookie."""

import json
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import SECURED, AdminTester
from tests.admin.support import DASHBOARD, RIGHT, Answer, Dashboard, Visitor, basic
from tunnelsvc.admin import login, sessions
from tunnelsvc.admin.loginpage import TEXTS
from tunnelsvc.admin.sessions import SESSION_SECONDS
from tunnelsvc.admin.throttle import (
    FIRST_DELAY_SECONDS,
    FIRST_LOCK_SECONDS,
    LOCK_FAILURES,
    MOST_DELAY_SECONDS,
)
from tunnelsvc.admin.web import MOST_BODY_BYTES

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
PAGE: dict[str, Any] = {"Accept": "text/html,*/*;q=0.8"}
COOKIE = "tunnelsvc_server_12345"
"""By the port of `StringTransport`."""


class LoginTestCase(SynchronousTestCase):
    """Has a dashboard and a visitor. Keys are made fast."""

    def setUp(self) -> None:
        self.patch(sessions, "SCRYPT", {"n": 2, "r": 1, "p": 1})
        self.dashboard = Dashboard()
        self.clock = self.dashboard.clock
        self.visitor = Visitor(self.dashboard.site)

    def post_form(self, fields: dict[str, str], path: str = "/login", **headers: Any) -> Answer:
        """Do what a browser does without scripts, and wait."""
        body = urlencode(fields).encode()
        connection = self.visitor.begin(path, "POST", body, Content_Type=FORM, **PAGE, **headers)
        if not connection.answered():
            self.clock.advance(MOST_DELAY_SECONDS)
        answer = connection.answer()
        if "Set-Cookie" in answer.headers:
            self.visitor.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return answer


class ScriptTests(LoginTestCase):
    """Logging in as the page's script does it."""

    def test_in_and_out(self) -> None:
        self.assertEqual(self.visitor.log_in().status, 200)
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)
        shape = self.visitor.ask("/api/admin/session").json
        self.assertEqual(
            {name: shape[name] for name in ("user", "by", "csrf")},
            {"user": "admin", "by": "cookie", "csrf": self.visitor.csrf},
        )
        answer = self.visitor.change("/logout")
        self.assertEqual((answer.status, answer.json), (200, {}))
        self.assertEqual(self.visitor.cookie, f"{COOKIE}=")
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 401)

    def test_cookies_of_others_do_not_stand_before_ours(self) -> None:
        """A site at a.example.com may set one for example.com, whose dashboard this is."""
        self.visitor.log_in()
        name, _, ours = self.visitor.cookie.partition("=")
        tossed = f"{name}=1.{'A' * 22}.99999999999.{'A' * 43}"
        for cookies in ([tossed, ours], [ours, tossed], [tossed] * 50 + [ours, f"{name}=", "x"]):
            pairs = [each if "=" in each else f"{name}={each}" for each in cookies]
            self.visitor.cookie = "; ".join(pairs)
            self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)
            looked = self.visitor.ask("/login", Accept="application/json")
            self.assertEqual(looked.json, {"logged_in": True})
        self.assertEqual(self.visitor.change("/logout").status, 200)
        self.visitor.cookie = f"{tossed}; {name}={ours}"
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 401)

    def test_a_cookie_that_was_copied_is_worth_nothing_after_the_logout(self) -> None:
        self.visitor.log_in()
        cookie = self.visitor.cookie
        self.visitor.change("/logout")
        self.visitor.cookie = cookie
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 401)
        self.assertEqual(self.visitor.change("/logout").status, 401)

    def test_the_cookie(self) -> None:
        answer = self.visitor.log_in()
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        (name, morsel), *more = SimpleCookie(answer.headers["Set-Cookie"]).items()
        self.assertEqual((name, more), (COOKIE, []))
        self.assertEqual(
            (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["secure"]),
            (True, "Strict", "/", ""),
        )
        self.assertEqual((morsel["max-age"], morsel["domain"]), (str(int(SESSION_SECONDS)), ""))

    def test_over_tls(self) -> None:
        self.patch(self.dashboard.site.protocol, "isSecure", lambda _: True)
        name, _, attributes = self.visitor.log_in().headers["Set-Cookie"].partition("=")
        self.assertEqual(name, f"__Host-{COOKIE}")
        self.assertIn("; Secure", attributes)
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)

    def test_behind_a_proxy_that_does_tls(self) -> None:
        body = b'{"user": "admin", "password": "secret"}'
        answer = self.visitor.ask(
            "/login", "POST", body, Content_Type=JSON, X_Forwarded_Proto="https"
        )
        self.assertIn("; Secure", answer.headers["Set-Cookie"])
        self.assertTrue(self.visitor.cookie.startswith("__Host-"))
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 401)
        self.visitor.csrf = answer.json["csrf"]
        answer = self.visitor.ask("/api/serverinfo", X_Forwarded_Proto="https")
        self.assertEqual(answer.status, 200)

    def test_whether_one_is_in(self) -> None:
        """The form's script asks, as browsers keep the cookie back where other sites lead here."""
        self.assertEqual(self.visitor.ask("/login", Accept=JSON).json, {"logged_in": False})
        self.visitor.log_in()
        self.assertEqual(self.visitor.ask("/login", Accept=JSON).json, {"logged_in": True})
        self.assertEqual(self.visitor.ask("/login", "HEAD", Accept=JSON).body, b"")
        self.visitor.change("/logout")
        self.assertEqual(self.visitor.ask("/login", Accept=JSON).json, {"logged_in": False})

    def test_wrong(self) -> None:
        body = json.dumps({"user": "admin", "password": "wrong"}).encode()
        connection = self.visitor.begin("/login", "POST", body, Content_Type=JSON)
        self.clock.advance(FIRST_DELAY_SECONDS - 0.01)
        self.assertFalse(connection.answered())
        self.clock.advance(0.02)
        answer = connection.answer()
        self.assertEqual((answer.status, answer.json["Code"]), (403, 403))
        self.assertNotIn("Set-Cookie", answer.headers)
        self.assertNotIn("WWW-Authenticate", answer.headers)

    def test_after_twelve_hours(self) -> None:
        self.visitor.log_in()
        self.clock.advance(SESSION_SECONDS)
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 401)

    def test_after_a_restart(self) -> None:
        self.visitor.log_in()
        for config, status in (DASHBOARD, 200), (evolve(DASHBOARD, password="other"), 401):
            self.visitor.site = Dashboard(config=config).site
            answer = self.visitor.ask("/api/serverinfo")
            self.assertEqual(answer.status, status)
            for name in ("Content-Security-Policy", "Cache-Control"):
                self.assertEqual(len(answer.headers.get_all(name) or ()), 1)

    def test_the_other_site_takes_none_of_it(self) -> None:
        self.visitor.log_in()
        value = self.visitor.cookie.partition("=")[2]
        tester = AdminTester("", SECURED)
        for name in ("tunnelsvc_client_12345", COOKIE, "tunnelsvc_client_7400"):
            answer = tester.ask("/api/status", Cookie=f"{name}={value}")
            self.assertEqual(answer.status, 401)

    def test_admin_admin(self) -> None:
        config = evolve(DASHBOARD, user="", password="", credentials_configured=False)
        self.visitor.site = Dashboard(config=config).site
        self.assertEqual(self.visitor.log_in("admin", "admin").status, 200)


class FormTests(LoginTestCase):
    """Logging in without scripts."""

    def test_in_and_out(self) -> None:
        answer = self.post_form({"user": "admin", "password": "secret"})
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "./"))
        self.assertEqual(self.visitor.ask("/static/", **PAGE).status, 200)
        self.assertEqual(self.post_form({}, "/logout").status, 403)
        self.assertEqual(self.visitor.ask("/static/", **PAGE).status, 200)
        session = self.dashboard.gate.sessions.find(self.visitor.cookie.partition("=")[2].encode())
        assert session is not None
        csrf = session.csrf
        answer = self.post_form({"csrf": csrf}, "/logout")
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "login"))
        self.assertEqual(self.visitor.ask("/static/", **PAGE).status, 303)

    def test_wrong(self) -> None:
        for fields in ({"user": "admin", "password": "wrong"}, {"user": "admin"}, {}):
            answer = self.post_form(fields)
            self.assertEqual(answer.status, 403)
            self.assertIn(TEXTS["en"]["wrong"].encode(), answer.body)
            self.assertNotIn(b"admin", answer.body)

    def test_locked_out(self) -> None:
        for _ in range(LOCK_FAILURES):
            answer = self.post_form({"user": "admin", "password": "wrong"}, Accept_Language="zh")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "300"))
        self.assertIn(TEXTS["zh"]["locked"].format(minutes=5).encode(), answer.body)
        answer = self.post_form({"user": "admin", "password": "secret"})
        self.assertEqual(answer.status, 429)
        self.clock.advance(FIRST_LOCK_SECONDS)
        self.assertEqual(self.post_form({"user": "admin", "password": "secret"}).status, 303)

    def test_what_is_no_form(self) -> None:
        cases: list[tuple[str, bytes, int]] = [
            (FORM, b"user=a&user=b", 400),
            (FORM, b"&".join(b"x%d=1" % n for n in range(login.MOST_FIELDS + 1)), 400),
            (FORM, b"user=\xff", 400),
            (FORM, b"user=%ff", 400),
            (FORM, b"user=" + b"x" * (login.MOST_FIELD_CHARACTERS + 1), 400),
            (FORM, b"user=" + b"x" * MOST_BODY_BYTES, 413),
            (JSON, b"", 400),
            (JSON, b"[]", 400),
            (JSON, b'{"user": 1}', 400),
            (JSON, b"\xff", 400),
            (JSON, b"[" * 10_000, 400),
            ("text/plain", b"user=admin&password=secret", 415),
            ("multipart/form-data; boundary=x", b"--x--", 415),
        ]
        for kind, body, status in cases:
            answer = self.visitor.ask("/login", "POST", body, Content_Type=kind)
            self.assertEqual((answer.status, answer.json["Code"]), (status, status), body[:20])
            answer = self.visitor.ask("/login", "POST", body, Content_Type=kind, **PAGE)
            self.assertEqual(answer.status, status)
            self.assertIn(TEXTS["en"]["refused"].encode(), answer.body)

    @settings(derandomize=True, deadline=None)
    @given(
        st.sampled_from([FORM, JSON, f"{FORM}; charset=utf-8", "x", ""]),
        st.one_of(
            st.binary(max_size=200),
            st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(
                lambda fields: json.dumps(fields).encode()
            ),
            st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(
                lambda fields: urlencode(fields).encode()
            ),
        ),
    )
    def test_whatever_is_sent(self, kind: str, body: bytes) -> None:
        self.clock.advance(24 * 3600 * 2)
        connection = self.visitor.begin("/login", "POST", body, Content_Type=kind)
        if not connection.answered():
            self.clock.advance(MOST_DELAY_SECONDS)
        self.assertIn(connection.answer().status, {400, 403, 415})

    @settings(derandomize=True, deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
    def test_passwords_of_all_kinds(self, password: str) -> None:
        config = evolve(DASHBOARD, password=password)
        self.visitor.site = Dashboard(config=config).site
        self.assertEqual(self.post_form({"user": "admin", "password": password}).status, 303)
        self.assertEqual(self.visitor.log_in(password=password).status, 200)

    def test_methods_and_paths(self) -> None:
        for method, path, status in [
            ("HEAD", "/login", 200), ("PUT", "/login", 405), ("DELETE", "/login", 405),
            ("GET", "/login/", 404), ("POST", "/login/x", 404), ("GET", "/login?x=y", 200),
        ]:  # fmt: skip
            self.assertEqual(self.visitor.ask(path, method).status, status, (method, path))
        self.visitor.log_in()
        for method, path, status in [("GET", "/logout", 405), ("POST", "/logout/x", 404)]:
            answer = self.visitor.change(path, method)
            self.assertEqual(answer.status, status, (method, path))

    def test_a_client_without_password_has_no_login(self) -> None:
        tester = AdminTester("")
        for method, path in (("GET", "/login"), ("POST", "/login"), ("POST", "/logout")):
            self.assertEqual(tester.ask(path, method).status, 404)
        shape = tester.ask("/api/admin/session").json
        self.assertEqual((shape["by"], shape["user"], shape["csrf"]), ("none", "", ""))
        self.assertEqual(tester.ask("/api/admin/session", "POST").status, 405)


class TokenTests(LoginTestCase):
    """Changes made with the cookie need the token."""

    PRUNE = "/api/v2/system/prune?type=offline_proxies"

    def setUp(self) -> None:
        super().setUp()
        self.visitor.log_in()

    def test_with_it(self) -> None:
        self.assertEqual(self.visitor.change(self.PRUNE).status, 200)

    def test_without_it(self) -> None:
        other = Visitor(self.dashboard.site)
        other.log_in()
        for token in (None, "", "x", other.csrf, self.visitor.csrf + "x", "é"):
            headers: dict[str, Any] = {} if token is None else {"X_CSRF_Token": token}
            for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
                answer = self.visitor.ask(self.PRUNE, method, **headers)
                self.assertEqual((answer.status, answer.json["Code"]), (403, 403), token)
        self.assertEqual(self.visitor.ask("/logout", "POST").status, 403)
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)

    def test_the_cookie_alone_shows_nothing(self) -> None:
        """Browsers send it to all ports of a host: to whatever a client has opened there."""
        token, self.visitor.csrf = self.visitor.csrf, ""
        self.visitor.address = "192.0.2.2"
        for path in ("/api/serverinfo", "/api/admin/session", "/api/admin/stream", "/metrics"):
            for query in ("", "?csrf=", "?csrf=x", "?csrf=%FF", f"?csrf=&csrf={token}"):
                answer = self.visitor.ask(path + query)
                self.assertEqual(answer.status, 401, path + query)
                self.assertNotIn(token.encode(), answer.body)
        self.assertEqual(self.visitor.ask("/static/", **PAGE).status, 200)
        answer = self.visitor.ask("/login", Accept=JSON)
        self.assertEqual(answer.json, {"logged_in": False})
        self.assertEqual(self.visitor.ask(f"/api/serverinfo?csrf={token}").status, 200)
        self.assertEqual(self.visitor.ask(f"{self.PRUNE}&csrf={token}", "POST").status, 403)

    def test_where_the_login_was_the_cookie_alone_shows_all_but_the_token(self) -> None:
        """As everybody expects of cookies; who might have got hold of it is elsewhere."""
        token, self.visitor.csrf = self.visitor.csrf, ""
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)
        shape = self.visitor.ask("/api/admin/session").json
        self.assertEqual((shape["by"], shape["csrf"]), ("cookie", ""))
        self.assertEqual(self.visitor.ask(self.PRUNE, "POST").status, 403)
        self.assertEqual(self.visitor.ask("/logout", "POST").status, 403)
        # All who come by the same proxy, if it isn't trusted, are in one place.
        for header in ("X_Forwarded_For", "Forwarded", "Via", "X_Real_IP"):
            said: dict[str, Any] = {header: "x"}
            self.assertEqual(self.visitor.ask("/api/serverinfo", **said).status, 401)
        self.visitor.csrf = token
        self.assertEqual(self.visitor.ask("/api/serverinfo", X_Forwarded_For="x").status, 200)

    def test_scripts_need_none(self) -> None:
        """Also those that keep cookies."""
        right = RIGHT.decode()
        self.assertEqual(self.visitor.ask(self.PRUNE, "POST", Authorization=right).status, 200)
        shape = Visitor(self.dashboard.site).ask("/api/admin/session", Authorization=right).json
        self.assertEqual((shape["by"], shape["csrf"]), ("basic", ""))
        answer = Visitor(self.dashboard.site).ask("/logout", "POST", Authorization=right)
        self.assertEqual((answer.status, answer.json), (200, {}))

    def test_what_changes_something_by_get(self) -> None:
        tester = AdminTester("", SECURED)
        visitor = Visitor(tester.site, "127.0.0.1:7400")
        visitor.log_in()
        self.assertEqual(visitor.ask("/api/reload", X_CSRF_Token="").status, 403)
        path = f"/api/reload?csrf={visitor.csrf}"
        self.assertEqual(visitor.ask(path, X_CSRF_Token="").status, 403)
        self.assertEqual(tester.client.strict, [])
        self.assertEqual(visitor.change("/api/reload", "GET").status, 200)
        self.assertEqual(visitor.ask("/api/status").status, 200)
        answer = tester.ask("/api/reload", Authorization=RIGHT.decode())
        self.assertEqual(answer.status, 200)

    def test_other_sites(self) -> None:
        """Neither may they log somebody in as another, nor out."""
        spoken: tuple[dict[str, Any], ...] = (
            {"Origin": "https://evil.example"},
            {"Sec_Fetch_Site": "cross-site"},
        )
        for headers in spoken:
            for path in ("/login", "/logout", self.PRUNE):
                self.assertEqual(self.visitor.change(path, **headers).status, 403)
        body = urlencode({"user": "admin", "password": "secret"}).encode()
        answer = self.visitor.ask("/login", "POST", body, Content_Type=FORM, Origin="null")
        self.assertEqual(answer.status, 403)
        self.assertNotIn("Set-Cookie", answer.headers)
        answer = self.visitor.ask("/login", Sec_Fetch_Site="cross-site")
        self.assertEqual(answer.status, 200)

    def test_they_can_not_have_somebody_locked_out_either(self) -> None:
        visitor = Visitor(self.dashboard.site)
        for _ in range(2 * LOCK_FAILURES):
            body = b"user=admin&password=wrong"
            visitor.ask("/login", "POST", body, Content_Type=FORM, Sec_Fetch_Site="cross-site")
        self.assertEqual(visitor.log_in().status, 200)


class CookieTests(LoginTestCase):
    """What else may come as a cookie, and with it."""

    @settings(derandomize=True, deadline=None)
    @given(st.binary(max_size=300).filter(lambda raw: not set(raw) & set(b"\r\n\0")))
    def test_whatever_is_sent(self, raw: bytes) -> None:
        connection = self.dashboard.connect()
        for value in (raw, f"{COOKIE}=".encode() + raw):
            connection.send("GET", "/api/serverinfo", None, b"Cookie: " + value + b"\r\n")
            self.assertEqual(connection.answer().status, 401)

    def test_beside_others(self) -> None:
        self.visitor.log_in()
        cookie = self.visitor.cookie
        for value in (f"a=b; {cookie}; c", f"{cookie};x=y", f"=; {cookie}"):
            self.assertEqual(self.visitor.ask("/api/serverinfo", Cookie=value).status, 200)

    def test_a_browser_that_has_stored_an_old_password(self) -> None:
        """It goes on sending that; the cookie is what counts, and nobody is locked out."""
        self.visitor.log_in()
        old = basic("admin:old").decode()
        for _ in range(2 * LOCK_FAILURES):
            answer = self.visitor.ask("/api/serverinfo", Authorization=old)
            self.assertEqual(answer.status, 200)

    def test_failures_of_both_kinds_count(self) -> None:
        for _ in range(LOCK_FAILURES // 2):
            self.post_form({})
            self.dashboard.connect("192.0.2.1").send("GET", "/", basic("admin:wrong"))
            self.clock.advance(MOST_DELAY_SECONDS)
        self.assertEqual(self.dashboard.ask("/api/serverinfo").status, 429)
        self.assertEqual(self.visitor.log_in().status, 429)

    def test_who_is_in_stays_in_while_others_from_there_are_locked_out(self) -> None:
        self.visitor.log_in()
        wrong = basic("admin:wrong")
        for _ in range(LOCK_FAILURES):
            self.dashboard.connect().send("GET", "/", wrong)
            self.clock.advance(MOST_DELAY_SECONDS)
        self.assertEqual(self.dashboard.ask("/api/serverinfo").status, 429)
        self.assertEqual(self.visitor.ask("/api/serverinfo").status, 200)


class WaitingTests(LoginTestCase):
    """While the key is being made."""

    def setUp(self) -> None:
        super().setUp()
        self.visitor.log_in()
        self.made: list[Deferred[bytes]] = []
        self.dashboard = Dashboard()
        self.visitor.site = self.dashboard.site
        self.real = self.dashboard.gate.sessions._derive

        def derive(make: Callable[[], bytes]) -> Any:
            self.make = make
            self.made.append(Deferred())
            return self.made[-1]

        self.dashboard.gate.sessions._derive = derive

    def test_requests_wait(self) -> None:
        good = self.visitor.begin("/api/serverinfo")
        page = self.visitor.begin("/static/")
        self.visitor.cookie = self.visitor.cookie[:-3] + "AAA"
        bad = self.visitor.begin("/api/serverinfo")
        gone = self.visitor.begin("/api/serverinfo")
        gone.channel.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(good.answered() or bad.answered() or page.answered())
        self.assertEqual(self.dashboard.ask("/api/serverinfo").status, 200)
        self.made[0].callback(self.make())
        self.assertEqual(len(self.made), 1)
        statuses = [each.answer().status for each in (good, page, bad)]
        self.assertEqual(statuses, [200, 200, 401])
        self.assertEqual(gone.transport.value(), b"")

    def test_a_login_waits(self) -> None:
        body = json.dumps({"user": "admin", "password": "secret"}).encode()
        stays, gone = (
            self.visitor.begin("/login", "POST", body, Content_Type=JSON) for _ in range(2)
        )
        gone.channel.connectionLost(Failure(ConnectionDone()))
        self.made[0].callback(self.make())
        self.assertEqual(stays.answer().status, 200)

    def test_no_memory_for_it(self) -> None:
        waiting = self.visitor.begin("/api/serverinfo")
        self.made[0].errback(Failure(MemoryError()))
        self.assertEqual(waiting.answer().status, 500)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        body = json.dumps({"user": "admin", "password": "secret"}).encode()
        waiting = self.visitor.begin("/login", "POST", body, Content_Type=JSON)
        self.made[1].errback(Failure(MemoryError()))
        self.assertEqual(waiting.answer().status, 500)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)


class UnauthorizedTests(LoginTestCase):
    """People get the form, programs what frp says."""

    def test_a_page(self) -> None:
        """Who comes for one is sent to the form."""
        for path, form in (("/", "./login"), ("/static/", "../login")):
            for method in ("GET", "HEAD"):
                answer = self.visitor.ask(path, method, **PAGE)
                self.assertEqual((answer.status, answer.headers["Location"]), (303, form))

    def test_something_else_in_a_window(self) -> None:
        """What is refused is refused, and there is the form."""
        for path, method in (("/api/serverinfo", "GET"), ("/static/", "POST")):
            answer = self.visitor.ask(path, method, **PAGE)
            self.assertEqual(answer.status, 401)
            self.assertEqual(
                answer.headers.get_all("WWW-Authenticate"), ['Cookie realm="Restricted"']
            )
            self.assertIn(b"<form", answer.body)

    def test_what_a_page_asks_for(self) -> None:
        spoken: tuple[dict[str, Any], ...] = (
            {"Sec_Fetch_Dest": "empty", "Sec_Fetch_Mode": "cors"},
            {"Referer": f"http://{quote('127.0.0.1:7500')}/static/"},
            {"Accept": "text/event-stream"},
        )
        for headers in spoken:
            answer = self.visitor.ask("/api/serverinfo", **headers)
            self.assertEqual(answer.headers["WWW-Authenticate"], 'Cookie realm="Restricted"')
            self.assertEqual((answer.status, answer.body), (401, b"Unauthorized\n"))

    def test_programs(self) -> None:
        answer = self.visitor.ask("/api/serverinfo", Accept="*/*")
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith('Basic realm="Restricted"'))
        self.assertEqual((answer.status, answer.body), (401, b"Unauthorized\n"))
