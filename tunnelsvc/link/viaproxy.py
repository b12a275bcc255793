# -*- test-case-name: tests.link.test_viaproxy -*-
"""Reaching the server through a proxy: HTTP's CONNECT, inside TLS too, and SOCKS 5."""

from base64 import b64encode
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime

from tunnelsvc.addresses import host_and_port
from tunnelsvc.config.proxyurl import ProxyURL
from tunnelsvc.errors import RemoteProtocolError, TLSError
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.asking import ask
from tunnelsvc.link.dial import Unreachable
from tunnelsvc.wire.basicauth import credentials
from tunnelsvc.wire.httphead import HeadReader, ResponseHead, parse_response_head
from tunnelsvc.wire.socks5client import Socks5Client

Dialling = Callable[[str, int], Coroutine[Any, Any, Stream]]
"""Connects to a host and port; the stream is parked. Raises ``ConnectError``."""

ANSWER_SECONDS: Final = 20.0
"""How long a proxy may take: it looks the name up and connects, where we would do it ourselves."""
MOST_SHOWN_CHARACTERS: Final = 100
"""Of a proxy's words in an error."""

# tinyproxy takes that of web sites where a login is wrong.
_LOGIN_STATUSES: Final = (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.UNAUTHORIZED)

# As frpc says it: some proxies let only browsers out.
_USER_AGENT: Final = b"User-Agent: Mozilla/5.0"


async def dial_proxy(proxy: ProxyURL, dial: Dialling) -> Stream:
    """Connect to a proxy.

    Args:
        proxy: to whom.
        dial: connects to a host and port.

    Raises:
        Unreachable: it says that it is the proxy which can't be reached, and why.
    """
    try:
        return await dial(proxy.host, proxy.port)
    except ConnectError as why:
        raise Unreachable(f"proxy {proxy}: {why}") from why


async def through(
    proxy: ProxyURL, stream: Stream, host: str, port: int, clock: IReactorTime
) -> Stream:
    """Let a proxy make a connection.

    Args:
        proxy: where `stream` leads to.
        stream: a parked stream; reset if nothing comes of it.
        host: name or address of the target, which the proxy looks up.
        port: TCP port of the target.
        clock: for the time limits.

    Returns:
        What leads to the target, parked.

    Raises:
        Unreachable: it says why.
    """
    if proxy.scheme == "https":
        stream = _start_tls(proxy, stream, clock)
    asking = _by_socks5 if proxy.scheme == "socks5" else _by_connect
    try:
        await asking(proxy, stream, host, port, clock)
    except (RemoteProtocolError, TLSError, ConnectionClosed, ConnectError) as why:
        stream.abortConnection()
        raise Unreachable(f"proxy {proxy}: {why}") from why
    except BaseException:
        stream.abortConnection()
        raise
    return stream


def _start_tls(proxy: ProxyURL, stream: Stream, clock: IReactorTime) -> Stream:
    # Few have such a proxy.
    from tunnelsvc.link.certificates import public_context  # noqa: PLC0415
    from tunnelsvc.link.tls import start_tls_client  # noqa: PLC0415

    context = public_context(proxy.host)
    return start_tls_client(stream, context, Parked(), clock, head_byte=False)


async def _by_connect(
    proxy: ProxyURL, stream: Stream, host: str, port: int, clock: IReactorTime
) -> None:
    """Ask by CONNECT (RFC 9110 section 9.3.6)."""
    stream.write(_request(proxy, host_and_port(host, port)))
    head, rest = await ask(stream, clock, ANSWER_SECONDS, HeadReader().feed)
    answer = parse_response_head(head)
    if answer.status // 100 != 2:  # noqa: PLR2004
        raise RemoteProtocolError(_refusal(proxy, answer))
    if rest:
        stream.protocol.dataReceived(rest)


def _request(proxy: ProxyURL, target: str) -> bytes:
    name = target.encode("ascii" if target.isascii() else "idna")
    lines = [b"CONNECT %b HTTP/1.1" % name, b"Host: " + name, _USER_AGENT]
    login = credentials(proxy.user, proxy.password)
    if login:
        lines.append(b"Proxy-Authorization: Basic " + b64encode(login))
    return b"\r\n".join((*lines, b"", b""))


def _refusal(proxy: ProxyURL, answer: ResponseHead) -> str:
    if answer.status in _LOGIN_STATUSES:
        if proxy.user or proxy.password:
            return f"it refuses user or password ({answer.status})"
        return f"it wants user and password ({answer.status}), as in http://user:password@host:port"
    reason = answer.reason.decode("ascii", "replace")[:MOST_SHOWN_CHARACTERS]
    return f"it gives no connection: {answer.status} {reason}".rstrip()


async def _by_socks5(
    proxy: ProxyURL, stream: Stream, host: str, port: int, clock: IReactorTime
) -> None:
    client = Socks5Client(host, port, proxy.user, proxy.password)

    def take(data: bytes) -> bool | None:
        said = client.feed(data)
        if said:
            stream.write(said)
        return client.connected or None

    stream.write(client.greeting())
    await ask(stream, clock, ANSWER_SECONDS, take)
    if client.unread:
        stream.protocol.dataReceived(client.unread)
