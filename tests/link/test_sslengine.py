# -*- test-case-name: tests.link.test_sslengine -*-
"""Tests of TLS by Python's own ssl. `tests.link.test_tlsengine` has what both engines do."""

import ssl

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.link import test_tlsends, test_tlstransport
from tests.link.authority import Authority, write_certificates
from tests.link.test_tlsengine import connected, server, small_client
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError, TLSError
from tunnelsvc.link import tls
from tunnelsvc.link.certificates import site_context
from tunnelsvc.link.opensslengine import OpenSSLEngine
from tunnelsvc.link.sslengine import SSLEngine, _describe, unverified_client
from tunnelsvc.link.tls import client_tls


class SmallClient:
    """What holds for the other engine holds for this one."""

    make_client = staticmethod(small_client)


class EstablishedTests(SmallClient, test_tlstransport.EstablishedTests):
    """As there."""


class HalfCloseTests(SmallClient, test_tlsends.HalfCloseTests):
    """As there."""


class TruncationTests(SmallClient, test_tlsends.TruncationTests):
    """As there."""


class CloseTests(SmallClient, test_tlsends.CloseTests):
    """As there."""


class UnverifiedClientTests(SynchronousTestCase):
    """A client for whom any server will do."""

    def named(self, name: str) -> bytes | None:
        """Connect; return by which name the server was asked for."""
        connection = site_context(Authority().issue("other.example"), ())()
        connected(lambda: (OpenSSLEngine(connection), unverified_client(name)()))
        found: bytes | None = connection.get_servername()
        return found

    def test_server_name(self) -> None:
        """Never that of an address; and nobody's certificate is wrong."""
        for name, sent in (
            ("Server.Example.", b"server.example"),
            ("bücher.example", b"xn--bcher-kva.example"),
            ("192.0.2.1", None),
            ("[2001:db8::1]", None),
            ("", None),
            ("not a name", None),
        ):
            self.assertEqual(self.named(name), sent)

    def test_no_old_version(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        old = context.wrap_bio(incoming, outgoing, server_side=True)
        client = small_client()
        client.handshake()
        incoming.write(client.take())
        error = self.assertRaises(ssl.SSLError, old.do_handshake)
        self.assertIn("unsupported protocol", str(error).lower().replace("_", " "))
        client.feed(outgoing.read())
        error = self.assertRaises(TLSError, client.handshake)
        self.assertIn("protocol version", str(error))

    def test_describe(self) -> None:
        """As OpenSSL has it, even if it says nothing."""
        error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)")
        error.reason = "WRONG_VERSION_NUMBER"
        self.assertEqual(_describe(error), "wrong version number")
        error = ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:1)")
        error.reason = None  # type: ignore[assignment]
        self.assertEqual(_describe(error), "protocol error")
        error = ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)")
        self.assertEqual(_describe(error), "the peer closed it")

    def test_error_before_the_end(self) -> None:
        """What was found on the way to the end is read in its turn: the data, then the error."""
        accepting, connecting = server(), small_client()
        connected(lambda: (accepting, connecting))
        good = accepting.encrypt(b"authentic")
        forged = bytearray(accepting.encrypt(b"forged"))
        forged[-1] ^= 1
        connecting.feed(good + bytes(forged))
        self.assertRaises(TLSError, connecting.close)
        self.assertEqual(connecting.read(), b"authentic")
        for _ in range(2):
            self.assertIn("bad record mac", str(self.assertRaises(TLSError, connecting.read)))


class ClientTLSTests(SynchronousTestCase):
    """Who gets this engine."""

    def setUp(self) -> None:
        self.patch(tls, "_PYOPENSSL", "tests.link.lonely")

    def test_nothing_to_show_or_to_verify(self) -> None:
        made = client_tls(TLSConfig(server_name="b.example"), "a.example")()
        assert isinstance(made, SSLEngine)
        self.assertEqual(made._object.server_hostname, "b.example")

    def test_somebody_to_verify(self) -> None:
        path = write_certificates(self.mktemp(), Authority().certificate)
        made = client_tls(TLSConfig(trusted_ca_file=path), "a.example")()
        self.assertIsInstance(made, SSL.Connection)

    def test_something_to_show(self) -> None:
        for config in (TLSConfig(cert_file="absent"), TLSConfig(key_file="absent")):
            self.assertRaises(ConfigError, client_tls, config, "a.example")

    def test_a_python_without(self) -> None:
        self.patch(tls, "_SSL", "_lonely")
        self.assertIsInstance(client_tls(TLSConfig(), "a.example")(), SSL.Connection)

    def test_the_other_is_there_anyway(self) -> None:
        self.patch(tls, "_PYOPENSSL", "OpenSSL.SSL")
        self.assertIsInstance(client_tls(TLSConfig(), "a.example")(), SSL.Connection)
