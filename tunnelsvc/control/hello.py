# -*- test-case-name: tests.control.test_hello -*-
"""The first words of a control connection in wire protocol v2, before the login.

Imported only where v2 is spoken. What is said is in `tunnelsvc.wire.hello`.
"""

from twisted.logger import Logger

from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.handover import host_of
from tunnelsvc.link.messages import FIRST_MESSAGE_SECONDS, MessageProtocol
from tunnelsvc.wire.framing2 import Hello
from tunnelsvc.wire.hello import (
    Bootstrap,
    accept_server_hello,
    answer_client_hello,
    make_client_hello,
)
from tunnelsvc.wire.messages import Message

_log = Logger()


def say_hello(messages: MessageProtocol, config: ClientConfig) -> Hello:
    """Say what we can do, as a client; the login may follow at once."""
    tls = config.tls.enable or config.protocol == "wss"
    hello = make_client_hello(Bootstrap(transport=config.protocol, tls=tls, tcp_mux=config.tcp_mux))
    messages.send(hello)
    return hello


async def hear_answer(messages: MessageProtocol, hello: Hello, seconds: float) -> None:
    """Wait for what the server chose.

    Args:
        messages: the connection.
        hello: what we said.
        seconds: how long to wait.

    Raises:
        LoginRefused: with the server's text.
        ConnectionLost, TimeoutError, RemoteProtocolError: it didn't come to that.
    """
    messages.negotiated = accept_server_hello(hello, await messages.expect(seconds))


async def answer_hello(first: Message, messages: MessageProtocol) -> Message | None:
    """Answer a client's hello, if its first message is one.

    Returns:
        The message that counts: `first`, or the one after the hello. None if the hello was
        refused; that has been said, and the connection closed.

    Raises:
        RemoteProtocolError: it is a hello that isn't worth an answer.
        ConnectionLost, TimeoutError: no message came after it.
    """
    if not isinstance(first, Hello):
        return first
    answer, messages.negotiated = answer_client_hello(first)
    messages.send(answer)
    if messages.negotiated is not None:
        return await messages.expect(FIRST_MESSAGE_SECONDS)
    _log.warn(
        "{peer}: no wire protocol v2 with this client: it was told {answer}",
        peer=host_of(messages.stream), answer=answer.payload.decode(),
    )  # fmt: skip
    messages.close()
    return None
