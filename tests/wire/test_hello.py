# -*- test-case-name: tests.wire.test_hello -*-
"""Tests of `tunnelsvc.wire.hello`."""

import contextlib
import json
from base64 import b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.test_framing import JSON_VALUES, STEADY
from tunnelsvc.errors import LoginRefused, RemoteProtocolError
from tunnelsvc.wire.framing2 import FrameType, Hello
from tunnelsvc.wire.hello import (
    AES_256_GCM,
    XCHACHA20_POLY1305,
    Bootstrap,
    accept_server_hello,
    answer_client_hello,
    make_client_hello,
)
from tunnelsvc.wire.messages import LoginResp

RANDOM = b64encode(bytes(range(32))).decode()


def client_hello(**crypto: Any) -> Hello:
    """Make a client's hello like frpc's; arguments replace what it says of crypto."""
    crypto = {"algorithms": [AES_256_GCM], "clientRandom": RANDOM} | crypto
    message = {"codecs": crypto.pop("codecs", ["json"])}
    return hello(FrameType.CLIENT_HELLO, capabilities={"message": message, "crypto": crypto})


def server_hello(algorithm: Any = AES_256_GCM, random: Any = RANDOM, codec: str = "json") -> Hello:
    crypto = {"algorithm": algorithm, "serverRandom": random}
    return hello(FrameType.SERVER_HELLO, selected={"message": {"codec": codec}, "crypto": crypto})


def hello(frame_type: FrameType, **members: Any) -> Hello:
    return Hello(frame_type, json.dumps(members).encode())


class ClientTests(SynchronousTestCase):
    """What we say, and which answers we take."""

    def test_what_we_say(self) -> None:
        ours = make_client_hello(Bootstrap(transport="tcp", tls=True, tcp_mux=True))
        self.assertIs(ours.frame_type, FrameType.CLIENT_HELLO)
        document = json.loads(ours.payload)
        self.assertEqual(len(document["capabilities"]["crypto"].pop("clientRandom")), 44)
        self.assertEqual(
            document,
            {
                "bootstrap": {"transport": "tcp", "tls": True, "tcpMux": True},
                "capabilities": {
                    "message": {"codecs": ["json"]},
                    "crypto": {"algorithms": [AES_256_GCM, XCHACHA20_POLY1305]},
                },
            },
        )
        self.assertNotEqual(make_client_hello(Bootstrap()), make_client_hello(Bootstrap()))

    def test_agreement(self) -> None:
        ours = make_client_hello(Bootstrap())
        for algorithm in (AES_256_GCM, XCHACHA20_POLY1305):
            answer = server_hello(algorithm)
            negotiated = accept_server_hello(ours, answer)
            self.assertEqual(negotiated.algorithm, algorithm)
            self.assertEqual(
                (negotiated.client_hello, negotiated.server_hello), (ours.payload, answer.payload)
            )

    def test_refusal(self) -> None:
        with self.assertRaises(LoginRefused) as caught:
            accept_server_hello(
                make_client_hello(Bootstrap()), hello(FrameType.SERVER_HELLO, error="no")
            )
        self.assertEqual(str(caught.exception), "no")

    def test_nonsense(self) -> None:
        ours = make_client_hello(Bootstrap())
        for answer, text in (
            (LoginResp(), "expected ServerHello, got LoginResp"),
            (client_hello(), "frame of type 1, 2 expected"),
            (Hello(FrameType.SERVER_HELLO, b"x"), "ServerHello: not JSON"),
            (server_hello(codec="protobuf"), "message codec 'protobuf' unknown"),
            (server_hello("rot13"), "algorithm 'rot13' wasn't offered"),
            (server_hello(""), "algorithm '' wasn't offered"),
            (server_hello(random=RANDOM[4:]), "29 random bytes, 32 expected"),
            (server_hello(random=""), "0 random bytes, 32 expected"),
            (server_hello(random="!"), "base64 expected"),
            (server_hello(random="é" * 44), "base64 expected"),
        ):
            with self.assertRaises(RemoteProtocolError) as caught:
                accept_server_hello(ours, answer)
            self.assertIn(text, str(caught.exception))


