# -*- test-case-name: tests.wire.test_framing -*-
"""Messages as bytes: the v1 frame (protocol notes 2.1) and the JSON in it (2.2).

The frame is type byte, length, JSON. The JSON follows the rules of Go's ``encoding/json``, which
is what the other end uses; what differs from Python's `json` is what this module adds to it.
"""

import json
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache, partial
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import Any, Final, NoReturn, TypeVar, get_args, get_origin

from attrs import Attribute, fields, has

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.messages import TYPES, Message, Port, TextMap

# Bytes of JSON in one message. frp's limit: its own reader closes the connection above it.
MAX_BODY_BYTES: Final = 10240

_HEAD: Final = struct.Struct(">Bq")


def encode(message: Message) -> bytes:
    """Make the bytes of one message.

    Raises:
        LocalProtocolError: its JSON has more than `MAX_BODY_BYTES` bytes, or can't be written.
    """
    body = to_json(message)
    if len(body) > MAX_BODY_BYTES:
        name = type(message).__name__
        raise LocalProtocolError(
            f"{name} has {len(body)} bytes of JSON, {MAX_BODY_BYTES} are allowed"
        )
    return _HEAD.pack(message.type_byte, len(body)) + body


class MessageReader:
    """Cuts messages out of a byte stream.

    Feed bytes as they come and call `next_message` until it gives None. Kept that way, at most
    one message is buffered, whatever the peer sends. After an error the reader stays where it
    is and gives the same error again.
    """

    def __init__(self) -> None:
        # Deleting at the front of a bytearray moves a pointer, not the rest of the bytes: a
        # large feed with many messages is read in linear time.
        self._unread = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes, in order."""
        self._unread += data

    def next_message(self) -> Message | None:
        """Take the next message off the stream; None when more bytes are needed.

        Each part is judged as soon as it is there: the type before the length, the length
        before the body.

        Raises:
            RemoteProtocolError: unknown type, bad JSON, or its length is 0 or less or above
                `MAX_BODY_BYTES`.
        """
        if not self._unread:
            return None
        kind = TYPES.get(self._unread[0])
        if kind is None:
            raise RemoteProtocolError(f"0x{self._unread[0]:02x} is no message type")
        if len(self._unread) < _HEAD.size:
            return None
        end = _HEAD.size + self._body_bytes()
        if len(self._unread) < end:
            return None
        message = from_json(kind, bytes(self._unread[_HEAD.size : end]))
        del self._unread[:end]
        return message

    def take_unread(self) -> bytes:
        """Give away everything that was fed and isn't part of a message taken so far.

        For whoever takes over the stream; the reader is empty afterwards.
        """
        unread = bytes(self._unread)
        self._unread.clear()
        return unread

    def _body_bytes(self) -> int:
        length: int = _HEAD.unpack_from(self._unread)[1]
        if not 0 < length <= MAX_BODY_BYTES:
            raise RemoteProtocolError(f"message length {length}, 1 to {MAX_BODY_BYTES} expected")
        return length


M = TypeVar("M", bound=Message)
_Reader = Callable[[object], Any]
_LIMITS: Final[Mapping[Any, range]] = {int: range(-(2**63), 2**63), Port: range(2**16)}
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Object(tuple[tuple[str, object], ...]):
    """The members of a JSON object in the order they came, duplicates included."""

    __slots__ = ()


def from_json(kind: type[M], body: bytes) -> M:
    """Read a message. The caller limits the length of ``body``.

    Unknown names are ignored, names are matched whatever their case, ``null`` and a missing
    value are the zero value, and of duplicates the last counts (protocol notes 2.2).

    Raises:
        RemoteProtocolError: it isn't JSON, or a value has not the type of its field.
    """
    try:
        # Not json.loads(body): that would take UTF-16 and UTF-32 too.
        document = _parsed(body.decode())
    except RecursionError:
        raise RemoteProtocolError(f"{kind.__name__}: nested too deep") from None
    except ValueError as error:
        raise RemoteProtocolError(f"{kind.__name__}: not JSON: {error}") from None
    try:
        return kind() if document is None else _read_struct(kind, document)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"{kind.__name__}{error}") from None


def _parsed(text: str) -> object:
    """Read JSON; without spaces around it, as peers write it, quicker than ``decode``."""
    try:
        document, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:  # or it begins with spaces
        end = -1
    return document if end == len(text) else _DECODER.decode(text)


def to_json(message: Message) -> bytes:
    """Write a message as compact JSON, without the fields that have their zero value.

    Raises:
        LocalProtocolError: an integer is out of range, or a text isn't Unicode.
    """
    try:
        return _write_struct(message).encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{type(message).__name__}: a text isn't Unicode") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


# Made once: `json.loads` and `json.dumps` with options make one for each call.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _refuse(expected: str, value: object) -> NoReturn:
    # The value itself stays out of the text, as it may be a secret.
    raise RemoteProtocolError(f": {expected} expected, got {type(value).__name__.strip('_')}")


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        _refuse("text", value)
    # "\ud800" alone is legal JSON but can't be encoded again: it becomes what Go makes of it.
    return value if value.isascii() else _LONE_SURROGATE.sub("\ufffd", value)


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        _refuse("true or false", value)
    return value


def _read_integer(limits: range, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse("integer", value)
    if value not in limits:
        raise RemoteProtocolError(f": {limits[0]} to {limits[-1]} expected")
    return value


def _read_list(read: _Reader, zero: object, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _refuse("list", value)
    return tuple(zero if item is None else read(item) for item in value)


def _read_map(value: object) -> TextMap:
    if not isinstance(value, _Object):
        _refuse("object", value)
    return {_read_text(k): "" if item is None else _read_text(item) for k, item in value}


def _read_struct(kind: Any, value: object) -> Any:
    if not isinstance(value, _Object):
        _refuse("object", value)
    known, found = _readers(kind), {}
    for name, member in value:
        attribute, read = known.get(name.lower(), ("", None))
        if read is None or member is None:
            continue
        try:
            found[attribute] = read(member)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f".{attribute}{error}") from None
    return kind(**found)


_READERS: Final[Mapping[Any, _Reader]] = {
    str: _read_text,
    bool: _read_flag,
    int: partial(_read_integer, _LIMITS[int]),
    Port: partial(_read_integer, _LIMITS[Port]),
    TextMap: _read_map,
}


def _reader(declared: Any) -> _Reader:
    """Choose how to read a field by its declared type."""
    if declared in _READERS:
        return _READERS[declared]
    if has(declared):
        return partial(_read_struct, declared)
    inner = next(argument for argument in get_args(declared) if argument is not NoneType)
    if get_origin(declared) is UnionType:
        return _reader(inner)
    return partial(_read_list, _reader(inner), inner())


@cache
def _readers(kind: Any) -> Mapping[str, tuple[str, _Reader]]:
    """Attribute name and reader by JSON name in lower case."""
    return {_json_name(a).lower(): (a.name, _reader(a.type)) for a in fields(kind)}


def _json_name(attribute: "Attribute[Any]") -> str:
    name: str = attribute.metadata.get("json", attribute.name)
    return name


@cache
def _writers(kind: Any) -> tuple[tuple[str, str, range | None], ...]:
    """Attribute name, JSON name with its colon, and limits of each field."""
    return tuple((a.name, f'"{_json_name(a)}":', _LIMITS.get(a.type)) for a in fields(kind))


def _write_struct(struct: Any) -> str:
    kind: Any = type(struct)
    members = []
    for name, head, limits in _writers(kind):
        value = getattr(struct, name)
        if not value:
            continue
        if limits is not None and value not in limits:
            where = f"{kind.__name__}.{name}"
            raise LocalProtocolError(f"{where}: {limits[0]} to {limits[-1]} expected")
        members.append(head + _write_value(value))
    return "{" + ",".join(members) + "}"


def _write_value(value: Any) -> str:
    # An encoder of `json` builds another for each value. Most are texts and numbers, and need none.
    kind: Any = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is int:
        return str(value)
    if isinstance(value, tuple):
        return "[" + ",".join(map(_write_value, value)) + "]"
    if has(kind):
        return _write_struct(value)
    return _ENCODER.encode(dict(value) if isinstance(value, Mapping) else value)
