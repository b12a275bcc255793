# -*- test-case-name: tests.client.plugins.test_tls2raw -*-
"""Tests of `tunnelsvc.client.plugins.tls2raw`."""

from twisted.internet import error

from tests.client.plugins.support import PluginCase
from tunnelsvc.config.plugins import TLSToRawConfig
from tunnelsvc.errors import ConfigError, LocalServiceUnavailable
from tunnelsvc.relay import Reason

CONFIG = TLSToRawConfig(local_addr=("127.0.0.1", 5432))


class TLSToRawTests(PluginCase):
    """A service that speaks whatever it speaks."""

    def setUp(self) -> None:
        super().setUp()
        self.make(CONFIG)

    def test_both_ways(self) -> None:
        self.connect_tls("db.example")
        self.assertEqual(self.dialled, [("127.0.0.1", 5432)])
        self.ask(b"\0query")
        self.assertEqual(self.received(), b"\0query")
        self.answer(b"\0rows")
        self.assertEqual(self.shown(), b"\0rows")

    def test_introduction(self) -> None:
        """A service that wants to know who the user is hears it first."""
        self.make(CONFIG, proxy_protocol_version="v1")
        self.connect_tls()
        self.ask(b"hello")
        self.assertEqual(self.received(), b"PROXY TCP4 198.51.100.9 127.0.0.1 5 0\r\nhello")

    def test_the_user_finishes(self) -> None:
        """The answer to all that was sent still comes."""
        self.connect_tls()
        self.ask(b"all of it")
        self.user.loseWriteConnection()
        self.pump()
        self.assertTrue(self.at_services[0].finished)
        self.answer(b"done")
        self.services[0].loseConnection()
        self.pump()
        self.assertEqual(self.shown(), b"done")
        self.user.loseConnection()
        self.pump()
        account = self.account()
        self.assertIs(account.reason, Reason.FAR_CLOSED)
        self.assertGreater(account.down_bytes, 9)

    def test_the_service_is_cut_off(self) -> None:
        self.connect_tls()
        self.services[0].abortConnection()
        self.pump()
        self.assertIsNotNone(self.at_user.lost)
        self.assertIs(self.account().reason, Reason.NEAR_LOST)

    def test_no_tls(self) -> None:
        """The service hears nothing of it."""
        self.connect(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(self.dialled, [])
        self.assertEqual(self.account().detail, "TLS handshake failed: http request")

    def test_no_service(self) -> None:
        self.refused = error.ConnectionRefusedError("111")
        self.connect_tls()
        why = self.failureResultOf(self.served, LocalServiceUnavailable).getErrorMessage()
        self.assertIn("connect to local service [127.0.0.1:5432] error: ", why)

    def test_files(self) -> None:
        config = TLSToRawConfig(local_addr=("a", 1), crt_path="no.crt", key_path="no.key")
        why = self.assertRaises(ConfigError, self.make, config)
        self.assertIn("[web] plugin_crt_path = no.crt: No such file", str(why))
