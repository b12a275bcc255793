# -*- test-case-name: tests.server.test_tlssites -*-
"""Tests of `tunnelsvc.server.tlssites`: browsers, http proxies' services, in memory."""

import datetime
from typing import Any

from attrs import evolve
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived
from OpenSSL import SSL

from tests.gateway.support import VhostCase, telling_pair
from tests.link.authority import Authority
from tests.streams import Recorder, pump
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.link.certificates import client_context, site_context
from tunnelsvc.link.tls import TLSTransport, start_tls_client
from tunnelsvc.server import tlssites
from tunnelsvc.server.sitecertificates import SiteCertificate
from tunnelsvc.server.tlssites import APPLICATIONS, TLSSites

AUTHORITY = Authority()
IDENTITY = AUTHORITY.issue("a.example", "*.b.example")


class Browser(Recorder):
    """Reads what it gets through TLS."""

    def makeConnection(self, transport: object) -> None:
        pass


class SitesCase(VhostCase):
    """A user with TLS of his own, instead of the plain one."""

    def setUp(self) -> None:
        super().setUp()
        self.passed_through: set[str] = set()
        site = evolve(self.factory.site, hsts=b"max-age=60")
        self.sites = TLSSites(site, lambda host: host not in self.passed_through, self.clock)
        self.certificate = SiteCertificate(
            name="one",
            domains=("a.example", "*.b.example"),
            connection=site_context(IDENTITY, tuple(APPLICATIONS)),
            valid_until=datetime.datetime.now(datetime.UTC),
            missing=(),
        )
        self.browse()

    def browse(self, *protocols: bytes) -> None:
        """Connect a browser that offers these."""
        factory = client_context(TLSConfig(), "a.example")

        def connection() -> SSL.Connection:
            made = factory()
            if protocols:
                made.set_alpn_protos(list(protocols))
            return made

        self.user, self.near = telling_pair("user")
        self.at_user = browser = Browser()
        self.tls: TLSTransport = start_tls_client(
            self.user, connection, browser, self.clock, head_byte=False
        )
        hello = b"".join(item for item in self.user.out if isinstance(item, bytes))
        self.user.out.clear()
        self.sites.terminate(self.near, hello, self.certificate)
        self.settle()

    def settle(self) -> None:
        """Move everything, with what waits for the next turn of the reactor."""
        for _ in range(8):
            self.pump()
            self.clock.advance(0)

    def ask(self, data: bytes) -> None:
        self.tls.write(data)
        self.settle()

    def answer(self, *args: Any, **kwargs: Any) -> None:
        super().answer(*args, **kwargs)
        self.settle()


