# -*- test-case-name: tests.client.visitors.test_listening -*-
"""Where a visitor's users come in: a port of this machine, which may be taken for a while."""

from collections.abc import Callable
from typing import ClassVar, Final

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.logger import Logger

from tunnelsvc.addresses import host_and_port
from tunnelsvc.config.proxies import VisitorConfig

FIRST_RETRY_SECONDS: Final = 1.0
"""How long after a port was found taken it is tried again; doubles each time."""
LAST_RETRY_SECONDS: Final = 10.0
"""Longest such wait, frp's only one."""


@define(eq=False)
class Listening:
    """Listens for one visitor, of any type, and tries again where that doesn't work.

    Attributes:
        config: the visitor's.
        clock: for the retries.
        listen: listens once; raises ``CannotListenError``.
        error: why it didn't work the last time; empty: it did.
    """

    config: VisitorConfig
    clock: IReactorTime
    listen: Callable[[], IListeningPort]
    error: str = field(default="", init=False)
    log: ClassVar[Logger] = Logger()
    _port: IListeningPort | None = field(default=None, init=False)
    _retry: IDelayedCall | None = field(default=None, init=False)
    _retry_seconds: float = field(default=FIRST_RETRY_SECONDS, init=False)

    @property
    def number(self) -> int | None:
        """The port that is listened on; None: none is."""
        return self._port.getHost().port if self._port is not None else None  # type: ignore[attr-defined]

    def start(self) -> None:
        """Listen, now or as soon as it can be; nothing happens if it does already."""
        if self._port is not None or self._retry is not None:
            return
        if self.config.bind_port < 0:
            self.log.info("[{visitor}] has no port (bind_port)", visitor=self.config.name)
            return
        self._try()

    def _try(self) -> None:
        self._retry = None
        config = self.config
        try:
            self._port = self.listen()
        except CannotListenError as why:
            self.error = f"can't listen on port {config.bind_port}: {why.socketError}"
            self.log.error(
                "[{visitor}] can't listen on {where} (bind_addr, bind_port): {why}; trying "
                "again in {wait:g} s",
                visitor=config.name,
                where=host_and_port(config.bind_addr, config.bind_port),
                why=why.socketError,
                wait=self._retry_seconds,
            )
            self._retry = self.clock.callLater(self._retry_seconds, self._try)
            self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)
            return
        self._retry_seconds = FIRST_RETRY_SECONDS
        self.error = ""
        self.log.info("[{visitor}] start visitor success", visitor=config.name)
        self.log.info(
            "[{visitor}] users reach [{server}] at {where}",
            visitor=config.name,
            server=config.server_name,
            where=host_and_port(config.bind_addr, self.number),
        )

    async def stop(self) -> None:
        """Stop listening, or trying to; returns when the port is free."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._retry_seconds = FIRST_RETRY_SECONDS
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
