"""A local UDP service, in memory."""

from collections.abc import Callable
from typing import Any

from tunnelsvc.link.udp import Receive


class FakeSocket:
    """A socket of one user."""

    def __init__(
        self, host: str, port: int, receive: Receive, on_error: Callable[[OSError], None]
    ) -> None:
        self.peer = host, port
        self.sent: list[bytes] = []
        self.closed = False
        self.works = True
        self.descriptor = 3
        self._receive = receive
        self.on_error = on_error

    def fileno(self) -> int:
        return self.descriptor

    def send(self, data: bytes) -> bool:
        self.sent.append(data)
        return self.works

    def close(self) -> None:
        self.closed = True

    def answer(self, data: bytes) -> None:
        """Be the service."""
        self._receive(data, self.peer)


class FakeSockets(list[FakeSocket]):
    """All that were made, in order; stands in for `tunnelsvc.link.udp.connect_udp`."""

    error: OSError | None = None
    descriptor = 3
    works = True

    def __call__(self, _reactor: Any, *args: Any) -> FakeSocket:
        if self.error is not None:
            raise self.error
        self.append(FakeSocket(*args))
        self[-1].descriptor = self.descriptor
        self[-1].works = self.works
        return self[-1]
