# -*- test-case-name: tests.gateway.test_rewrite -*-
"""Tests of `tunnelsvc.gateway.rewrite`."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.gateway.forwarded import Origin
from tunnelsvc.gateway.rewrite import (
    agrees_to_upgrade,
    connection_header,
    keeps_alive,
    request_for_backend,
    response_for_user,
    wanted_upgrade,
)
from tunnelsvc.gateway.rules import Rules, make_rules
from tunnelsvc.wire.httphead import (
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)

ADDED = [
    b"X-Forwarded-For: 192.0.2.7",
    b"X-Forwarded-Host: a",
    b"X-Forwarded-Proto: http",
    b"X-Real-IP: 192.0.2.7",
]


def request(*lines: bytes, first: bytes = b"GET /x?y HTTP/1.1") -> RequestHead:
    """Make a request of these lines, for host a."""
    return parse_request_head(b"\r\n".join([first, b"Host: a", *lines, b"", b""]))


def response(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    """Make a response of these lines."""
    return parse_response_head(b"\r\n".join([first, *lines, b"", b""]))


def sent(
    head: RequestHead, rules: Rules | None = None, address: bytes = b"192.0.2.7"
) -> list[bytes]:
    """Give the lines that the service gets, checked for their end."""
    lines = request_for_backend(head, rules or Rules(), Origin(address)).split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return lines[:-2]


def shown(
    head: ResponseHead,
    rules: Rules | None = None,
    *,
    switching: bool = False,
    connection: bytes = b"",
    framed: bool = True,
) -> list[bytes]:
    """Give the lines that the user gets, checked for their end."""
    made = response_for_user(
        head, rules or Rules(), switching=switching, connection=connection, framed=framed
    )
    lines = made.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return lines[:-2]


class RequestTests(SynchronousTestCase):
    def test_order_and_case_survive(self) -> None:
        lines = [b"zeBra: 1", b"Accept: x", b"accept: y", b"Cookie: a=b; c"]
        self.assertEqual(sent(request(*lines)), [b"GET /x?y HTTP/1.1", b"Host: a", *lines, *ADDED])

    def test_what_belongs_to_the_connection_goes(self) -> None:
        head = request(
            b"Connection: close, X-Mine",
            b"X-Mine: 1",
            b"Keep-Alive: 5",
            b"Proxy-Connection: x",
            b"Proxy-Authorization: Basic x",
            b"TE: gzip",
            b"Trailer: x",
            b"Upgrade: y",
            b"Connection: X-More",
            b"x-more: 2",
        )
        self.assertEqual(sent(head), [b"GET /x?y HTTP/1.1", b"Host: a", *ADDED])

    def test_framing_can_not_be_dropped(self) -> None:
        """Naming a length in Connection would make the body a request of its own behind us."""
        names = b"Connection: Content-Length, Host, Transfer-Encoding"
        self.assertIn(b"Content-Length: 3", sent(request(names, b"Content-Length: 3")))
        self.assertIn(
            b"Transfer-Encoding: chunked", sent(request(names, b"Transfer-Encoding: chunked"))
        )
        self.assertIn(b"Host: a", sent(request(names)))

    def test_trailers(self) -> None:
        """They are passed on with the chunks, so they are announced too."""
        head = request(b"TE: x, trailers", b"Trailer: X-Sum", b"Transfer-Encoding: chunked")
        lines = sent(head)
        self.assertIn(b"Trailer: X-Sum", lines)
        self.assertIn(b"TE: trailers", lines)
        self.assertIn(b"Connection: TE", lines)

    def test_what_is_set_is_said_once(self) -> None:
        """Also to WSGI, where both would be ``HTTP_X_ROLE``."""
        rules = make_rules(headers={"X-Role": "guest", "a_b": "1"})
        head = request(b"X_Role: admin", b"x-role: admin", b"A-B: 2", b"X-Roles: x", b"A_C: 1")
        self.assertEqual(
            sent(head, rules)[2:], [b"X-Roles: x", b"A_C: 1", *ADDED, b"X-Role: guest", b"a_b: 1"]
        )

    def test_passed_on(self) -> None:
        """Behind a gateway of ours, what that one said of the user stays, and nothing comes."""
        given = [b"X-Forwarded-For: 10.0.0.1", b"X-Real-IP: 10.0.0.1", b"Forwarded: for=a"]
        head = request(b"Keep-Alive: 5", *given)
        for rules, kept in (Rules(), given), (make_rules(headers={"Forwarded": "b"}), given[:2]):
            made = request_for_backend(head, rules, Origin(b"", passed_on=True))
            lines = made.split(b"\r\n")[:-2]
            added = [b"%b: %b" % header for header in rules.headers]
            self.assertEqual(lines, [b"GET /x?y HTTP/1.1", b"Host: a", *kept, *added])

    def test_forwarded(self) -> None:
        head = request(
            b"X-Forwarded-For: 10.0.0.1",
            b"x-forwarded-for: 10.0.0.2, 10.0.0.3",
            b"Forwarded: for=10.0.0.4",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: evil",
            b"X-Real-IP: 10.0.0.5",
            b"X_Real_IP: 10.0.0.5",
            b"X-Real_IP: 10.0.0.5",
            b"x_forwarded_for: 10.0.0.5",
            b"X_Forwarded-Proto: https",
        )
        way = b"X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7"
        self.assertEqual(sent(head)[2:], [way, *ADDED[1:]])

    def test_a_user_without_address(self) -> None:
        self.assertEqual(sent(request(), address=b"")[2:], ADDED[1:3])

    def test_rules(self) -> None:
        rules = make_rules(
            host_header_rewrite="local:80",
            headers={"X-From-Where": "frp", "x-real-ip": "mine", "User-Agent": "other"},
        )
        lines = sent(request(b"user-agent: curl", b"X-Last: 1"), rules)
        self.assertEqual(lines[1:3], [b"Host: local:80", b"X-Last: 1"])
        self.assertEqual(lines[3:6], ADDED[:3])
        self.assertEqual(
            lines[6:], [b"X-From-Where: frp", b"x-real-ip: mine", b"User-Agent: other"]
        )

    def test_absolute_form(self) -> None:
        """The service gets what it would get without a proxy; the target's host counts."""
        lines = sent(request(first=b"GET http://b:81/z?y HTTP/1.1"))
        self.assertEqual(lines[:2], [b"GET /z?y HTTP/1.1", b"Host: b:81"])
        self.assertIn(b"X-Forwarded-Host: b:81", lines)

    def test_old_request_without_host(self) -> None:
        head = parse_request_head(b"GET / HTTP/1.0\r\nAccept: x\r\n\r\n")
        lines = sent(head)
        self.assertEqual(lines[:3], [b"GET / HTTP/1.1", b"Host: ", b"Accept: x"])
        self.assertNotIn(b"X-Forwarded-Host: ", lines)

    def test_expectations(self) -> None:
        """They're for the service, unless the user couldn't hear its answer."""
        expect = b"Expect: 100-continue"
        self.assertIn(expect, sent(request(expect, b"Content-Length: 1")))
        old = request(expect, b"Content-Length: 1", first=b"POST / HTTP/1.0")
        self.assertNotIn(expect, sent(old))

    def test_upgrade(self) -> None:
        head = request(b"connection: keep-alive, upgrade", b"upgrade: websocket", b"Sec-X: 1")
        lines = sent(head)
        self.assertEqual(
            lines[1:5],
            [b"Host: a", b"Sec-X: 1", b"Connection: Upgrade", b"Upgrade: websocket"],
        )


