# -*- test-case-name: tests.gateway.test_smuggling -*-
"""Requests that two readers could understand differently reach no service, however they're cut.

In memory; `tests.e2e.test_smuggling` has the same on sockets, through both programs.
"""

from tests.gateway.smuggling import BEHIND, BODIES, GET, HEADS, MARK, OTHER_VERSIONS, with_body
from tests.gateway.support import OK, VhostCase


class SmugglingTests(VhostCase):
    def setUp(self) -> None:
        super().setUp()
        self.route = self.add_site("a.test")
        self.service = self.route.service

    def cut(self, data: bytes) -> None:
        """Send byte by byte, as far as it is read."""
        for position in range(len(data)):
            self.ask(data[position : position + 1])
            if self.shown():
                break

    def assert_nothing_sent(self, what: str, status: int = 400) -> None:
        """The user got this status and nothing else, the service nothing at all."""
        try:
            self.assert_refused(status)
            self.assertEqual(
                b"".join(map(self.service.received, range(len(self.service.ends)))), b""
            )
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None

    def test_heads(self) -> None:
        for what, head in HEADS.items():
            self.connect()
            self.ask(head + BEHIND)
            self.assert_nothing_sent(what)

    def test_heads_byte_by_byte(self) -> None:
        for what, head in HEADS.items():
            if len(head) < 1000:
                self.connect()
                self.cut(head + BEHIND)
                self.assert_nothing_sent(what)

    def test_other_versions(self) -> None:
        for what, head in OTHER_VERSIONS.items():
            self.connect()
            self.ask(head + BEHIND)
            self.assert_nothing_sent(what, 505)

    def test_heads_behind_a_good_request(self) -> None:
        for what, head in HEADS.items():
            self.connect()
            self.ask(GET + head + BEHIND)
            self.answer(OK)
            self.assertTrue(self.take().startswith(OK), what)
            received = self.service.received()
            self.assertEqual(received.count(b"HTTP/1.1\r\n"), 1, what)
            self.assertTrue(self.at_user.finished, what)
            self.service.ends[-1].abortConnection()
            self.pump()

    def test_bodies(self) -> None:
        """In one piece with the head, not even that is sent."""
        for what, body in BODIES.items():
            self.connect()
            self.ask(with_body(body) + BEHIND)
            self.assert_no_end(what)

    def test_bodies_byte_by_byte(self) -> None:
        for what, body in BODIES.items():
            if len(body) < 1000:
                self.connect()
                self.cut(with_body(body) + BEHIND)
                self.assert_no_end(what)

    def assert_no_end(self, what: str) -> None:
        """The service got nothing that it could take for a whole request."""
        self.assertEqual(self.shown()[:12], b"HTTP/1.1 400", what)
        self.assertTrue(self.at_user.finished, what)
        self.assertIsNotNone(self.service.seen[-1].lost, what)
        received = self.service.received()
        self.assertNotIn(MARK, received, what)
        self.assertNotIn(b"0\r\n\r\n", received, what)
