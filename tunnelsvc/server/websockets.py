# -*- test-case-name: tests.server.test_accept -*-
"""A client that comes by websocket, perhaps through proxies that say who it is."""

from collections.abc import Iterable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from tunnelsvc.gateway.forwarded import Network, Trust, origin_of
from tunnelsvc.handover import host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.upgrade import take_websocket
from tunnelsvc.link.websocket import WebSocketStream
from tunnelsvc.wire.httphead import HeadError, RequestHead
from tunnelsvc.wire.wsupgrade import UpgradeRefusedError

_log = Logger()


def accept_websocket(
    stream: Stream, seen: bytes, clock: IReactorTime, trusted: Iterable[Network]
) -> Deferred[WebSocketStream | None]:
    """Answer a client's request for our websocket.

    Args:
        stream: a parked stream, closed if nothing comes of it.
        seen: what was read of it: the beginning of the request.
        clock: for the time limit.
        trusted: proxies whose word about the client's address is believed.

    Returns:
        Fires with what the websocket carries, parked; None if the request was refused. Fails with
        that for which the stream was lost.
    """
    return ensureDeferred(_accept(stream, seen, clock, Trust(trusted)))


async def _accept(
    stream: Stream, seen: bytes, clock: IReactorTime, trust: Trust
) -> WebSocketStream | None:
    try:
        return await take_websocket(stream, seen, clock, lambda head: _peer(stream, head, trust))
    except (UpgradeRefusedError, HeadError) as why:
        _log.warn("{peer}: websocket refused: {why}", peer=host_of(stream), why=why)
        return None


def _peer(stream: Stream, head: RequestHead, trust: Trust) -> IAddress:
    """Find the client: who is at the far end, or whom that one names.

    frps shows what the client writes into ``Origin`` instead, which says where it went to.
    """
    peer = host_of(stream)
    client = origin_of(peer, b"http", trust).user_of(head).decode()
    if client == peer:
        return stream.getPeer()
    return (IPv6Address if ":" in client else IPv4Address)("TCP", client, 0)
