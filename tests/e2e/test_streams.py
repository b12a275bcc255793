# -*- test-case-name: tests.e2e.test_streams -*-
"""Bytes through both programs: all of them, in order, with half-close, in bounded memory."""

import hashlib
import socket
import threading
import time
from typing import Final

from tests.e2e.services import (
    connected,
    digest_after_eof,
    digest_of,
    download_of,
    echo,
    echo_bulk,
    pattern,
    receive,
    send_all,
    serves_echo,
)
from tests.e2e.tunnel import Options, TunnelTestCase, tcp_proxy
from tests.programs import PATIENCE, Program, eventually, free_port
from tunnelsvc.units import MiB

# Enough to show anything that grows with what was carried, and a few seconds at most.
LARGE_BYTES: Final = 64 * MiB

# What either program may use at its worst, whatever it carries.
MEMORY_LIMIT_BYTES: Final = 100 * MiB

# More than all buffers on the way together: the kernel's own (up to 6 MiB at each of six sockets),
# ours and yamux's windows.
MORE_THAN_BUFFERS_BYTES: Final = 128 * MiB

# Seconds without progress after which a sender is taken to be held up.
STALL_SECONDS: Final = 1.0


class HalfCloseTests(TunnelTestCase):
    """A user that has finished sending still gets the answer."""

    def check(self, options: Options, proxy: Options) -> None:
        """Send, finish, and only then get an answer; and the other way round."""
        up, down = free_port(), free_port()
        summing = self.local_service(digest_after_eof)
        sending = self.local_service(download_of(2 * MiB))
        self.start_server()
        self.start_client(
            {
                "up": tcp_proxy(summing.port, up, proxy),
                "down": tcp_proxy(sending.port, down, proxy),
            },
            options,
        )
        for size in (0, 1, 2 * MiB):
            self.assertEqual(self.upload(up, size), digest_of(pattern(size)).encode())
        with connected(down) as user:
            user.shutdown(socket.SHUT_WR)
            self.assertEqual(receive(user, 3 * MiB), b"".join(pattern(2 * MiB)))

    def upload(self, port: int, size: int) -> bytes:
        """Send everything, finish, return the answer."""
        with connected(port) as user:
            send_all(user, pattern(size))
            user.shutdown(socket.SHUT_WR)
            return receive(user, 1000)

    def test_mux_tls(self) -> None:
        self.check({"tcp_mux": True, "tls_enable": True}, {})

    def test_mux(self) -> None:
        self.check({"tcp_mux": True, "tls_enable": False}, {})

    def test_tls(self) -> None:
        self.check({"tcp_mux": False, "tls_enable": True}, {})

    def test_plain(self) -> None:
        self.check({"tcp_mux": False, "tls_enable": False}, {})

    def test_dressed(self) -> None:
        self.check({}, {"use_encryption": True, "use_compression": True})


class LargeTests(TunnelTestCase):
    """Large transfers don't grow the programs."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.start_server()

    def check_memory(self, *programs: Program) -> None:
        """Neither program ever used more than it may."""
        for program in programs:
            peak = program.status.peak_memory_bytes()
            self.assertLess(peak, MEMORY_LIMIT_BYTES, f"{program.name}: {peak} bytes")

    def check_transfer(self, options: Options) -> None:
        """Upload, then download, over ``tcp``."""
        up, down = free_port(), free_port()
        summing = self.local_service(digest_after_eof)
        sending = self.local_service(download_of(LARGE_BYTES))
        proxies = {"up": tcp_proxy(summing.port, up), "down": tcp_proxy(sending.port, down)}
        client = self.start_client(proxies, options)
        with connected(up) as user:
            send_all(user, pattern(LARGE_BYTES))
            user.shutdown(socket.SHUT_WR)
            answer = receive(user, 1000).decode()
        with connected(down) as user:
            received = hashlib.sha256()
            while data := user.recv(MiB):
                received.update(data)
        expected = digest_of(pattern(LARGE_BYTES))
        self.assertEqual((answer, received.hexdigest()), (expected, expected))
        self.check_memory(self.server, client)

    def test_default(self) -> None:
        """With TLS and tcp_mux."""
        self.check_transfer({})

    def test_plain(self) -> None:
        """With neither, where bytes may take another way through the programs."""
        self.check_transfer({"tcp_mux": False, "tls_enable": False})

    def test_slow_reader(self) -> None:
        """A user who doesn't read holds up his sender, nobody else, and loses nothing."""
        slow, quick = free_port(), free_port()
        sent = bytearray()

        def count_and_send(connection: socket.socket) -> None:
            for part in pattern(MORE_THAN_BUFFERS_BYTES):
                connection.sendall(part)
                sent.append(1)

        sending, echoing = self.local_service(count_and_send), self.local_service(echo)
        client = self.start_client(
            {"slow": tcp_proxy(sending.port, slow), "quick": tcp_proxy(echoing.port, quick)}
        )
        with connected(slow) as user:
            eventually(lambda: len(sent) and _stalled(sent), "the sender held up")
            self.assertLess(len(sent) * MiB, MORE_THAN_BUFFERS_BYTES)
            digests = echo_bulk(quick, MiB)
            self.assertEqual(digests[0], digests[1])
            data = receive(user, MORE_THAN_BUFFERS_BYTES + 1)
        self.assertEqual(digest_of(iter([data])), digest_of(pattern(MORE_THAN_BUFFERS_BYTES)))
        self.check_memory(self.server, client)


def _stalled(sent: bytearray) -> bool:
    before = len(sent)
    time.sleep(STALL_SECONDS)
    return len(sent) == before


class ManyConnectionsTests(TunnelTestCase):
    """Connections at the same time don't disturb each other."""

    def test_concurrent(self) -> None:
        """Forty users, each with their own bytes."""
        port = free_port()
        self.start_server()
        client = self.start_client({"echo": tcp_proxy(self.local_service(echo).port, port)})
        self.assertTrue(serves_echo(port))
        results: list[tuple[str, str]] = []
        users = [
            threading.Thread(
                target=lambda seed: results.append(echo_bulk(port, MiB // 2, seed)), args=(seed,)
            )
            for seed in range(40)
        ]
        for user in users:
            user.start()
        for user in users:
            user.join(2 * PATIENCE)
        self.assertEqual(len(results), len(users), client.excerpt())
        self.assertTrue(all(sent == received for sent, received in results))
