# -*- test-case-name: tests.admin.test_tls -*-
"""Certificates of the dashboard and the client's site (``dashboard_tls_cert_file`` and so on).

Few sites have one: Twisted's TLS is imported where it is loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

from tunnelsvc.config.reading import read_bytes
from tunnelsvc.config.schema import AdminConfig, DashboardConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import MAX_FILE_BYTES

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions

CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)


def tls_options(
    config: DashboardConfig | AdminConfig, path: str, prefix: str = "dashboard_tls"
) -> CertificateOptions | None:
    """Load the certificate of a site.

    Args:
        config: which files, if any.
        path: the configuration file, for messages.
        prefix: how the keys begin there, likewise.

    Returns:
        What TLS factories take (TLS 1.2 and newer); None: plain HTTP.

    Raises:
        ConfigError: a file is missing or isn't what it should be, or they don't belong together.
    """
    if not (config.tls_cert_file or config.tls_key_file):
        return None
    from twisted.internet.ssl import CertificateOptions  # noqa: PLC0415 - see above

    at = f"{path}: [common]"
    chain = _load_chain(config.tls_cert_file, f"{at} {prefix}_cert_file")
    key = _load_key(config.tls_key_file, f"{at} {prefix}_key_file")
    options = CertificateOptions(privateKey=key, certificate=chain[0], extraCertChain=chain[1:])
    try:
        options.getContext()
    except SSL.Error:
        raise ConfigError(
            [f"{at} {prefix}_key_file = {config.tls_key_file}: not the certificate's key"]
        ) from None
    return options


@implementer(IOpenSSLContextFactory)
class RenewedOptions:
    """What TLS factories take, for connections from now on; see `tls_options`."""

    def __init__(self, options: CertificateOptions) -> None:
        self.options = options

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted's name
        """Give what a connection begins with."""
        return self.options.getContext()


def _load_chain(name: str, key: str) -> list[crypto.X509]:
    from twisted.internet.ssl import Certificate  # noqa: PLC0415 - see above

    try:
        blocks = CERTIFICATE.findall(_read(name, key))
        chain = [Certificate.loadPEM(block).original for block in blocks]
    except (crypto.Error, ValueError):
        chain = []
    if not chain:
        raise ConfigError([f"{key} = {name}: not a PEM file with a certificate"])
    return chain


def _load_key(name: str, key: str) -> crypto.PKey:
    try:
        # An empty passphrase makes an encrypted key an error; without, OpenSSL asks on a terminal.
        return crypto.load_privatekey(crypto.FILETYPE_PEM, _read(name, key), passphrase=b"")
    except (crypto.Error, ValueError, TypeError):
        raise ConfigError(
            [f"{key} = {name}: not a PEM file with a private key without passphrase"]
        ) from None


def _read(name: str, key: str) -> bytes:
    if not name:
        raise ConfigError([f"{key} is missing: TLS takes a certificate and its key"])
    try:
        data = read_bytes(name, MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as why:
        said = getattr(why, "strerror", None) or why
        raise ConfigError([f"{key} = {name}: {said}"]) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError([f"{key} = {name}: longer than {MAX_FILE_BYTES} bytes"])
    return data
