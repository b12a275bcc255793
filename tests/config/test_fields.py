# -*- test-case-name: tests.config.test_fields -*-
"""Tests of `tunnelsvc.config.fields`."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import keys
from tunnelsvc.config.fields import changed, keys_of, leaves, replaced
from tunnelsvc.config.schema import ClientConfig, LogConfig, ServerConfig


class FieldsTests(SynchronousTestCase):
    """What two configurations differ in."""

    def test_leaves(self) -> None:
        found = dict(leaves(ClientConfig(token="t"), but=("log",)))
        self.assertEqual((found["token"], found["tls.enable"]), ("t", True))
        self.assertFalse({"tls", "log", "log.level"} & set(found))

    def test_changed_and_replaced(self) -> None:
        old = ServerConfig(token="t", log=LogConfig(level="debug"))
        new = ServerConfig(bind_port=7001, log=LogConfig(level="debug", file="x"))
        self.assertEqual(changed(old, old), {})
        values = {"bind_port": 7001, "token": "", "log.file": "x"}
        self.assertEqual(changed(old, new), values)
        self.assertEqual(list(changed(old, new, but=("bind_port", "log"))), ["token"])
        self.assertEqual(replaced(old, values), new)
        self.assertEqual(replaced(old, {}), old)

    def test_keys(self) -> None:
        """Each is called in the log as it is in the file."""
        for name, key in {
            "bind_port": "bind_port",
            "heartbeat_timeout_seconds": "heartbeat_timeout",
            "tls.only": "tls_only",
            "log.file": "log_file",
            "dashboard.password": "dashboard_pwd",
            "dashboard.credentials_configured": "dashboard_pwd",
            "plugins": "[plugin.NAME]",
            "certificates": "[certificate.NAME]",
            "tcp_mux_chosen": "tcp_mux",
        }.items():
            self.assertEqual(keys_of([name], keys.SERVER), [key])
        self.assertEqual(
            keys_of(["metas", "servers", "server_addr", "path"], keys.CLIENT),
            ["meta_", "server_addr"],
        )

    def test_every_field_has_a_key(self) -> None:
        """What the log names is what the file's owner has written."""
        clients = {"tls.enable", "tls.server_name", "tls.disable_custom_first_byte"}
        for config, table, but in (
            (ClientConfig(), keys.CLIENT, {"path", "tls.only", "proxies", "visitors"}),
            (ServerConfig(), keys.SERVER, {"path", *clients}),
        ):
            known = {*table.keys, *table.prefixes, "[plugin.NAME]", "[certificate.NAME]"}
            names = [name for name, _ in leaves(config) if name not in but]
            self.assertEqual(set(keys_of(names, table)) - known, set())
