# -*- test-case-name: tests.wire.test_framing2 -*-
"""Messages as bytes, the other way: the frames of frp's wire protocol v2 (protocol notes 2.5).

A frame is type, flags, length, payload. The payload of most is the number of a message and the
JSON that v1 has, too; a control connection begins with two that are about the protocol itself, see
`tunnelsvc.wire.hello`.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.dialect import Dialect
from tunnelsvc.wire.framing import from_json, to_json
from tunnelsvc.wire.messages import (
    CloseProxy,
    Login,
    LoginResp,
    Message,
    NatHoleClient,
    NatHoleReport,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
    NewProxy,
    NewProxyResp,
    NewVisitorConn,
    NewVisitorConnResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
    UDPPacket,
)
from tunnelsvc.wire.sniff import V2_MAGIC

# Bytes in the payload of one frame. frp's limit: its own reader closes the connection above it.
MAX_PAYLOAD_BYTES: Final = 65536

_HEAD: Final = struct.Struct(">HHI")
_NUMBER: Final = struct.Struct(">H")

_NUMBERS: Final[Mapping[type[Message], int]] = MappingProxyType(
    {
        kind: number
        for number, kind in enumerate(
            (
                Login,
                LoginResp,
                NewProxy,
                NewProxyResp,
                CloseProxy,
                NewWorkConn,
                ReqWorkConn,
                StartWorkConn,
                NewVisitorConn,
                NewVisitorConnResp,
                Ping,
                Pong,
                UDPPacket,
                NatHoleVisitor,
                NatHoleClient,
                NatHoleResp,
                NatHoleSid,
                NatHoleReport,
            ),
            start=1,
        )
    }
)
"""What a message is called in a frame (notes 2.3). NatHoleClientDetectOK, of older peers, isn't."""

_KINDS: Final = MappingProxyType({number: kind for kind, number in _NUMBERS.items()})


class FrameType(IntEnum):
    """What the payload of a frame is."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    MESSAGE = 16


@frozen
class Hello(Message):
    """The first frame of a control connection, each way. Passes for a message to whoever reads.

    Attributes:
        frame_type: whose hello it is.
        payload: its JSON as it was or will be on the wire: keys are derived from these bytes.
    """

    frame_type: FrameType
    payload: bytes = field(repr=False)


def encode(message: Message) -> bytes:
    """Make the frame of one message.

    Raises:
        LocalProtocolError: v2 doesn't have it, it doesn't fit into a frame, or can't be written.
    """
    if isinstance(message, Hello):
        return _frame(message.frame_type, message.payload, message)
    number = _NUMBERS.get(type(message))
    if number is None:
        raise LocalProtocolError(f"{type(message).__name__} is no message of wire protocol v2")
    return _frame(FrameType.MESSAGE, _NUMBER.pack(number) + to_json(message), message)


def _frame(frame_type: FrameType, payload: bytes, message: Message) -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise LocalProtocolError(
            f"{type(message).__name__} has {len(payload)} bytes in a frame,"
            f" {MAX_PAYLOAD_BYTES} are allowed"
        )
    return _HEAD.pack(frame_type, 0, len(payload)) + payload


class FrameReader:
    """Cuts messages out of a byte stream; used, and bounded, as `framing.MessageReader`.

    The first frame may be a `Hello`, later ones may not.
    """

    def __init__(self) -> None:
        self._unread = bytearray()
        self._begun = False

    def feed(self, data: bytes) -> None:
        """Take bytes, in order."""
        self._unread += data

    def next_message(self) -> Message | None:
        """Take the next message off the stream; None when more bytes are needed.

        The head is judged before the payload is there.

        Raises:
            RemoteProtocolError: a frame of a type that may not come here, or with flags; one above
                `MAX_PAYLOAD_BYTES`; a message without a number that is known, or with bad JSON.
        """
        if len(self._unread) < _HEAD.size:
            return None
        frame_type, end = self._head()
        if len(self._unread) < end:
            return None
        payload = bytes(self._unread[_HEAD.size : end])
        if frame_type is FrameType.MESSAGE:
            message = _read_message(payload)
        else:
            message = Hello(frame_type, payload)
        del self._unread[:end]
        self._begun = True
        return message

    def take_unread(self) -> bytes:
        """Give away everything that was fed and isn't part of a message taken so far."""
        unread = bytes(self._unread)
        self._unread.clear()
        return unread

    def _head(self) -> tuple[FrameType, int]:
        number, flags, length = _HEAD.unpack_from(self._unread)
        try:
            frame_type = FrameType(number)
        except ValueError:
            raise RemoteProtocolError(f"{number} is no type of a frame") from None
        if self._begun and frame_type is not FrameType.MESSAGE:
            raise RemoteProtocolError(f"frame of type {number}, {FrameType.MESSAGE:d} expected")
        if flags:
            raise RemoteProtocolError(f"frame with flags {flags:#06x}, there are none")
        if length > MAX_PAYLOAD_BYTES:
            raise RemoteProtocolError(
                f"frame of {length} bytes, {MAX_PAYLOAD_BYTES} are the most expected"
            )
        return frame_type, _HEAD.size + length


def _read_message(payload: bytes) -> Message:
    if len(payload) < _NUMBER.size:
        raise RemoteProtocolError("frame without the number of a message")
    [number] = _NUMBER.unpack_from(payload)
    kind = _KINDS.get(number)
    if kind is None:
        raise RemoteProtocolError(f"{number} is no number of a message")
    return from_json(kind, payload[_NUMBER.size :])


V2: Final = Dialect("v2", V2_MAGIC, encode, FrameReader)
