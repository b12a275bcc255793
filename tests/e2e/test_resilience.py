# -*- test-case-name: tests.e2e.test_resilience -*-
"""Crashes, strangers and nonsense: what a public port sees, and what must survive it."""

# As a module: trial takes a "suppress" of a test module for its own.
import contextlib
import random
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from tests.e2e.openfiles import steady_files, wait_for_files
from tests.e2e.services import (
    chunks,
    connected,
    echo,
    echo_once,
    is_closed,
    receive,
    request,
    serves_echo,
)
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import PATIENCE, Program, eventually, free_port

# Connections that are open when the server is killed.
LIVE_CONNECTIONS: Final = 200

# Seconds that a client waits at most before it looks whether a server that was lost is back.
BACK_WITHIN_SECONDS: Final = 2.0

# Connections made and closed at once.
KNOCKS: Final = 2000

# Requests under way when a client ends: more than it keeps connections ready for.
REQUESTS: Final = 16

# Users one after the other: more than there are connections kept ready.
SPARES_AND_MORE: Final = 12

# A TLS record header that promises 512 bytes of ClientHello, and the beginning of those.
HALF_HELLO: Final = bytes.fromhex("1603010200010001fc0303") + bytes(40)

# A first frame of yamux that belongs to a stream nobody opened, with the longest length there is.
BAD_YAMUX: Final = bytes.fromhex("000000000000ffffffffffff")

# A v1 message that claims to be longer than any may be.
LONG_MESSAGE: Final = b"o" + (2**40).to_bytes(8, "big") + b"{" * 100

# A login that isn't JSON.
BROKEN_LOGIN: Final = b"o" + (10).to_bytes(8, "big") + b"{'nope': 1"


def silent(connection: socket.socket) -> None:
    """Service: read, and say nothing."""
    for _ in chunks(connection):
        pass


