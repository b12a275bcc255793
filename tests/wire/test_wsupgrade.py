# -*- test-case-name: tests.wire.test_wsupgrade -*-
"""Tests of `tunnelsvc.wire.wsupgrade`."""

import contextlib
from http import HTTPStatus

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.httphead import (
    HeadError,
    RequestHead,
    parse_request_head,
    parse_response_head,
)
from tunnelsvc.wire.wsupgrade import (
    UpgradeFailedError,
    UpgradeRefusedError,
    answer,
    check_answer,
    new_key,
    refusal,
    request,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = request("vps.example.com:7000", KEY)
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class RequestTests(SynchronousTestCase):
    """The client's half."""

    def test_request(self) -> None:
        self.assertEqual(
            REQUEST,
            b"GET /~!frp HTTP/1.1\r\nHost: vps.example.com:7000\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Origin: http://vps.example.com:7000\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        self.assertIn(b"Host: [2001:db8::1]:7000\r\n", request("[2001:db8::1]:7000", KEY))
        self.assertIn(b"Host: xn--bcher-kva.example\r\n", request("bücher.example", KEY))

    def test_keys_differ(self) -> None:
        self.assertEqual(len(new_key()), 24)
        self.assertNotEqual(new_key(), new_key())

    def test_agreed(self) -> None:
        check_answer(parse_response_head(AGREED), KEY)
        check_answer(parse_response_head(AGREED.replace(b"Upgrade\r", b"upgrade\r")), KEY)

    def test_not_agreed(self) -> None:
        for old, new, what in (
            (b"101 Switching Protocols", b"403 Forbidden", "the server answers 403 Forbidden"),
            (b"Upgrade: websocket", b"Upgrade: h2c", "another protocol"),
            (b"Connection: Upgrade", b"Connection: close", "another protocol"),
            (b"s3pP", b"xxxx", "cache"),
            (b"Upgrade: w", b"Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: w", "exten"),
        ):
            with self.assertRaises(UpgradeFailedError) as caught:
                check_answer(parse_response_head(AGREED.replace(old, new)), KEY)
            self.assertIn(what, str(caught.exception))


class AnswerTests(SynchronousTestCase):
    """The server's half."""

    def head(self, old: bytes = b"", new: bytes = b"") -> RequestHead:
        return parse_request_head(REQUEST.replace(old, new) if old else REQUEST)

    def test_example(self) -> None:
        """RFC 6455 section 1.3."""
        self.assertEqual(answer(self.head()), AGREED)

    def test_what_proxies_make_of_it(self) -> None:
        for old, new in (
            (b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
            (b"Upgrade: websocket", b"upgrade: WebSocket"),
            (b"/~!frp", b"/~!frp?x=1"),
        ):
            self.assertEqual(answer(self.head(old, new)), AGREED)

    def test_refusals(self) -> None:
        for old, new, status in (
            (b"/~!frp", b"/~!frp/x", HTTPStatus.NOT_FOUND),
            (b"GET", b"POST", HTTPStatus.BAD_REQUEST),
            (b"HTTP/1.1", b"HTTP/1.0", HTTPStatus.BAD_REQUEST),
            (b"Upgrade: w", b"Content-Length: 1\r\nUpgrade: w", HTTPStatus.BAD_REQUEST),
            (b"Upgrade: websocket\r\n", b"", HTTPStatus.BAD_REQUEST),
            (b"Connection: Upgrade\r\n", b"", HTTPStatus.BAD_REQUEST),
            (b"Version: 13", b"Version: 8", HTTPStatus.UPGRADE_REQUIRED),
            (KEY, b"short", HTTPStatus.BAD_REQUEST),
            (KEY, b"no base 64!", HTTPStatus.BAD_REQUEST),
            (b"Origin: http://vps.example.com:7000\r\n", b"", HTTPStatus.FORBIDDEN),
            (b"Origin: http://vps.example.com:7000", b"Origin: null", HTTPStatus.FORBIDDEN),
            (b"Origin: http://", b"Origin: http://[", HTTPStatus.FORBIDDEN),
        ):
            with self.assertRaises(UpgradeRefusedError, msg=repr((old, new))) as caught:
                answer(self.head(old, new))
            why = caught.exception
            self.assertEqual(why.status, status)
            said = parse_response_head(refusal(why).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            self.assertEqual(said.status, status.value)
            self.assertTrue(refusal(why).endswith(str(why).encode() + b"\n"))

    @settings(derandomize=True, deadline=None)
    @given(origin=st.binary(max_size=40), key=st.binary(max_size=40))
    def test_any_values(self, origin: bytes, key: bytes) -> None:
        """Whatever the head's parser lets through is agreed to or refused."""
        data = REQUEST.replace(b"http://vps.example.com:7000", origin).replace(KEY, key)
        with contextlib.suppress(HeadError, UpgradeRefusedError):
            answer(parse_request_head(data))
