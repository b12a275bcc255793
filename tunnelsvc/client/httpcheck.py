# -*- test-case-name: tests.client.test_httpcheck -*-
"""``health_check_type = http``: a GET that must be answered with a status of 2xx.

twisted.web.client could do it too, for 5 MiB more of memory.
"""

from http import HTTPStatus
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.addresses import host_and_port
from tunnelsvc.client.local import dial_local
from tunnelsvc.config.proxies import HTTPProxyConfig, ProxyConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.dial import DialReactor
from tunnelsvc.units import KiB
from tunnelsvc.wire.httphead import HeadError, HeadReader, parse_response_head

MOST_BODY_BYTES: Final = 64 * KiB
"""Read of a response, so that its service may end well; longer ones are cut off."""
MOST_INTERIM: Final = 16
"""Heads of 1xx before the final one."""

_OURS: Final = frozenset(
    {
        "accept",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers that neither ``header_…`` nor ``health_check_header_…`` sets here: the request has no
body and is the last one."""


async def check_http(reactor: DialReactor, proxy: ProxyConfig) -> None:
    """Ask for ``health_check_url``; see `tunnelsvc.client.health.Check`."""
    assert proxy.health_check is not None
    stream = await dial_local(reactor, proxy, timeout=proxy.health_check.timeout_seconds)
    answer = Answer()
    try:
        stream.write(request(proxy))
        attach(stream, answer)
        if not answer.complete.called:
            stream.resumeProducing()
        await answer.complete
    except CancelledError:
        if answer.status is None:
            raise  # else the head has come in time, and that is what was asked for
    finally:
        _leave(stream, answer)
    if answer.status is None:
        raise LocalServiceUnavailable(answer.trouble)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise LocalServiceUnavailable(f"{proxy.health_check.url} answered {answer.status}")


def _leave(stream: Stream, answer: "Answer") -> None:
    (stream.loseConnection if answer.finished else stream.abortConnection)()


def request(proxy: ProxyConfig) -> bytes:
    """Make the request: the Host and the headers are those of the proxy's users."""
    assert proxy.health_check is not None
    lines = [
        f"GET {proxy.health_check.url} HTTP/1.1",
        f"Host: {_host(proxy)}",
        "User-Agent: health-check",
        "Accept: */*",
        "Connection: close",
    ]
    headers = proxy.headers if isinstance(proxy, HTTPProxyConfig) else {}
    own = {name.lower() for name in proxy.health_check.headers}
    chosen = {name: value for name, value in headers.items() if name.lower() not in own}
    lines.extend(
        f"{name}: {value}"
        for name, value in {**chosen, **proxy.health_check.headers}.items()
        if name.lower() not in _OURS
    )
    return "\r\n".join([*lines, "", ""]).encode()


def _host(proxy: ProxyConfig) -> str:
    """Choose a name that the service knows: what users' requests have, else its address."""
    assert proxy.health_check is not None
    for name, value in proxy.health_check.headers.items():
        if name.lower() == "host":
            return value
    if isinstance(proxy, HTTPProxyConfig):
        names = [domain for domain in proxy.custom_domains if "*" not in domain]
        if proxy.host_header_rewrite or names:
            return proxy.host_header_rewrite or names[0]
    return host_and_port(proxy.local_ip, proxy.local_port)


@implementer(IHalfCloseableProtocol)
class Answer:
    """Reads a response, as far as it matters.

    Attributes:
        complete: fires when there is no more to read, or enough was.
        status: the final one; None: there was none.
        trouble: why not.
        finished: whether the service has ended the response.
    """

    def __init__(self) -> None:
        self.complete: Deferred[None] = Deferred()
        self.status: int | None = None
        self.trouble = "the connection ended without an answer"
        self.finished = False
        self._reader = HeadReader()
        self._interim = 0
        self._body_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        """Take a part of it."""
        if self.status is None:
            try:
                data = self._read_heads(data)
            except HeadError as why:
                self.trouble = f"not an answer in HTTP: {why}"
                self._end()
                return
        self._body_bytes += len(data)
        if self._body_bytes > MOST_BODY_BYTES:
            self._end()

    def _read_heads(self, data: bytes) -> bytes:
        """Look for the final head; return what is behind it."""
        while data and self.status is None:
            found = self._reader.feed(data)
            if found is None:
                return b""
            raw, data = found
            status = parse_response_head(raw).status
            if status >= HTTPStatus.OK:
                self.status = status
            elif self._interim >= MOST_INTERIM:
                raise HeadError("1xx without end")
            self._interim += 1
        return data

    def readConnectionLost(self) -> None:
        """Take the end of it."""
        self.finished = True
        self._end()

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Take the loss of the connection: a response may end so."""
        self._end()

    def _end(self) -> None:
        if not self.complete.called:
            self.complete.callback(None)
