# -*- test-case-name: tests.gateway.test_connect -*-
"""Tests of `tunnelsvc.gateway.connect`."""

from tests.gateway.support import RESPONSE_TIMEOUT_SECONDS, VhostCase
from tunnelsvc.gateway import make_rules

CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\n"
LINES = b"Host: a.example:443\r\nproxy-Connection: keep-alive\r\nUser-Agent: x\r\n"
AUTHORIZATION = b"Proxy-Authorization: Basic dTpw\r\n"


class ConnectTests(VhostCase):
    """The service is a proxy."""

    def test_joined(self) -> None:
        self.ask(CONNECT + LINES + b"\r\n")
        self.assertEqual(self.service.received(), CONNECT + LINES + b"\r\n")
        self.assertEqual(self.shown(), b"")
        self.answer(b"HTTP/1.1 200 Connected\r\nProxy-Agent: x\r\n\r\nhello ")
        self.assertEqual(self.take(), b"HTTP/1.1 200 Connected\r\nProxy-Agent: x\r\n\r\nhello ")
        self.ask(b"GET / HTTP/1.1\n\x00")
        self.assertTrue(self.service.received().endswith(b"\r\n\r\nGET / HTTP/1.1\n\x00"))
        self.answer(b"user\n")
        self.assertEqual(self.take(), b"user\n")
        self.assertEqual(self.route.finished, [])
        self.assert_no_timers()
        self.user.loseConnection()
        self.service.ends[0].loseConnection()
        self.pump()
        self.assertEqual(len(self.route.finished), 1)
        self.assert_no_timers()

    def test_user_who_can_not_wait(self) -> None:
        """What comes before the answer goes to the other side after it."""
        self.ask(CONNECT + LINES + b"\r\nearly")
        self.assertTrue(self.service.received().endswith(b"\r\n\r\n"))
        self.answer(b"HTTP/1.0 200 OK\r\n\r\n")
        self.assertTrue(self.service.received().endswith(b"\r\n\r\nearly"))

    def test_answer_has_no_body(self) -> None:
        """RFC 9110 section 9.3.6: a length in it means nothing, and isn't passed on."""
        for line in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
            self.connect()
            self.ask(CONNECT + LINES + b"\r\n")
            self.answer(b"HTTP/1.1 200 OK\r\n%b\r\n\r\nabc" % line)
            self.assertEqual(self.shown(), b"HTTP/1.1 200 OK\r\n\r\nabc")

    def test_never_on_a_connection_that_was_used(self) -> None:
        self.get()
        self.answer()
        self.ask(CONNECT + LINES + b"\r\n")
        self.assertEqual(len(self.service.ends), 2)
        self.answer(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        self.assertTrue(self.shown().endswith(b"no"))
        self.connect()
        self.get()
        self.assertEqual(len(self.service.ends), 2)

    def test_what_comes_behind_a_refusal(self) -> None:
        """No request: who took the yes for granted means the other end."""
        refused = (
            (CONNECT.replace(b"a.ex", b"b.ex"), b""),
            (CONNECT, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        )
        for connect, answer in refused:
            self.connect()
            self.ask(connect + LINES + b"\r\nGET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n")
            if answer:
                self.answer(answer)
            self.assertIn(b"\r\nConnection: close\r\n", self.shown())
            self.ask(b"GET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertEqual(len(self.service.ends), 1)
        self.assertNotIn(b"evil", self.service.received())

    def test_host_of_the_target_counts(self) -> None:
        self.ask(CONNECT.replace(b"a.ex", b"b.ex") + LINES + b"\r\n")
        self.assert_refused(404)

    def test_claims_are_not_passed_on(self) -> None:
        """Of another host than that of the target, or another user."""
        self.ask(CONNECT + b"A: b\r\nhost: evil\r\nX-Real-IP: 6.6.6.6\r\nX_Real-Ip: 6\r\n\r\n")
        self.assertEqual(self.service.received(), CONNECT + LINES[:21] + b"A: b\r\n\r\n")

    def test_credentials_for_the_service(self) -> None:
        """Nobody asked for them here, so they are passed on, and so is the question for them."""
        self.ask(CONNECT + LINES + b"\r\n")
        self.answer(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        self.assertIn(b"\r\nProxy-Authenticate: Basic\r\n\r\n", self.shown())
        self.connect()
        self.ask(CONNECT + LINES + AUTHORIZATION + b"\r\n")
        self.assertIn(AUTHORIZATION, self.service.received())

    def test_credentials_for_us(self) -> None:
        self.route = self.add_site("p.example", rules=make_rules(http_user="u", http_password="p"))
        self.service = self.route.service
        connect = CONNECT.replace(b"a.ex", b"p.ex") + LINES
        self.ask(connect + b"\r\n")
        self.assertIn(b'\r\nProxy-Authenticate: Basic realm="Restricted"\r\n', self.shown())
        self.assert_refused(407)
        self.assertEqual(self.service.ends, [])
        self.connect()
        self.ask(connect + AUTHORIZATION + b"\r\n")
        self.assertNotIn(b"Authorization", self.service.received())
        self.answer(b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        self.assertNotIn(b"Proxy-Authenticate", self.shown())

    def test_failures(self) -> None:
        self.ask(CONNECT + LINES + b"\r\n")
        self.service.ends[-1].abortConnection()
        self.pump()
        self.assert_refused(502)
        self.connect()
        self.ask(CONNECT + LINES + b"\r\n")
        self.answer(b"SSH-2.0\r\n\r\n")
        self.assert_refused(502)
        self.connect()
        self.ask(CONNECT + LINES + b"\r\n")
        self.answer(b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n")
        self.assert_refused(502)
        self.connect()
        self.ask(CONNECT + LINES + b"\r\n")
        self.clock.advance(RESPONSE_TIMEOUT_SECONDS)
        self.pump()
        self.assert_refused(504)
        self.service.available = False
        self.connect()
        self.ask(CONNECT + LINES + b"\r\n")
        self.assert_refused(503)

    def test_a_body(self) -> None:
        for line in (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
            self.connect()
            self.ask(CONNECT + LINES + line + b"\r\nabcde")
            self.assert_refused(400)
            self.assertEqual(self.service.ends, [])
