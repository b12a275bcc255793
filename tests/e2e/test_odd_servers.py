# -*- test-case-name: tests.e2e.test_odd_servers -*-
"""Odd web servers behind the tunnel, as `tests.e2e.oddities` has them: users get what is right."""

# As a module: trial takes a "suppress" of a test module for its own.
import contextlib
import socket
import threading
from collections.abc import Mapping
from typing import Final

from tests.e2e.oddities import (
    BODIES,
    BROKEN,
    HEADS,
    OLD,
    PATHS,
    PLAIN_ANSWER,
    SECRET,
    UNREAD_BYTES,
    End,
    Oddity,
    read_all,
    read_head,
    read_page,
    refuse_unread,
    serve_oddly,
)
from tests.e2e.services import Handler, connected, pattern, receive, send_all
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy
from tests.programs import PATIENCE

# Enough to notice one that is late.
EVENTS: Final = 20

EVENTS_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# For a test that waits until it's over.
SOON: Final = {"vhost_http_timeout": 1}

PLAIN_REQUEST: Final = b"GET /plain HTTP/1.1\r\nHost: odd.test\r\n\r\n"


class OddServersTestCase(TunnelTestCase):
    """A tunnel to one local service, for ``odd.test``."""

    def start_tunnel(self, handler: Handler, options: Options = NO_OPTIONS) -> None:
        """Start the service, and both programs."""
        self.start_server(options)
        port = self.local_service(handler).port
        self.start_client({"odd": http_proxy(port, {"custom_domains": "odd.test"})})


class OddServersTests(OddServersTestCase):
    """What a user gets, to the byte, and whether their connection is of use afterwards."""

    def setUp(self) -> None:
        super().setUp()
        self.start_tunnel(serve_oddly)

    def check_all(self, oddities: Mapping[str, Oddity]) -> None:
        """Ask each of these servers."""
        for name, oddity in oddities.items():
            with connected(self.vhost_port) as user:
                user.sendall(oddity.request_for(PATHS[name]))
                self.assertEqual(receive(user, len(oddity.shown)), oddity.shown, name)
                if oddity.page:
                    status, page = read_page(user)
                    self.assertEqual(status, oddity.page, name)
                    self.assertNotIn(SECRET, page, name)
                self.check_end(user, oddity, name)

    def check_end(self, user: socket.socket, oddity: Oddity, name: str) -> None:
        """The user's connection takes another request, or ends as it should."""
        if oddity.end is End.KEPT:
            user.sendall(PLAIN_REQUEST)
            self.assertEqual(receive(user, len(PLAIN_ANSWER)), PLAIN_ANSWER, name)
        elif oddity.end is End.CLOSED:
            self.assertEqual(receive(user, 1), b"", name)
        else:
            with self.assertRaises(ConnectionResetError, msg=name):
                receive(user, 1)

    def test_old(self) -> None:
        """Old servers."""
        self.check_all(OLD)

    def test_heads(self) -> None:
        """Unusual heads."""
        self.check_all(HEADS)

    def test_bodies(self) -> None:
        """Unusual bodies."""
        self.check_all(BODIES)

    def test_broken(self) -> None:
        """Broken answers: a page, or a reset when a part was passed on."""
        self.check_all(BROKEN)


class ConversationTests(OddServersTestCase):
    """Servers and users that wait for each other: nothing is held back on the way."""

    def test_drip(self) -> None:
        """Each event arrives before the server sends the next one."""
        steps = threading.Semaphore(0)

        def drip(connection: socket.socket) -> None:
            read_head(connection)
            connection.sendall(EVENTS_HEAD)
            for number in range(EVENTS):
                assert steps.acquire(timeout=PATIENCE)
                connection.sendall(_event(number))

        self.start_tunnel(drip)
        with connected(self.vhost_port) as user:
            user.sendall(PLAIN_REQUEST)
            head = EVENTS_HEAD[:-2] + b"Connection: close\r\n\r\n"
            self.assertEqual(receive(user, len(head)), head)
            for number in range(EVENTS):
                steps.release()
                self.assertEqual(receive(user, len(_event(number))), _event(number))
            self.assertEqual(receive(user, 1), b"")

    def test_continue(self) -> None:
        """A user who waits for the server's 100 gets it before a byte of the body is sent."""

        def answer_after_body(connection: socket.socket) -> None:
            read_head(connection)
            connection.sendall(CONTINUE)
            body = receive(connection, 4)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)

        self.start_tunnel(answer_after_body)
        with connected(self.vhost_port) as user:
            user.sendall(_post(4, b"Expect: 100-continue\r\n"))
            self.assertEqual(receive(user, len(CONTINUE)), CONTINUE)
            user.sendall(b"body")
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
            self.assertEqual(receive(user, len(answer)), answer)

    def test_refused_unread(self) -> None:
        """A server that says no and closes, with the body unread: the user gets to know it."""
        self.start_tunnel(refuse_unread)
        answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\nToo big."
        for size in (0, 1000, UNREAD_BYTES):
            with connected(self.vhost_port) as user:
                user.sendall(_post(UNREAD_BYTES))
                sender = threading.Thread(target=send_all, args=(user, pattern(size)), daemon=True)
                sender.start()
                self.assertEqual(receive(user, len(answer)), answer, size)
                user.shutdown(socket.SHUT_RDWR)
                sender.join(PATIENCE)
                self.assertFalse(sender.is_alive())

    def test_pipelined(self) -> None:
        """Requests sent in one piece are answered in their order, by servers of all kinds."""
        self.start_tunnel(serve_oddly)
        kept = {
            name: oddity
            for name, oddity in {**OLD, **HEADS, **BODIES}.items()
            if oddity.end is End.KEPT
        }
        with connected(self.vhost_port) as user:
            user.sendall(b"".join(kept[name].request_for(PATHS[name]) for name in kept))
            for name, oddity in kept.items():
                self.assertEqual(receive(user, len(oddity.shown)), oddity.shown, name)

    def test_silence(self) -> None:
        """A server that takes a request and says nothing is waited for, not for ever."""

        def say_nothing(connection: socket.socket) -> None:
            read_all(connection)

        self.start_tunnel(say_nothing, SOON)
        with connected(self.vhost_port) as user:
            for _ in range(2):
                user.sendall(PLAIN_REQUEST)
                status, _page = read_page(user)
                self.assertEqual(status, 504)

    def test_user_leaves(self) -> None:
        """A server learns that nobody waits for its answer any more."""
        gone = threading.Event()

        def wait_for_end(connection: socket.socket) -> None:
            read_head(connection)
            connection.sendall(EVENTS_HEAD)
            with contextlib.suppress(ConnectionError):
                read_all(connection)
            gone.set()

        self.start_tunnel(wait_for_end)
        with connected(self.vhost_port) as user:
            user.sendall(PLAIN_REQUEST)
            receive(user, len(EVENTS_HEAD))
            self.assertFalse(gone.is_set())
        self.assertTrue(gone.wait(PATIENCE))


def _event(number: int) -> bytes:
    return b"data: %d\n\n" % number


def _post(size: int, line: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: odd.test\r\n%bContent-Length: %d\r\n\r\n" % (line, size)
