# -*- test-case-name: tests.server.test_sitecertificates -*-
"""Certificates of web sites: loaded from files, found by host, loaded again when they change."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tunnelsvc.config.schema import CertificateConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import ConnectionFactory, Identity, names_of, site_context
from tunnelsvc.link.renewal import CertificateFiles

LOOK_SECONDS: Final = 3.0
"""Between two looks at the files, which cost some microseconds each."""


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


def _place(config: CertificateConfig) -> str:
    return f"[certificate.{config.name}] "


def _site_certificate(
    config: CertificateConfig, identity: Identity, protocols: Sequence[bytes]
) -> SiteCertificate:
    """Make the certificate of an identity.

    Raises:
        ConfigError: nothing says for which hosts it is.
    """
    names = names_of(identity.certificate)
    if not (config.domains or names):
        at = f"{_place(config)}cert_file = {config.cert_file}"
        raise ConfigError([f"{at}: the certificate has no names of hosts; set domains"])
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
    """A certificate's files, and what came of them."""

    config: CertificateConfig
    files: CertificateFiles
    loaded: SiteCertificate | None = None

    @classmethod
    def of(cls, config: CertificateConfig) -> Self:
        """Make the pair that a configuration names; nothing is loaded yet."""
        return cls(config, CertificateFiles(config.cert_file, config.key_file, _place(config)))

    def load(self, protocols: Sequence[bytes]) -> Sequence[str]:
        """Load the files anew; return what is wrong with them, which leaves `loaded` as it was."""
        try:
            self.loaded = _site_certificate(self.config, self.files.load(), protocols)
        except ConfigError as error:
            return error.problems
        return ()


def _nothing() -> None:
    """Leave all as it is."""


class CertificateStore:
    """The certificates of all web sites."""

    log = Logger()

    def __init__(self, configs: Iterable[CertificateConfig], protocols: Sequence[bytes]) -> None:
        """Load all.

        Args:
            configs: which files, in the order in which certificates of the same host are chosen.
            protocols: what can be spoken inside TLS, the best first.

        Raises:
            ConfigError: a file can't be used.
        """
        self._protocols = tuple(protocols)
        self._configs: tuple[CertificateConfig, ...] = ()
        self._pairs: list[_Pair] = []
        self._by_domain: dict[str, SiteCertificate] = {}
        self.prepare(configs)()

    def prepare(self, configs: Iterable[CertificateConfig]) -> Callable[[], None]:
        """Load others; see `__init__`.

        Returns:
            Puts them into the place of those before. If they are the same, nothing is done: that is
            what `look` and `reload` are for.
        """
        configs = tuple(configs)
        if configs == self._configs:
            return _nothing
        pairs = [_Pair.of(config) for config in configs]
        problems = [problem for pair in pairs for problem in pair.load(self._protocols)]
        if problems:
            raise ConfigError(problems)

        def exchange() -> None:
            self._configs, self._pairs = configs, pairs
            self._index()

        return exchange

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
        self._load([pair for pair in self._pairs if pair.files.changed()])

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
