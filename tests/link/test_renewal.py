# -*- test-case-name: tests.link.test_renewal -*-
"""Tests of `tunnelsvc.link.renewal`."""

import os
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.task import Clock

from tests.link.authority import write_certificates, write_key
from tests.link.handshakes import AUTHORITY, FilesTestCase, connect
from tests.loglines import LogLines
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import Identity, client_context
from tunnelsvc.link.renewal import LOOK_SECONDS, CertificateFiles, RenewedCertificate

CLIENT = client_context(TLSConfig(), "web.example")
NAMES = ("crt", "key")


class RenewalTests(FilesTestCase):
    """A certificate in files that change."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.files = CertificateFiles(self.path("a.crt"), self.path("a.key"), "", NAMES)
        self.first = AUTHORITY.issue("web.example")
        self.second = AUTHORITY.issue("web.example")
        self.written = 0
        self.write(self.first)
        self.served = RenewedCertificate(self.files, self.clock)
        self.lines = LogLines(self)

    def write(self, identity: Identity, *, only: str = "") -> None:
        """Write both files, or the one of this suffix, at a time of their own."""
        if only != ".key":
            write_certificates(self.files.cert_file, identity.certificate, *identity.chain)
        if only != ".crt":
            write_key(self.files.key_file, identity)
        self.written += 1
        for path in self.files.cert_file, self.files.key_file:
            if path.endswith(only):
                os.utime(path, ns=(self.written, self.written))

    def shown(self) -> x509.Certificate:
        """Connect, and give the certificate that a client gets."""
        _, client = connect(self.served, CLIENT)
        certificate = client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate

    def test_as_it_is(self) -> None:
        for _ in range(3):
            self.assertEqual(self.shown(), self.first.certificate)
            self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.lines, [])

    def test_renewed(self) -> None:
        self.write(self.second)
        self.assertEqual(self.shown(), self.first.certificate)  # too soon for a look
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), self.second.certificate)
        self.assertEqual(self.lines, [f"new certificate from {self.files.cert_file}"])

    def test_half_renewed(self) -> None:
        """One file is written before the other; in between, neither is of use."""
        self.write(self.second, only=".crt")
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            self.assertEqual(self.shown(), self.first.certificate)
        [line] = self.lines  # said once, not at each look
        what = f"not the key of the certificate in {self.files.cert_file}"
        self.assertEqual(line, f"key = {self.files.key_file}: {what}; the one before stays in use")
        self.write(self.second, only=".key")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), self.second.certificate)

    def test_missing(self) -> None:
        """Files that are gone, or become nonsense, change nothing but the log."""
        Path(self.files.cert_file).unlink()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), self.first.certificate)
        Path(self.files.cert_file).write_text("nonsense", encoding="utf-8")
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), self.first.certificate)
        self.assertEqual(len(self.lines), 2)
        self.write(self.second)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), self.second.certificate)

    def test_connections_stay(self) -> None:
        """A connection that is there goes on with what it has."""
        server, client = connect(self.served, CLIENT)
        self.write(self.second)
        self.clock.advance(LOOK_SECONDS)
        self.shown()
        server.sendall(b"still here")
        client.bio_write(server.bio_read(1000))
        self.assertEqual(client.recv(1000), b"still here")

    def test_not_there_from_the_beginning(self) -> None:
        files = CertificateFiles("no.crt", "no.key", "[web] ", NAMES)
        with self.assertRaises(ConfigError) as raised:
            RenewedCertificate(files, self.clock)
        missing = "No such file or directory"
        self.assertEqual(
            raised.exception.problems,
            (f"[web] crt = no.crt: {missing}", f"[web] key = no.key: {missing}"),
        )

    def test_none(self) -> None:
        """Without files a certificate is made, and stays."""
        self.served = RenewedCertificate(CertificateFiles("", "", "", NAMES), self.clock)
        first = self.shown()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(), first)
        self.assertEqual(self.lines, [])

    def test_alpn(self) -> None:
        """Also after a renewal."""
        self.served = RenewedCertificate(self.files, self.clock, [b"http/1.1"])
        for identity in self.first, self.second:
            self.write(identity)
            self.clock.advance(LOOK_SECONDS)
            for offered, chosen in (([b"http/1.1"], b"http/1.1"), ([b"h2"], b""), ([], b"")):
                client = client_context(TLSConfig(), "web.example", offered)
                sides: tuple[SSL.Connection, ...] = connect(self.served, client)
                for side in sides:
                    self.assertEqual(side.get_alpn_proto_negotiated(), chosen)
