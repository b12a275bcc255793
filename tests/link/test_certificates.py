"""Tests of identities and trust: pairs of OpenSSL connections, no transports."""

import datetime

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import CLIENT_ONLY, SERVER_ONLY, Authority, write_certificates
from tests.link.handshakes import AUTHORITY, STEADY, STRANGER, FilesTestCase, connect, move, shake
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import (
    Identity,
    PeerName,
    TLSError,
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

    @STEADY
    @given(st.text(max_size=300))
    def test_any_text(self, text: str) -> None:
        """No name crashes, and what is sent is a name."""
        name = PeerName.parse(text)
        self.assertTrue(name.text.isascii())
        self.assertLessEqual(len(name.text), 253)
        sent = name.server_name
        if sent is not None:
            self.assertRegex(sent, rb"^[a-z0-9._-]+$")


class VerificationTests(FilesTestCase):
    """A client that trusts one authority."""

    def refused(self, identity: Identity, server_addr: str = "server.example") -> str:
        """Return what the client says about a server."""
        server = server_context(self.tls(identity))
        client = client_context(self.tls(trusted=AUTHORITY), server_addr)
        return str(self.assertRaises(TLSError, connect, server, client))

    def test_good_names(self) -> None:
        names = ("server.example", "*.wild.example", "192.0.2.1", "2001:db8::1")
        server = server_context(self.tls(AUTHORITY.issue(*names)))
        good = ("server.example", "SERVER.example.", "a.wild.example", "192.0.2.1", "[2001:db8::1]")
        for name in good:
            connect(server, client_context(self.tls(trusted=AUTHORITY), name))

    def test_server_name_goes_before_address(self) -> None:
        server = server_context(self.tls(AUTHORITY.issue("server.example")))
        config = evolve(self.tls(trusted=AUTHORITY), server_name="server.example")
        connect(server, client_context(config, "192.0.2.1"))

    def test_other_name(self) -> None:
        self.assertEqual(
            self.refused(AUTHORITY.issue("other.example", "192.0.2.1")),
            "host name mismatch: the certificate is for ['other.example', '192.0.2.1'], "
            "not for server.example",
        )
        self.assertIn("host name mismatch", self.refused(AUTHORITY.issue("a"), "192.0.2.1"))

    def test_few_of_many_names(self) -> None:
        text = self.refused(AUTHORITY.issue(*(f"n{number}.example" for number in range(50))))
        self.assertIn("n4.example", text)
        self.assertNotIn("n5.example", text)

    def test_common_name_does_not_count(self) -> None:
        self.assertIn("does not contain any", self.refused(AUTHORITY.issue(), "nobody"))

    def test_unknown_authority(self) -> None:
        identity = evolve(STRANGER.issue("server.example"), chain=())
        self.assertEqual(
            self.refused(identity), "certificate verify failed: unable to get issuer cert locally"
        )

    def test_expired(self) -> None:
        self.assertEqual(
            self.refused(AUTHORITY.issue("server.example", days=1)),
            "certificate verify failed: cert has expired",
        )

    def test_self_signed_server(self) -> None:
        server = server_context(TLSConfig())
        client = client_context(self.tls(trusted=AUTHORITY), "server.example")
        error = self.assertRaises(TLSError, connect, server, client)
        self.assertIn("self signed", str(error))

    def test_namesake_of_its_authority(self) -> None:
        """Looks self-signed to OpenSSL; only the authority's signature tells."""
        trusted = Authority("server.example")
        good = evolve(trusted.issue("server.example"), chain=())
        client = client_context(self.tls(trusted=trusted), "server.example")
        connect(server_context(self.tls(good)), client)
        for bad, why in (
            (trusted.issue("server.example", days=1), "expired"),
            (Authority("server.example").issue("server.example"), "self signed"),
            (trusted.issue("server.example", usage=CLIENT_ONLY), "purpose"),
        ):
            server = server_context(self.tls(evolve(bad, chain=())))
            self.assertIn(why, str(self.assertRaises(TLSError, connect, server, client)))

    def test_chain_of_the_server(self) -> None:
        """An intermediate authority comes with the server's certificate."""
        between = Authority("between", signer=AUTHORITY)
        server = server_context(self.tls(between.issue("server.example")))
        connect(server, client_context(self.tls(trusted=AUTHORITY), "server.example"))

    def test_trusting_an_intermediate(self) -> None:
        """As Go: whatever the file holds is trusted, its own signer needn't be known."""
        between = Authority("between", signer=AUTHORITY)
        server = server_context(self.tls(evolve(between.issue("server.example"), chain=())))
        connect(server, client_context(self.tls(trusted=between), "server.example"))

    def test_several_authorities_in_a_file(self) -> None:
        path = write_certificates(
            self.path("both.crt"), STRANGER.certificate, AUTHORITY.certificate
        )
        client = client_context(TLSConfig(trusted_ca_file=path), "server.example")
        for authority in (AUTHORITY, STRANGER):
            connect(server_context(self.tls(authority.issue("server.example"))), client)

    def test_name_that_can_not_be_verified(self) -> None:
        config = self.tls(trusted=AUTHORITY)
        error = self.assertRaises(ConfigError, client_context, config, "a b")
        self.assertIn("server_addr = a b: not a host name", str(error))
        config = evolve(config, server_name="ü_ü.example")
        error = self.assertRaises(ConfigError, client_context, config, "server.example")
        self.assertIn("tls_server_name = ü_ü.example: not a host name", str(error))

    def test_a_number_is_not_a_name(self) -> None:
        self.assertIn("host name mismatch", self.refused(AUTHORITY.issue("server.example"), "12"))


class MutualTests(FilesTestCase):
    """A server that trusts one authority for its clients."""

    def connect(self, client: TLSConfig) -> tuple[SSL.Connection, ...]:
        server = server_context(self.tls(trusted=AUTHORITY))
        return connect(server, client_context(client, "server.example"))

    def test_good(self) -> None:
        identity = AUTHORITY.issue("client.example")
        server, _ = self.connect(self.tls(identity))
        shown = server.get_peer_certificate(as_cryptography=True)
        self.assertEqual(shown, identity.certificate)

    def test_a_client_needs_no_names(self) -> None:
        self.connect(self.tls(AUTHORITY.issue()))

    def test_missing(self) -> None:
        error = self.assertRaises(SSL.Error, self.connect, TLSConfig())
        self.assertIn("did not return a certificate", describe(error))

    def test_of_another_authority(self) -> None:
        error = self.assertRaises(TLSError, self.connect, self.tls(STRANGER.issue("c.example")))
        self.assertIn("certificate verify failed", str(error))

    def test_for_another_use(self) -> None:
        identity = AUTHORITY.issue("c.example", usage=SERVER_ONLY)
        error = self.assertRaises(TLSError, self.connect, self.tls(identity))
        self.assertEqual(str(error), "certificate verify failed: invalid purpose")


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


class PeerNameTests(SynchronousTestCase):
    """Names without a handshake."""

    def test_certificate_with_a_broken_pattern(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        identity = AUTHORITY.issue("*", key=key)
        self.assertIsInstance(identity.certificate, x509.Certificate)
        with self.assertRaisesRegex(TLSError, "host name mismatch"):
            PeerName.parse("server.example").check(identity.certificate)
