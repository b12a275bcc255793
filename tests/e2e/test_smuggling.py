# -*- test-case-name: tests.e2e.test_smuggling -*-
"""Requests that two readers could understand differently, on sockets, through both programs."""

import socket
from collections.abc import Iterator, Mapping

from tests.e2e.services import connected, receive, send_pieces
from tests.e2e.tunnel import TunnelTestCase, http_proxy
from tests.gateway.smuggling import BEHIND, BODIES, GET, HEADS, MARK, OTHER_VERSIONS, with_body

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STATUS = b"HTTP/1.1 "


class SmugglingTests(TunnelTestCase):
    """A service that writes down all that reaches it."""

    def setUp(self) -> None:
        super().setUp()
        self.recorded = bytearray()
        service = self.local_service(self.record)
        self.start_server()
        self.start_client({"x": http_proxy(service.port, {"custom_domains": "a.test"})})
        self.assertEqual(self.answers(GET, finish=True), [b"200"])
        self.recorded.clear()

    def record(self, connection: socket.socket) -> None:
        """Answer each head that looks complete."""
        unread = b""
        while data := connection.recv(65536):
            self.recorded += data
            unread += data
            while b"\r\n\r\n" in unread:
                unread = unread.partition(b"\r\n\r\n")[2]
                connection.sendall(OK)

    def answers(self, *pieces: bytes, finish: bool = False) -> list[bytes]:
        """Send these, each in a packet; give the statuses of all answers until the end."""
        with connected(self.vhost_port) as user:
            send_pieces(user, *pieces, finish=finish)
            answered = receive(user, 1_000_000)
        return [answer[:3] for answer in answered.split(STATUS)[1:]]

    def test_in_one_piece(self) -> None:
        for what, head in every(HEADS):
            self.assertEqual(self.answers(head + BEHIND), [b"400"], what)
        for what, head in every(OTHER_VERSIONS):
            self.assertEqual(self.answers(head + BEHIND), [b"505"], what)
        self.assertEqual(bytes(self.recorded), b"")

    def test_bodies(self) -> None:
        for what, body in every(BODIES):
            self.assertEqual(self.answers(with_body(body) + BEHIND)[-1:], [b"400"], what)
        self.assertNotIn(MARK, self.recorded)

    def test_byte_by_byte(self) -> None:
        for what, head in every(HEADS, longest=1000):
            data = head + BEHIND
            pieces = [data[at : at + 1] for at in range(len(data))]
            self.assertEqual(self.answers(*pieces), [b"400"], what)
        self.assertEqual(bytes(self.recorded), b"")

    def test_behind_a_good_request(self) -> None:
        for number, (what, head) in enumerate(every(HEADS), start=1):
            self.assertEqual(self.answers(GET + head + BEHIND), [b"200", b"400"], what)
            self.assertEqual(self.recorded.count(b" HTTP/1.1\r\n"), number, what)
        self.assertNotIn(MARK, self.recorded)


def every(cases: Mapping[str, bytes], longest: int = 1_000_000) -> Iterator[tuple[str, bytes]]:
    """Give those that are no longer than this."""
    return ((what, data) for what, data in cases.items() if len(data) <= longest)
