# -*- test-case-name: tests.link.test_certificates -*-
"""Tests of identities and trust: pairs of OpenSSL connections, no transports."""

import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from tests.link.handshakes import AUTHORITY, connect, move, shake
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.link.certificates import (
    client_context,
    describe,
    self_signed,
    server_context,
)


class SelfSignedTests(SynchronousTestCase):
    """The certificate of a server that has none."""

    def test_what_it_says(self) -> None:
        now = datetime.datetime(2026, 5, 9, 12, 0, tzinfo=datetime.UTC)
        identity = self_signed(now)
        certificate = identity.certificate
        self.assertIsInstance(identity.key, ec.EllipticCurvePrivateKey)
        self.assertIsInstance(certificate.public_key().curve, ec.SECP256R1)  # type: ignore[union-attr]
        self.assertIsInstance(certificate.signature_hash_algorithm, hashes.SHA256)
        self.assertEqual(certificate.not_valid_before_utc, now - datetime.timedelta(days=1))
        self.assertEqual(certificate.not_valid_after_utc, now + datetime.timedelta(days=3650))
        certificate.verify_directly_issued_by(certificate)

    def test_random(self) -> None:
        first, second = self_signed(), self_signed()
        self.assertNotEqual(first.certificate.serial_number, second.certificate.serial_number)
        self.assertNotEqual(first.key.public_key(), second.key.public_key())

    def test_valid_now(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        certificate = self_signed().certificate
        self.assertLess(certificate.not_valid_before_utc, now)
        self.assertGreater(certificate.not_valid_after_utc, now)

    def test_the_key_is_not_shown(self) -> None:
        self.assertNotIn("key", repr(self_signed()))


class WithoutFilesTests(SynchronousTestCase):
    """Neither side is configured: encrypted, unverified."""

    def test_handshake(self) -> None:
        server, client = connect(
            server_context(TLSConfig()), client_context(TLSConfig(), "server.example")
        )
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")
        self.assertEqual(server.get_servername(), b"server.example")
        self.assertIsNone(server.get_peer_certificate())

    def test_one_certificate_for_all_connections(self) -> None:
        factory = server_context(TLSConfig())
        serials = set()
        for _ in range(2):
            _, client = connect(factory, client_context(TLSConfig(), "server.example"))
            peer = client.get_peer_certificate()
            assert peer is not None
            serials.add(peer.get_serial_number())
        self.assertEqual(len(serials), 1)

    def test_session_tickets(self) -> None:
        """The answer to a ticket carries no certificate, so it is shorter."""
        server = server_context(TLSConfig())
        client = client_context(TLSConfig(), "server.example")
        _, first = connect(server, client)
        session = first.get_session()
        assert session is not None
        lengths = []
        for resumed in (False, True):
            accepting, connecting = server(), client()
            if resumed:
                connecting.set_session(session)
            shake(connecting)
            move(connecting, accepting)
            shake(accepting)
            lengths.append(len(accepting.bio_read(1 << 16)))
        whole, short = lengths
        certificate = self_signed().certificate.public_bytes(Encoding.DER)
        self.assertLess(short + len(certificate), whole)

    def test_nothing_older_than_tls_1_2(self) -> None:
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
            client = SSL.Connection(context, None)
            client.set_connect_state()
            self.assertFalse(shake(client))
            server = server_context(TLSConfig())()
            move(client, server)
            error = self.assertRaises(SSL.Error, server.do_handshake)
            self.assertIn("protocol", describe(error))

    def test_old_peers(self) -> None:
        """TLS 1.2 with an RSA key of 1024 bits, as frps had it up to 0.44."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        identity = AUTHORITY.issue(key=key)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate(identity.certificate)
        context.use_privatekey(key)

        def old() -> SSL.Connection:
            made = SSL.Connection(context, None)
            made.set_accept_state()
            return made

        _, client = connect(old, client_context(TLSConfig(), "server.example"))
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.2")

    def test_tls_1_2_client(self) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)

        def old() -> SSL.Connection:
            made = SSL.Connection(context, None)
            made.set_connect_state()
            return made

        server, _ = connect(server_context(TLSConfig()), old)
        self.assertIn("ECDHE-ECDSA", server.get_cipher_name() or "")
        self.assertIsNone(server.get_servername())

    def test_as_twisted_has_it(self) -> None:
        """Ciphers and their order are those that Twisted's maintainers chose."""
        theirs = CertificateOptions(enableSessionTickets=True).getContext()
        ours = client_context(TLSConfig(), "server.example")()
        self.assertEqual(ours.get_cipher_list(), SSL.Connection(theirs, None).get_cipher_list())
        self.assertEqual(
            ours.get_context().get_session_cache_mode(), theirs.get_session_cache_mode()
        )


class ServerNameTests(SynchronousTestCase):
    """What the client tells the server of whom it looks for."""

    def sent(self, server_addr: str, server_name: str = "") -> bytes | None:
        client = client_context(TLSConfig(server_name=server_name), server_addr)
        server, _ = connect(server_context(TLSConfig()), client)
        name: bytes | None = server.get_servername()
        return name

    def test_names(self) -> None:
        self.assertEqual(self.sent("Server.Example."), b"server.example")
        self.assertEqual(self.sent("192.0.2.1", "inner.example"), b"inner.example")
        self.assertEqual(self.sent("my_host"), b"my_host")
        self.assertEqual(self.sent("bücher.example"), b"xn--bcher-kva.example")

    def test_no_addresses(self) -> None:
        for address in ("192.0.2.1", "2001:db8::1", "[2001:db8::1]", "fe80::1%eth0"):
            self.assertIsNone(self.sent(address), address)

    def test_impossible_names_are_not_sent(self) -> None:
        for name in ("", ".", "a b", "nul\0l", "ü_ü.example", "x" * 64, "a." * 150 + "a"):
            self.assertIsNone(self.sent("", name) if name else self.sent(name), name)


class DescribeTests(SynchronousTestCase):
    """OpenSSL's errors in words."""

    def test_queue(self) -> None:
        error = SSL.Error([("SSL routines", "", "deepest"), ("SSL routines", "", "upper")])
        self.assertEqual(describe(error), "deepest")

    def test_without_queue(self) -> None:
        self.assertEqual(describe(SSL.Error()), "protocol error")
        self.assertEqual(describe(SSL.Error([])), "protocol error")
        self.assertEqual(describe(SSL.SysCallError(-1, "x")), "protocol error")
        self.assertEqual(describe(SSL.ZeroReturnError()), "the peer closed it")
