# -*- test-case-name: tests.link.test_verify -*-
"""Is the peer's certificate from whom we trust, and is it for whom we mean?

Apart from `tunnelsvc.link.certificates`, since only those who set ``tls_trusted_ca_file`` ask.
"""

import contextlib
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)

from tunnelsvc.errors import TLSError
from tunnelsvc.link.peername import PeerName

MAX_NAMES_SHOWN = 5
"""How many names of a wrong certificate an error message lists."""

_VERIFY_ERRORS: dict[int, str] = {
    number: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, number in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


def verify_peer(
    context: SSL.Context, roots: Sequence[x509.Certificate], name: PeerName | None
) -> None:
    """Let connections of a context fail unless the peer proves who it is.

    Args:
        context: not used yet.
        roots: whom to trust, besides those whom the context trusts already.
        name: whom the certificate must be for; None: for anybody.
    """
    # Go trusts whatever certificate the file holds, an intermediate one too.
    store = context.get_cert_store()
    assert store is not None  # only a context that is no more has none
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verifier(name, roots))


def check_name(name: PeerName, certificate: x509.Certificate) -> None:
    """Compare with the names of a certificate; its common name doesn't count (RFC 9525).

    Raises:
        TLSError: the certificate is somebody else's.
    """
    verify = verify_certificate_ip_address if name.is_address else verify_certificate_hostname
    try:
        verify(certificate, name.text)
    except VerificationError:
        names = _names(certificate)
        raise TLSError(
            f"host name mismatch: the certificate is for {names}, not for {name.text}"
        ) from None
    except (CertificateError, ValueError) as error:
        raise TLSError(f"host name mismatch: {error}") from None


def _names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in extension.value][:MAX_NAMES_SHOWN]


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
            check_name(name, certificate.to_cryptography())
        return True

    return verify
