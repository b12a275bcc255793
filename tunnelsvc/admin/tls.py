# -*- test-case-name: tests.admin.test_tls -*-
"""The dashboard's certificate (``dashboard_tls_cert_file``, ``dashboard_tls_key_file``)."""

import re
from pathlib import Path
from typing import Final

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import Certificate, CertificateOptions
from zope.interface import implementer

from tunnelsvc.config.schema import DashboardConfig
from tunnelsvc.errors import ConfigError

CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)


def tls_options(config: DashboardConfig, path: str) -> CertificateOptions | None:
    """Load the dashboard's certificate.

    Args:
        config: which files, if any.
        path: the configuration file, for messages.

    Returns:
        What TLS factories take (TLS 1.2 and newer); None: plain HTTP.

    Raises:
        ConfigError: a file is missing or isn't what it should be, or they don't belong together.
    """
    if not (config.tls_cert_file or config.tls_key_file):
        return None
    at = f"{path}: [common]"
    chain = _load_chain(config.tls_cert_file, f"{at} dashboard_tls_cert_file")
    key = _load_key(config.tls_key_file, f"{at} dashboard_tls_key_file")
    options = CertificateOptions(privateKey=key, certificate=chain[0], extraCertChain=chain[1:])
    try:
        options.getContext()
    except SSL.Error:
        raise ConfigError(
            [f"{at} dashboard_tls_key_file = {config.tls_key_file}: not the certificate's key"]
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
        return Path(name).read_bytes()
    except OSError as why:
        raise ConfigError([f"{key} = {name}: {why.strerror}"]) from None
