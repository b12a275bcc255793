"""Certificate authorities for tests, and files with what they sign."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tunnelsvc.link.certificates import Identity

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
START = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)


def general_name(name: str) -> x509.GeneralName:
    """Tell addresses from names."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates; keys are ECDSA P-256 unless given."""

    def __init__(self, name: str = "authority", signer: "Authority | None" = None) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, signer or self, self.key, days=30).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = builder.sign((signer or self).key, hashes.SHA256())

    def issue(
        self,
        *names: str,
        key: Key | None = None,
        days: int = 30,
        usage: x509.ObjectIdentifier | None = None,
    ) -> Identity:
        """Sign a certificate for hosts, and addresses; none: one without alternative names."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names or ("nobody",))[0])])
        builder = self._builder(subject, self, key, days)
        if names:
            alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return Identity(key, builder.sign(self.key, hashes.SHA256()), (self.certificate,))

    @staticmethod
    def _builder(
        subject: x509.Name, signer: "Authority", key: Key, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(START + datetime.timedelta(days=days))
        )


SERVER_ONLY = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_ONLY = ExtendedKeyUsageOID.CLIENT_AUTH


def write_certificates(path: str, *certificates: x509.Certificate) -> str:
    """Write a PEM file."""
    Path(path).write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in certificates))
    return path


def write_key(
    path: str,
    identity: Identity,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    """Write a PEM file."""
    data = identity.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    )
    Path(path).write_bytes(data)
    return path
