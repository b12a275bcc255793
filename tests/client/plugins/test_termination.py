# -*- test-case-name: tests.client.plugins.test_termination -*-
"""Tests of `tunnelsvc.client.plugins.termination`."""

from pathlib import Path

from tests.client.plugins.support import PluginCase
from tests.link.authority import Authority, write_certificates, write_key
from tunnelsvc.config.plugins import HTTPSToHTTPConfig, TLSToRawConfig
from tunnelsvc.config.proxies import PluginConfig
from tunnelsvc.errors import ConfigError

ADDRESS = ("127.0.0.1", 8080)


class TerminationTests(PluginCase):
    """Certificates of the plugins that need one."""

    def setUp(self) -> None:
        super().setUp()
        self.crt, self.key = self.mktemp(), self.mktemp()

    def configs(self, crt: str, key: str) -> tuple[PluginConfig, ...]:
        return (
            HTTPSToHTTPConfig(local_addr=ADDRESS, crt_path=crt, key_path=key),
            TLSToRawConfig(local_addr=ADDRESS, crt_path=crt, key_path=key),
        )

    def issue(self) -> bytes:
        """Write a certificate and its key; return the serial number of it."""
        identity = Authority().issue("web.example")
        write_certificates(self.crt, identity.certificate, *identity.chain)
        write_key(self.key, identity)
        return b"%x" % identity.certificate.serial_number

    def shown(self) -> bytes:
        self.connect_tls("web.example")
        certificate = self.user_tls.get_peer_certificate()
        assert certificate is not None
        return b"%x" % certificate.get_serial_number()

    def test_shown_and_renewed(self) -> None:
        self.issue()
        for config in self.configs(self.crt, self.key):
            self.make(config)
            serial = self.issue()
            self.clock.advance(60)
            self.assertEqual(self.shown(), serial)

    def test_none(self) -> None:
        """Each plugin makes one of its own, and keeps it."""
        made = []
        for config in self.configs("", ""):
            self.make(config)
            made.append(self.shown())
            self.assertEqual(self.shown(), made[-1])
        self.assertNotEqual(*made)

    def test_not_a_key(self) -> None:
        self.issue()
        Path(self.key).write_text("nonsense", encoding="utf-8")
        for config in self.configs(self.crt, self.key):
            why = self.assertRaises(ConfigError, self.make, config)
            expected = f"[web] plugin_key_path = {self.key}: not a private key in PEM form"
            self.assertIn(expected, str(why))
