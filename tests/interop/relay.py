# -*- test-case-name: tests.interop.test_sessions -*-
"""A network between client and server that fails as networks do: without telling both ends."""

import socket
import threading
from contextlib import suppress

from tests.e2e.services import LocalService, chunks


class Network(LocalService):
    """Carries connections to a server; `fail` takes the clients' ends away, and only those."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._far_ends: list[socket.socket] = []
        self._failed: set[socket.socket] = set()
        super().__init__(self._carry)

    def _carry(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._server_port))
        self._far_ends.append(far)
        threading.Thread(target=self._back, args=(far, near), daemon=True).start()
        _copy(near, far)
        if near not in self._failed:
            with suppress(OSError):
                far.shutdown(socket.SHUT_WR)

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        _copy(far, near)
        with suppress(OSError):
            near.shutdown(socket.SHUT_WR)

    def fail(self) -> None:
        """Cut all that clients have; the server hears nothing of it, now and later."""
        self._failed |= self.live
        for near in self._failed:
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        super().close()
        for far in self._far_ends:
            far.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        for data in chunks(source):
            target.sendall(data)
