# -*- test-case-name: tests.link.test_certificates -*-
"""Keys, certificates and whom to trust: from file names to ready OpenSSL connections.

The files are read once, when a factory is made; a handshake does no input or output of its own.
"""

import contextlib
import datetime
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import idna
from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates

from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError, TunnelError
from tunnelsvc.units import MiB

MAX_FILE_BYTES = MiB
"""Longest certificate, key or CA file read; a whole system's list of CAs takes a quarter of it."""

SELF_SIGNED_DAYS = 3650
"""Life of a certificate made at start, as frp has had it since 0.64: longer than any process."""

CLOCK_SKEW = datetime.timedelta(days=1)
"""How far a peer's clock may be behind ours before it finds a fresh certificate not yet valid."""

MAX_NAMES_SHOWN = 5
"""How many names of a wrong certificate an error message lists."""

ConnectionFactory = Callable[[], SSL.Connection]
"""Makes the TLS state of one connection, its role set, on memory buffers instead of a socket."""

_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
"""What may be sent as a server name. Underscores aren't legal, but common in private networks."""

_MAX_HOST_NAME_LENGTH = 253
"""RFC 1035 section 2.3.4, less the length bytes of the first and the root label."""

_VERIFY_ERRORS: dict[int, str] = {
    number: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, number in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


class TLSError(TunnelError):
    """TLS ended in an error: a refused certificate, a failed handshake, a forged record."""


@frozen
class Identity:
    """What one side proves to be.

    Attributes:
        key: the private key.
        certificate: the certificate of `key`.
        chain: further certificates, from the one that signed `certificate` on.
    """

    key: PrivateKeyTypes = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


@frozen
class PeerName:
    """Whom the client means to talk to, as certificates name it: ASCII, no brackets, no zone.

    Attributes:
        text: the host name or address; empty if it is neither.
        is_address: whether it is an IP address.
    """

    text: str
    is_address: bool

    @classmethod
    def parse(cls, name: str) -> "PeerName":
        """Read a name as people write it in a configuration."""
        bare = name.strip().removeprefix("[").removesuffix("]").partition("%")[0]
        try:
            return cls(str(ipaddress.ip_address(bare)), is_address=True)
        except ValueError:
            return cls(_ascii_host_name(bare), is_address=False)

    @property
    def server_name(self) -> bytes | None:
        """What to send as server name; RFC 6066 section 3 allows no addresses."""
        return None if self.is_address else self.text.encode("ascii") or None

    def check(self, certificate: x509.Certificate) -> None:
        """Compare with the names of a certificate; its common name doesn't count (RFC 9525).

        Raises:
            TLSError: the certificate is somebody else's.
        """
        verify = verify_certificate_ip_address if self.is_address else verify_certificate_hostname
        try:
            verify(certificate, self.text)
        except VerificationError:
            names = _names(certificate)
            raise TLSError(
                f"host name mismatch: the certificate is for {names}, not for {self.text}"
            ) from None
        except (CertificateError, ValueError) as error:
            raise TLSError(f"host name mismatch: {error}") from None


def self_signed(now: datetime.datetime | None = None) -> Identity:
    """Make a key and a certificate for a server that has none; they are kept nowhere.

    Args:
        now: the time to count from, with its zone; None: the present.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tunnelsvc")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
    )
    return Identity(key, builder.sign(key, hashes.SHA256()))


def server_context(tls: TLSConfig) -> ConnectionFactory:
    """Make what begins the server's side of TLS connections.

    Without a certificate of its own the server gets a self-signed one; with `trusted_ca_file`
    clients must show a certificate of that authority (protocol notes 1.4).

    Raises:
        ConfigError: a file can't be used.
    """
    problems: list[str] = []
    identity = _identity(tls, problems)
    roots = _roots(tls, problems)
    _raise_any(problems)
    context = _context(identity or self_signed(), roots, None)

    def connection() -> SSL.Connection:
        made = SSL.Connection(context, None)
        made.set_accept_state()
        return made

    return connection


def client_context(tls: TLSConfig, server_addr: str) -> ConnectionFactory:
    """Make what begins the client's side of TLS connections.

    With `trusted_ca_file` the server's certificate and its name are verified. Without, whatever
    the server shows is taken, as by frp (protocol notes 1.4).

    Args:
        tls: the settings.
        server_addr: name or address of the server, which its certificate must have unless
            `tls.server_name` says otherwise.

    Raises:
        ConfigError: a file can't be used, or the name can't be verified.
    """
    problems: list[str] = []
    identity = _identity(tls, problems)
    roots = _roots(tls, problems)
    name = PeerName.parse(tls.server_name or server_addr)
    if tls.trusted_ca_file and not name.text:
        key, value = ("tls_server_name", tls.server_name) if tls.server_name else (
            "server_addr", server_addr)  # fmt: skip
        problems.append(f"{key} = {value}: not a host name or address that a certificate can have")
    _raise_any(problems)
    context = _context(identity, roots, name)

    def connection() -> SSL.Connection:
        made = SSL.Connection(context, None)
        made.set_connect_state()
        if name.server_name is not None:
            made.set_tlsext_host_name(name.server_name)
        return made

    return connection


def _raise_any(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(problems)


def _ascii_host_name(name: str) -> str:
    """Return the form that goes over the wire; empty if there is none."""
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            return ""
    legal = len(name) <= _MAX_HOST_NAME_LENGTH and _HOST_NAME.fullmatch(name)
    return name.lower() if legal else ""


def _names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value][:MAX_NAMES_SHOWN]


def _read(key: str, path: str, problems: list[str]) -> bytes:
    """Read a file; empty, with a problem noted, if that fails."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        problems.append(f"{key} = {path}: {getattr(error, 'strerror', None) or error}")
        return b""
    if len(data) > MAX_FILE_BYTES:
        problems.append(f"{key} = {path}: longer than {MAX_FILE_BYTES} bytes")
        return b""
    if not data:
        problems.append(f"{key} = {path}: empty")
    return data


def _certificates(key: str, path: str, problems: list[str]) -> tuple[x509.Certificate, ...]:
    data = _read(key, path, problems)
    if not data:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        problems.append(f"{key} = {path}: not a certificate in PEM form (-----BEGIN CERTIFICATE…)")
        return ()


def _private_key(path: str, problems: list[str]) -> PrivateKeyTypes | None:
    data = _read("tls_key_file", path, problems)
    if not data:
        return None
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        wrong = "the key is encrypted; store it without a pass phrase"
    except (ValueError, UnsupportedAlgorithm):
        wrong = "not a private key in PEM form (-----BEGIN PRIVATE KEY…)"
    problems.append(f"tls_key_file = {path}: {wrong}")
    return None


def _identity(tls: TLSConfig, problems: list[str]) -> Identity | None:
    """Load certificate and key; None if none are configured, or a problem was noted."""
    if not tls.cert_file and not tls.key_file:
        return None
    if not tls.key_file:
        problems.append(f"tls_cert_file = {tls.cert_file}: needs tls_key_file as well")
        return None
    if not tls.cert_file:
        problems.append(f"tls_key_file = {tls.key_file}: needs tls_cert_file as well")
        return None
    certificates = _certificates("tls_cert_file", tls.cert_file, problems)
    key = _private_key(tls.key_file, problems)
    if not certificates or key is None:
        return None
    identity = Identity(key, certificates[0], certificates[1:])
    wrong = _unusable(identity, tls.cert_file)
    if wrong:
        problems.append(f"tls_key_file = {tls.key_file}: {wrong}")
    return identity


def _unusable(identity: Identity, cert_file: str) -> str:
    """Say why a key and its certificate can't serve; empty if they can."""
    try:
        if identity.certificate.public_key() != identity.key.public_key():
            return f"not the key of the certificate in {cert_file}"
        _context(identity, (), None)
    except SSL.Error as error:
        return f"OpenSSL refuses it with the certificate in {cert_file}: {describe(error)}"
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return f"TLS can't use this kind of key (certificate in {cert_file})"
    return ""


def _roots(tls: TLSConfig, problems: list[str]) -> tuple[x509.Certificate, ...]:
    if not tls.trusted_ca_file:
        return ()
    return _certificates("tls_trusted_ca_file", tls.trusted_ca_file, problems)


def _context(
    identity: Identity | None, roots: Sequence[x509.Certificate], name: PeerName | None
) -> SSL.Context:
    """Build what all connections of one side share.

    Twisted's options give TLS 1.2 and up, no compression, ciphers with forward secrecy before
    those that old peers may need, for RSA and ECDSA certificates alike.

    Args:
        identity: what to show to the peer, if anything.
        roots: verify the peer's certificate against these; empty: don't.
        name: verify the name in the peer's certificate as well.
    """
    arguments: dict[str, Any] = {"enableSessionTickets": True}
    if identity is not None:
        arguments["privateKey"] = identity.key
        arguments["certificate"] = identity.certificate
        arguments["extraCertChain"] = list(identity.chain)
    if roots:
        arguments["trustRoot"] = trustRootFromCertificates(
            [Certificate(crypto.X509.from_cryptography(root)) for root in roots]
        )
    context = CertificateOptions(**arguments).getContext()
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    if roots:
        # Go trusts whatever certificate the file holds, an intermediate one too.
        store = context.get_cert_store()
        assert store is not None  # only a context that is no more has none
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verifier(name, roots)
        )
    return context


