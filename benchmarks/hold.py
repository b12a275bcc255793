# -*- test-case-name: tests.test_benchmarks -*-
"""Many users who connect, ask once and then stay, to see what an idle connection costs."""

import selectors
import socket
import time
from typing import Final

from benchmarks.programs import BenchmarkError

# Connections that are being made at a time: below every listen backlog, so that none is refused.
IN_FLIGHT: Final = 50

# Seconds in which at least one more connection must get its answer.
STALL_TIMEOUT: Final = 15.0

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: bench.tunnel.example\r\n\r\n"
ANSWER: Final = b"HTTP/1.1 200 "

# Bytes: nginx's answer, with room.
ANSWER_LIMIT: Final = 4096


class Crowd:
    """Connections through a tunnel, each proven by an HTTP answer and kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._waiting: set[socket.socket] = set()
        self._held: list[socket.socket] = []

    def __len__(self) -> int:
        return len(self._held)

    def grow(self, count: int) -> None:
        """Open connections until ``count`` are held.

        Raises:
            BenchmarkError: one was refused, closed or answered wrongly, or nothing happened for
                `STALL_TIMEOUT` seconds.
        """
        deadline = time.monotonic() + STALL_TIMEOUT
        while len(self._held) < count:
            while len(self._waiting) < min(IN_FLIGHT, count - len(self._held)):
                self._connect()
            if self._collect():
                deadline = time.monotonic() + STALL_TIMEOUT
            elif time.monotonic() > deadline:
                raise BenchmarkError(f"stuck after {len(self._held)} idle connections")

    def _connect(self) -> None:
        try:
            # Loopback answers at once, with the connection in the listener's backlog.
            user = socket.create_connection(("127.0.0.1", self._port), timeout=STALL_TIMEOUT)
        except OSError as error:
            raise BenchmarkError(f"idle connection {len(self._held)}: {error}") from None
        self._waiting.add(user)
        user.sendall(REQUEST)
        self._selector.register(user, selectors.EVENT_READ)

    def _collect(self) -> int:
        ready = self._selector.select(1.0)
        for key, _ in ready:
            user = key.fileobj
            assert isinstance(user, socket.socket)
            self._selector.unregister(user)
            self._check(user)
            self._waiting.discard(user)
            self._held.append(user)
        return len(ready)

    def _check(self, user: socket.socket) -> None:
        try:
            answer = user.recv(ANSWER_LIMIT)
        except OSError as error:
            raise BenchmarkError(f"idle connection {len(self._held)}: {error}") from None
        if not answer.startswith(ANSWER):
            raise BenchmarkError(f"idle connection {len(self._held)}: answer {answer[:80]!r}")

    def close(self) -> None:
        """End them all."""
        self._selector.close()
        for user in (*self._waiting, *self._held):
            user.close()
        self._waiting.clear()
        self._held.clear()
