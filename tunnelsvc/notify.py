# -*- test-case-name: tests.test_notify -*-
"""Tell the service manager how we are: the protocol of sd_notify(3)."""

import socket
from collections.abc import Mapping

from twisted.logger import Logger


class Notifier:
    """Sends states to the datagram socket that ``NOTIFY_SOCKET`` names; without it, nothing.

    Args:
        environ: environment of the process.
    """

    log = Logger()

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # unix(7): the name of an abstract socket begins with a NUL, which the variable can't hold.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Say that start-up is over, and in one line what we do."""
        one_line = " ".join(status.split())
        self._send(f"READY=1\nSTATUS={one_line}")

    def stopping(self) -> None:
        """Say that we are about to end."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(state.encode(), self._address)
        except OSError as why:
            self.log.warn("the service manager can't be told {state}: {why}", state=state, why=why)
