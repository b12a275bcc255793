# -*- test-case-name: tests.server.test_sitecertificates -*-
"""Certificates of web sites: loaded from files, found by host, loaded again when the files change.

Programs that renew certificates write two files, one after the other. In between they don't belong
together, or one of them is half there. So a pair that can't be used changes nothing, and is looked
at again when it changes again.
"""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tunnelsvc.config.schema import CertificateConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import ConnectionFactory, load_identity, names_of, site_context

LOOK_SECONDS: Final = 3.0
"""Between two looks at the files, which cost some microseconds each."""

Version = tuple[int, int, int] | None
"""What changes when a file does: time of modification, size, inode; None: it can't be looked at."""


@frozen(eq=False)
class SiteCertificate:
    """A certificate in use; connections keep theirs when it is loaded anew.

    Attributes:
        name: of its section in the configuration.
        domains: hosts and wildcards that it is shown for.
        connection: begins TLS connections that show it.
        valid_until: its end, with the zone.
        missing: those of `domains` that aren't in the certificate.
    """

    name: str
    domains: tuple[str, ...]
    connection: ConnectionFactory
    valid_until: datetime.datetime
    missing: tuple[str, ...]

    def covers(self, host: str) -> bool:
        """Tell whether it is for a host, which is normalised."""
        return any(pattern in self.domains for pattern in _patterns(host))


def _patterns(host: str) -> tuple[str, str]:
    """Give what certificates may have for a host: a wildcard stands for one label (RFC 9525)."""
    return host, f"*.{host.partition('.')[2]}"


def _load(
    config: CertificateConfig, protocols: Sequence[bytes], problems: list[str]
) -> SiteCertificate | None:
    prefix = f"[certificate.{config.name}] "
    identity = load_identity(config.cert_file, config.key_file, problems, prefix)
    if identity is None:
        return None
    names = names_of(identity.certificate)
    if not (config.domains or names):
        at = f"{prefix}cert_file = {config.cert_file}"
        problems.append(f"{at}: the certificate has no names of hosts; set domains")
        return None
    return SiteCertificate(
        name=config.name,
        domains=config.domains or names,
        connection=site_context(identity, protocols),
        valid_until=identity.certificate.not_valid_after_utc,
        missing=tuple(_missing(config.domains, names)),
    )


def _missing(domains: Iterable[str], names: Sequence[str]) -> Iterable[str]:
    for domain in domains:
        if not any(pattern in names for pattern in _patterns(domain)):
            yield domain


@define(eq=False)
class _Pair:
    """A certificate's files, as they were looked at last, and what came of them."""

    config: CertificateConfig
    loaded: SiteCertificate | None = None
    _seen: tuple[Version, ...] = field(default=(), init=False)

    def changed(self) -> bool:
        """Tell whether the files changed since `load`."""
        return self._look() != self._seen

    def load(self, protocols: Sequence[bytes]) -> list[str]:
        """Load the files anew; return what is wrong with them, which leaves `loaded` as it was."""
        self._seen = self._look()  # before reading: a later change is seen later
        problems: list[str] = []
        self.loaded = _load(self.config, protocols, problems) or self.loaded
        return problems

    def _look(self) -> tuple[Version, ...]:
        return tuple(_version(name) for name in (self.config.cert_file, self.config.key_file))


def _version(name: str) -> Version:
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class CertificateStore:
    """The certificates of all web sites."""

    log = Logger(namespace="certificates")

    def __init__(self, configs: Iterable[CertificateConfig], protocols: Sequence[bytes]) -> None:
        """Load all.

        Args:
            configs: which files, in the order in which certificates of the same host are chosen.
            protocols: what can be spoken inside TLS, the best first.

        Raises:
            ConfigError: a file can't be used.
        """
        self._protocols = tuple(protocols)
        self._pairs = [_Pair(config) for config in configs]
        problems = [problem for pair in self._pairs for problem in pair.load(self._protocols)]
        if problems:
            raise ConfigError(problems)
        self._by_domain: dict[str, SiteCertificate] = {}
        self._index()

    @property
    def default(self) -> SiteCertificate | None:
        """For users who don't say which host they want: the first."""
        return self._pairs[0].loaded if self._pairs else None

    def find(self, host: str) -> SiteCertificate | None:
        """Find the certificate for a host, which is normalised; its own before a wildcard's."""
        found = (self._by_domain.get(pattern) for pattern in _patterns(host))
        return next(filter(None, found), None)

    def watch(self, clock: IReactorTime) -> LoopingCall:
        """Say what there is; load what changes from now on, until the result is stopped."""
        for pair in self._pairs:
            self._tell("certificate", pair)
        watching = LoopingCall(self.look)
        watching.clock = clock
        watching.start(LOOK_SECONDS, now=False)
        return watching

    def look(self) -> None:
        """Load again what changed."""
        self._load([pair for pair in self._pairs if pair.changed()])

    def reload(self) -> None:
        """Load all again, changed or not."""
        self._load(self._pairs)

    def _load(self, pairs: Sequence[_Pair]) -> None:
        for pair in pairs:
            problems = pair.load(self._protocols)
            for problem in problems:
                self.log.error("{problem}; the one before stays in use", problem=problem)
            if not problems:
                self._tell("new certificate", pair)
        if pairs:
            self._index()

    def _index(self) -> None:
        self._by_domain.clear()
        for pair in self._pairs:
            if pair.loaded is not None:
                for domain in pair.loaded.domains:
                    self._by_domain.setdefault(domain, pair.loaded)

    def _tell(self, what: str, pair: _Pair) -> None:
        """Say which certificate is used from now on, and what users may dislike about it."""
        certificate = pair.loaded
        assert certificate is not None
        self.log.info(
            "[{name}] {what} for {domains}, valid until {until:%Y-%m-%d %H:%M} UTC",
            name=certificate.name, what=what, domains=", ".join(certificate.domains),
            until=certificate.valid_until,
        )  # fmt: skip
        if certificate.valid_until < datetime.datetime.now(datetime.UTC):
            self.log.warn("[{name}] the certificate has expired", name=certificate.name)
        for domain in certificate.missing:
            self.log.warn("[{name}] the certificate isn't for {domain}",
                          name=certificate.name, domain=domain)  # fmt: skip
