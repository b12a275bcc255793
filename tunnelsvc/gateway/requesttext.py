# -*- test-case-name: tests.gateway.test_requesttext -*-
"""A request as HTTP/1.1 text, made of parts that came otherwise.

The text is parsed again, so a part that could be read as two would be a way to smuggle. Each is
checked for itself here: what makes the text is what was meant.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from attrs import Attribute, field, frozen

from tunnelsvc.gateway.body import check_trailer
from tunnelsvc.wire.httphead import Header, HeadError, Length
from tunnelsvc.wire.httpheader import NAME

_METHOD: Final = re.compile(NAME)
_NAME: Final = re.compile(NAME)
_TARGET: Final = re.compile(rb"[\x21-\x7e\x80-\xff]++")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+")
_OURS: Final = frozenset({b"content-length", b"host", b"transfer-encoding"})


def _checked(value: bytes, form: re.Pattern[bytes], what: str) -> bytes:
    if form.fullmatch(value) is None:
        raise HeadError(f"a {what} with bytes that it can't have")
    return value


def _checks(form: re.Pattern[bytes]) -> Callable[[object, "Attribute[bytes]", bytes], None]:
    def check(_: object, attribute: "Attribute[bytes]", value: bytes) -> None:
        _checked(value, form, attribute.name)

    return check


def _checked_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    return tuple(map(checked_header, headers))


def checked_header(header: Header) -> Header:
    """Return a header that can stand in a line of its own.

    Raises:
        HeadError: it can't.
    """
    name, value = header
    return _checked(name, _NAME, "header name"), _checked(value, _VALUE, "header value")


@frozen
class RequestText:
    """The only request of its connection.

    Attributes:
        method: case-sensitive.
        target: a path with query, or another form of RFC 9112 section 3.2.
        host: name or address, with the port if there is one.
        headers: in their order; those that say host and length are left out, for `host` and
            `length` say it.
        length: of the body; None: there is none, and nothing is said of it.

    Raises:
        HeadError: by the constructor: a part can't be sent.
    """

    method: bytes = field(validator=_checks(_METHOD))
    target: bytes = field(validator=_checks(_TARGET))
    host: bytes = field(validator=_checks(_VALUE))
    headers: tuple[Header, ...] = field(converter=_checked_headers)
    length: int | Length | None = None

    def head(self) -> bytes:
        """Give the text up to the body."""
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), b"Host: " + self.host]
        lines += [b"%b: %b" % header for header in self.headers if header[0].lower() not in _OURS]
        if self.length is Length.CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
        elif isinstance(self.length, int):
            lines.append(b"Content-Length: %d" % self.length)
        if self.method != b"CONNECT":  # goes to the service as it is
            lines.append(b"Connection: close")
        return b"\r\n".join([*lines, b"", b""])

    @property
    def empty(self) -> bool:
        """Whether nothing follows the head."""
        return self.length is None or self.length == 0

    def piece(self, data: bytes) -> bytes:
        """Frame a piece of the body, which isn't empty."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.length is Length.CHUNKED else data

    def end(self, trailers: Sequence[Header] = ()) -> bytes:
        """Give what ends the body; trailers of one that isn't chunked are dropped.

        Raises:
            HeadError: a trailer can't be sent.
        """
        if self.length is not Length.CHUNKED:
            return b""
        for trailer in trailers:
            check_trailer(trailer)
        lines = [b"%b: %b" % checked_header(trailer) for trailer in trailers]
        return b"\r\n".join([b"0", *lines, b"", b""])
