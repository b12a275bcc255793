# -*- test-case-name: tests.gateway.test_accesslog -*-
r"""The access log: one line for each request, when all is over with it.

Combined, as Apache and nginx have it, with four fields behind it (here in two lines)::

    203.0.113.9 - alice [20/Jul/2026:13:22:59 +0200] "GET /a?b HTTP/1.1" 200 1234 "-" "curl/8.5.0"
    "site1.example.com" "web1" 0.012 0.345

Address, always ``-``, user, when the request came, its first line, status, bytes of the response's
body, Referer, User-Agent; then Host, proxy, and seconds until the response began and until its
end. ``-`` stands for what there isn't. Or JSON, an object a line: see `as_json`.

Nearly all of that is chosen by others. In Combined whatever could end a field or a line, and all
that isn't ASCII, is written as ``\x22``, in nginx's manner; JSON has an escape for it anyway.
"""

import json
import re
import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from attrs import define
from twisted.internet.interfaces import IReactorTime

from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.rules import user_of
from tunnelsvc.relay import Meter
from tunnelsvc.wire.httphead import RequestHead, ResponseHead

MOST_FIELD_BYTES: Final = 2048
"""Of what a user sent, in one field; longer than the URLs that browsers cope with."""

USER_LEFT: Final = 499
"""The status of a request whose user left before there was one; nginx's."""

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"

_MOST_SECONDS_REMEMBERED: Final = 16

_UNSAFE: Final = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_UNSAFE_IN_WORDS: Final = re.compile(rb"[^\x21\x23-\x5b\x5d-\x7e]")


@define(eq=False)
class Record:
    """What is known of one request. An `AccessLog` makes it, and writes it at its end.

    Attributes:
        log: whose it is.
        began: when its head was complete, in the clock's seconds.
        origin: who asks.
        head: the request's; None if there is none that could be understood.
        line: then its first line, as far as it came.
        proxy: name of the proxy it is for; empty if there is none.
        meter: counts what is passed on, heads included; None: we answered it ourselves.
        request_head_bytes: of those up, what was no body.
        response_head_bytes: of those down, what was no body.
        status: of the response; 0 if none has begun.
        responded: when that was.
        page_bytes: of the body of an answer of ours.
        upgrade: the protocol that the connection went over to.
        complete: whether it had its whole response.
    """

    log: "AccessLog"
    began: float
    origin: Origin
    head: RequestHead | None
    line: bytes = b""
    proxy: str = ""
    meter: Meter | None = None
    request_head_bytes: int = 0
    response_head_bytes: int = 0
    status: int = 0
    responded: float = 0.0
    page_bytes: int = 0
    upgrade: bytes = b""
    complete: bool = False

    def passed_on(self, meter: Meter, head: bytes) -> None:
        """Take note of a head that the service gets; it may be the second, if the first got lost.

        Args:
            meter: counts all that is passed on, in both directions.
            head: as it is passed on.
        """
        self.meter = meter
        self.request_head_bytes += len(head)

    def response_begins(self, head: ResponseHead, passed: bytes) -> None:
        """Take note of the final head of a response, just before it is passed on as `passed`."""
        assert self.meter is not None
        self.status = head.status
        self.responded = self.log.clock.seconds()
        self.response_head_bytes = self.meter.down_bytes + len(passed)
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.upgrade = b", ".join(head.values(b"upgrade"))

    def answered(self, status: int, response: bytes) -> None:
        """Take note of a whole response of ours."""
        self.status = status
        self.responded = self.log.clock.seconds()
        self.page_bytes = len(response.partition(b"\r\n\r\n")[2])
        # Interim heads, if there were any.
        self.response_head_bytes = self.meter.down_bytes if self.meter is not None else 0

    def end(self, *, complete: bool) -> None:
        """Write the line.

        Args:
            complete: whether the user got all of the response.
        """
        self.complete = complete
        self.log.write(self)

    @property
    def up_bytes(self) -> int:
        """Bytes of the request's body that were passed on."""
        return max(0, self.meter.up_bytes - self.request_head_bytes) if self.meter else 0

    @property
    def down_bytes(self) -> int:
        """Bytes of the response's body, as it is framed, that were given to the connection."""
        passed = self.meter.down_bytes - self.response_head_bytes if self.meter else 0
        return self.page_bytes + max(0, passed)

    @property
    def address(self) -> bytes:
        """The user's, as well as it is known; empty: there is none."""
        return self.origin.address if self.head is None else self.origin.user_of(self.head)

    @property
    def protocol(self) -> bytes:
        """The version of HTTP by which it came; empty: none that could be understood."""
        head = self.head
        return (self.origin.protocol or b"HTTP/1.%d" % head.minor) if head is not None else b""

    @property
    def user(self) -> bytes:
        """The user of Basic credentials, whether they were right or not."""
        head = self.head
        return user_of(head) if head is not None else b""

    def header(self, name: bytes) -> bytes:
        """Give the first value of a request header; empty: there is none."""
        head = self.head
        return head.values(name)[0] if head is not None and name in head.names else b""


Format = Callable[[Record, float], bytes]
"""Makes the line of a request that ended at that time; with the line feed."""


