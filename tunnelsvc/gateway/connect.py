# -*- test-case-name: tests.gateway.test_connect -*-
"""CONNECT: the service is a proxy itself and is asked for a connection (RFC 9110 section 9.3.6).

As in frp since 0.43 (protocol notes 6.2): the host that is asked for finds the proxy, the request
goes there as it came, on a work connection of its own, without what it claims about hosts and
users. When the service has said yes, both sides are joined. Any other answer is a response.
"""

from http import HTTPStatus
from typing import Final

from tunnelsvc.gateway.exchange import Exchange
from tunnelsvc.gateway.forwarded import FORWARDED, Origin
from tunnelsvc.gateway.rewrite import as_it_came
from tunnelsvc.gateway.rules import Rules
from tunnelsvc.wire.httphead import HeadError, RequestHead, ResponseHead

_OURS: Final = FORWARDED | {b"host"}
_OURS_WITH_CREDENTIALS: Final = _OURS | {b"proxy-authorization"}
_NO_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


def connect_for_backend(head: RequestHead, rules: Rules, origin: Origin) -> bytes:  # noqa: ARG001
    """Give the head that the local service gets; see `rewrite.request_for_backend`.

    Credentials that we asked for are ours; others may be meant for the service.
    """
    first = b"CONNECT %b HTTP/1.1\r\nHost: %b" % (head.target, head.target)
    return as_it_came(first, head, without=_OURS_WITH_CREDENTIALS if rules.credentials else _OURS)


class ConnectExchange(Exchange):
    """A CONNECT and what comes of it."""

    _switching = frozenset({HTTPStatus.SWITCHING_PROTOCOLS, *range(200, 300)})
    _make_head = staticmethod(connect_for_backend)

    def start(self) -> None:
        """Send the request on its way, on a connection that saw no other."""
        self._route.exchange_started(self._meter, self)
        self._open()

    def _begin(self, head: ResponseHead) -> bytes:
        """Take a refusal; a service that asks for credentials may get them by us."""
        made = super()._begin(head)
        if self._route.rules.credentials:
            return made
        lines = [b"Proxy-Authenticate: %b\r\n" % it for it in head.values(b"proxy-authenticate")]
        return b"".join([made[:-2], *lines, b"\r\n"])

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        if self._user.finished_writing or head.status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise HeadError("a connection that nobody asked for")
        first = b"HTTP/1.1 %d %b" % (head.status, head.reason)
        self._join(head, as_it_came(first, head, without=_NO_LENGTHS), rest)
