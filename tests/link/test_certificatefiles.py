# -*- test-case-name: tests.link.test_certificatefiles -*-
"""Tests of certificate and key files that can't be used, and some that can."""

import os
from pathlib import Path

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.link.authority import write_key
from tests.link.handshakes import AUTHORITY, STEADY, FilesTestCase, connect
from tunnelsvc.config import reading
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.link.certificates import (
    MAX_FILE_BYTES,
    client_context,
    server_context,
)


class BadFilesTests(FilesTestCase):
    """Files that can't be used, and what people are told."""

    def setUp(self) -> None:
        super().setUp()
        self.good = self.tls(AUTHORITY.issue("server.example"))

    def text(self, name: str, content: bytes) -> str:
        Path(self.path(name)).write_bytes(content)
        return self.path(name)

    def test_missing(self) -> None:
        config = TLSConfig(cert_file="no.crt", key_file="no.key", trusted_ca_file="no-ca.crt")
        self.assertEqual(
            self.problems(config),
            (
                "tls_cert_file = no.crt: No such file or directory",
                "tls_key_file = no.key: No such file or directory",
                "tls_trusted_ca_file = no-ca.crt: No such file or directory",
            ),
        )

    def test_pipe_of_nobody(self) -> None:
        """A server that reads its files again doesn't stand still for ever."""
        self.patch(reading, "PIPE_SECONDS", 0.01)
        os.mkfifo(self.path("pipe"))
        config = evolve(self.good, cert_file=self.path("pipe"), trusted_ca_file=self.path("pipe"))
        late = "it doesn't come to an end within 0.01 s"
        self.assertEqual(
            self.problems(config),
            (
                f"tls_cert_file = {self.path('pipe')}: {late}",
                f"tls_trusted_ca_file = {self.path('pipe')}: {late}",
            ),
        )

    def test_not_files(self) -> None:
        config = evolve(self.good, cert_file=self.directory, trusted_ca_file="nul\0l")
        self.assertEqual(
            self.problems(config),
            (
                f"tls_cert_file = {self.directory}: Is a directory",
                "tls_trusted_ca_file = nul\0l: embedded null byte",
            ),
        )

    def test_not_pem(self) -> None:
        path = self.text("bad.pem", b"\x30\x82 not text")
        config = TLSConfig(cert_file=path, key_file=path, trusted_ca_file=path)
        certificate = "not a certificate in PEM form (-----BEGIN CERTIFICATE…)"
        self.assertEqual(
            self.problems(config),
            (
                f"tls_cert_file = {path}: {certificate}",
                f"tls_key_file = {path}: not a private key in PEM form (-----BEGIN PRIVATE KEY…)",
                f"tls_trusted_ca_file = {path}: {certificate}",
            ),
        )

    def test_empty(self) -> None:
        path = self.text("empty.pem", b"")
        config = evolve(self.good, trusted_ca_file=path)
        self.assertEqual(self.problems(config), (f"tls_trusted_ca_file = {path}: empty",))

    def test_too_long(self) -> None:
        path = self.text("long.pem", b"#" * (MAX_FILE_BYTES + 1))
        config = evolve(self.good, cert_file=path)
        self.assertEqual(
            self.problems(config), (f"tls_cert_file = {path}: longer than 1048576 bytes",)
        )

    def test_endless(self) -> None:
        if not os.path.exists("/dev/zero"):  # noqa: PTH110
            self.skipTest("no /dev/zero here")
        config = TLSConfig(trusted_ca_file="/dev/zero")
        self.assertIn("longer than", self.problems(config)[0])

    def test_swapped(self) -> None:
        config = evolve(self.good, cert_file=self.good.key_file, key_file=self.good.cert_file)
        first, second = self.problems(config)
        self.assertIn("not a certificate", first)
        self.assertIn("not a private key", second)

    def test_half_a_pair(self) -> None:
        self.assertEqual(
            self.problems(evolve(self.good, key_file="")),
            (f"tls_cert_file = {self.good.cert_file}: needs tls_key_file as well",),
        )
        self.assertEqual(
            self.problems(evolve(self.good, cert_file="")),
            (f"tls_key_file = {self.good.key_file}: needs tls_cert_file as well",),
        )

    def test_key_of_another_certificate(self) -> None:
        key_file = write_key(self.path("other.key"), AUTHORITY.issue("other.example"))
        self.assertEqual(
            self.problems(evolve(self.good, key_file=key_file)),
            (
                (
                    f"tls_key_file = {key_file}: not the key of the certificate in "
                    f"{self.good.cert_file}"
                ),
            ),
        )

    def test_encrypted_key(self) -> None:
        identity = AUTHORITY.issue("server.example")
        key_file = write_key(self.path("e.key"), identity, BestAvailableEncryption(b"secret"))
        self.assertEqual(
            self.problems(evolve(self.good, key_file=key_file)),
            (f"tls_key_file = {key_file}: the key is encrypted; store it without a pass phrase",),
        )

    def test_weak_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        (problem,) = self.problems(self.tls(AUTHORITY.issue("server.example", key=key)))
        self.assertIn("OpenSSL refuses it", problem)
        self.assertIn("too small", problem)

    def test_key_that_can_not_sign(self) -> None:
        key = x25519.X25519PrivateKey.generate()
        signed = AUTHORITY.issue("server.example", key=key)  # type: ignore[arg-type]
        (problem,) = self.problems(self.tls(signed))
        self.assertIn("OpenSSL refuses it", problem)

    def test_key_of_an_unknown_kind(self) -> None:
        identity = AUTHORITY.issue("server.example")
        data = identity.certificate.public_bytes(Encoding.DER)
        elliptic, unknown = b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x63"
        strange = x509.load_der_x509_certificate(data.replace(elliptic, unknown))
        (problem,) = self.problems(self.tls(evolve(identity, certificate=strange)))
        self.assertIn("TLS can't use this kind of key", problem)

    def test_other_forms_that_people_have(self) -> None:
        """Key and certificate in one file; keys in the forms of older tools; RSA."""
        identity = AUTHORITY.issue("server.example")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        for one in (identity, AUTHORITY.issue("server.example", key=key)):
            private = one.key.private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            )
            both = self.text("both.pem", private + one.certificate.public_bytes(Encoding.PEM))
            server = server_context(TLSConfig(cert_file=both, key_file=both))
            connect(server, client_context(self.tls(trusted=AUTHORITY), "server.example"))

    def test_files_are_read_once(self) -> None:
        server = server_context(self.good)
        Path(self.good.cert_file).unlink()
        Path(self.good.key_file).unlink()
        connect(server, client_context(TLSConfig(), "server.example"))

    @STEADY
    @given(st.binary(max_size=200), st.booleans())
    def test_any_bytes(self, content: bytes, framed: bool) -> None:
        """Whatever a file holds, it is a clear error."""
        if framed:
            content = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % content
        config = TLSConfig(trusted_ca_file=self.text("any.pem", content))
        for problem in self.problems(config):
            self.assertTrue(problem.startswith("tls_trusted_ca_file = "), problem)
