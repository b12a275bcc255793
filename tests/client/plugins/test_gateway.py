# -*- test-case-name: tests.client.plugins.test_gateway -*-
"""Tests of `tunnelsvc.client.plugins.gateway`."""

from collections.abc import Sequence
from typing import Any

from twisted.internet import error

from tests.client.plugins.support import PluginCase
from tests.gateway.support import OK
from tests.link.tlspair import Reader
from tunnelsvc.client.plugins.gateway import Gateway
from tunnelsvc.client.plugins.site import RESPONSE_SECONDS
from tunnelsvc.config.plugins import (
    GatewayConfig,
    HTTPSToHTTPConfig,
    HTTPSToHTTPSConfig,
    HTTPToHTTPConfig,
    HTTPToHTTPSConfig,
)
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.gateway.pool import IDLE_SECONDS
from tunnelsvc.gateway.protocol import KEEPALIVE_SECONDS
from tunnelsvc.link.certificates import client_context
from tunnelsvc.link.tls import HANDSHAKE_SECONDS
from tunnelsvc.relay import Reason
from tunnelsvc.wire.messages import StartWorkConn

LOCAL = ("127.0.0.1", 8080)
GET = b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
FORWARDED = (
    b"X-Forwarded-For: 198.51.100.9",
    b"X-Forwarded-Host: web.example",
    b"X-Forwarded-Proto: https",
    b"X-Real-IP: 198.51.100.9",
)


def get(*lines: bytes, host: bytes = b"web.example") -> bytes:
    """Make a request."""
    return b"\r\n".join([b"GET / HTTP/1.1", b"Host: " + host, *lines, b"", b""])


class GatewayCase(PluginCase):
    """A gateway of either kind."""

    def gateway(self, kind: type[GatewayConfig], proxy_type: str = "tcp", **options: Any) -> None:
        self.make(kind(local_addr=LOCAL, **options), proxy_type)

    def lines_of(self, data: bytes) -> Sequence[bytes]:
        """Give the header lines of a request."""
        return data.split(b"\r\n")[1:-2]

    def assert_nothing_left(self) -> None:
        """No timers, no connection."""
        for _ in range(4):
            self.clock.advance(max(IDLE_SECONDS, KEEPALIVE_SECONDS))
            self.pump()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([outer.name for outer in self.low if not outer.peer.lost], [])


