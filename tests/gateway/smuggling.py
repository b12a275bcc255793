"""Requests that two readers could understand differently, or none; see `tests.e2e.test_smuggling`.

Collected from RFC 9112 section 11, the reports on HAProxy, nginx, Apache, node, gunicorn and
Twisted of the last years, and what tools for the search of such holes send. Each is for ``a.test``
and is to be refused, and nothing behind it may become a request.
"""

from collections.abc import Mapping
from typing import Final

from tests.wire.test_httphead import REFUSED
from tunnelsvc.gateway.body import MAX_CHUNK_LINE_BYTES, MAX_TRAILER_BYTES
from tunnelsvc.wire.httphead import MAX_HEAD_BYTES, MAX_HEADERS

HOST: Final = b"Host: a.test\r\n"
GET: Final = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
MARK: Final = b"/smuggled"
BEHIND: Final = b"GET " + MARK + b" HTTP/1.1\r\n" + HOST + b"\r\n"
"""What an attacker puts behind a request, to be taken for one of the next user."""

_POST: Final = b"POST / HTTP/1.1\r\n" + HOST
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


def _post(*lines: bytes) -> bytes:
    return _POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


_CODINGS: Final = (
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t:chunked",
    b"Transfer-Encoding\x0b: chunked",
    b"Transfer-Encoding\x00: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\r\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding\r\n : chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chunked\r\n ",
    b"Transfer-Encoding:\nchunked",
    b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: chunked\x7f",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: \xef\xbb\xbfchunked",
    b"Transfer-Encoding: 'chunked'",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked\tx",
    b"Transfer-Encoding: chunkedchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: cow",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: x\r\ntransfer-encoding: chunked",
    b"Transfer-Encoding",
    b"Transfer-Encoding chunked",
    b"Transfer Encoding: chunked",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\nContent-Length: 5",
    b"content-length: 5\r\ntransfer-ENCODING: CHUNKED",
)
_LENGTHS: Final = (
    b"-1",
    b"+5",
    b"0x5",
    b"5,5",
    b"5, 5",
    b"5,6",
    b"5 5",
    b"5;",
    b"5.0",
    b"5e0",
    b"5_0",
    b"5 ,",
    b",5",
    b"",
    b"five",
    b"\xd9\xa5",
    b"\xb2",
    b"5\x00",
    b"5\x0b",
    b"'5'",
    b"999999999999999999999999999999",
    b"18446744073709551621",
    b"9223372036854775808",
    b"5\r\nContent-Length: 5",
    b"5\r\nContent-Length: 6",
    b"6\r\nContent-Length: 5",
    b"5\r\n 5",
    b"\r\n 5",
    b"5\nX: y",
    b"5\rX: y",
)
_HOSTS: Final = (
    b"",
    b"Host: a.test\r\nHost: a.test\r\n",
    b"Host: a.test\r\nHost: b.test\r\n",
    b"Host : a.test\r\n",
    b" Host: a.test\r\n",
    b"Host: a.test\r\n b.test\r\n",
    b"Host: a.test b.test\r\n",
    b"Host: a.test, b.test\r\n",
    b"Host: a.test/x\r\n",
    b"Host: a.test?x\r\n",
    b"Host: a.test#x\r\n",
    b"Host: a.test\\x\r\n",
    b"Host: b@a.test\r\n",
    b"Host: http://a.test\r\n",
    b"Host: a.test:80:80\r\n",
    b"Host: a.test:80a\r\n",
    b"Host: a.test:-1\r\n",
    b"Host: a.test\x00.b\r\n",
    b"Host: a.test\xff\r\n",
    b"Host: [::1\r\n",
    b"Host: ::1\r\n",
    b"Host: " + b"a." * 200 + b"test\r\n",
)
_FIRST_LINES: Final = (
    b"GET  / HTTP/1.1",
    b"GET /  HTTP/1.1",
    b"GET\t/ HTTP/1.1",
    b"GET /\tHTTP/1.1",
    b"GET /\x0bHTTP/1.1",
    b"GET /\x0cHTTP/1.1",
    b" GET / HTTP/1.1",
    b"\tGET / HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET / HTTP/1.1\t",
    b"GET / HTTP/1.1 x",
    b"GET /a b HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
    b"GET /\x7f HTTP/1.1",
    b"GET / HTTP/1.1\x00",
    b"GET /\rX: y HTTP/1.1",
    b"GET / HTTP/1.1\rX: y",
    b"GET / HTTP/1.1\nX: y",
    b"GET / HTTP/1.1\r\r",
    b"GET / http/1.1",
    b"GET / HTTP/1",
    b"GET / HTTP/1.",
    b"GET / HTTP/.1",
    b"GET / HTTP/1.1.1",
    b"GET / HTTP/01.1",
    b"GET / HTTP/1.01",
    b"GET / HTTP/1.1a",
    b"GET / HTTP/ 1.1",
    b"GET / HTTP /1.1",
    b"GET / HTTP/1,1",
    b"GET / HTTPS/1.1",
    b"GET / ICY/1.1",
    b"GET /",
    b"GET",
    b"/ HTTP/1.1",
    b"G@T / HTTP/1.1",
    b"GET: / HTTP/1.1",
    b"G\x00T / HTTP/1.1",
    b'"GET" / HTTP/1.1',
    "GÄT / HTTP/1.1".encode(),
    b"GET x HTTP/1.1",
    b"GET * HTTP/1.1",
    b"GET a.test HTTP/1.1",
    b"GET a.test:80 HTTP/1.1",
    b"GET //a.test:80@b:1 x HTTP/1.1",
    b"GET http:/a.test/ HTTP/1.1",
    b"GET http://a.test b.test/ HTTP/1.1",
    b"GET http:// HTTP/1.1",
    b"GET http://b@a.test/ HTTP/1.1",
    b"GET http://a.test\\@b.test/ HTTP/1.1",
    b"GET ws://a.test/ HTTP/1.1",
    b"GET javascript:x HTTP/1.1",
    b"CONNECT / HTTP/1.1",
    b"CONNECT a.test HTTP/1.1",
    b"CONNECT http://a.test:1/ HTTP/1.1",
)
_HEADERS: Final = (
    b"X",
    b": y",
    b" : y",
    b"X : y",
    b"X\t: y",
    b"X\x00: y",
    b"X: \x00",
    b"X: y\x01",
    b"X: y\x08z",
    b"X: \x7f",
    b"X: y\rz",
    b"X: y\r",
    b"X: y\nz: a",
    b"X: y\r\n z",
    b"X: y\r\n\tz",
    b"X: y\r\n\r",
    b"X(y): z",
    b"X/y: z",
    b"X[y]: z",
    b"X{y}: z",
    b"X@y: z",
    b"X,y: z",
    b"X;y: z",
    b"X=y: z",
    b'"X": y',
    "Ü: y".encode(),
    b"\xff: y",
    b"GET /x HTTP/1.1",
    b"X: " + b"y" * MAX_HEAD_BYTES,
    b"X: y\r\n" * MAX_HEADERS + b"X: y",
    b"X" * MAX_HEAD_BYTES + b": y",
)

