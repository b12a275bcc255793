# -*- test-case-name: tests.server.test_connects -*-
"""Hop 1 of a user of a tcpmux proxy: by the host in his CONNECT, to whom it belongs.

A request is read, its host and perhaps its user are looked up, its credentials are checked, and
what comes behind it is the local service's. With ``tcpmux_passthrough`` the request is, too, and
the service answers it. Else it's the proxy that says yes, once there is a work connection: until
then a user can still be told that there is none (protocol notes 6.4; frp says yes first of all,
even to whom it then refuses).
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelsvc.gateway.admission import absence, find_target, refusal
from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.router import Router
from tunnelsvc.gateway.rules import credentials_of
from tunnelsvc.handover import attach, host_of
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.beginning import Beginning
from tunnelsvc.server.context import ConnectTarget
from tunnelsvc.timing import limit
from tunnelsvc.wire.basicauth import admits
from tunnelsvc.wire.httphead import HeadError, HeadReader, RequestHead, parse_connect_head

HEAD_SECONDS: Final = 30.0
"""How long a user may take for his request; frp's figure."""
LINGER_SECONDS: Final = 2.0
"""How long a refused user may take to close: a reset would take the answer from him."""
METHOD: Final = b"CONNECT"

Route = Callable[[Stream, bytes], None]
"""Takes over a parked stream and the bytes read so far."""


class ConnectEntrance:
    """Where users of tcpmux proxies come in."""

    log = Logger()

    def __init__(
        self,
        router: Router[ConnectTarget],
        clock: IReactorTime,
        *,
        passthrough: bool = False,
        custom_404_page: str = "",
    ) -> None:
        """Begin.

        Args:
            router: finds the proxy of a request.
            clock: for the time limits.
            passthrough: whether local services get the requests.
            custom_404_page: path of a file that is shown instead of the 404 page; may be empty.
        """
        self._router = router
        self._clock = clock
        self._passthrough = passthrough
        self.reconfigure(custom_404_page)

    def reconfigure(self, custom_404_page: str) -> None:
        """Refuse with another page from now on; see `__init__`."""
        self._pages = Pages(custom_404_page)

    def accept(self, user: Stream) -> None:
        """Take a parked connection to the port of such users."""
        _HeadWait(user, self._clock, self._asked, self._not_understood)

    def sort_out(self, user: Stream, seen: bytes, otherwise: Route | None) -> None:
        """Take a parked connection to the bind port that begins as HTTP.

        Args:
            user: the connection.
            seen: what was read of it.
            otherwise: takes over requests that aren't for any of ours; None: nobody does.
        """
        if otherwise is None:
            _HeadWait(user, self._clock, self._asked, self._not_understood, seen)
            return
        if not seen.startswith(METHOD):
            otherwise(user, seen)
            return

        def asked(user: Stream, head: RequestHead, raw: bytes, rest: bytes) -> None:
            if find_target(self._router, head) is None:
                otherwise(user, raw + rest)
            else:
                self._asked(user, head, raw, rest)

        _HeadWait(user, self._clock, asked, self._not_understood, seen)

    def _asked(self, user: Stream, head: RequestHead, raw: bytes, rest: bytes) -> None:
        if head.method != METHOD:
            self._refuse(user, HTTPStatus.METHOD_NOT_ALLOWED, "no CONNECT")
            return
        target = find_target(self._router, head)
        if target is None:
            self._refuse(user, absence(self._router, head), f"no [{head.host.decode()}] here")
        elif not admits(target.credentials, credentials_of(head)):
            self._refuse(user, refusal(head), "wrong user or password")
        else:
            target.accept(user, raw + rest if self._passthrough else rest)

    def _not_understood(self, user: Stream, status: HTTPStatus, why: str) -> None:
        self._refuse(user, status, why)

    def _refuse(self, user: Stream, status: HTTPStatus, why: str) -> None:
        self.log.debug("{user}: refused: {why}", user=host_of(user), why=why)
        refuse(user, status, self._clock, self._pages)


def refuse(
    user: Stream, status: HTTPStatus, clock: IReactorTime, pages: Pages | None = None
) -> None:
    """Answer a request with an error, and close.

    Args:
        user: his parked connection.
        status: of the answer.
        clock: for the date, and for the time that he has to close.
        pages: makes the answer; None: nothing is configured about it.
    """
    response = (pages or Pages()).response(
        status, body=True, connection=b"close", now=clock.seconds()
    )
    user.write(response)
    user.loseWriteConnection()
    _Farewell(user, clock)


class _HeadWait(Beginning):
    """Reads a stream until the head of a request is complete.

    Silence ends it with an answer, a user who leaves without one.
    """

    def __init__(
        self,
        stream: Stream,
        clock: IReactorTime,
        on_head: Callable[[Stream, RequestHead, bytes, bytes], None],
        on_garbage: Callable[[Stream, HTTPStatus, str], None],
        first_bytes: bytes = b"",
    ) -> None:
        """Begin to read.

        Args:
            stream: a parked stream.
            clock: for the time limit.
            on_head: takes it over, with the head, its bytes, and those behind.
            on_garbage: takes it over if that isn't to come, with the status and the reason.
            first_bytes: those that were read before.
        """
        self._on_head = on_head
        self._on_garbage = on_garbage
        self._reader = HeadReader()
        super().__init__(stream, clock, HEAD_SECONDS, first_bytes)

    def dataReceived(self, data: bytes) -> None:
        """Look whether it is enough to decide."""
        try:
            found = self._reader.feed(data)
            if found is None:
                return
            head = parse_connect_head(found[0])
        except HeadError as why:
            self.decide()
            self._on_garbage(self.stream, HTTPStatus(why.status), str(why))
            return
        self.decide()
        self._on_head(self.stream, head, *found)

    def too_late(self) -> None:
        """Say so."""
        self.decide()
        self._on_garbage(self.stream, HTTPStatus.REQUEST_TIMEOUT, "no request in time")


@implementer(IHalfCloseableProtocol)
class _Farewell:
    """Reads on, for nobody, until a refused user has closed."""

    def __init__(self, stream: Stream, clock: IReactorTime) -> None:
        self._stream = stream
        self._deadline = limit(clock, LINGER_SECONDS, stream.abortConnection)
        attach(stream, self)
        stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """Drop it."""

    def readConnectionLost(self) -> None:
        self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        self._deadline.cancel()
