# -*- test-case-name: tests.admin.test_site -*-
"""What the dashboard and the client's site have in common: where they listen, and what is open."""

from typing import Any, Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IOpenSSLContextFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from tunnelsvc.addresses import bracketed, unbracketed
from tunnelsvc.admin.web import NotFound, ReadOnly, answer

BACKLOG: Final = 128
"""Browsers and scrapers that may wait to be accepted; these sites have few users."""


class Health(ReadOnly):
    """``/healthz``: 200, empty, for everybody."""

    def read(self, request: Request) -> bytes:
        """Answer."""
        return answer(request, b"", "text/plain; charset=utf-8")


class Root(Resource):
    """A folder with nothing in it but what it is given."""

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: ARG002
        """Answer for all else."""
        return NotFound()


class Guard(Protocol):
    """Lets some pass to what is behind it."""

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:  # noqa: N802
        """Find the resource to answer: one behind, or a refusal."""


class Entrance(Resource):
    """Everything is behind a guard, but the answer to whether we live."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self.putChild(b"healthz", Health())

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Ask the guard."""
        return self._guard.getChildWithDefault(path, request)


class SiteService(Service):
    """A site of ours as a Twisted service.

    Attributes:
        port: where it listens; 0 until it does.
    """

    log = Logger()

    def __init__(
        self, name: str, site: Site, tls: IOpenSSLContextFactory | None, reactor: Any
    ) -> None:
        """Take the site; nothing listens yet.

        Args:
            name: what the log calls it.
            site: what answers.
            tls: its certificate; None: plain HTTP.
            reactor: listens.
        """
        self.port = 0
        self._site_name = name
        self._site = site
        self._tls = tls
        self._reactor = reactor
        self._listening: IListeningPort | None = None

    def listen(self, address: str, port: int) -> None:
        """Listen; to be called by ``privilegedStartService``.

        Raises:
            CannotListenError: the port is taken or not ours.
        """
        interface = unbracketed(address)
        factory: Any = self._site
        if self._tls is not None:
            # What listenSSL does, which a reactor imported without TLS hasn't (`tunnelsvc.lean`).
            factory = TLSMemoryBIOFactory(self._tls, False, self._site)
        listening: IListeningPort = self._reactor.listenTCP(
            port, factory, backlog=BACKLOG, interface=interface
        )
        self._listening = listening
        self.port = listening.getHost().port  # type: ignore[attr-defined]
        self.log.info(
            "{name} listens on {scheme}://{address}:{port}",
            name=self._site_name, scheme="https" if self._tls else "http",
            address=bracketed(interface), port=self.port,
        )  # fmt: skip

    def startService(self) -> None:
        """Listen, unless that is done already."""
        super().startService()
        if self._listening is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None] | None:
        """Stop listening; fires when the port is free."""
        super().stopService()
        listening, self._listening = self._listening, None
        return listening.stopListening() if listening is not None else None
