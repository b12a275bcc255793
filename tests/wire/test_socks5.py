# -*- test-case-name: tests.wire.test_socks5 -*-
"""Tests of `tunnelsvc.wire.socks5`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.socks5 import Handshake, Reply, Socks5Error, Target, reply

STEADY = settings(derandomize=True, deadline=None)
NO_LOGIN = bytes.fromhex("050100")
BOTH_WAYS = bytes.fromhex("05020002")
LOGIN = b"\x01\x05alice\x06s3cret"
TO_IPV4 = bytes.fromhex("05010001c00002070050")
TO_IPV6 = bytes.fromhex("0501000420010db80000000000000000000000011f90")
TO_NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
LONGEST_MESSAGE_BYTES = 513


def refusal(handshake: Handshake, data: bytes) -> Socks5Error:
    """Feed what can't be served."""
    try:
        answer = handshake.feed(data)
    except Socks5Error as error:
        return error
    raise AssertionError(f"served: {answer!r}, {handshake.target}")


class HandshakeTests(SynchronousTestCase):
    """A conversation, from the server's side."""

    def test_step_by_step(self) -> None:
        handshake = Handshake()
        self.assertEqual(handshake.feed(NO_LOGIN), b"\x05\x00")
        self.assertIsNone(handshake.target)
        self.assertEqual(handshake.feed(TO_IPV4), b"")
        self.assertEqual(handshake.target, Target("192.0.2.7", 80))
        self.assertEqual(handshake.unread, b"")

    def test_targets(self) -> None:
        cases = {
            TO_IPV4: Target("192.0.2.7", 80),
            TO_IPV6: Target("2001:db8::1", 8080),
            TO_NAME: Target("example.com", 443),
            b"\x05\x01\x00\x03\x03::1\x00\x50": Target("::1", 80),
            b"\x05\x01\x00\x03\x07web_app\x00\x50": Target("web_app", 80),
        }
        for request, target in cases.items():
            handshake = Handshake()
            handshake.feed(NO_LOGIN + request)
            self.assertEqual(handshake.target, target)

    def test_login(self) -> None:
        handshake = Handshake("alice", "s3cret")
        self.assertEqual(handshake.feed(BOTH_WAYS), b"\x05\x02")
        self.assertEqual(handshake.feed(LOGIN), b"\x01\x00")
        handshake.feed(TO_NAME)
        self.assertEqual(handshake.target, Target("example.com", 443))

    def test_login_beyond_ascii(self) -> None:
        """Both are bytes on the wire; UTF-8 as in the file."""
        user, password = "jürgen", "schlüssel"
        fields = [text.encode() for text in (user, password)]
        login = b"\x01" + b"".join(bytes([len(field)]) + field for field in fields)
        self.assertEqual(Handshake(user, password).feed(BOTH_WAYS + login), b"\x05\x02\x01\x00")

    def test_longest_login(self) -> None:
        text = "x" * 255
        login = b"\x01\xff" + text.encode() + b"\xff" + text.encode()
        self.assertEqual(Handshake(text, text).feed(BOTH_WAYS + login), b"\x05\x02\x01\x00")

    def test_password_without_user(self) -> None:
        handshake = Handshake("", "s3cret")
        self.assertEqual(handshake.feed(BOTH_WAYS + b"\x01\x00\x06s3cret"), b"\x05\x02\x01\x00")

    def test_all_at_once(self) -> None:
        """A client may send everything without waiting, and what is for the target too."""
        handshake = Handshake("alice", "s3cret")
        answer = handshake.feed(BOTH_WAYS + LOGIN + TO_NAME + b"\x05GET /")
        self.assertEqual(answer, b"\x05\x02\x01\x00")
        self.assertEqual(handshake.target, Target("example.com", 443))
        self.assertEqual(handshake.unread, b"\x05GET /")

    def test_wrong_login(self) -> None:
        """A user's name and a password can't lend each other letters."""
        for login in (
            b"\x01\x05alice\x06secret",
            b"\x01\x03bob\x06s3cret",
            b"\x01\x06alices\x053cret",
            b"\x01\x00\x00",
        ):
            error = refusal(Handshake("alice", "s3cret"), BOTH_WAYS + login + TO_NAME)
            self.assertEqual(error.answer, b"\x05\x02\x01\x01")
            self.assertNotIn("s3cret", str(error))

    def test_no_common_method(self) -> None:
        for greeting, handshake in (
            (b"\x05\x01\x02", Handshake()),
            (b"\x05\x00", Handshake()),
            (NO_LOGIN, Handshake("alice", "s3cret")),
            (b"\x05\x01\x01", Handshake("alice", "s3cret")),
        ):
            self.assertEqual(refusal(handshake, greeting).answer, b"\x05\xff")

    def test_login_isn_t_skipped(self) -> None:
        """Who must log in can't go on to the request."""
        error = refusal(Handshake("alice", "s3cret"), BOTH_WAYS + TO_NAME)
        self.assertEqual(error.answer, b"\x05\x02")

    def test_commands(self) -> None:
        for command in (0, 2, 3, 255):
            request = bytes((5, command)) + TO_IPV4[2:]
            error = refusal(Handshake(), NO_LOGIN + request)
            self.assertEqual(error.answer, b"\x05\x00" + reply(Reply.NO_SUCH_COMMAND))

    def test_kinds_of_address(self) -> None:
        for kind in (0, 2, 5, 255):
            request = bytes((5, 1, 0, kind)) + TO_IPV4[4:]
            error = refusal(Handshake(), NO_LOGIN + request)
            self.assertEqual(error.answer, b"\x05\x00" + reply(Reply.NO_SUCH_ADDRESS_TYPE))

    def test_bad_names(self) -> None:
        for name in (b"", b"a b", b"a\x00b", b"a/b", b"\xff\xfe", b"a\r\nb"):
            request = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50"
            error = refusal(Handshake(), NO_LOGIN + request)
            self.assertEqual(error.answer, b"\x05\x00" + reply(Reply.FAILED))

    def test_other_protocols(self) -> None:
        """The first byte is enough, so that nobody waits for the rest of a greeting."""
        for data in (b"\x04\x01\x00\x50", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
            self.assertEqual(refusal(Handshake(), data).answer, b"")
        handshake = Handshake()
        handshake.feed(NO_LOGIN)
        self.assertEqual(refusal(handshake, b"\x04").answer, b"")

    def test_replies(self) -> None:
        self.assertEqual(reply(Reply.REFUSED), bytes.fromhex("05050001000000000000"))
        self.assertEqual(
            reply(Reply.SUCCEEDED, "192.0.2.7", 80), bytes.fromhex("05000001c00002070050")
        )
        self.assertEqual(
            reply(Reply.SUCCEEDED, "fe80::1%eth0", 8080),
            bytes.fromhex("05000004fe8000000000000000000000000000011f90"),
        )

    @STEADY
    @given(st.lists(st.integers(1, 20)), st.binary(max_size=40))
    def test_cut_anywhere(self, cuts: list[int], behind: bytes) -> None:
        """However the bytes are cut, the conversation is the same, and nothing is lost."""
        wire = BOTH_WAYS + LOGIN + TO_NAME + behind
        handshake = Handshake("alice", "s3cret")
        answer, rest = b"", wire
        for cut in [*cuts, len(wire)]:
            if handshake.target is None:
                answer += handshake.feed(rest[:cut])
                rest = rest[cut:]
        self.assertEqual(answer, b"\x05\x02\x01\x00")
        self.assertEqual(handshake.target, Target("example.com", 443))
        self.assertEqual(handshake.unread + rest, behind)

    @STEADY
    @given(
        st.sampled_from([b"", NO_LOGIN, BOTH_WAYS, BOTH_WAYS + LOGIN]),
        st.binary(max_size=700),
        st.booleans(),
    )
    def test_garbage(self, before: bytes, data: bytes, login: bool) -> None:
        """Whatever comes is served, waited for, or refused; never kept without end."""
        handshake = Handshake("alice", "s3cret") if login else Handshake()
        try:
            for byte in before + data:
                handshake.feed(bytes([byte]))
                if handshake.target is not None:
                    return
                self.assertLess(len(handshake.unread), LONGEST_MESSAGE_BYTES)
        except Socks5Error as error:
            self.assertLessEqual(len(error.answer), 10)
