# -*- test-case-name: tests.e2e.test_connect_smuggling -*-
"""Users of web sites and of tcpmux proxies on the clients' port: none gets into the other's."""

import contextlib
import socket
from typing import Final

from tests.e2e.services import connected, send_pieces
from tests.e2e.tunnel import TunnelTestCase, http_proxy
from tests.gateway.smuggling import BEHIND, BODIES, GET, HEADS, MARK, with_body
from tunnelsvc.wire.httphead import MAX_HEAD_BYTES

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STATUS: Final = b"HTTP/1.1 "
CONNECT: Final = b"CONNECT m.test:22 HTTP/1.1\r\nHost: m.test:22\r\n"

REFUSED: Final = {
    "body": CONNECT + b"Content-Length: 5\r\n\r\nhello",
    "chunks": CONNECT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both": CONNECT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": CONNECT + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "obs-fold": CONNECT + b"X: a\r\n b\r\n\r\n",
    "folded length": CONNECT + b"X: a\r\n Content-Length: 5\r\n\r\n",
    "two hosts": CONNECT + b"Host: a.test\r\n\r\n",
    "no host": b"CONNECT m.test:22 HTTP/1.1\r\n\r\n",
    "bare LF": CONNECT.replace(b"\r\n", b"\n") + b"\n",
    "bare CR": CONNECT + b"X: a\rb\r\n\r\n",
    "nul": CONNECT + b"X: \0\r\n\r\n",
    "blank before the colon": CONNECT + b"Content-Length : 5\r\n\r\nhello",
    "a URL": b"CONNECT http://m.test/ HTTP/1.1\r\nHost: m.test\r\n\r\n",
    "two targets": b"CONNECT m.test:22 a.test:22 HTTP/1.1\r\nHost: m.test\r\n\r\n",
}


class SharedPortTests(TunnelTestCase):
    """Both services write down all that reaches them."""

    def setUp(self) -> None:
        super().setUp()
        self.site = bytearray()
        self.tunnel = bytearray()
        site = self.local_service(self.answer_each)
        tunnel = self.local_service(self.record)
        port = self.bind_port
        self.start_server({"vhost_http_port": port, "tcpmux_httpconnect_port": port})
        self.start_client(
            {
                "site": http_proxy(site.port, {"custom_domains": "a.test"}),
                "tunnel": {
                    "type": "tcpmux",
                    "multiplexer": "httpconnect",
                    "local_port": tunnel.port,
                    "custom_domains": "m.test",
                },
            }
        )

    def answer_each(self, connection: socket.socket) -> None:
        unread = b""
        while data := connection.recv(65536):
            self.site += data
            unread += data
            while b"\r\n\r\n" in unread:
                unread = unread.partition(b"\r\n\r\n")[2]
                connection.sendall(OK)

    def record(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            self.tunnel += data

    def statuses(self, *pieces: bytes, finish: bool = True) -> list[bytes]:
        """Send these, each in a packet; give the statuses of all answers until the end."""
        with connected(self.bind_port) as user:
            send_pieces(user, *pieces, finish=finish)
            answered = b""
            with contextlib.suppress(ConnectionError):
                while data := user.recv(65536):
                    answered += data
        return [answer[:3] for answer in answered.split(STATUS)[1:]]

    def test_both_work(self) -> None:
        self.assertEqual(self.statuses(GET), [b"200"])
        self.assertEqual(self.statuses(CONNECT + b"\r\nhello"), [b"200"])
        self.assertEqual(bytes(self.tunnel), b"hello")
        octets = [CONNECT[at : at + 1] for at in range(len(CONNECT))]
        self.assertEqual(self.statuses(*octets, b"\r\n", b"you"), [b"200"])
        self.assertEqual(bytes(self.tunnel), b"helloyou")

    def test_refused(self) -> None:
        for what, head in REFUSED.items():
            self.assertEqual(self.statuses(head + BEHIND, finish=False), [b"400"], what)
            pieces = [octet.to_bytes() for octet in head + BEHIND]
            self.assertEqual(self.statuses(*pieces, finish=False), [b"400"], what)
            self.assertEqual(self.statuses(GET + head + BEHIND, finish=False)[1:], [b"400"], what)
        self.assertNotIn(MARK, self.site)
        self.assertEqual(bytes(self.tunnel), b"")

    def test_what_is_behind_a_connection(self) -> None:
        """It is the service's, whatever it looks like."""
        self.assertEqual(self.statuses(CONNECT + b"\r\n" + GET + BEHIND), [b"200"])
        self.assertEqual(bytes(self.tunnel), GET + BEHIND)
        self.assertEqual(bytes(self.site), b"")

    def test_what_is_behind_a_request(self) -> None:
        """A web site's user gets no tunnel, and what is meant for one is no request."""
        self.assertEqual(self.statuses(GET + CONNECT + b"\r\n" + BEHIND), [b"200", b"404"])
        self.assertEqual(bytes(self.tunnel), b"")
        self.assertNotIn(MARK, self.site)

    def test_whose_host_counts(self) -> None:
        """That of the target, in front of whatever Host says."""
        other = b"CONNECT m.test:22 HTTP/1.1\r\nHost: a.test\r\n\r\nx"
        self.assertEqual(self.statuses(other), [b"200"])
        self.assertEqual(bytes(self.tunnel), b"x")
        other = b"CONNECT a.test:22 HTTP/1.1\r\nHost: m.test\r\n\r\ny"
        self.statuses(other)
        self.assertEqual(bytes(self.tunnel), b"x")
        self.assertNotIn(b"m.test", self.site)
        absolute = b"GET http://m.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"
        self.assertEqual(self.statuses(absolute), [b"404"])
        absolute = b"GET http://a.test/ HTTP/1.1\r\nHost: m.test\r\n\r\n"
        self.assertEqual(self.statuses(absolute), [b"200"])
        self.assertNotIn(b"m.test", self.site)

    def test_requests_of_sites(self) -> None:
        """What is refused on the sites' own port is here, too."""
        for what, head in HEADS.items():
            # Some aren't even HTTP.
            self.assertIn(self.statuses(head + BEHIND), ([b"400"], []), what)
        for what, body in BODIES.items():
            said = self.statuses(with_body(body) + BEHIND)
            self.assertEqual(said[-1:], [b"400"], what)
        self.assertNotIn(MARK, self.site)
        self.assertEqual(bytes(self.tunnel), b"")

    def test_long_heads(self) -> None:
        """Octet by octet, to the longest there may be, and past it."""
        filler = (b"X: " + b"x" * 1000 + b"\r\n") * (MAX_HEAD_BYTES // 1005 + 2)
        long = (CONNECT + filler)[: MAX_HEAD_BYTES - 4]
        pieces = [octet.to_bytes() for octet in long + b"\r\n\r\n"]
        self.assertEqual(self.statuses(*pieces, b"z"), [b"200"])
        self.assertEqual(bytes(self.tunnel), b"z")
        pieces = [octet.to_bytes() for octet in CONNECT + filler]
        self.assertEqual(self.statuses(*pieces, finish=False), [b"400"])