HEADS: Final[Mapping[str, bytes]] = {
    **{
        f"head: {name}": head.replace(b"Host: a\r", b"Host: a.test\r")
        for name, head in REFUSED.items()
    },
    **{f"coding {line!r}": _post(line) + b"0\r\n\r\n" for line in _CODINGS},
    **{f"length {value!r}": _post(b"Content-Length: " + value) + b"12345" for value in _LENGTHS},
    **{f"host {line[:40]!r}": b"GET / HTTP/1.1\r\n" + line + b"\r\n" for line in _HOSTS},
    **{f"first line {line!r}": line + b"\r\n" + HOST + b"\r\n" for line in _FIRST_LINES},
    **{f"header {line[:40]!r}": GET[:-2] + line + b"\r\n\r\n" for line in _HEADERS},
    "a coding in HTTP/1.0": _POST.replace(b"/1.1", b"/1.0") + _CHUNKED + b"\r\n0\r\n\r\n",
    "a target that is too long": b"GET /"
    + b"x" * MAX_HEAD_BYTES
    + b" HTTP/1.1\r\n"
    + HOST
    + b"\r\n",
    "a line of blanks in front": b" \r\n" + GET,
    "a folded line in front": b"\r\n " + GET,
    "a NUL in front": b"\x00" + GET,
    "LF only": GET.replace(b"\r\n", b"\n"),
    "CR only": GET.replace(b"\r\n", b"\r") + b"\r\n\r\n",
    "bare LF in front of a body": _POST + b"Content-Length: 5\r\n\n12345",
    "bare LF as the end of a line": _POST.replace(b"\r\n", b"\n", 1) + b"\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "the preface of HTTP/2 with another version": b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
}
"""Refused with 400 before anything is sent anywhere."""

OTHER_VERSIONS: Final[Mapping[str, bytes]] = {
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9 with a version": b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
}
"""Refused with 505."""

BODIES: Final[Mapping[str, bytes]] = {
    repr(body[:40]): body
    for body in (
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n0\r\n\r\n",
        b"0x1\r\na\r\n0\r\n\r\n",
        b"1x\r\na\r\n0\r\n\r\n",
        b" 1\r\na\r\n0\r\n\r\n",
        b"1 \r\na\r\n0\r\n\r\n",
        b"1\t\r\na\r\n0\r\n\r\n",
        b"1_0\r\na\r\n0\r\n\r\n",
        b"1.0\r\na\r\n0\r\n\r\n",
        b"1,1\r\na\r\n0\r\n\r\n",
        b"1\na\r\n0\r\n\r\n",
        b"1\ra\r\n0\r\n\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b"1\r\nab\r\n0\r\n\r\n",
        b"1\r\na\r\r\n0\r\n\r\n",
        b"2\r\na\r\n0\r\n\r\n",
        b"0\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\n\r\r\n",
        b"ffffffffffffffffff\r\na\r\n",
        b"10000000000000000\r\na\r\n",
        b"1;\x00\r\na\r\n0\r\n\r\n",
        b"1;a\n\r\na\r\n0\r\n\r\n",
        b"1;a\rb\r\na\r\n0\r\n\r\n",
        b"1\x00;a\r\na\r\n0\r\n\r\n",
        b"1 a\r\na\r\n0\r\n\r\n",
        b"1;" + b"x" * MAX_CHUNK_LINE_BYTES + b"\r\na\r\n0\r\n\r\n",
        b"0" * MAX_CHUNK_LINE_BYTES + b"\r\n\r\n",
        b"\xd9\xa1\r\na\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 50\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: b.test\r\n\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\n: y\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\rz\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\nX: " + b"y" * MAX_CHUNK_LINE_BYTES + b"\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * (MAX_TRAILER_BYTES // 6 + 1) + b"\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n",
    )
}
"""Behind a head that says ``chunked``: refused with 400, and the service never sees an end."""


def with_body(body: bytes) -> bytes:
    """Make a request of a chunked body."""
    return _POST + _CHUNKED + b"\r\n" + body