class HTTPTests(SitesCase):
    """Requests inside."""

    def test_request(self) -> None:
        """The service learns the scheme, the user the policy; the connection stays."""
        for _ in range(2):
            self.get(b"/x")
            received = self.service.received()
            self.assertIn(b"\r\nX-Forwarded-Proto: https\r\n", received)
            self.assertIn(b"\r\nX-Forwarded-For: 192.0.2.7\r\n", received)
            self.answer()
            shown = self.take()
            self.assertTrue(shown.startswith(b"HTTP/1.1 200 OK\r\n"), shown)
            self.assertIn(b"\r\nStrict-Transport-Security: max-age=60\r\n", shown)
        self.assertFalse(self.near.lost)

    def test_protocols(self) -> None:
        for protocols in ((b"http/1.1",), (b"spdy/1", b"http/1.1"), (b"http/1.0",)):
            self.browse(*protocols)
            self.get()
            self.answer()
            self.assertTrue(self.take().endswith(b"\r\n\r\nok"))

    def test_http2(self) -> None:
        """It is preferred; other hosts are kept out of it, too; its end is announced."""
        self.add_site("c.example")
        self.browse(b"http/1.1", b"h2")
        h2 = H2Connection()
        h2.initiate_connection()
        for number, host in ((1, "a.example"), (3, "c.example")):
            head = {":method": "GET", ":scheme": "https", ":authority": host, ":path": "/"}
            h2.send_headers(number, head.items(), end_stream=True)
        self.ask(h2.data_to_send())
        self.assertIn(b"\r\nX-Forwarded-Proto: https\r\n", self.service.received())
        self.answer()
        self.sites.stop()
        self.settle()
        events = h2.receive_data(self.take())
        heads = {
            event.stream_id: dict(event.headers)
            for event in events
            if isinstance(event, ResponseReceived)
        }
        self.assertEqual(heads[1][b":status"], b"200")
        self.assertEqual(heads[1][b"strict-transport-security"], b"max-age=60")
        self.assertEqual(heads[3][b":status"], b"421")
        self.assertIsInstance(events[-1], ConnectionTerminated)

    def test_other_hosts(self) -> None:
        """What the certificate covers may be asked for, unless its TLS ends elsewhere."""
        self.add_site("x.b.example")
        self.add_site("c.example")
        for host, status in (
            (b"x.b.example", b""),
            (b"c.example", b"421"),
            (b"y.x.b.example", b"421"),
        ):
            self.ask(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            self.assertEqual(self.take()[9:12], status, host)
            if not status:
                self.routes[1].service.ends[-1].write(b"HTTP/1.1 204 No Content\r\n\r\n")
                self.settle()
                self.assertEqual(self.take()[9:12], b"204")
        self.passed_through.add("x.b.example")
        self.ask(b"GET / HTTP/1.1\r\nHost: x.b.example\r\n\r\n")
        self.assertEqual(self.take()[9:12], b"421")

    def test_end_of_the_connection(self) -> None:
        """A slow user gets all of the last response, however long he takes."""
        body = bytes(3_000_000)
        self.get(b"/", b"Connection: close")
        self.user.pauseProducing()
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(10):
            self.clock.advance(20)
            self.settle()
        self.user.resumeProducing()
        self.settle()
        self.assertEqual(len(self.shown().partition(b"\r\n\r\n")[2]), len(body))
        self.assertTrue(self.at_user.finished)
        self.tls.loseConnection()
        self.settle()
        self.assert_over()

    def test_user_leaves(self) -> None:
        """In the midst of the handshake, after it, in a request."""
        self.get()
        self.user.abortConnection()
        self.assert_over()
        self.sites.terminate(telling_pair("gone")[1], b"\x16\x03\x01", self.certificate)
        self.browse()
        self.user.abortConnection()
        self.assertTrue(self.near.lost)

    def test_upgrade(self) -> None:
        """A WebSocket, as a browser has it with wss."""
        wanted = (b"Connection: Upgrade", b"Upgrade: websocket")
        self.get(b"/ws", *wanted)
        self.answer(b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n%b\r\n\r\nhi" % wanted)
        self.assertTrue(self.take().endswith(b"\r\n\r\nhi"))
        self.ask(b"frame")
        self.assertEqual(self.service.body(), b"frame")


class FailureTests(SitesCase):
    """Handshakes that fail, and bugs."""

    def test_garbage(self) -> None:
        """The user gets OpenSSL's alert, the log nothing worth a line."""
        user, near = telling_pair("user")
        seen = Recorder()
        user.protocol, user.paused = seen, False
        self.sites.terminate(near, b"\x16\x03\x01\x00\x04\x02\0\0\0", self.certificate)
        pump(user)
        self.assertEqual(seen.received[:1], b"\x15")
        user.loseConnection()
        pump(user)
        self.assertTrue(near.lost)

    def test_stopped_in_the_handshake(self) -> None:
        user, near = telling_pair("user")
        self.sites.terminate(near, b"\x16\x03\x01", self.certificate)
        near.abortConnection()
        self.assertTrue(user.lost)

    def test_a_bug_of_ours_leaves_no_connection(self) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        self.patch(tlssites, "APPLICATIONS", {b"http/1.1": broken})
        self.browse()
        self.assertTrue(self.near.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
