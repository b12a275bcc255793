# -*- test-case-name: tests.client.plugins.test_httpproxy -*-
"""Tests of `tunnelsvc.client.plugins.httpproxy`."""

import errno
from base64 import b64encode

from twisted.internet import error
from twisted.internet.defer import Deferred

from tests.client.plugins.usersupport import ProxyCase, User
from tests.streams import MemoryStream, Recorder, recorded
from tunnelsvc.client.plugins import httpproxy, site
from tunnelsvc.client.plugins.httpproxy import (
    MOST_DESTINATIONS,
    Authority,
    authority_of,
)
from tunnelsvc.client.plugins.reach import REACH_SECONDS
from tunnelsvc.config.plugins import HTTPProxyPluginConfig
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.httphead import parse_request_head

OPEN = TCPProxyConfig(name="proxy", type="tcp", plugin=HTTPProxyPluginConfig())
CLOSED = TCPProxyConfig(
    name="proxy",
    type="tcp",
    plugin=HTTPProxyPluginConfig(http_user="alice", http_password="s3:cret"),
)
GET = b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n"
CONNECT = b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT_SECONDS = 30.0


def basic(login: bytes, name: bytes = b"Proxy-Authorization") -> bytes:
    """Make a line with credentials."""
    return b"%b: Basic %b\r\n" % (name, b64encode(login))


class HTTPProxyCase(ProxyCase):
    """Users, and what they reach."""

    def setUp(self) -> None:
        super().setUp()
        self.at_targets: dict[MemoryStream, Recorder] = {}

    def at(self, connection: int = -1) -> bytes:
        """Give what came to a target since the last time."""
        target = self.targets[connection]
        if target not in self.at_targets:
            self.at_targets[target] = recorded(target)
            self.pump()
        received = bytes(self.at_targets[target].received)
        self.at_targets[target].received.clear()
        return received

    def answer(self, data: bytes, connection: int = -1) -> None:
        """Let a target write."""
        self.at(connection)
        self.targets[connection].write(data)
        self.pump()

    def told(self, user: User, data: bytes = b"") -> bytes:
        """Let a user say something; give what he got since the last time."""
        if data:
            self.say(user, data)
        self.pump()
        received = user.received
        user.seen.received.clear()
        return received