class HTTPSToHTTPTests(GatewayCase):
    """TLS in, none out."""

    def test_a_request(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(GET)
        self.assertEqual(self.dialled, [LOCAL])
        first, *lines = self.received().split(b"\r\n")
        self.assertEqual(first, b"GET / HTTP/1.1")
        self.assertEqual(lines, [b"Host: web.example", *FORWARDED, b"", b""])
        self.answer(OK)
        self.assertEqual(self.shown(), OK)
        self.user.loseConnection()
        self.pump()
        account = self.account()
        self.assertEqual((account.reason, account.detail), (Reason.FAR_CLOSED, ""))
        self.assertGreater(account.down_bytes, len(GET))
        self.assertGreater(account.up_bytes, len(OK))
        self.assert_nothing_left()

    def test_first_bytes(self) -> None:
        """Bytes that came with StartWorkConn are the beginning of TLS."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(self.account().detail, "TLS handshake failed: http request")

    def test_keep_alive(self) -> None:
        """Users' requests share the service's connections."""
        self.gateway(HTTPSToHTTPConfig)
        for _ in range(2):
            self.connect_tls("web.example")
            for _ in range(2):
                self.ask(GET)
                self.answer(OK)
                self.assertEqual(self.shown(), OK)
        self.assertEqual(len(self.services), 1)

    def test_forwarded(self) -> None:
        """The user's address goes behind those who spoke for him; the rest is ours to say."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls()
        self.ask(get(b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Proto: http", b"X-Real-IP: a"))
        lines = self.lines_of(self.received())
        self.assertIn(b"X-Forwarded-For: 10.0.0.1, 198.51.100.9", lines)
        self.assertEqual([line for line in lines if b"Proto" in line], [FORWARDED[2]])
        self.assertEqual([line for line in lines if b"Real" in line], [FORWARDED[3]])

    def test_nobody_said_who_the_user_is(self) -> None:
        """Then the service isn't told anything that the user could have made up."""
        for address in "", "1.2.3.4\r\nX: y", "nonsense":
            self.gateway(HTTPSToHTTPConfig)
            self.connect_tls(start=StartWorkConn(proxy_name="web", src_addr=address))
            self.ask(get(b"X-Forwarded-For: 10.0.0.1"))
            lines = self.lines_of(self.received())
            self.assertEqual(lines, [b"Host: web.example", *FORWARDED[1:3]])

    def test_an_ipv6_user(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls(start=StartWorkConn(proxy_name="web", src_addr="2001:DB8::1"))
        self.ask(GET)
        self.assertIn(b"X-Forwarded-For: 2001:db8::1", self.received())

    def test_rewritten(self) -> None:
        headers = {"X-From-Where": "frp", "X-Real-IP": "set"}
        self.gateway(HTTPSToHTTPConfig, host_header_rewrite="localhost:1", headers=headers)
        self.connect_tls("web.example")
        self.ask(GET)
        lines = self.lines_of(self.received())
        self.assertEqual(lines[0], b"Host: localhost:1")
        self.assertEqual(lines[-2:], [b"X-From-Where: frp", b"X-Real-IP: set"])
        self.assertIn(b"X-Forwarded-Host: web.example", lines)
        self.assertNotIn(FORWARDED[3], lines)

    def test_misdirected(self) -> None:
        """A connection is for the host that TLS was asked for, as in frp."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(get(host=b"other.example"))
        shown = self.shown()
        self.assertTrue(shown.startswith(b"HTTP/1.1 421 Misdirected Request\r\n"), shown)
        self.assertNotIn(b"Connection: close", shown)
        self.assertEqual(self.dialled, [])
        for host in b"web.example:8443", b"WEB.example", b"web.example.":
            self.ask(get(host=host))
            self.answer(OK)
            self.assertEqual(self.shown(), OK)

    def test_pages_of_the_site(self) -> None:
        """They stay so behind another Host, which Jupyter compares; those of others don't."""
        self.gateway(HTTPSToHTTPConfig, host_header_rewrite="localhost:1")
        for origin, seen in (
            (b"https://web.example", b"https://localhost:1"),
            (b"https://evil.example", b"https://evil.example"),
            (b"https://localhost:1", b"null"),
        ):
            self.connect_tls("web.example")
            self.ask(get(b"Origin: " + origin))
            self.assertIn(b"Origin: " + seen, self.lines_of(self.received()))
            self.answer(OK)

    def test_misdirected_body(self) -> None:
        """What follows isn't taken for another request."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 1000\r\n\r\n")
        self.assertIn(b"Connection: close", self.shown())

    def test_an_odd_server_name(self) -> None:
        """Whatever bytes the name has, it isn't that of the request."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect()
        connection = client_context(TLSConfig(), "127.0.0.1")()
        connection.set_tlsext_host_name(b"\xff\xfe")
        self.at_user = Reader()
        self.user = self.tls(self.user, connection, self.at_user)
        self.pump()
        self.ask(GET)
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 421 "))

    def test_no_server_name(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls()
        self.ask(get(host=b"any.example"))
        self.assertIn(b"Host: any.example", self.received())

    def test_alpn(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        for offered, chosen in (([b"h2", b"http/1.1"], b"http/1.1"), ([b"h2"], b""), ([], b"")):
            self.connect_tls("web.example", protocols=offered)
            self.assertEqual(self.user_tls.get_alpn_proto_negotiated(), chosen)

    def test_websocket(self) -> None:
        """After the switch bytes go as they come, both ways, and the account is kept."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(get(b"Connection: Upgrade", b"Upgrade: websocket", b"Origin: https://web.example"))
        lines = self.lines_of(self.received())
        self.assertIn(b"Upgrade: websocket", lines)
        self.assertIn(b"Origin: https://web.example", lines)
        self.answer(SWITCH + b"first")
        self.assertTrue(self.shown().endswith(b"\r\n\r\nfirst"))
        self.ask(b"\x81ping")
        self.assertEqual(self.received(), b"\x81ping")
        self.clock.advance(24 * 3600)  # idle, and nobody minds
        self.answer(b"\x81pong")
        self.assertEqual(self.shown(), b"\x81pong")
        self.services[0].loseConnection()
        self.pump()
        self.user.loseConnection()
        self.pump()
        self.assertIs(self.account().reason, Reason.NEAR_CLOSED)
        self.assert_nothing_left()

    def test_no_service(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.refused = error.ConnectionRefusedError("111")
        self.connect_tls("web.example")
        self.ask(GET)
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
        [line] = self.lines
        self.assertIn("[web] connect to local service [127.0.0.1:8080] error: ", line)
        self.refused = None  # and it comes back
        self.ask(GET)
        self.answer(OK)
        self.assertEqual(self.shown(), OK)

    def test_a_service_that_does_not_answer(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(GET)
        self.clock.advance(RESPONSE_SECONDS)
        self.pump()
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 504 "))

    def test_garbage(self) -> None:
        """What isn't TLS ends that connection, and the log says what it was."""
        self.gateway(HTTPSToHTTPConfig)
        for garbage in (
            b"SSH-2.0-OpenSSH_9\r\n",
            b"\x16\x03\x01\xff\xff" + b"\0" * 99,
            b"\0" * 500,
        ):
            self.connect()
            self.ask(garbage)
            self.assertTrue(self.near.lost)
            account = self.account()
            self.assertTrue(account.detail.startswith("TLS handshake failed: "), account)
            self.assertEqual(account.down_bytes, len(garbage))
        self.assertEqual(self.dialled, [])
        self.assert_nothing_left()

    def test_silence(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect()
        self.clock.advance(HANDSHAKE_SECONDS)
        self.pump()
        self.assertEqual(self.account().detail, "no TLS handshake within 10 s")
        self.assert_nothing_left()

    def test_a_user_who_leaves_early(self) -> None:
        self.gateway(HTTPSToHTTPConfig)
        self.connect()
        self.user.loseConnection()
        self.pump()
        what = "the peer closed the connection during the TLS handshake"
        self.assertEqual(self.account().detail, what)
        self.connect()
        self.user.abortConnection()
        self.assertIn("connection lost during the TLS handshake", self.account().detail)
        self.assert_nothing_left()

    def test_a_user_who_leaves_in_between(self) -> None:
        """The service can stop its work."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(GET)
        self.user.abortConnection()
        self.pump()
        self.assertTrue(self.services[0].lost)
        self.assertIs(self.account().reason, Reason.FAR_LOST)

    def test_back_pressure(self) -> None:
        """A user who doesn't read keeps the service from being read."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example")
        self.ask(GET)
        self.user.pauseProducing()
        self.pump()
        body = b"x" * 1000
        self.services[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(1000):
            self.services[0].write(body)
            self.pump()
        self.assertGreater(self.services[0].buffered(), 700_000)
        self.user.resumeProducing()
        self.pump()
        self.assertEqual(len(self.shown().partition(b"\r\n\r\n")[2]), 1_000_000)

    def test_real_frp_closes(self) -> None:
        """Its end of file means that nobody is there: the service isn't kept at work."""
        self.gateway(HTTPSToHTTPConfig)
        self.connect_tls("web.example", far_half_closes=False)
        self.ask(GET)
        self.user.loseWriteConnection()  # of TLS: the response still goes
        self.pump()
        self.answer(OK)
        self.assertEqual(self.shown(), OK)
        self.connect_tls("web.example", far_half_closes=False)
        self.ask(GET)
        self.low[-1].peer.peer.loseWriteConnection()
        self.pump()
        self.assertTrue(self.near.lost)
        self.assertIs(self.account().reason, Reason.FAR_CLOSED)


class ToHTTPSTests(GatewayCase):
    """TLS out."""

    def setUp(self) -> None:
        super().setUp()
        self.service_tls = True

    def test_https_to_https(self) -> None:
        self.gateway(HTTPSToHTTPSConfig)
        self.connect_tls("web.example")
        for _ in range(2):
            self.ask(GET)
            self.assertEqual(self.lines_of(self.received()), [b"Host: web.example", *FORWARDED])
            self.answer(OK)
            self.assertEqual(self.shown(), OK)
        self.assertEqual(len(self.services), 1)

    def test_server_name(self) -> None:
        """The service is asked in TLS for the host that requests name, if they all name one."""
        for host, rewrite, name in (
            ("127.0.0.1", "", None),
            ("app.internal", "", b"app.internal"),
            ("127.0.0.1", "App.Example:8443", b"app.example"),
        ):
            config = HTTPToHTTPSConfig(local_addr=(host, 443), host_header_rewrite=rewrite)
            self.make(config)
            self.connect()
            self.ask(GET)
            connection = self.services[-1]._engine._connection
            self.assertEqual(connection.get_servername(), name)
            self.assertEqual(connection.get_alpn_proto_negotiated(), b"http/1.1")

    def test_user_of_a_tcp_proxy(self) -> None:
        self.gateway(HTTPToHTTPSConfig)
        self.connect(get(b"X-Forwarded-For: 10.0.0.1"))
        lines = self.lines_of(self.received())
        self.assertIn(b"X-Forwarded-For: 10.0.0.1, 198.51.100.9", lines)
        self.assertIn(b"X-Forwarded-Proto: http", lines)
        self.answer(OK)
        self.assertEqual(self.shown(), OK)

    def test_users_of_an_http_proxy(self) -> None:
        """One connection is for many: who they are is in the headers, not in StartWorkConn."""
        self.gateway(HTTPToHTTPSConfig, "http", headers={"X-Forwarded-Proto": "set"})
        self.connect()
        given = [
            b"X-Forwarded-For: 10.0.0.1, 10.0.0.2",
            b"X-Forwarded-Host: b.example",
            b"X-Real-IP: 10.0.0.2",
            b"Forwarded: for=10.0.0.1",
        ]
        self.ask(get(*given, b"X-Forwarded-Proto: https"))
        lines = self.lines_of(self.received())
        self.assertEqual(lines, [b"Host: web.example", *given, b"X-Forwarded-Proto: set"])
        self.answer(OK)
        self.ask(GET)
        self.assertEqual(self.lines_of(self.received())[0], b"Host: web.example")

    def test_a_service_without_tls(self) -> None:
        self.service_tls = False
        self.gateway(HTTPToHTTPSConfig)
        self.connect()
        self.ask(GET)
        self.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 502 "))
        [line] = self.lines
        self.assertIn("[web] TLS with local service [127.0.0.1:8080] error: TLS handshake", line)
        self.assertIn("wrong version number", line)
        self.assertTrue(self.services[0].peer.lost)

    def test_a_service_that_does_not_shake_hands(self) -> None:
        self.service_tls = False
        self.gateway(HTTPToHTTPSConfig)
        self.connect()
        self.ask(GET)
        self.clock.advance(HANDSHAKE_SECONDS)
        self.pump()
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 502 "))
        self.assertIn("no TLS handshake within 10 s", self.lines[-1])

    def test_websocket(self) -> None:
        self.gateway(HTTPToHTTPSConfig, "http")
        self.connect()
        self.ask(get(b"Connection: Upgrade", b"Upgrade: websocket"))
        self.received()
        self.answer(SWITCH)
        self.shown()
        self.ask(b"ping")
        self.assertEqual(self.received(), b"ping")
        self.answer(b"pong")
        self.assertEqual(self.shown(), b"pong")


class PlainTests(GatewayCase):
    """No TLS at all."""

    def test_http_to_http(self) -> None:
        self.gateway(HTTPToHTTPConfig, host_header_rewrite="localhost")
        self.connect(GET[:10])
        self.ask(GET[10:])
        lines = self.lines_of(self.received())
        self.assertEqual(lines[:2], [b"Host: localhost", FORWARDED[0]])
        self.answer(OK)
        self.assertEqual(self.shown(), OK)
        self.user.loseConnection()
        self.pump()
        account = self.account()
        self.assertEqual((account.down_bytes, account.up_bytes), (len(GET), len(OK)))
        self.assert_nothing_left()

    def test_smuggling(self) -> None:
        """Whatever comes is read by the same strict reader as on the server."""
        self.gateway(HTTPToHTTPConfig)
        self.connect()
        self.ask(get(b"Content-Length: 3", b"Transfer-Encoding: chunked"))
        self.assertTrue(self.shown().startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.dialled, [])

    def test_idle(self) -> None:
        self.gateway(HTTPToHTTPConfig)
        self.connect()
        self.ask(GET)
        self.answer(OK)
        self.assert_nothing_left()
        self.assertIs(self.account().reason, Reason.NEAR_CLOSED)


class MakeTests(GatewayCase):
    """What a file may say, and no gateway can do."""

    def test_route(self) -> None:
        self.gateway(HTTPToHTTPConfig)
        assert isinstance(self.plugin, Gateway)
        self.assertIs(self.plugin.for_request(), self.plugin)

    def test_header(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            self.gateway(HTTPToHTTPConfig, headers={"X": "a\nb"})
        self.assertEqual(
            raised.exception.problems, ("[web] plugin_header [X] can't be set: a line end",)
        )

    def test_files(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            self.gateway(HTTPSToHTTPConfig, crt_path="no.crt", key_path="no.key")
        missing = "No such file or directory"
        self.assertEqual(
            raised.exception.problems,
            (
                f"[web] plugin_crt_path = no.crt: {missing}",
                f"[web] plugin_key_path = no.key: {missing}",
            ),
        )