class UpgradeTests(SynchronousTestCase):
    def test_wanted(self) -> None:
        both = (b"Connection: Upgrade", b"Upgrade: websocket")
        self.assertEqual(wanted_upgrade(request(*both)), b"websocket")
        self.assertEqual(wanted_upgrade(request(*both, b"Content-Length: 2")), b"websocket")
        for lines in (
            (b"Upgrade: websocket",),
            (b"Connection: upgrade",),
            (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"),
            (*both, b"Upgrade: H2C"),
        ):
            self.assertEqual(wanted_upgrade(request(*lines)), b"", lines)
        self.assertEqual(wanted_upgrade(request(*both, first=b"GET / HTTP/1.0")), b"")

    def test_agreed(self) -> None:
        asked = request(b"Connection: Upgrade", b"Upgrade: a/1, WebSocket")
        for lines, agreed in (
            ((b"Upgrade: websocket",), True),
            ((b"Upgrade: A/1",), True),
            ((b"Upgrade: websocket", b"Upgrade: h2c"), False),
            ((b"Upgrade: h2c",), False),
            ((), False),
        ):
            answer = response(*lines, first=b"HTTP/1.1 101 x")
            self.assertIs(agrees_to_upgrade(asked, answer), agreed)
        self.assertFalse(agrees_to_upgrade(request(), response(b"Upgrade: websocket")))


class KeepAliveTests(SynchronousTestCase):
    def test_who_keeps(self) -> None:
        new, old = b"GET / HTTP/1.1", b"GET / HTTP/1.0"
        for lines, first, keeps in (
            ((), new, True),
            ((b"Connection: CLOSE",), new, False),
            ((b"Connection: x, close",), new, False),
            ((), old, False),
            ((b"Connection: Keep-Alive",), old, True),
            ((b"Connection: keep-alive", b"Connection: close"), old, False),
        ):
            self.assertIs(keeps_alive(request(*lines, first=first)), keeps)

    def test_what_the_user_is_told(self) -> None:
        old = request(first=b"GET / HTTP/1.0")
        self.assertEqual(connection_header(request(), keep=True), b"")
        self.assertEqual(connection_header(request(), keep=False), b"close")
        self.assertEqual(connection_header(old, keep=True), b"keep-alive")
        self.assertEqual(connection_header(old, keep=False), b"close")


class ResponseTests(SynchronousTestCase):
    def test_order_and_case_survive(self) -> None:
        lines = [b"server: x", b"Set-Cookie: a", b"Set-Cookie: b", b"Content-Length: 3"]
        self.assertEqual(shown(response(*lines)), [b"HTTP/1.1 200 OK", *lines])

    def test_what_belongs_to_the_connection_goes(self) -> None:
        head = response(
            b"Connection: x-mine",
            b"X-Mine: 1",
            b"Keep-Alive: timeout=5",
            b"Upgrade: h2c",
            b"Proxy-Authenticate: x",
            first=b"HTTP/1.0 200 Fine",
        )
        self.assertEqual(
            shown(head, connection=b"close"), [b"HTTP/1.1 200 Fine", b"Connection: close"]
        )

    def test_headers_set(self) -> None:
        rules = make_rules(response_headers={"X-Frame-Options": "DENY", "x-new": "1"})
        lines = (b"A: b", b"x-frame-options: no", b"X-FRAME-OPTIONS: never")
        added = [b"A: b", b"X-Frame-Options: DENY", b"x-new: 1"]
        self.assertEqual(shown(response(*lines), rules), [b"HTTP/1.1 200 OK", *added])
        self.assertEqual(
            shown(response(*lines, first=b"HTTP/1.1 103 x"), rules),
            [b"HTTP/1.1 103 x", *lines],
        )
        switch = response(*lines, b"Upgrade: y", first=b"HTTP/1.1 101 x")
        self.assertEqual(
            shown(switch, rules, switching=True),
            [b"HTTP/1.1 101 x", *added, b"Connection: Upgrade", b"Upgrade: y"],
        )

    def test_no_length_where_there_can_not_be_one(self) -> None:
        head = response(b"Content-Length: 0", first=b"HTTP/1.1 204 No Content")
        self.assertEqual(shown(head), [b"HTTP/1.1 204 No Content"])
        head = response(b"Content-Length: 7", first=b"HTTP/1.1 304 Not Modified")
        self.assertIn(b"Content-Length: 7", shown(head))

    def test_unframed(self) -> None:
        head = response(b"Transfer-Encoding: chunked", b"Trailer: X-Sum", b"A: b")
        self.assertEqual(shown(head, framed=False), [b"HTTP/1.1 200 OK", b"A: b"])
        self.assertIn(b"Trailer: X-Sum", shown(head))

    def test_switching(self) -> None:
        head = response(
            b"Upgrade: websocket",
            b"Connection: Upgrade, X-Hop",
            b"X-Hop: 1",
            b"Sec-WebSocket-Accept: x",
            first=b"HTTP/1.1 101 Switching Protocols",
        )
        self.assertEqual(
            shown(head, switching=True),
            [
                b"HTTP/1.1 101 Switching Protocols",
                b"Sec-WebSocket-Accept: x",
                b"Connection: Upgrade",
                b"Upgrade: websocket",
            ],
        )