def _issued_by_any(certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> bool:
    """Tell whether a root signed it.

    A certificate with its authority's own name and no key ids, as home-made ones often are, looks
    self-signed to OpenSSL, which then asks no authority. Go asks, and frp's users rely on it.
    """
    for root in roots:
        with contextlib.suppress(ValueError, TypeError, InvalidSignature):
            certificate.verify_directly_issued_by(root)
            return True
    return False


def _verifier(
    name: PeerName | None, roots: Sequence[x509.Certificate]
) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """Make OpenSSL's callback; pyOpenSSL raises what it raises from ``do_handshake``."""

    def verify(
        connection: SSL.Connection,  # noqa: ARG001
        certificate: crypto.X509,
        error: int,
        depth: int,
        fine: int,
    ) -> bool:
        looks_self_signed = error == SSL.X509VerificationCodes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        if looks_self_signed and _issued_by_any(certificate.to_cryptography(), roots):
            fine = True
        if not fine:
            why = _VERIFY_ERRORS.get(error, f"error {error}")
            raise TLSError(f"certificate verify failed: {why}")
        if depth == 0 and name is not None:
            name.check(certificate.to_cryptography())
        return True

    return verify


def describe(error: SSL.Error) -> str:
    """Say in words what OpenSSL says in lists of library, function and reason, deepest first."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[0][-1])
    if isinstance(error, SSL.ZeroReturnError):
        return "the peer closed it"
    return "protocol error"
