# -*- test-case-name: tests.client.inspection.test_content -*-
"""Tests of `tunnelsvc.client.inspection.content`."""

import gzip
import json
import zlib
from typing import Any

import cramjam
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client.inspection.content import (
    BINARY,
    IMAGE,
    MOST_DECODED_BYTES,
    MOST_PRETTY_BYTES,
    TEXT,
    Content,
    content_of,
)
from tunnelsvc.wire.httpexchange import Half

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def raw_deflate(data: bytes) -> bytes:
    """Compress without the format around it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, Any] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "DEFLATE": raw_deflate,
    "br": lambda data: bytes(cramjam.brotli.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
}


def content(data: bytes, kind: str = "", coding: str = "", lost_bytes: int = 0) -> Content:
    """Look into a body."""
    headers = [(b"Content-Type", kind.encode())] if kind else []
    if coding:
        headers.append((b"Content-Encoding", coding.encode()))
    return content_of(
        Half(headers=headers, body=bytearray(data), body_bytes=len(data) + lost_bytes)
    )


class KindTests(SynchronousTestCase):
    """Text, image or neither."""

    def test_text(self) -> None:
        for kind, data, text in (
            ("text/html; charset=ISO-8859-1", b"caf\xe9", "café"),
            ("text/html", "café".encode(), "café"),
            ("text/plain; charset=nonsense", b"x", "x"),
            ("text/plain; charset=hex", b"ff", "ff"),
            ("text/plain; charset=punycode", b"a-b", "a-b"),
            ("text/plain; charset=unicode_escape", rb"\x41", r"\x41"),
            ('application/json; charset="utf-8"', b"{}", "{}"),
            ("text/plain", b"caf\xe9", "café"),
            ("", b"plain\r\n\x1b[1m", "plain\r\n\x1b[1m"),
            ("image/svg+xml", b"<svg/>", "<svg/>"),
            ("application/octet-stream", b"really text", "really text"),
        ):
            found = content(data, kind)
            self.assertEqual((found.kind, found.text), (TEXT, text), kind)
        self.assertEqual(content(b"").text, "")

    def test_images(self) -> None:
        """By what is in them, whatever the type says."""
        for kind in ("image/png", "", "text/html", "image/svg+xml"):
            found = content(PNG, kind)
            self.assertEqual((found.kind, found.media_type, found.text), (IMAGE, "image/png", None))
        for data, kind in (
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0 ftypavif", "image/avif"),
        ):
            self.assertEqual(content(data).media_type, kind)

    def test_binary(self) -> None:
        for kind, data in (
            ("application/octet-stream", b"\xff\x00"),
            ("text/plain", b"no\0text"),
            ("text/plain; charset=utf-8", b"\x01\x02"),
            ("", b"\xe9"),
            ("image/png", b"\xff\xffnone"),
        ):
            found = content(data, kind)
            self.assertEqual((found.kind, found.text, found.data), (BINARY, None, data), kind)

    def test_cut_in_the_middle_of_a_character(self) -> None:
        found = content("aé".encode()[:-1], lost_bytes=1)
        self.assertEqual((found.text, found.truncated), ("a", True))

    @given(st.binary(max_size=200), st.text(max_size=40), st.sampled_from(["", *CODINGS]))
    def test_anything(self, data: bytes, kind: str, coding: str) -> None:
        found = content(data, "".join(c for c in kind if c.isprintable()), coding)
        self.assertEqual(found.kind == TEXT, found.text is not None)
        found.pretty()


class CodingTests(SynchronousTestCase):
    """What is packed."""

    def test_all(self) -> None:
        text = b"hello " * 1000
        for coding, pack in CODINGS.items():
            found = content(pack(text), "text/plain", coding)
            self.assertEqual((found.data, found.truncated), (text, False), coding)
            self.assertEqual(found.coding, coding.lower())

    def test_of_which_the_end_is_missing(self) -> None:
        text = b"".join(b"line %d\n" % number for number in range(5000))
        for coding, pack in CODINGS.items():
            packed = pack(text)
            found = content(packed[: len(packed) // 2], "text/plain", coding, lost_bytes=1000)
            self.assertTrue(found.truncated, coding)
            if found.kind == TEXT:
                self.assertTrue(text.startswith(found.data), coding)
            if coding not in {"br", "zstd"}:  # those have large blocks, which are all or nothing
                self.assertGreater(len(found.data), 1000, coding)

    def test_one_on_top_of_the_other(self) -> None:
        found = content(zlib.compress(gzip.compress(b"text")), "text/plain", "gzip, deflate")
        self.assertEqual((found.text, found.coding), ("text", "gzip, deflate"))
        self.assertEqual(content(b"x", "text/plain", ", ".join(["gzip"] * 5)).kind, BINARY)

    def test_bombs(self) -> None:
        """Little that unpacks to much is unpacked to a limit."""
        for coding, pack in CODINGS.items():
            found = content(pack(b"a" * (50 * MOST_DECODED_BYTES)), "text/plain", coding)
            self.assertLessEqual(len(found.data), MOST_DECODED_BYTES, coding)
            self.assertTrue(found.truncated, coding)

    def test_not_what_it_says(self) -> None:
        for coding in (*CODINGS, "unknown"):
            found = content(b"\xffnonsense", "text/plain", coding)
            self.assertEqual((found.kind, found.data), (BINARY, b"\xffnonsense"), coding)

    def test_nothing_is_nothing(self) -> None:
        self.assertEqual(content(b"", "text/plain", "gzip").text, "")


class PrettyTests(SynchronousTestCase):
    """JSON that is easy to read."""

    def test_lines(self) -> None:
        given = b'{"b":[1,{"c":null}],"a":"\\u00e9","e":{},"f":[]}'
        self.assertEqual(
            content(given, "application/json").pretty(),
            '{\n  "b": [\n    1,\n    {\n      "c": null\n    }\n  ],\n  "a": "é",\n'
            '  "e": {},\n  "f": []\n}',
        )

    def test_nothing_is_lost(self) -> None:
        """Digits that no number has, members that are there twice."""
        given = b'{"a":12345678901234567890.10,"a":1e999}'
        pretty = content(given, "application/problem+json").pretty()
        self.assertEqual(pretty, '{\n  "a": 12345678901234567890.10,\n  "a": 1e999\n}')

    def test_without_a_type(self) -> None:
        self.assertEqual(content(b" [1]", "text/plain").pretty(), "[\n  1\n]")

    def test_none(self) -> None:
        for data, kind in (
            (b"{broken", "application/json"),
            (b"1", "text/plain"),
            (b"[" * 100_000, "application/json"),
            (b'"%b"' % (b"x" * MOST_PRETTY_BYTES), "application/json"),
            (PNG, "application/json"),
        ):
            self.assertIsNone(content(data, kind).pretty(), kind)
        self.assertIsNone(content(b"[1]", "application/json", lost_bytes=1).pretty())

    def test_indents_do_not_add_up(self) -> None:
        """Short lines far inside become long ones; a minute's work, and 80 MB, for 64 KiB."""
        deep = b"[" * 200 + b"0," * 32_000 + b"0" + b"]" * 200
        self.assertIsNone(content(deep, "application/json").pretty())
        long = json.dumps([0] * 10_000).encode()
        self.assertIsNotNone(content(long, "application/json").pretty())

    @given(JSON)
    def test_any_value(self, value: object) -> None:
        pretty = content(json.dumps(value).encode(), "application/json").pretty()
        assert pretty is not None
        self.assertEqual(json.loads(pretty), value)
