# -*- test-case-name: tests.link.test_verify -*-
"""Tests of who is trusted: pairs of OpenSSL connections, no transports."""

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import CLIENT_ONLY, SERVER_ONLY, Authority, write_certificates
from tests.link.handshakes import AUTHORITY, STRANGER, FilesTestCase, connect
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError, TLSError
from tunnelsvc.link.certificates import Identity, client_context, describe, server_context
from tunnelsvc.link.peername import PeerName
from tunnelsvc.link.verify import check_name


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


class CheckNameTests(SynchronousTestCase):
    """Names without a handshake."""

    def test_certificate_with_a_broken_pattern(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        identity = AUTHORITY.issue("*", key=key)
        self.assertIsInstance(identity.certificate, x509.Certificate)
        with self.assertRaisesRegex(TLSError, "host name mismatch"):
            check_name(PeerName.parse("server.example"), identity.certificate)
