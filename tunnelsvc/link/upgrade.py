# -*- test-case-name: tests.link.test_upgrade -*-
"""Turning a connected stream into a websocket, on either side (protocol notes 1.5)."""

from collections.abc import Callable
from http import HTTPStatus

from twisted.internet.interfaces import IAddress, IReactorTime

from tunnelsvc.interfaces import Stream
from tunnelsvc.link.asking import ask
from tunnelsvc.link.websocket import WebSocketStream
from tunnelsvc.wire.httphead import (
    HeadError,
    HeadReader,
    RequestHead,
    parse_request_head,
    parse_response_head,
)
from tunnelsvc.wire.wsupgrade import (
    UpgradeRefusedError,
    answer,
    check_answer,
    new_key,
    refusal,
    request,
)

UPGRADE_SECONDS = 10.0
"""How long the other side may take for its half, TLS below included."""


async def ask_for_websocket(stream: Stream, host: str, clock: IReactorTime) -> WebSocketStream:
    """Ask the server at the far end for its websocket.

    Args:
        stream: a parked stream; reset if nothing comes of it.
        host: see `tunnelsvc.wire.wsupgrade.request`.
        clock: for the time limit.

    Raises:
        UpgradeFailedError, HeadError: the answer is another.
        ConnectionClosed, TLSError, TimeoutError: there is none.
    """
    key = new_key()
    try:
        stream.write(request(host, key))
        head, rest = await ask(stream, clock, UPGRADE_SECONDS, HeadReader().feed)
        check_answer(parse_response_head(head), key)
    except BaseException:
        stream.abortConnection()
        raise
    return _started(stream, clock, rest, client=True)


async def take_websocket(
    stream: Stream,
    seen: bytes,
    clock: IReactorTime,
    peer_of: Callable[[RequestHead], IAddress],
) -> WebSocketStream:
    """Answer a client's request for our websocket.

    Args:
        stream: a parked stream; ended, with an answer that says why, if nothing comes of it.
        seen: what was read of it: the beginning of the request.
        clock: for the time limit.
        peer_of: finds out who is at the far end.

    Raises:
        UpgradeRefusedError, HeadError: it is no proper request.
        ConnectionClosed, TLSError, TimeoutError: it didn't come whole.
    """
    try:
        data, rest = await ask(stream, clock, UPGRADE_SECONDS, HeadReader().feed, seen)
        head = parse_request_head(data)
        agreed = answer(head)
    except UpgradeRefusedError as why:
        _refuse(stream, why)
        raise
    except HeadError as why:
        _refuse(stream, UpgradeRefusedError(HTTPStatus(why.status), str(why)))
        raise
    stream.write(agreed)
    return _started(stream, clock, rest, client=False, peer=peer_of(head))


def _refuse(stream: Stream, why: UpgradeRefusedError) -> None:
    stream.write(refusal(why))
    stream.loseConnection()


def _started(
    stream: Stream,
    clock: IReactorTime,
    rest: bytes,
    *,
    client: bool,
    peer: IAddress | None = None,
) -> WebSocketStream:
    websocket = WebSocketStream(stream, clock, client=client, peer=peer)
    websocket.start(rest)
    return websocket
