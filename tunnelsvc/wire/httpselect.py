# -*- test-case-name: tests.wire.test_httpselect -*-
"""What of a file a request wants: conditions and ranges (RFC 9110 sections 13 and 14).

Several ranges in one request are answered with the whole: that is allowed (section 14.2), nobody
who resumes a download asks for them, and thousands of overlapping ones have brought servers down.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from attrs import frozen

_RANGE: Final = re.compile(rb"(?i:bytes)[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")
_TAG: Final = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_MAX_DATE_CHARACTERS: Final = 64
_QUALITY_ZERO: Final = re.compile(rb"q=0(\.0{0,3})?")

HeaderOf = Callable[[bytes], bytes | None]
"""Gives the value of a header by its name in lower case."""


@frozen
class Version:
    """A file as it is now.

    Attributes:
        size_bytes: its length.
        modified_ns: when it was changed, in nanoseconds since 1970.
        encoded: it is sent compressed, so that its bytes may differ from one time to the next.
    """

    size_bytes: int
    modified_ns: int
    encoded: bool = False

    @property
    def tag(self) -> bytes:
        """The entity tag; a weak one if the bytes may differ."""
        tag = b'"%x-%x"' % (self.modified_ns, self.size_bytes)
        return b"W/" + tag if self.encoded else tag

    @property
    def last_modified(self) -> bytes:
        """The date of the change, as HTTP has it."""
        return formatdate(self._modified_seconds, usegmt=True).encode("ascii")

    @property
    def _modified_seconds(self) -> int:
        return self.modified_ns // 1_000_000_000

    def matches(self, tags: bytes, *, strongly: bool) -> bool:
        """Tell whether a list of entity tags has this one."""
        if tags.strip() == b"*":
            return True
        if strongly and self.encoded:
            return False
        own = self.tag.removeprefix(b"W/")
        found: list[tuple[bytes, bytes]] = _TAG.findall(tags)
        return any(tag == own and not (strongly and weak) for weak, tag in found)

    def changed_since(self, date: bytes) -> bool | None:
        """Tell whether it was changed after a date; None: that isn't a date."""
        seconds = _seconds(date)
        return None if seconds is None else self._modified_seconds > seconds

    def is_that_of(self, if_range: bytes) -> bool:
        """Tell whether a part fits the rest, which somebody has with this tag or date."""
        if b'"' in if_range:
            return self.matches(if_range, strongly=True)
        return not self.encoded and _seconds(if_range) == self._modified_seconds


@frozen
class Selection:
    """What is sent.

    Attributes:
        status: of the response: 200, 206, 304, 412 or 416.
        start: the first byte of the file.
        end: the byte behind the last one.
    """

    status: HTTPStatus
    start: int = 0
    end: int = 0


def select(header: HeaderOf, version: Version, *, ranges: bool = True) -> Selection:
    """Find what a request wants of a file.

    Args:
        header: of the request.
        version: of the file.
        ranges: whether the method takes ranges; only GET does.
    """
    status = _precondition(header, version)
    if status is not None:
        return Selection(status)
    wanted = header(b"range")
    if_range = header(b"if-range")
    if wanted and ranges and (not if_range or version.is_that_of(if_range)):
        return _range(wanted, version.size_bytes)
    return Selection(HTTPStatus.OK, 0, version.size_bytes)


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Tell whether a client that sends this wants gzip (RFC 9110 section 12.5.3)."""
    for member in accept_encoding.lower().split(b","):
        coding, *parameters = (part.strip() for part in member.split(b";"))
        if coding == b"gzip":
            return not any(_QUALITY_ZERO.fullmatch(each) for each in parameters)
    return False


def _precondition(header: HeaderOf, version: Version) -> HTTPStatus | None:
    """Evaluate the conditions in the order of RFC 9110 section 13.2.2."""
    if (tags := header(b"if-match")) is not None:
        if not version.matches(tags, strongly=True):
            return HTTPStatus.PRECONDITION_FAILED
    elif version.changed_since(header(b"if-unmodified-since") or b""):
        return HTTPStatus.PRECONDITION_FAILED
    if (tags := header(b"if-none-match")) is not None:
        if version.matches(tags, strongly=False):
            return HTTPStatus.NOT_MODIFIED
    elif version.changed_since(header(b"if-modified-since") or b"") is False:
        return HTTPStatus.NOT_MODIFIED
    return None


def _range(wanted: bytes, size_bytes: int) -> Selection:
    whole = Selection(HTTPStatus.OK, 0, size_bytes)
    found = _RANGE.fullmatch(wanted)
    if found is None:
        return whole
    first, last = found.groups()
    if first:
        start = int(first)
        end = min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return whole
    elif last:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        return whole
    if start >= end:
        return Selection(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Selection(HTTPStatus.PARTIAL_CONTENT, start, end)


def _seconds(date: bytes) -> int | None:
    """Parse a date; give seconds since 1970."""
    if not date or len(date) > _MAX_DATE_CHARACTERS:
        return None
    try:
        parsed: datetime = parsedate_to_datetime(date.decode("ascii"))
        return int(parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