class CrashTests(TunnelTestCase):
    """The server is killed under many users."""

    def test_server_killed(self) -> None:
        """Every user notices, the client is back at once, and nothing is left open."""
        port = free_port()
        service = self.local_service(echo)
        server = self.start_server()
        client = self.start_client({"echo": tcp_proxy(service.port, port)})
        self.assertTrue(serves_echo(port))
        before = steady_files(client)
        with ExitStack() as stack:
            users = [stack.enter_context(connected(port)) for _ in range(LIVE_CONNECTIONS)]
            self.assertTrue(all(echo_once(user) for user in users))
            server.kill()
            self.assertTrue(all(is_closed(user) for user in users))
        server = self.start_server()
        client.wait_for("[echo] start proxy success", times=2)
        waits = re.findall(r"trying again in (\S+) s", client.output())
        self.assertLessEqual(max(map(float, waits)), BACK_WITHIN_SECONDS, client.excerpt())
        self.assertTrue(serves_echo(port))
        eventually(lambda: not service.live, "local connections closed")
        wait_for_files(client, before)

    def test_client_killed(self) -> None:
        """The server closes its users' connections and frees the port for the next client."""
        port = free_port()
        service = self.local_service(echo)
        server = self.start_server()
        before = steady_files(server)
        proxies = {"echo": tcp_proxy(service.port, port)}
        client = self.start_client(proxies)
        with connected(port) as user:
            self.assertTrue(echo_once(user))
            client.kill()
            self.assertTrue(is_closed(user))
        wait_for_files(server, before)
        self.start_client(proxies)
        self.assertTrue(serves_echo(port))

    def check_requests(self, end: Callable[[Program], object], options: Options) -> None:
        """Users whose requests are under way hear that the client is offline, not the service."""
        service = self.local_service(silent)
        self.start_server(options)
        proxies = {"web": http_proxy(service.port, {"custom_domains": "a.test"})}
        client = self.start_client(proxies, options)
        with ExitStack() as stack:
            users = [stack.enter_context(connected(self.vhost_port)) for _ in range(REQUESTS)]
            for number, user in enumerate(users):
                method = "POST" if number % 2 else "GET"
                user.sendall(f"{method} / HTTP/1.0\r\nHost: a.test\r\n\r\n".encode())
            eventually(lambda: len(service.live) == REQUESTS, "requests under way")
            end(client)
            answers = [receive(user, 12) for user in users]
        self.assertEqual(answers, [b"HTTP/1.1 503"] * REQUESTS)

    def test_client_killed_within_requests(self) -> None:
        self.check_requests(Program.kill, {})

    def test_client_killed_within_requests_without_mux(self) -> None:
        self.check_requests(Program.kill, {"tcp_mux": False})

    def test_client_stopped_within_requests(self) -> None:
        self.check_requests(Program.stop, {})

    def check_kept_connections(self, options: Options) -> None:
        """A service isn't cut off whose connection waits for the next request."""
        ends: list[bool] = []

        def serve(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            ends.append(is_reset(connection))

        service = self.local_service(serve)
        self.start_server()
        proxies = {"web": http_proxy(service.port, {"custom_domains": "a.test"})}
        client = self.start_client(proxies, options)
        self.assertEqual(request(self.vhost_port, host="a.test").status, 200)
        client.stop()
        eventually(lambda: ends, "the end at the service")
        self.assertEqual(ends, [False])

    def test_client_stopped_between_requests(self) -> None:
        self.check_kept_connections({})

    def test_client_stopped_between_requests_with_mux(self) -> None:
        self.check_kept_connections({"tcp_mux": True})

    def test_service_down_within_requests(self) -> None:
        """The client lives: it is the service."""
        service = self.local_service(lambda connection: connection.close())
        self.start_server()
        self.start_client({"web": http_proxy(service.port, {"custom_domains": "a.test"})})
        self.assertEqual(request(self.vhost_port, host="a.test").status, 502)
        service.close()
        self.assertEqual(request(self.vhost_port, host="a.test").status, 502)

    def test_users_leave(self) -> None:
        """Users who reset their connections cost neither program a descriptor."""
        port = free_port()
        service = self.local_service(echo)
        server = self.start_server()
        client = self.start_client({"echo": tcp_proxy(service.port, port)})
        self.assertTrue(serves_echo(port))
        before = [steady_files(program) for program in (server, client)]
        for _ in range(100):
            with connected(port) as user:
                user.sendall(b"x" * 1000)
                reset_now(user)
        eventually(lambda: not service.live, "local connections closed")
        for program, files in zip((server, client), before, strict=True):
            wait_for_files(program, files)


class ResetTests(TunnelTestCase):
    """A connection that one end resets is reset at the other: a part is never taken for all."""

    def check(self, options: Options, proxy: Options) -> None:
        """Reset by the service, and by the user, after something was said."""
        port = free_port()
        reset: list[bool] = []

        def serve(connection: socket.socket) -> None:
            """Be cut off by who says ``wait``, and cut off everybody else."""
            asked = connection.recv(100)
            connection.sendall(b"a part")
            if asked == b"wait":
                reset.append(is_reset(connection))
            else:
                reset_now(connection)

        service = self.local_service(serve)
        self.start_server()
        client = self.start_client({"web": tcp_proxy(service.port, port, proxy)}, options)
        for _ in range(SPARES_AND_MORE):
            with connected(port) as user:
                user.sendall(b"go")
                self.assertEqual(receive(user, 6), b"a part")
                self.assertTrue(is_reset(user), client.excerpt())
            with connected(port) as user:
                user.sendall(b"wait")
                self.assertEqual(receive(user, 6), b"a part")
                reset_now(user)
        eventually(lambda: len(reset) == SPARES_AND_MORE, "the service being cut off")
        self.assertTrue(all(reset), client.excerpt())

    def test_default(self) -> None:
        """By connections of their own, with TLS."""
        self.check({}, {})

    def test_mux(self) -> None:
        self.check({"tcp_mux": True}, {})

    def test_plain(self) -> None:
        """Where sockets are joined without anything between."""
        self.check({"tls_enable": False}, {})

    def test_dressed(self) -> None:
        self.check({}, {"use_encryption": True, "use_compression": True})


def is_reset(end: socket.socket) -> bool:
    """Whether the other side resets, and doesn't end."""
    try:
        end.recv(1)
    except ConnectionResetError:
        return True
    return False


def reset_now(end: socket.socket) -> None:
    """Close with a reset: to linger for zero seconds means that."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    end.close()


class GarbageTests(TunnelTestCase):
    """Nonsense on the bind port costs nothing but its own connection."""

    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()
        self.server = self.start_server()
        self.client = self.start_client(
            {"echo": tcp_proxy(self.local_service(echo).port, self.port)}
        )
        self.good = self.stay_connected()

    def stay_connected(self) -> socket.socket:
        """Be a user with a connection of long standing."""
        user = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.addCleanup(user.close)
        self.assertTrue(echo_once(user))
        return user

    def check_unharmed(self) -> None:
        """Old and new connections work, on the same login."""
        self.assertTrue(echo_once(self.good))
        self.assertTrue(serves_echo(self.port))
        self.assertEqual(len(self.client.lines("login to server success")), 1)

    def throw(self, data: bytes) -> None:
        """Send this to the bind port and finish; the server must close."""
        with connected(self.bind_port) as stranger, contextlib.suppress(OSError):
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            receive(stranger, 100_000)

    def test_random_bytes(self) -> None:
        """Random bytes, and random bytes that begin like something known."""
        source = random.Random(7)
        for first in (b"", b"\x16", b"\x17", b"\x17\x16\x03\x01", b"\0", b"o", b"w", b"GET "):
            for size in (1, 11, 300, 5000):
                self.throw(first + source.randbytes(size))
                self.assertTrue(echo_once(self.good))
        self.check_unharmed()

    def test_broken_openings(self) -> None:
        """Openings of each protocol with one thing wrong."""
        for data in (HALF_HELLO, b"\x17" + HALF_HELLO, BAD_YAMUX, LONG_MESSAGE, BROKEN_LOGIN):
            self.throw(data)
        self.check_unharmed()

    def test_silence_is_ended(self) -> None:
        """Who says nothing, or half of something, or that too slowly, is closed by the server."""
        openings = (b"", b"\x17", b"\x16", HALF_HELLO, b"o", BAD_YAMUX[:5], b"GE")
        with ExitStack() as stack:
            strangers = [stack.enter_context(connected(self.bind_port)) for _ in openings]
            for stranger, data in zip(strangers, openings, strict=True):
                stranger.sendall(data)
            self.check_unharmed()
            self.check_slow_bytes()  # for as long as the others are silent
            for stranger, data in zip(strangers, openings, strict=True):
                self.assertTrue(self.is_ended(stranger), f"{data!r} keeps its connection")
        self.check_unharmed()

    def check_slow_bytes(self) -> None:
        """A login of which a byte arrives now and then doesn't hold the connection for ever."""
        login = b"o" + (200).to_bytes(8, "big") + b" " * 200
        with connected(self.bind_port) as stranger:
            stranger.settimeout(0.5)
            deadline = time.monotonic() + PATIENCE
            ended = False
            for byte in login:
                with contextlib.suppress(ConnectionError):
                    stranger.send(bytes((byte,)))
                ended = self.ended_within_timeout(stranger)
                if ended or time.monotonic() > deadline:
                    break
        self.assertTrue(ended)

    def test_knocks(self) -> None:
        """Thousands of connections closed at once leave no descriptor behind."""
        before = steady_files(self.server)
        for knock in range(KNOCKS):
            socket.create_connection(("127.0.0.1", self.bind_port), timeout=PATIENCE).close()
            if knock % 500 == 0:
                self.assertTrue(echo_once(self.good))
        self.check_unharmed()
        wait_for_files(self.server, before)

    def ended_within_timeout(self, stranger: socket.socket) -> bool:
        """Whether the server closes before the socket's timeout is over."""
        try:
            return is_closed(stranger)
        except TimeoutError:
            return False

    def is_ended(self, stranger: socket.socket) -> bool:
        """Whether the server closes in time, after an answer or without."""
        with contextlib.suppress(ConnectionError):
            try:
                receive(stranger, 100_000)
            except TimeoutError:
                return False
        return True
