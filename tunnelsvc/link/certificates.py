# -*- test-case-name: tests.link.test_certificates -*-
"""Keys, certificates and whom to trust: from file names to ready OpenSSL connections.

The files are read once, when a factory is made; a handshake does no input or output of its own.
"""

import datetime
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from tunnelsvc.config.reading import read_bytes
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError, TLSError
from tunnelsvc.link.peername import PeerName
from tunnelsvc.link.tlsengine import CIPHERS
from tunnelsvc.units import MiB

__all__ = [
    "ConnectionFactory",
    "Identity",
    "TLSError",
    "client_context",
    "describe",
    "load_identity",
    "names_of",
    "self_signed",
    "server_context",
    "site_context",
]

MAX_FILE_BYTES = MiB
"""Longest certificate, key or CA file read; a whole system's list of CAs takes a quarter of it."""

SELF_SIGNED_DAYS = 3650
"""Life of a certificate made at start, as frp has had it since 0.64: longer than any process."""

CLOCK_SKEW = datetime.timedelta(days=1)
"""How far a peer's clock may be behind ours before it finds a fresh certificate not yet valid."""

SESSION_ID_BYTES = 16
"""Of the name under which OpenSSL resumes sessions of a context; it takes 32 at most."""

SITE_CIPHERS = b"ECDH+AESGCM:ECDH+CHACHA20:!aNULL"
"""For browsers, which all have these: with forward secrecy and authenticated (RFC 9325)."""

_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_DH_USE
    | SSL.OP_SINGLE_ECDH_USE
)

ConnectionFactory = Callable[[], SSL.Connection]
"""Makes the TLS state of one connection, its role set, on memory buffers instead of a socket."""


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
    return partial(_accepting, _context(identity or self_signed(), roots, None))


def site_context(identity: Identity, protocols: Sequence[bytes]) -> ConnectionFactory:
    """Make what begins TLS connections of users to web sites.

    Args:
        identity: what to show to them.
        protocols: what can be spoken inside, the best first (RFC 7301). Who offers none of them
            gets none.
    """
    context = _context(identity, (), None, SITE_CIPHERS)

    def select(_: SSL.Connection, offered: Sequence[bytes]) -> Any:
        chosen = (protocol for protocol in protocols if protocol in offered)
        return next(chosen, SSL.NO_OVERLAPPING_PROTOCOLS)

    context.set_alpn_select_callback(select)
    return partial(_accepting, context)


def _accepting(context: SSL.Context) -> SSL.Connection:
    made = SSL.Connection(context, None)
    made.set_accept_state()
    return made


def client_context(
    tls: TLSConfig, server_addr: str, protocols: Sequence[bytes] = ()
) -> ConnectionFactory:
    """Make what begins the client's side of TLS connections.

    With `trusted_ca_file` the server's certificate and its name are verified. Without, whatever
    the server shows is taken, as by frp (protocol notes 1.4).

    Args:
        tls: the settings.
        server_addr: name or address of the server, which its certificate must have unless
            `tls.server_name` says otherwise.
        protocols: what can be spoken inside, the best first (RFC 7301); empty: the server isn't
            asked.

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
    if protocols:
        context.set_alpn_protos(list(protocols))
    return partial(_asking, context, name)


def public_context(host: str) -> ConnectionFactory:
    """Make what begins the client's side of TLS connections to a host that isn't one of ours.

    Its certificate is verified with the authorities that the system trusts.

    Args:
        host: name or address, which the certificate must have.
    """
    from tunnelsvc.link.verify import verify_peer  # noqa: PLC0415 - see there

    name = PeerName.parse(host)
    context = _context(None, (), None)
    context.set_default_verify_paths()
    verify_peer(context, (), name)
    return partial(_asking, context, name)


def _asking(context: SSL.Context, name: PeerName) -> SSL.Connection:
    made = SSL.Connection(context, None)
    made.set_connect_state()
    if name.server_name is not None:
        made.set_tlsext_host_name(name.server_name)
    return made


def _raise_any(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(problems)


def _read(key: str, path: str, problems: list[str]) -> bytes:
    """Read a file; empty, with a problem noted, if that fails."""
    try:
        data = read_bytes(path, MAX_FILE_BYTES + 1)
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


def _private_key(key: str, path: str, problems: list[str]) -> PrivateKeyTypes | None:
    data = _read(key, path, problems)
    if not data:
        return None
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        wrong = "the key is encrypted; store it without a pass phrase"
    except (ValueError, UnsupportedAlgorithm):
        wrong = "not a private key in PEM form (-----BEGIN PRIVATE KEY…)"
    problems.append(f"{key} = {path}: {wrong}")
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
    return load_identity(tls.cert_file, tls.key_file, problems, "tls_")


def load_identity(
    cert_file: str,
    key_file: str,
    problems: list[str],
    prefix: str,
    names: tuple[str, str] = ("cert_file", "key_file"),
) -> Identity | None:
    """Load certificate and key; None, with a problem noted, if they can't be used.

    Args:
        cert_file: the certificate, and those that signed it, in PEM form.
        key_file: its key, likewise.
        problems: are added to.
        prefix: in front of `names` where the configuration has the names of the files.
        names: what it calls the two.
    """
    cert_key, key_key = (f"{prefix}{name}" for name in names)
    certificates = _certificates(cert_key, cert_file, problems)
    key = _private_key(key_key, key_file, problems)
    if not certificates or key is None:
        return None
    identity = Identity(key, certificates[0], certificates[1:])
    wrong = _unusable(identity, cert_file)
    if wrong:
        problems.append(f"{key_key} = {key_file}: {wrong}")
        return None
    return identity


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts that a certificate is for: names, wildcards, addresses.

    Those in its common name, where nobody looks any more (RFC 9525 section 2), don't count.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    addresses = names.get_values_for_type(x509.IPAddress)
    found = [*(host.lower().rstrip(".") for host in hosts), *map(str, addresses)]
    return tuple(dict.fromkeys(found))


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
    identity: Identity | None,
    roots: Sequence[x509.Certificate],
    name: PeerName | None,
    ciphers: bytes = CIPHERS,
) -> SSL.Context:
    """Build what all connections of one side share.

    It is what Twisted's ``CertificateOptions`` make, whose import costs 1 MiB of memory.

    Args:
        identity: what to show to the peer, if anything.
        roots: verify the peer's certificate against these; empty: don't.
        name: verify the name in the peer's certificate as well.
        ciphers: for TLS 1.2.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(ciphers)
    # Tickets resume sessions, no cache does. Without an id, clients with certificates can't.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(os.urandom(SESSION_ID_BYTES))
    if identity is not None:
        context.use_certificate(identity.certificate)
        context.use_privatekey(cast("Any", identity.key))  # raises TypeError for some kinds
        for certificate in identity.chain:
            context.add_extra_chain_cert(certificate)
        context.check_privatekey()
    if roots:
        from tunnelsvc.link.verify import verify_peer  # noqa: PLC0415 - see there

        verify_peer(context, roots, name)
    return context


def describe(error: SSL.Error) -> str:
    """Say in words what OpenSSL says in lists of library, function and reason, deepest first."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[0][-1])
    if isinstance(error, SSL.ZeroReturnError):
        return "the peer closed it"
    return "protocol error"