class ServerTests(SynchronousTestCase):
    """What we choose, and what we say to who can't."""

    def test_first_that_we_know(self) -> None:
        for offered, chosen in (
            ([AES_256_GCM, XCHACHA20_POLY1305], AES_256_GCM),
            ([XCHACHA20_POLY1305, AES_256_GCM], XCHACHA20_POLY1305),
            (["rot13", AES_256_GCM], AES_256_GCM),
        ):
            theirs = client_hello(algorithms=offered)
            answer, negotiated = answer_client_hello(theirs)
            assert negotiated is not None
            self.assertEqual(negotiated.algorithm, chosen)
            self.assertEqual(
                (negotiated.client_hello, negotiated.server_hello),
                (theirs.payload, answer.payload),
            )
            selected = json.loads(answer.payload)["selected"]
            self.assertEqual(selected["message"], {"codec": "json"})
            self.assertEqual(selected["crypto"]["algorithm"], chosen)
            self.assertEqual(len(selected["crypto"]["serverRandom"]), 44)

    def test_refusals(self) -> None:
        """In the words that frp's users know."""
        for theirs, error in (
            (client_hello(codecs=["protobuf"]), "unsupported message codec"),
            (client_hello(codecs=None), "unsupported message codec"),
            (
                client_hello(clientRandom=RANDOM[4:]),
                "invalid crypto client random length 29, want 32",
            ),
            (client_hello(clientRandom=""), "invalid crypto client random length 0, want 32"),
            (client_hello(algorithms=[]), "no supported crypto algorithm"),
            (client_hello(algorithms=["rot13"]), "no supported crypto algorithm"),
            (hello(FrameType.CLIENT_HELLO), "unsupported message codec"),
        ):
            answer, negotiated = answer_client_hello(theirs)
            self.assertIsNone(negotiated)
            self.assertIs(answer.frame_type, FrameType.SERVER_HELLO)
            document = json.loads(answer.payload)
            self.assertEqual(document["error"], error)
            self.assertEqual(document["selected"]["message"], {"codec": "json"})

    def test_not_worth_an_answer(self) -> None:
        for theirs, text in (
            (Hello(FrameType.CLIENT_HELLO, b"[]"), "ClientHello: object expected"),
            (client_hello(algorithms="aes-256-gcm"), "list expected"),
            (client_hello(clientRandom="*"), "base64 expected"),
            (server_hello(), "frame of type 2, 1 expected"),
        ):
            with self.assertRaises(RemoteProtocolError) as caught:
                answer_client_hello(theirs)
            self.assertIn(text, str(caught.exception))

    def test_line_ends_in_base64(self) -> None:
        """Go takes them."""
        _, negotiated = answer_client_hello(
            client_hello(clientRandom=f"{RANDOM[:20]}\r\n{RANDOM[20:]}\n")
        )
        self.assertIsNotNone(negotiated)

    @STEADY
    @given(st.dictionaries(st.sampled_from(["algorithms", "clientRandom", "codecs"]), JSON_VALUES))
    def test_any_hello(self, crypto: dict[str, Any]) -> None:
        """Any values give an answer, or an error of the peer's."""
        try:
            answer, negotiated = answer_client_hello(client_hello(**crypto))
        except RemoteProtocolError:
            return
        self.assertEqual(negotiated is None, "error" in json.loads(answer.payload))

    @STEADY
    @given(st.sampled_from(FrameType), st.binary(max_size=100))
    def test_any_bytes(self, frame_type: FrameType, payload: bytes) -> None:
        theirs = Hello(frame_type, payload)
        with contextlib.suppress(RemoteProtocolError):
            answer, _ = answer_client_hello(theirs)
            self.assertIs(answer.frame_type, FrameType.SERVER_HELLO)
        with contextlib.suppress(RemoteProtocolError, LoginRefused):
            accept_server_hello(make_client_hello(Bootstrap()), theirs)
            self.fail("nobody guesses an algorithm and a random number")


class BothTests(SynchronousTestCase):
    def test_our_own_ends_agree(self) -> None:
        ours = make_client_hello(Bootstrap(transport="tcp"))
        answer, at_server = answer_client_hello(ours)
        self.assertEqual(accept_server_hello(ours, answer), at_server)

    def test_repr_shows_no_random_bytes(self) -> None:
        self.assertEqual(repr(client_hello()), "Hello(frame_type=<FrameType.CLIENT_HELLO: 1>)")