class RequestTests(HTTPProxyCase):
    """Requests for ``http://``."""

    def setUp(self) -> None:
        super().setUp()
        # Less than a session without a word from its server lasts.
        self.patch(site, "RESPONSE_SECONDS", SHORT_SECONDS)
        self.serve(OPEN)

    def test_a_request(self) -> None:
        user = self.user(GET)
        self.assertEqual(self.reached, [("a.example", 80)])
        self.assertEqual(self.at(), b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.answer(OK)
        self.assertEqual(self.told(user), OK)
        user.end.loseConnection()
        self.pump()
        [line] = self.lines
        self.assertIn(f"{len(GET)} bytes in, {len(OK)} bytes out", line)
        self.assertTrue(self.targets[0].peer.lost or self.targets[0].peer.closing)

    def test_nothing_about_the_user(self) -> None:
        """What is said to the proxy stays there; what else there is goes on as it came."""
        self.user(
            b"GET http://a.example:8080/ HTTP/1.1\r\nhost: elsewhere\r\nProxy-Connection: x\r\n"
            b"Proxy-Authorization: Basic eDp5\r\nAuthorization: Basic ejp6\r\n"
            b"X-Forwarded-For: 10.0.0.1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
            b"COOKIE: a=b\r\n\r\n"
        )
        self.assertEqual(
            self.at(),
            b"GET / HTTP/1.1\r\nhost: a.example:8080\r\nAuthorization: Basic ejp6\r\n"
            b"X-Forwarded-For: 10.0.0.1\r\nCOOKIE: a=b\r\n\r\n",
        )

    def test_several(self) -> None:
        """Connections are kept for requests to the same target."""
        user = self.user()
        for host in b"a", b"b", b"A", b"a:80", b"a:81":
            self.say(user, b"GET http://%b/ HTTP/1.1\r\nHost: x\r\n\r\n" % host)
            index = {b"b": 1, b"a:81": 2}.get(host, 0)
            self.assertIn(b"GET / HTTP/1.1\r\nHost: %b\r\n" % host, self.at(index))
            self.answer(OK, index)
            self.assertEqual(self.told(user), OK)
        self.assertEqual(self.reached, [("a", 80), ("b", 80), ("a", 81)])

    def test_for_nobody_else(self) -> None:
        """A target may have taken the connection for a login."""
        first = self.user(GET)
        self.answer(OK)
        self.assertEqual(self.told(first), OK)
        self.user(GET)
        self.assertEqual(len(self.targets), 2)

    def test_not_to_everywhere(self) -> None:
        user = self.user()
        for index in range(MOST_DESTINATIONS + 1):
            self.say(user, b"GET http://host%d/ HTTP/1.1\r\nHost: x\r\n\r\n" % index)
            self.answer(OK)
        closed = [target.peer.closing or target.peer.lost for target in self.targets]
        self.assertEqual(closed, [True] + [False] * MOST_DESTINATIONS)

    def test_bodies(self) -> None:
        """Both ways, as they come."""
        user = self.user(
            b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"
        )
        self.assertTrue(self.at().endswith(b"\r\n\r\n2\r\nhe\r\n"))
        self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        self.assertTrue(self.told(user).endswith(b"1\r\nx\r\n"))
        self.say(user, b"3\r\nllo\r\n0\r\n\r\n")
        self.assertEqual(self.at(), b"3\r\nllo\r\n0\r\n\r\n")
        self.answer(b"0\r\n\r\n")
        self.assertEqual(self.told(user), b"0\r\n\r\n")

    def test_upgrade(self) -> None:
        """A WebSocket without TLS, as some clients ask for it through a proxy."""
        user = self.user(
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        self.assertIn(b"Upgrade: websocket", self.at())
        self.answer(
            b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
        )
        self.assertTrue(self.told(user).endswith(b"\r\n\r\nhello"))
        self.say(user, b"world")
        self.assertEqual(self.at(), b"world")

    def test_what_isn_t_for_a_proxy(self) -> None:
        for request in (
            b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"GET http://a.example:99999/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"GET http://u:p@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"CONNECT a.example:0 HTTP/1.1\r\nHost: a.example\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ):
            user = self.user(request)
            answer = user.received
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), request)
            self.assertIn(b"This is an HTTP proxy.", answer)
            self.assertTrue(user.seen.finished)
        self.assertEqual(self.reached, [])

    def test_unreachable(self) -> None:
        """The user learns which of the two it is, whoever reads the log why; one may go on."""
        user = self.user()
        for failure, status in (
            (error.ConnectionRefusedError(osError=errno.ECONNREFUSED, string="no"), b"502 "),
            (error.UnknownHostError("a.example"), b"502 "),
            (error.TCPTimedOutError(), b"504 "),
        ):
            self.failure = failure
            answer = self.told(user, GET)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
            self.assertIn(b"Content-Type: text/plain", answer)
            self.assertIn("user 192.0.2.1:5: connect to [a.example:80] error: ", self.lines[-1])
        self.failure = None
        self.say(user, GET)
        self.answer(OK)
        self.assertEqual(self.told(user), OK)

    def test_too_slow(self) -> None:
        user = self.user(GET)
        self.clock.advance(SHORT_SECONDS)
        self.assertTrue(self.told(user).startswith(b"HTTP/1.1 504 "))

    def test_no_http(self) -> None:
        user = self.user(GET)
        self.answer(b"SSH-2.0-OpenSSH\r\n\r\n")
        self.assertTrue(self.told(user).startswith(b"HTTP/1.1 502 "))

    def test_trouble_of_ours(self) -> None:
        """A bug is told in the log."""
        self.patch(httpproxy, "reach", lambda *_: 1 / 0)
        user = self.user(GET)
        self.assertTrue(user.received.startswith(b"HTTP/1.1 502 "))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ConnectTests(HTTPProxyCase):
    def setUp(self) -> None:
        super().setUp()
        self.serve(OPEN)

    def test_a_connection(self) -> None:
        user = self.user(CONNECT)
        self.assertEqual(self.reached, [("b.example", 443)])
        self.assertEqual(self.told(user), ESTABLISHED)
        self.say(user, b"hello")
        self.assertEqual(self.at(), b"hello")
        user.end.loseWriteConnection()
        self.pump()
        self.assertTrue(self.at_targets[self.targets[0]].finished)
        self.answer(b"and bye")  # the other direction goes on
        self.targets[0].loseConnection()
        self.assertEqual(self.told(user), b"and bye")
        self.assertTrue(user.seen.finished)
        [line] = self.lines
        size = len(CONNECT) + len(b"hello")
        self.assertIn(f"closed by the server, {size} bytes in, ", line)

    def test_after_a_request(self) -> None:
        """On a connection of its own: what is kept has seen requests."""
        user = self.user(GET)
        self.answer(OK)
        self.told(user)
        self.assertEqual(
            self.told(user, b"CONNECT a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n"), ESTABLISHED
        )
        self.assertEqual(len(self.targets), 2)

    def test_early_words(self) -> None:
        """What comes with the request, or while dialling, is for the target."""
        self.dial_result = Deferred()
        user = self.user(CONNECT + b"hello")
        self.say(user, b", world")
        self.assertEqual(user.received, b"")
        self.connect()
        self.assertEqual(self.at(), b"hello, world")

    def connect(self) -> None:
        """Let what is waited for succeed."""
        waiting, self.dial_result = self.dial_result, None
        assert waiting is not None
        connecting: Deferred[Stream] = Deferred.fromCoroutine(
            self.reach(self.clock, "b.example", 443, timeout=REACH_SECONDS)
        )
        waiting.callback(self.successResultOf(connecting))
        self.pump()

    def test_unreachable(self) -> None:
        """What is behind it is no request: who is refused comes again."""
        self.failure = error.ConnectionRefusedError(osError=errno.ECONNREFUSED, string="no")
        user = self.user(CONNECT)
        self.assertTrue(self.told(user).startswith(b"HTTP/1.1 502 "))
        self.failure = None
        self.assertEqual(self.told(user, CONNECT), b"")
        self.assertEqual(self.told(self.user(), CONNECT), ESTABLISHED)

    def test_a_target_that_doesn_t_answer(self) -> None:
        self.dial_result = Deferred()
        user = self.user(CONNECT)
        self.clock.advance(REACH_SECONDS)
        self.assertTrue(self.told(user).startswith(b"HTTP/1.1 504 "))

    def test_a_user_who_leaves_while_dialling(self) -> None:
        self.dial_result = Deferred()
        user = self.user(CONNECT)
        user.end.abortConnection()
        self.pump()
        self.connect()
        self.clock.advance(60)
        self.pump()
        self.assertTrue(self.targets[0].peer.closing or self.targets[0].peer.lost)

    def test_a_user_who_finishes_while_dialling(self) -> None:
        """There is no end of file of his left to pass on."""
        self.dial_result = Deferred()
        user = self.user(CONNECT)
        user.end.loseWriteConnection()
        self.pump()
        self.connect()
        self.assertTrue(self.targets[0].lost)
        self.assertTrue(user.received.startswith(b"HTTP/1.1 400 "))


class CredentialsTests(HTTPProxyCase):
    def setUp(self) -> None:
        super().setUp()
        self.serve(CLOSED)

    def test_right(self) -> None:
        for request in GET, CONNECT:
            self.user(request.replace(b"\r\n\r\n", b"\r\n" + basic(b"alice:s3:cret") + b"\r\n"))
            self.assertNotIn(b"Authorization", self.at())
        self.assertEqual(len(self.reached), 2)

    def test_wrong(self) -> None:
        """Who is refused may try again: on the same connection, but for CONNECT."""
        user = self.user()
        for request in GET, CONNECT, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n":
            for line in (
                b"",
                basic(b"alice:"),
                basic(b"alice:s3:cret", b"Authorization"),
                b"Proxy-Authorization: Bearer x\r\n",
                b"Proxy-Authorization: Basic !\r\n",
            ):
                if request is CONNECT:
                    user = self.user()
                answer = self.told(user, request.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n"))
                self.assertTrue(answer.startswith(b"HTTP/1.1 407 "), answer)
                self.assertIn(b'\r\nProxy-Authenticate: Basic realm="', answer)
                self.assertEqual(user.seen.finished, request is CONNECT)
            user = self.user()
        self.assertEqual(self.reached, [])


class AuthorityTests(ProxyCase):
    """Whom a request is for."""

    def test_cases(self) -> None:
        for first, authority in (
            (b"GET http://a.example/", Authority("a.example", 80)),
            (b"GET HTTP://A.Example:8080", Authority("a.example", 8080)),
            (b"GET http://a.example:/", Authority("a.example", 80)),
            (b"GET http://[::1]/", Authority("::1", 80)),
            (b"GET http://[::1]:81/", Authority("::1", 81)),
            (b"CONNECT [2001:db8::1]:22", Authority("2001:db8::1", 22)),
            (b"CONNECT 192.0.2.1:65535", Authority("192.0.2.1", 65535)),
            (b"CONNECT 192.0.2.1:65536", None),
            (b"GET /", None),
        ):
            head = parse_request_head(first + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(authority_of(head), authority, first)
