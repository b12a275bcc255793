# -*- test-case-name: tests.wire.test_reframe -*-
"""Hop 6 of a sudp visitor that speaks another dialect than the owner (protocol notes 6.7).

Users' bytes are messages then, and the server, between both, writes them anew.
"""

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.dialect import Dialect
from tunnelsvc.wire.messages import Message, Ping, UDPPacket


class Reframer:
    """One direction: reads one dialect, writes another.

    Keeps at most one message that isn't complete.
    """

    def __init__(self, source: Dialect, target: Dialect, *, pings: bool) -> None:
        """Begin.

        Args:
            source: what is read.
            target: what is written.
            pings: whether to pass pings on. Those of a visitor are for the server: no owner waits
                for them.
        """
        self._reader = source.make_reader()
        self._target = target
        self._pings = pings

    def feed(self, data: bytes) -> bytes:
        """Write anew what is complete; a datagram that fits in no message there is lost.

        Raises:
            RemoteProtocolError: the bytes are no messages, or others than these two.
        """
        self._reader.feed(data)
        pieces = []
        while (message := self._reader.next_message()) is not None:
            pieces.append(self._written(message))
        return b"".join(pieces)

    def _written(self, message: Message) -> bytes:
        if isinstance(message, Ping):
            return self._target.encode(Ping()) if self._pings else b""
        if not isinstance(message, UDPPacket):
            raise RemoteProtocolError(f"{type(message).__name__} among datagrams")
        try:
            return self._target.encode(message)
        except LocalProtocolError:
            return b""
