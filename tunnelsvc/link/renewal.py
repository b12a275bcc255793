# -*- test-case-name: tests.link.test_renewal -*-
"""Certificates in files that are renewed while we run, as ACME clients do every few weeks.

Programs that renew certificates write two files, one after the other. In between they don't belong
together, or one of them is half there. So a pair that can't be used changes nothing, and is looked
at again when it changes again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import define, field
from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import (
    ConnectionFactory,
    Identity,
    load_identity,
    self_signed,
    site_context,
)

LOOK_SECONDS: Final = 1.0
"""Between two looks at the files, which each take a few microseconds; only handshakes look."""

Version = tuple[int, int, int] | None
"""What changes when a file does: time of modification, size, inode; None: it can't be looked at."""


@define(eq=False)
class CertificateFiles:
    """Where a certificate and its key are, both in PEM form.

    Attributes:
        cert_file: path.
        key_file: path.
        prefix: as for `load_identity`.
        names: likewise.
    """

    cert_file: str
    key_file: str
    prefix: str
    names: tuple[str, str] = ("cert_file", "key_file")
    _seen: tuple[Version, ...] = field(default=(), init=False)

    def changed(self) -> bool:
        """Tell whether the files changed since `load`."""
        return self._look() != self._seen

    def load(self) -> Identity:
        """Read the files.

        Raises:
            ConfigError: with all that is wrong with them.
        """
        self._seen = self._look()  # before reading: a later change is seen later
        problems: list[str] = []
        identity = load_identity(self.cert_file, self.key_file, problems, self.prefix, self.names)
        if identity is None:
            raise ConfigError(problems)
        return identity

    def _look(self) -> tuple[Version, ...]:
        return _version(self.cert_file), _version(self.key_file)


def _version(name: str) -> Version:
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class RenewedCertificate:
    """A `ConnectionFactory` whose files are read again when they have changed."""

    log = Logger()

    def __init__(
        self, files: CertificateFiles, clock: IReactorTime, protocols: Sequence[bytes] = ()
    ) -> None:
        """Read the files; without any, make a certificate that nobody signed.

        Args:
            files: where they are; with empty paths, there are none.
            clock: says when to look again.
            protocols: as for `site_context`.

        Raises:
            ConfigError: they can't be used.
        """
        self._files = files
        self._clock = clock
        self._protocols = tuple(protocols)
        self._looked = clock.seconds()
        self._connections = self._load()

    def __call__(self) -> SSL.Connection:
        """Begin a connection with what is in the files now."""
        now = self._clock.seconds()
        if self._files.cert_file and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._files.changed():
                self._renew()
        return self._connections()

    def _renew(self) -> None:
        try:
            self._connections = self._load()
        except ConfigError as error:
            for problem in error.problems:
                self.log.error("{problem}; the one before stays in use", problem=problem)
        else:
            self.log.info("new certificate from {path}", path=self._files.cert_file)

    def _load(self) -> ConnectionFactory:
        identity = self._files.load() if self._files.cert_file else self_signed()
        return site_context(identity, self._protocols)
