# -*- test-case-name: tests.wire.test_hello -*-
"""How a control connection of wire protocol v2 begins (protocol notes 2.5 and 3.2).

The client says what it can do, the server what it chose; both are JSON in a frame each
(`tunnelsvc.wire.framing2.Hello`). Both and nothing else go into the keys that `tunnelsvc.wire.aead`
derives: a hello that somebody changed on its way gives two sides that don't understand each other.
"""

import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, field, frozen

from tunnelsvc.errors import LoginRefused, RemoteProtocolError
from tunnelsvc.wire.framing import from_json, to_json
from tunnelsvc.wire.framing2 import FrameType, Hello
from tunnelsvc.wire.messages import Message, Texts

AES_256_GCM: Final = "aes-256-gcm"
XCHACHA20_POLY1305: Final = "xchacha20-poly1305"
ALGORITHMS: Final = (AES_256_GCM, XCHACHA20_POLY1305)
"""What we can do, best first: OpenSSL has AES in hardware nearly everywhere, and half of the other
is made from parts. A server follows the order of the client."""

RANDOM_BYTES: Final = 32
JSON_CODEC: Final = "json"
"""The only way in which v2 writes messages."""


def _named(json_name: str, default: Any) -> Any:
    return field(default=default, metadata={"json": json_name})


@frozen(kw_only=True)
class Bootstrap:
    """What the connection is made of, as the client sees it. For information only."""

    transport: str = ""
    """``tcp``, ``websocket``, ..., as ``protocol`` has it."""
    tls: bool = False
    tcp_mux: bool = _named("tcpMux", False)


@frozen(kw_only=True)
class Codecs:
    """Ways to write messages."""

    codecs: Texts = ()


@frozen(kw_only=True)
class Crypto:
    """Ways to protect the control connection."""

    algorithms: Texts = ()
    client_random: str = _named("clientRandom", "")
    """`RANDOM_BYTES` in base64."""


@frozen(kw_only=True)
class Capabilities:
    """What a client can do."""

    message: Codecs = Codecs()
    crypto: Crypto = Crypto()


@frozen(kw_only=True)
class ClientHello(Message):
    """Client to server."""

    bootstrap: Bootstrap = Bootstrap()
    capabilities: Capabilities = Capabilities()


@frozen(kw_only=True)
class ChosenCodec:
    """A way to write messages."""

    codec: str = ""


@frozen(kw_only=True)
class ChosenCrypto:
    """A way to protect the control connection."""

    algorithm: str = ""
    server_random: str = _named("serverRandom", "")
    """`RANDOM_BYTES` in base64."""


@frozen(kw_only=True)
class Selected:
    """What a server chose."""

    message: ChosenCodec = ChosenCodec(codec=JSON_CODEC)
    crypto: ChosenCrypto = ChosenCrypto()


@frozen(kw_only=True)
class ServerHello(Message):
    """Server to client; after one with an error the server closes."""

    selected: Selected = Selected()
    error: str = ""


@frozen
class Negotiated:
    """What both hellos come to.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        client_hello: the payload of the client's hello, as it was sent.
        server_hello: likewise of the server's.
    """

    algorithm: str
    client_hello: bytes = field(repr=False)
    server_hello: bytes = field(repr=False)


def make_client_hello(bootstrap: Bootstrap) -> Hello:
    """Say what we can do."""
    crypto = Crypto(algorithms=ALGORITHMS, client_random=_random())
    capabilities = Capabilities(message=Codecs(codecs=(JSON_CODEC,)), crypto=crypto)
    hello = ClientHello(bootstrap=bootstrap, capabilities=capabilities)
    return Hello(FrameType.CLIENT_HELLO, to_json(hello))


def answer_client_hello(hello: Hello) -> tuple[Hello, Negotiated | None]:
    """Choose, as a server.

    Returns:
        The answer; and what was agreed on, None if the answer is a refusal, which is the end.

    Raises:
        RemoteProtocolError: it isn't a client's hello; that isn't answered.
    """
    _check_type(hello, FrameType.CLIENT_HELLO)
    offered = from_json(ClientHello, hello.payload).capabilities
    error, algorithm = _choose(offered)
    answer = ServerHello(error=error)
    if not error:
        crypto = ChosenCrypto(algorithm=algorithm, server_random=_random())
        answer = evolve(answer, selected=Selected(crypto=crypto))
    payload = to_json(answer)
    negotiated = None if error else Negotiated(algorithm, hello.payload, payload)
    return Hello(FrameType.SERVER_HELLO, payload), negotiated


def accept_server_hello(ours: Hello, answer: Message) -> Negotiated:
    """Check what a server chose, as the client that said `ours`.

    Raises:
        LoginRefused: it says that it can't.
        RemoteProtocolError: it isn't a server's hello, or chose what wasn't offered.
    """
    if not isinstance(answer, Hello):
        raise RemoteProtocolError(f"expected ServerHello, got {type(answer).__name__}")
    _check_type(answer, FrameType.SERVER_HELLO)
    hello = from_json(ServerHello, answer.payload)
    if hello.error:
        raise LoginRefused(hello.error)
    chosen = hello.selected
    if chosen.message.codec != JSON_CODEC:
        raise RemoteProtocolError(f"ServerHello: message codec {chosen.message.codec!r} unknown")
    if chosen.crypto.algorithm not in ALGORITHMS:
        raise RemoteProtocolError(
            f"ServerHello: crypto algorithm {chosen.crypto.algorithm!r} wasn't offered"
        )
    length = _random_bytes(chosen.crypto.server_random)
    if length != RANDOM_BYTES:
        raise RemoteProtocolError(f"ServerHello: {length} random bytes, {RANDOM_BYTES} expected")
    return Negotiated(chosen.crypto.algorithm, ours.payload, answer.payload)


def _choose(offered: Capabilities) -> tuple[str, str]:
    """Return an error, in frp's words, and the algorithm to use."""
    if JSON_CODEC not in offered.message.codecs:
        return "unsupported message codec", ""
    length = _random_bytes(offered.crypto.client_random)
    if length != RANDOM_BYTES:
        return f"invalid crypto client random length {length}, want {RANDOM_BYTES}", ""
    algorithm = _first_known(offered.crypto.algorithms)
    return ("", algorithm) if algorithm else ("no supported crypto algorithm", "")


def _first_known(algorithms: Sequence[str]) -> str:
    return next((one for one in algorithms if one in ALGORITHMS), "")


def _check_type(hello: Hello, expected: FrameType) -> None:
    if hello.frame_type is not expected:
        raise RemoteProtocolError(
            f"frame of type {hello.frame_type:d}, {expected:d} expected at the beginning"
        )


def _random() -> str:
    return b64encode(secrets.token_bytes(RANDOM_BYTES)).decode()


def _random_bytes(text: str) -> int:
    """Count the bytes that are in `text`, as Go reads it: line ends inside don't count.

    Raises:
        RemoteProtocolError: it isn't base64.
    """
    try:
        return len(b64decode(text.replace("\r", "").replace("\n", ""), validate=True))
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("hello: base64 expected for random bytes") from None
