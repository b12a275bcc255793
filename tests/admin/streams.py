# -*- test-case-name: tests.admin.test_stream -*-
"""Streams of server-sent events without a network."""

import json
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site


def events_of(text: str) -> list[tuple[str, Any]]:
    """Read whole events: (type, data); other fields are (field, value)."""
    found: list[tuple[str, Any]] = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
        else:
            found += fields.items()
    return found


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """Join the chunks of a body, and tell whether it has ended."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, True
        body, data = body + data[:length], data[length + 2 :]
    return body, False


class Listener:
    """A reader of a stream, on a connection of its own.

    Attributes:
        head: of the answer.
        ended: whether the answer is whole.
    """

    def __init__(self, site: Site, path: str, headers: bytes = b"", method: str = "GET") -> None:
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 4321))
        self.channel: Any = site.buildProtocol(cast("IAddress", self.transport.getPeer()))
        self.channel.makeConnection(self.transport)
        self._producer: Any = self.transport.producer
        self.head = ""
        self.ended = False
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:7500\r\n".encode()
        self.channel.dataReceived(head + headers + b"\r\n")

    def take(self) -> list[tuple[str, Any]]:
        """Return the events that have come since the last time."""
        data = self.transport.value()
        self.transport.clear()
        if not self.head:
            head, _, data = data.partition(b"\r\n\r\n")
            self.head = head.decode()
        body, ended = unchunked(data)
        self.ended = self.ended or ended
        return events_of(body.decode())

    def pause(self) -> None:
        """Take no more, as far as the server's transport can tell."""
        self._producer.pauseProducing()

    def resume(self) -> None:
        """Have taken everything."""
        self._producer.resumeProducing()

    def leave(self) -> None:
        """Be gone."""
        self.channel.connectionLost(Failure(ConnectionDone()))
