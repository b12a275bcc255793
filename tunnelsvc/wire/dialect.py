# -*- test-case-name: tests.wire.test_dialect -*-
"""How messages become bytes: frp's wire protocol v1, or the v2 of frp 0.69 and later.

A client chooses; the server recognises the choice for each logical connection (protocol notes 1.9)
and answers in it. The messages are the same.
"""

from collections.abc import Callable
from typing import Final, Protocol

from attrs import field, frozen

from tunnelsvc.wire.framing import MessageReader, encode
from tunnelsvc.wire.messages import Message


class Reader(Protocol):
    """Cuts messages out of a byte stream: feed it, then ask until there is None."""

    def feed(self, data: bytes) -> None:
        """Take bytes, in order."""

    def next_message(self) -> Message | None:
        """Take the next message off the stream; None when more bytes are needed.

        Raises:
            RemoteProtocolError: the bytes are no message of this dialect.
        """

    def take_unread(self) -> bytes:
        """Give away everything that was fed and isn't part of a message taken so far."""


@frozen
class Dialect:
    """One way to write messages.

    Attributes:
        name: as ``wire_protocol`` has it.
        preface: what a client says first on each logical connection that it opens.
        encode: makes the bytes of a message; raises `LocalProtocolError` where it can't be sent.
        make_reader: makes a reader for one stream.
    """

    name: str
    preface: bytes = field(repr=False)
    encode: Callable[[Message], bytes] = field(repr=False)
    make_reader: Callable[[], Reader] = field(repr=False)


V1: Final = Dialect("v1", b"", encode, MessageReader)


ODD_VERSION: Final = "0.69.0"
"""The first frp with v2 still wrote v1 where messages carry users' bytes (protocol notes 6.5)."""


def payload_dialect(dialect: Dialect, peer_version: str) -> Dialect:
    """Return how messages are written that carry users' bytes, on work connections.

    Args:
        dialect: of the peer's control connection.
        peer_version: frp's, as the peer says it.
    """
    return V1 if peer_version == ODD_VERSION else dialect
