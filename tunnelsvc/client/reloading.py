# -*- test-case-name: tests.client.test_reloading -*-
"""Read a client's file again: when told to, by SIGHUP, or because it has changed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from attrs import evolve, frozen
from twisted.application.service import Service
from twisted.logger import Logger

from tunnelsvc.client.filewatch import FileWatch
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config import Loaded
from tunnelsvc.config.diff import Diff
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import ConfigError


class Load(Protocol):
    """Reads a client's file."""

    def __call__(self, path: str, *, strict: bool) -> Loaded[ClientConfig]:
        """Read the file of that path.

        Args:
            path: the file.
            strict: whether an unknown key is an error, where the format has such errors.

        Raises:
            ConfigError: with everything that is wrong.
        """


@frozen
class Reloaded:
    """What came of it.

    Attributes:
        diff: what was different.
        warnings: about the file, a line each.
    """

    diff: Diff
    warnings: tuple[str, ...]


class Reloader(Service):
    """Makes a client that of its file, again and again.

    A file that can't be used changes nothing.

    Attributes:
        path: the file.
        load: reads it, or another one.
        strict: as given.
    """

    log = Logger()

    def __init__(
        self,
        client: TunnelClient,
        path: str,
        load: Load,
        reactor: Any,
        on_log_level: Callable[[str], None] = lambda _: None,
        *,
        strict: bool = True,
    ) -> None:
        """Prepare; the file isn't looked at yet.

        Args:
            client: whose file it is.
            path: the file; absolute, as the directory that we run in may be exchanged.
            load: reads it.
            reactor: the clock of the looks at the file, for ``watch_config``.
            on_log_level: told the level that the file says, each time.
            strict: as for `Load`, unless whoever wants a reload says otherwise.
        """
        self.path = path
        self.load = load
        self.strict = strict
        self._client = client
        self._on_log_level = on_log_level
        self._watch = FileWatch(self._files, self._changed, reactor)

    def _files(self) -> Iterator[str]:
        """Give the file and those that it includes, in a fixed order."""
        yield self.path
        if not self._client.config.includes:
            return
        from tunnelsvc.config.includes import IncludeError, files  # noqa: PLC0415 - few include any

        for pattern in self._client.config.includes:
            with suppress(IncludeError):  # its directory comes back, or the next reload says so
                yield from files(pattern)

    def startService(self) -> None:
        """Watch the file, if it says so."""
        super().startService()
        self._watch_or_not()

    def stopService(self) -> None:
        """Watch it no more."""
        super().stopService()
        self._watch.stop()

    def _watch_or_not(self) -> None:
        wanted = bool(self.running) and self._client.config.watch_config
        if wanted and not self._watch.running:
            self._watch.start()
        elif not wanted:
            self._watch.stop()

    def reload(self, *, strict: bool | None = None) -> Reloaded:
        """Read the file, and apply what it says.

        Args:
            strict: as for `Load`; None: as ever.

        Raises:
            ConfigError: with everything that is wrong. Nothing has changed.
        """
        try:
            loaded = self.load(self.path, strict=self.strict if strict is None else strict)
            # It is the file that we were started with, by whatever name it is read.
            config = evolve(loaded.config, path=self._client.config.path)
            diff = self._client.reload(config)
        except ConfigError as why:
            for problem in why.problems:
                self.log.error("{problem}", problem=problem)
            self.log.error("the configuration is not reloaded: the one before holds")
            raise
        self._on_log_level(config.log.level)
        self._watch_or_not()
        self._tell(loaded.warnings, diff)
        return Reloaded(diff, loaded.warnings)

    def reload_or_log(self) -> None:
        """Do that where nobody but the log is there to be told of a bad file."""
        try:
            self.reload()
        except ConfigError:
            return

    def _changed(self) -> None:
        self.log.info("{path} has changed", path=self.path)
        self.reload_or_log()

    def _tell(self, warnings: tuple[str, ...], diff: Diff) -> None:
        for warning in warnings:
            self.log.warn("{text}", text=warning)
        if diff.is_empty:
            self.log.info("success reload conf: nothing has changed")
            return
        for kind, changes in ("proxy", diff.proxies), ("visitor", diff.visitors):
            if changes.removed:
                self.log.info("{kind} removed: {names}", kind=kind, names=list(changes.removed))
            if changes.added:
                names = [each.name for each in changes.added]
                self.log.info("{kind} added: {names}", kind=kind, names=names)
        for remark in diff.remarks():
            self.log.warn("{remark}", remark=remark)
        self.log.info("success reload conf")
