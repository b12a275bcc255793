# -*- test-case-name: tests.wire.test_httphead -*-
"""Tests of `tunnelsvc.wire.httphead`."""

from itertools import pairwise

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.wire.httphead import (
    LONGEST_REMEMBERED_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MOST_REMEMBERED,
    HeadError,
    HeadReader,
    HeadTooLargeError,
    Length,
    VersionError,
    check_text,
    list_of,
    parse_connect_head,
    parse_header,
    parse_request_head,
    parse_response_head,
    values_of,
)

STEADY = settings(derandomize=True, deadline=None)
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """Make a request head of these lines."""
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def response(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Make a response head of these lines."""
    return b"\r\n".join([first, *lines, b"", b""])


REFUSED = {
    "both lengths": request(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "both lengths, other order": request(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": request(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": request(b"Content-Length: 5", b"content-length: 5"),
    "a list of lengths": request(b"Content-Length: 5, 5"),
    "a signed length": request(b"Content-Length: +5"),
    "a negative length": request(b"Content-Length: -5"),
    "a hexadecimal length": request(b"Content-Length: 0x5"),
    "an empty length": request(b"Content-Length:"),
    "a length with a blank": request(b"Content-Length: 1 0"),
    "a length with underscore": request(b"Content-Length: 1_0"),
    "a huge length": request(b"Content-Length: 9999999999999999999"),
    "codings doubled": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "codings in a list": request(b"Transfer-Encoding: chunked, chunked"),
    "chunked not last": request(b"Transfer-Encoding: chunked, identity"),
    "another coding": request(b"Transfer-Encoding: gzip, chunked"),
    "identity": request(b"Transfer-Encoding: identity"),
    "an unknown coding": request(b"Transfer-Encoding: xchunked"),
    "a quoted coding": request(b'Transfer-Encoding: "chunked"'),
    "an empty coding": request(b"Transfer-Encoding:"),
    "vertical tab before a coding": request(b"Transfer-Encoding: \x0bchunked"),
    "a coding in HTTP/1.0": request(b"Transfer-Encoding: chunked", first=b"GET / HTTP/1.0"),
    "bare LF in the request line": GET.replace(b"\r\n", b"\n", 1),
    "bare LF behind a header": GET.replace(b"example\r\n", b"example\n"),
    "bare LF everywhere": GET.replace(b"\r\n", b"\n"),
    "bare CR in a value": request(b"X: a\rb"),
    "CR before CRLF": request(b"X: a\r"),
    "a folded line": request(b"X: a", b" b"),
    "a line folded with a tab": request(b"X: a", b"\tTransfer-Encoding: chunked"),
    "a folded first header": request(b"X: a", host=b" Host: a"),
    "NUL in a value": request(b"X: a\x00b"),
    "NUL in a name": request(b"X\x00: ab"),
    "DEL in a value": request(b"X: a\x7fb"),
    "a blank before the colon": request(b"Content-Length : 5"),
    "a tab before the colon": request(b"Transfer-Encoding\t: chunked"),
    "a blank in a name": request(b"X Y: a"),
    "no name": request(b": a"),
    "no colon": request(b"Transfer-Encoding"),
    "a name outside ASCII": request("Ü: a".encode()),
    "a bracket in a name": request(b"X(): a"),
    "no Host": request(host=b""),
    "two Hosts": request(b"Host: a"),
    "two different Hosts": request(b"Host: b"),
    "two Hosts in HTTP/1.0": request(b"Host: b", first=b"GET / HTTP/1.0"),
    "a Host with a path": request(host=b"Host: a/b"),
    "a Host with a blank": request(host=b"Host: a b"),
    "a Host that is a list": request(host=b"Host: a, b"),
    "a Host with a user": request(host=b"Host: a@b"),
    "a Host with two ports": request(host=b"Host: a:1:2"),
    "a Host with a named port": request(host=b"Host: a:http"),
    "a Host with an open bracket": request(host=b"Host: [::1"),
    "no version": request(first=b"GET /"),
    "version 1.10": request(first=b"GET / HTTP/1.10"),
    "a version in small letters": request(first=b"GET / http/1.1"),
    "two blanks": request(first=b"GET  / HTTP/1.1"),
    "a tab": request(first=b"GET\t/ HTTP/1.1"),
    "a blank at the end": request(first=b"GET / HTTP/1.1 "),
    "a blank in the target": request(first=b"GET /a b HTTP/1.1"),
    "a blank before the method": request(first=b" GET / HTTP/1.1"),
    "a method with a colon": request(first=b"GE:T / HTTP/1.1"),
    "no target": request(first=b"GET HTTP/1.1"),
    "a relative target": request(first=b"GET index.html HTTP/1.1"),
    "a star for GET": request(first=b"GET * HTTP/1.1"),
    "another scheme": request(first=b"GET ftp://a/ HTTP/1.1"),
    "a host that is too long": request(b"Host: " + b"a." * 200 + b"example"),
    "no host in the target": request(first=b"GET http:///x HTTP/1.1"),
    "a user in the target": request(first=b"GET http://u@a/x HTTP/1.1"),
    "CONNECT to a path in a host": request(first=b"CONNECT a:1x HTTP/1.1"),
    "CONNECT with a body": request(b"Content-Length: 5", first=b"CONNECT a:1 HTTP/1.1"),
    "CONNECT with chunks": request(b"Transfer-Encoding: chunked", first=b"CONNECT a:1 HTTP/1.1"),
    "CONNECT to a path": request(first=b"CONNECT /x HTTP/1.1"),
    "CONNECT to a URL": request(first=b"CONNECT http://a:1/ HTTP/1.1"),
    "CONNECT to no port": request(first=b"CONNECT a HTTP/1.1"),
    "CONNECT to an empty port": request(first=b"CONNECT a: HTTP/1.1"),
    "CONNECT to no host": request(first=b"CONNECT :1 HTTP/1.1"),
    "CONNECT to an address without port": request(first=b"CONNECT [::1] HTTP/1.1"),
    "an HTTP/2 preface": b"PRI * HTTP/1.1\r\n\r\n",
}
"""What must never reach a service."""


class RequestTests(SynchronousTestCase):
    def test_plain(self) -> None:
        head = parse_request_head(request(b"X-One:  two\t", b"x-one:three"))
        self.assertEqual((head.method, head.target, head.minor), (b"GET", b"/", 1))
        self.assertEqual(head.headers, [(b"Host", b"a"), (b"X-One", b"two"), (b"x-one", b"three")])
        self.assertEqual((head.length, head.host, head.path), (0, b"a", b"/"))

    def test_refused(self) -> None:
        """Everything ambiguous is refused as a bad request."""
        for what, head in REFUSED.items():
            error = self.assertRaises(HeadError, parse_request_head, head)
            self.assertEqual(error.status, 400, what)
            self.assertIsInstance(error, RemoteProtocolError)

    def test_lengths(self) -> None:
        for lines, length in (
            ((b"Content-Length: 0",), 0),
            ((b"content-length:\t17 ",), 17),
            ((b"Transfer-Encoding: Chunked",), Length.CHUNKED),
            ((), 0),
        ):
            self.assertEqual(parse_request_head(request(*lines)).length, length)

    def test_versions(self) -> None:
        for first, minor in ((b"HTTP/1.0", 0), (b"HTTP/1.1", 1), (b"HTTP/1.7", 1)):
            self.assertEqual(parse_request_head(request(first=b"GET / " + first)).minor, minor)
        error = self.assertRaises(
            VersionError, parse_request_head, request(first=b"GET / HTTP/2.0")
        )
        self.assertEqual(error.status, 505)

    def test_old_clients_need_no_host(self) -> None:
        head = parse_request_head(request(first=b"GET / HTTP/1.0", host=b""))
        self.assertEqual(head.host, b"")

    def test_targets(self) -> None:
        """Host and path of all four forms; the target's host wins over the header's."""
        for first, host, path in (
            (b"GET /x?y=//z", b"a", b"/x?y=//z"),
            (b"GET //x", b"a", b"//x"),
            (b"GET http://B.example:81/x?y", b"B.example:81", b"/x?y"),
            (b"GET HTTPS://[::1]", b"[::1]", b"/"),
            (b"GET http://b?y", b"b", b"/?y"),
            (b"OPTIONS *", b"a", b"*"),
            (b"OPTIONS http://b", b"b", b"*"),
            (b"CONNECT b:443", b"b:443", b""),
        ):
            head = parse_request_head(request(first=first + b" HTTP/1.1"))
            self.assertEqual((head.host, head.path), (host, path), first)
            self.assertIs(head.is_for_proxy, not first.split()[1].startswith((b"/", b"*")), first)

    def test_too_many_lines(self) -> None:
        parse_request_head(request(*[b"X: y"] * (MAX_HEADERS - 1)))
        error = self.assertRaises(
            HeadTooLargeError, parse_request_head, request(*[b"X: y"] * MAX_HEADERS)
        )
        self.assertEqual(error.status, 400)

    def test_bytes_above_ascii(self) -> None:
        """Values and targets may have them; people's browsers send them."""
        head = parse_request_head(
            request(b"X: \xc3\xa4", first="GET /ä HTTP/1.1".encode("latin-1"))
        )
        self.assertEqual(head.headers[-1], (b"X", b"\xc3\xa4"))
        self.assertEqual(head.path, b"/\xe4")


class ConnectTests(SynchronousTestCase):
    """Requests to who needs no port."""

    def test_without_a_port(self) -> None:
        for target, host in ((b"a", b"a"), (b"a:", b"a:"), (b"[::1]", b"[::1]"), (b"a:1", b"a:1")):
            head = parse_connect_head(request(first=b"CONNECT %b HTTP/1.1" % target))
            self.assertEqual((head.host, head.path, head.is_for_proxy), (host, b"", True))

    def test_everything_else_is_refused(self) -> None:
        for target in (b"/x", b"http://a:1/", b"a:1x", b"a@b", b"a,b", b"x" * 300):
            with self.assertRaises(HeadError):
                parse_connect_head(request(first=b"CONNECT %b HTTP/1.1" % target))

    def test_other_methods(self) -> None:
        self.assertEqual(parse_connect_head(request()), parse_request_head(request()))


class MemoryTests(SynchronousTestCase):
    """Heads are remembered, and it makes no difference."""

    def test_the_same_again(self) -> None:
        head = parse_request_head(GET)
        self.assertIs(parse_request_head(bytes(bytearray(GET))), head)
        answer = response(b"Content-Length: 3")
        self.assertIs(parse_response_head(bytes(bytearray(answer))), parse_response_head(answer))

    def test_nearly_the_same(self) -> None:
        self.assertEqual(parse_request_head(request(b"Content-Length: 3")).length, 3)
        self.assertEqual(parse_request_head(request(b"Content-Length: 4")).length, 4)

    def test_what_is_refused_is_refused_again(self) -> None:
        for what, head in REFUSED.items():
            for _ in range(3):
                error = self.assertRaises(HeadError, parse_request_head, head)
                self.assertEqual(error.status, 400, what)

    def test_long_ones_are_not_kept(self) -> None:
        long = request(b"X: " + b"y" * LONGEST_REMEMBERED_BYTES)
        self.assertIsNot(parse_request_head(long), parse_request_head(long))
        long = response(b"X: " + b"y" * LONGEST_REMEMBERED_BYTES)
        self.assertIsNot(parse_response_head(long), parse_response_head(long))

    def test_how_many(self) -> None:
        first = parse_request_head(GET)
        for number in range(MOST_REMEMBERED):
            parse_request_head(request(b"X: %d" % number))
        self.assertIsNot(parse_request_head(GET), first)
        self.assertEqual(parse_request_head(GET), first)


class Seen:
    """What llhttp makes of a request."""

    def __init__(self, head: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.complete = False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(head)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        self.complete = True


def awkward_requests() -> st.SearchStrategy[bytes]:
    """Make heads that are nearly right: pieces that matter, put together by chance."""
    line = st.sampled_from(
        [
            *(b"Host: a", b"Host : a", b"Host:\ta ", b"X: \x0by", b"X: a\r y", b"X: a\n y", b" x"),
            *(b"Content-Length: 0", b"Content-Length:0x0", b"Content-Length: 00", b"X:", b":x"),
            *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"X: \xff", b"X"),
        ]
    )
    end = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\r\r\n"])
    first = st.sampled_from(
        [b"GET / HTTP/1.1", b"POST /x?y#z HTTP/1.0", b"GET http://b/ HTTP/1.1", b"GET /  HTTP/1.1"]
    )
    lines = st.lists(st.builds(bytes.__add__, line, end), max_size=4).map(b"".join)
    host = st.sampled_from([b"Host: a\r\n"] * 3 + [b""])
    return st.builds(lambda f, e, h, rest: f + e + h + rest + b"\r\n", first, end, host, lines)


class PropertyTests(SynchronousTestCase):
    @given(st.one_of(st.binary(max_size=200), awkward_requests()))
    @example(request(b"Transfer-Encoding: chunked"))
    @STEADY
    def test_whatever_comes(self, data: bytes) -> None:
        """Any bytes are a head or a `HeadError`; what is taken, llhttp sees in the same way."""
        try:
            head = parse_request_head(data)
        except HeadError:
            return
        seen = Seen(data)
        self.assertEqual((seen.method, seen.target), (head.method, head.target))
        self.assertEqual(
            [(name, value.rstrip(b"\t ")) for name, value in seen.headers], head.headers
        )
        self.assertEqual(seen.complete, head.length == 0)

    @given(st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
    @STEADY
    def test_any_response(self, data: bytes) -> None:
        try:
            head = parse_response_head(data)
        except HeadError:
            return
        self.assertEqual(head.status, 200)
        for name, value in head.headers:
            check_text(name + value)
            self.assertNotIn(b"\n", name + value)

    @given(st.lists(st.integers(1, len(GET)), max_size=6))
    @STEADY
    def test_any_split(self, cuts: list[int]) -> None:
        """It doesn't matter how a head is cut."""
        stream = b"\r\n" + GET + b"and more"
        reader = HeadReader()
        pieces = [0, *sorted(cuts), len(stream)]
        found = None
        for begin, end in pairwise(pieces):
            if found is None:
                found = reader.feed(stream[begin:end])
            else:
                found = (found[0], found[1] + stream[begin:end])
        self.assertEqual(found, (GET, b"and more"))


class ReaderTests(SynchronousTestCase):
    def test_byte_by_byte(self) -> None:
        reader = HeadReader()
        found = [reader.feed(bytes([byte])) for byte in b"\r\n\r\n" + GET]
        self.assertEqual(found[-1], (GET, b""))
        self.assertEqual(found[:-1], [None] * (len(GET) + 3))

    def test_begun(self) -> None:
        reader = HeadReader()
        reader.feed(b"\r\n")
        self.assertFalse(reader.begun)
        reader.feed(b"G")
        self.assertTrue(reader.begun)
        reader.feed(GET[1:])
        self.assertFalse(reader.begun)

    def test_limit(self) -> None:
        """The longest head is taken, and one byte more isn't, however it comes."""
        filling = MAX_HEAD_BYTES - len(request(b"X: "))
        longest = request(b"X: " + b"y" * filling)
        self.assertEqual(HeadReader().feed(longest), (longest, b""))
        longer = request(b"X: " + b"y" * (filling + 1))
        self.assertRaises(HeadTooLargeError, HeadReader().feed, longer)
        reader = HeadReader()
        reader.feed(longer[: MAX_HEAD_BYTES - 1])
        self.assertRaises(HeadTooLargeError, reader.feed, longer[MAX_HEAD_BYTES - 1 :])

    def test_line_ends_without_cr(self) -> None:
        """A head that ends so is found, so that it can be refused at once."""
        head = GET.replace(b"\r\n", b"\n")
        self.assertEqual(HeadReader().feed(head), (head, b""))


class ResponseTests(SynchronousTestCase):
    def test_plain(self) -> None:
        head = parse_response_head(response(b"Content-Length: 3", b"A: b"))
        self.assertEqual((head.status, head.reason, head.minor), (200, b"OK", 1))
        self.assertEqual(head.headers, [(b"Content-Length", b"3"), (b"A", b"b")])
        self.assertEqual(head.length, 3)

    def test_status_lines(self) -> None:
        for first, status, reason in (
            (b"HTTP/1.1 404 Not Found", 404, b"Not Found"),
            (b"HTTP/1.0 200", 200, b""),
            (b"HTTP/1.1 200 ", 200, b""),
            (b"HTTP/1.1 600 Odd", 600, b"Odd"),
            (b"HTTP/1.1 999", 999, b""),
        ):
            head = parse_response_head(response(first=first))
            self.assertEqual((head.status, head.reason), (status, reason))

    def test_lengths(self) -> None:
        for lines, length in (
            ((), Length.UNTIL_CLOSE),
            ((b"Content-Length: 7",), 7),
            ((b"Transfer-Encoding: chunked",), Length.CHUNKED),
        ):
            self.assertEqual(parse_response_head(response(*lines)).length, length)

    def test_odd_lines_are_mended(self) -> None:
        """Small servers end lines with LF, fold them, put blanks before the colon."""
        head = parse_response_head(
            b"HTTP/1.0 200 O : K\nA: b\n c : d\r\nContent-Length \t: 1\nB : \n\n"
        )
        self.assertEqual(head.reason, b"O : K")
        self.assertEqual(head.headers, [(b"A", b"b c : d"), (b"Content-Length", b"1"), (b"B", b"")])
        self.assertEqual(head.length, 1)

    def test_blank_lines_before_the_headers(self) -> None:
        """They belong to no header and can't be part of the status line (RFC 9112 section 2.2)."""
        head = parse_response_head(
            b"HTTP/1.1 200 OK\r\n \r\n\tContent-Length: 5\r\nA: b\r\n c\r\n\r\n"
        )
        self.assertEqual(head.reason, b"OK")
        self.assertEqual(head.headers, [(b"A", b"b c")])
        self.assertIs(head.length, Length.UNTIL_CLOSE)

    def test_refused(self) -> None:
        for head in (
            response(first=b"HTTP/2 200 OK"),
            response(first=b"HTTP/1.1 99 OK"),
            response(first=b"HTTP/1.1 099 OK"),
            response(first=b"HTTP/1.1 2000 OK"),
            response(first=b"ICY 200 OK"),
            response(b"Content-Length: 1", b"Content-Length: 2"),
            response(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            response(b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK"),
            response(b": b"),
            response(b"A B : b"),
            response(b"Content-Length : 1", b"Content-Length: 2"),
            response(b"A: b\x00"),
            response(b"A: b\rc"),
        ):
            self.assertRaises(HeadError, parse_response_head, head)

    def test_which_have_a_body(self) -> None:
        """RFC 9112 section 6.3, rules 1 and 2."""
        for status, method, expected in (
            (200, b"GET", True),
            (404, b"POST", True),
            (200, b"HEAD", False),
            (204, b"GET", False),
            (304, b"GET", False),
            (100, b"POST", False),
            (600, b"GET", True),
        ):
            head = parse_response_head(response(first=b"HTTP/1.1 %d x" % status))
            self.assertIs(head.has_body(method), expected)


class HeaderTests(SynchronousTestCase):
    def test_values(self) -> None:
        headers = [(b"A", b"1"), (b"b", b"2"), (b"a", b"3")]
        self.assertEqual(values_of(headers, b"a"), [b"1", b"3"])
        self.assertEqual(values_of(headers, b"c"), [])

    def test_lists(self) -> None:
        headers = [(b"Connection", b"Close ,, X-A"), (b"connection", b"\tY")]
        self.assertEqual(list_of(headers, b"connection"), [b"close", b"x-a", b"y"])
        self.assertEqual(list_of(headers, b"te"), [])

    def test_one_line(self) -> None:
        self.assertEqual(parse_header(b"A:b:c"), (b"A", b"b:c"))
        self.assertRaises(HeadError, parse_header, b"A")