class AccessLog:
    """Where requests are taken note of.

    Args:
        write: takes a line, and doesn't fail.
        form: makes it.
        clock: its seconds are those since 1970.
    """

    def __init__(self, write: Callable[[bytes], None], form: Format, clock: IReactorTime) -> None:
        self.clock = clock
        self._write = write
        self._form = form

    def write_to(self, write: Callable[[bytes], None], form: Format) -> None:
        """Go on elsewhere, or in another form; see the class."""
        self._write = write
        self._form = form

    def begin(self, origin: Origin, head: RequestHead, proxy: str = "") -> Record:
        """Take note of a request.

        Args:
            origin: who asks.
            head: what for.
            proxy: name of the one that it goes to; empty: there is none.
        """
        return Record(self, self.clock.seconds(), origin, head, proxy=proxy)

    def begin_unread(self, origin: Origin, data: bytes) -> Record:
        """Take note of what is no request; `data` is the beginning of it, or nothing."""
        line = data[: 2 * MOST_FIELD_BYTES].lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")
        return Record(self, self.clock.seconds(), origin, None, line=line)

    def write(self, record: Record) -> None:
        """Write the line of a request that has ended now."""
        self._write(self._form(record, self.clock.seconds()))


def combined(record: Record, ended: float) -> bytes:
    """Make a line in Combined, as the head of this module has it."""
    head = record.head
    if head is None:
        line, host = record.line, b""
    else:
        line = b"%b %b %b" % (head.method, head.target, record.protocol)
        host = head.host
    return b'%b - %b [%b] "%b" %d %d "%b" "%b" "%b" "%b" %b %.3f\n' % (
        _word(record.address),
        _word(record.user),
        _local_second(int(record.began)),
        _quotable(line),
        record.status or USER_LEFT,
        record.down_bytes,
        _quotable(record.header(b"referer")),
        _quotable(record.header(b"user-agent")),
        _quotable(host),
        _quotable(_proxy(record)),
        b"%.3f" % _since(record.began, record.responded) if record.status else b"-",
        _since(record.began, ended),
    )


def as_json(record: Record, ended: float) -> bytes:
    r"""Make a line that is a JSON object; ``null`` stands for what there isn't.

    ``time`` is in UTC; ``path`` is the target as the user sent it, or the first line of what is no
    request, whose ``method`` is null. ``complete`` tells whether the user got the whole response,
    ``upgrade`` what his connection went over to. Bytes that aren't UTF-8 are shown as ``\xff``.
    """
    head = record.head
    fields = {
        "time": f"{_utc_second(int(record.began))}.{int(record.began * 1000) % 1000:03}Z",
        "remote_addr": _text(record.address),
        "user": _text(record.user),
        "method": _text(head.method) if head else None,
        "path": _text(head.target if head else record.line),
        "protocol": _text(record.protocol),
        "host": _text(head.host) if head else None,
        "proxy": _text(_proxy(record)),
        "status": record.status or USER_LEFT,
        "bytes_in": record.up_bytes,
        "bytes_out": record.down_bytes,
        "referer": _text(record.header(b"referer")),
        "user_agent": _text(record.header(b"user-agent")),
        "ttfb_seconds": _since(record.began, record.responded) if record.status else None,
        "duration_seconds": _since(record.began, ended),
        "scheme": _text(record.origin.scheme),
        "upgrade": _text(record.upgrade),
        "complete": record.complete,
    }
    return _dump(fields).encode() + b"\n"


FORMATS: Final[dict[str, Format]] = {"combined": combined, "json": as_json}
"""Values of ``access_log_format``."""

_dump: Final = json.JSONEncoder(separators=(",", ":")).encode


def _since(began: float, now: float) -> float:
    """Give seconds, to the millisecond. The clock may have been set meanwhile."""
    return round(max(0.0, now - began), 3)


@lru_cache(_MOST_SECONDS_REMEMBERED)
def _local_second(when: int) -> bytes:
    """Give a time as Apache does, whatever language we run in."""
    local = time.localtime(when)
    month = _MONTHS[3 * local.tm_mon - 3 : 3 * local.tm_mon]
    return time.strftime(f"%d/{month}/%Y:%H:%M:%S %z", local).encode()


@lru_cache(_MOST_SECONDS_REMEMBERED)
def _utc_second(when: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when))


def _clipped(value: bytes) -> bytes:
    return value[:MOST_FIELD_BYTES] + b"..." if len(value) > MOST_FIELD_BYTES else value


def _quotable(value: bytes) -> bytes:
    """Give what may stand between quotes."""
    return _UNSAFE.sub(_hex, _clipped(value)) or b"-"


def _word(value: bytes) -> bytes:
    """Give what may stand between blanks."""
    return _UNSAFE_IN_WORDS.sub(_hex, _clipped(value)) or b"-"


def _hex(found: re.Match[bytes]) -> bytes:
    return b"\\x%02X" % found[0][0]


def _proxy(record: Record) -> bytes:
    """Give the name, which was JSON and may be no proper text."""
    return record.proxy.encode("utf-8", "backslashreplace")


def _text(value: bytes) -> str | None:
    return _clipped(value).decode("utf-8", "backslashreplace") or None
