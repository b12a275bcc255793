# -*- test-case-name: tests.admin.test_tls -*-
"""Tests of `tunnelsvc.admin.tls`."""

import datetime
import os
from pathlib import Path

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import DASHBOARD
from tunnelsvc.admin.tls import tls_options
from tunnelsvc.config import reading
from tunnelsvc.config.schema import DashboardConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import MAX_FILE_BYTES


def make_files(folder: str, certificates: int = 1, passphrase: bytes | None = None) -> list[str]:
    """Write certificates for localhost and the key of the first; return both paths."""
    Path(folder).mkdir()
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(certificates)]
    paths = [str(Path(folder) / name) for name in ("cert.pem", "key.pem")]
    Path(paths[0]).write_bytes(b"\n".join(map(_certificate, keys)))
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    Path(paths[1]).write_bytes(
        keys[0].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
    )
    return paths


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


class TLSOptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cert, self.key = make_files(self.mktemp())

    def config(self, cert: str, key: str) -> DashboardConfig:
        return evolve(DASHBOARD, tls_cert_file=cert, tls_key_file=key)

    def problem(self, cert: str, key: str) -> str:
        failure = self.assertRaises(ConfigError, tls_options, self.config(cert, key), "frps.ini")
        self.assertEqual(len(failure.problems), 1)
        self.assertNotIn("\n", failure.problems[0])
        problem: str = failure.problems[0]
        return problem

    def test_no_files_no_tls(self) -> None:
        self.assertIsNone(tls_options(DASHBOARD, "frps.ini"))

    def test_pipe_of_nobody(self) -> None:
        """A server that reads its files again doesn't stand still for ever."""
        self.patch(reading, "PIPE_SECONDS", 0.01)
        pipe = self.mktemp()
        os.mkfifo(pipe)
        for cert, key in (pipe, self.key), (self.cert, pipe):
            self.assertIn("doesn't come to an end within", self.problem(cert, key))

    def test_endless(self) -> None:
        self.assertIn(f"longer than {MAX_FILE_BYTES} bytes", self.problem("/dev/zero", self.key))

    def test_no_name(self) -> None:
        self.assertIn("embedded null byte", self.problem("nul\0l", self.key))

    def test_good_files(self) -> None:
        options = tls_options(self.config(self.cert, self.key), "frps.ini")
        assert options is not None
        self.assertIsInstance(options.getContext(), SSL.Context)

    def test_the_whole_chain_is_sent(self) -> None:
        cert, key = make_files(self.mktemp(), certificates=3)
        options = tls_options(self.config(cert, key), "frps.ini")
        assert options is not None
        self.assertEqual(len(options.extraCertChain), 2)

    def test_one_without_the_other(self) -> None:
        for cert, key, missing in ((self.cert, "", "key"), ("", self.key, "cert")):
            self.assertEqual(
                self.problem(cert, key),
                f"frps.ini: [common] dashboard_tls_{missing}_file is missing:"
                " TLS takes a certificate and its key",
            )

    def test_missing_files(self) -> None:
        nowhere = self.mktemp()
        self.assertEqual(
            self.problem(nowhere, self.key),
            f"frps.ini: [common] dashboard_tls_cert_file = {nowhere}: No such file or directory",
        )
        self.assertIn(f"key_file = {nowhere}: No such file", self.problem(self.cert, nowhere))

    def test_not_a_certificate(self) -> None:
        self.assertIn("cert_file = ", self.problem(self.key, self.key))
        broken = self.mktemp()
        Path(broken).write_text(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", encoding="ascii"
        )
        self.assertIn("not a PEM file with a certificate", self.problem(broken, self.key))

    def test_not_a_key(self) -> None:
        self.assertIn("not a PEM file with a private key", self.problem(self.cert, self.cert))

    def test_a_key_with_a_passphrase_asks_nobody(self) -> None:
        cert, key = make_files(self.mktemp(), passphrase=b"sesame")
        self.assertIn("without passphrase", self.problem(cert, key))

    def test_the_key_of_another_certificate(self) -> None:
        _, other = make_files(self.mktemp())
        self.assertEqual(
            self.problem(self.cert, other),
            f"frps.ini: [common] dashboard_tls_key_file = {other}: not the certificate's key",
        )
