# -*- test-case-name: tests.e2e.test_udp -*-
"""A UDP service in a thread, and its users."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tests.e2e.tunnel import NO_OPTIONS, Options
from tests.programs import PATIENCE, eventually, free_port

# Bytes of the longest datagram of IPv4.
LONGEST: Final = 65_507

# Seconds that a user waits for an answer before asking again.
AGAIN: Final = 1.0

# Bytes that the kernel keeps for a service, or user, that is behind; as much as it grants.
KERNEL_BUFFER: Final = 4 * 1024 * 1024

Respond = Callable[[bytes], bytes | None]
"""Makes the answer to a datagram; None: there is none."""


class UDPService:
    """Answers datagrams on a port of loopback, until it is closed.

    Attributes:
        users: who has asked, by the addresses that they have for the service.
        received: how many datagrams there were.
    """

    def __init__(
        self, respond: Respond = lambda data: data, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.users: set[tuple[str, int]] = set()
        self.received = 0
        self._respond = respond
        self._host = host
        self._socket = udp_socket(host)
        self._socket.bind((host, port or free_port()))
        self.port: int = self._socket.getsockname()[1]
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                data, user = self._socket.recvfrom(LONGEST + 1)
                if self._closed:
                    break
                self.received += 1
                self.users.add(user[:2])
                answer = self._respond(data)
                if answer is not None:
                    self._socket.sendto(answer, user)
        self._socket.close()

    def close(self) -> None:
        """Free the port."""
        self._closed = True
        with udp_socket(self._host) as waker, suppress(OSError):
            waker.sendto(b"", (self._host, self.port))
        with suppress(OSError):
            eventually(lambda: self._socket.fileno() == -1, "the service is closed")


def udp_socket(host: str = "127.0.0.1") -> socket.socket:
    """Make a socket for addresses like this, with room in the kernel."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)
    return made


@contextmanager
def udp_user(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Make a user of a port."""
    with udp_socket(host) as user:
        user.settimeout(AGAIN)
        user.connect((host, port))
        yield user


def ask(user: socket.socket, data: bytes) -> bytes:
    """Send a datagram and return its answer; ask again where there is none, as with UDP one must.

    Raises:
        AssertionError: there never was one.
    """

    def answer() -> list[bytes]:
        with suppress(OSError):
            user.send(data)
            return [user.recv(LONGEST + 1)]
        return []

    return eventually(answer, f"an answer to {len(data)} bytes", PATIENCE)[0]


def is_unanswered(user: socket.socket, data: bytes) -> bool:
    """Send a datagram and tell whether there was no answer in the time that one takes."""
    user.send(data)
    try:
        user.recv(LONGEST + 1)
    except OSError:
        return True
    return False


def udp_proxy(local_port: int, remote_port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of a ``udp`` proxy."""
    return {"type": "udp", "local_port": local_port, "remote_port": remote_port, **options}
