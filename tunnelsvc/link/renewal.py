# -*- test-case-name: tests.link.test_renewal -*-
"""A server's certificate that is renewed while we run, as ACME clients do every few weeks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen
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

_State = tuple[tuple[int, int, int], ...] | None


@frozen
class CertificateFiles:
    """Where a certificate and its key are, both in PEM form; both empty: nowhere.

    Attributes:
        cert_file: path.
        key_file: path.
        prefix: as for `load_identity`.
        names: likewise.
    """

    cert_file: str
    key_file: str
    prefix: str
    names: tuple[str, str]


class RenewedCertificate:
    """A `ConnectionFactory` whose files are read again when they have changed.

    A renewal isn't one act: while only one of the two files is new, or a file can't be used, the
    certificate of before stays.
    """

    log = Logger(namespace="tls")

    def __init__(
        self, files: CertificateFiles, clock: IReactorTime, protocols: Sequence[bytes] = ()
    ) -> None:
        """Read the files; without any, make a certificate that nobody signed.

        Args:
            files: where they are.
            clock: says when to look again.
            protocols: as for `site_context`.

        Raises:
            ConfigError: they can't be used.
        """
        self._files = files
        self._clock = clock
        self._protocols = tuple(protocols)
        self._seen = self._state()
        self._looked = clock.seconds()
        self._connections = self._load()

    def __call__(self) -> SSL.Connection:
        """Begin a connection with what is in the files now."""
        now = self._clock.seconds()
        if self._files.cert_file and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._connections()

    def _look(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._connections = self._load()
        except ConfigError as error:
            for problem in error.problems:
                self.log.warn("the certificate of before stays: {problem}", problem=problem)
        else:
            self.log.info("new certificate from {path}", path=self._files.cert_file)

    def _load(self) -> ConnectionFactory:
        files = self._files
        problems: list[str] = []
        identity: Identity | None
        if files.cert_file:
            identity = load_identity(
                files.cert_file, files.key_file, problems, files.prefix, files.names
            )
        else:
            identity = self_signed()
        if identity is None:
            raise ConfigError(problems)
        return site_context(identity, self._protocols)

    def _state(self) -> _State:
        """Give what changes with the files; None if they can't be looked at."""
        try:
            found = [Path(name).stat() for name in (self._files.cert_file, self._files.key_file)]
        except (OSError, ValueError):
            return None
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)
