# -*- test-case-name: tests.client.plugins.test_registry -*-
"""Tests of `tunnelsvc.client.plugins`."""

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.client import plugins
from tunnelsvc.client.plugins import Place, make_plugin
from tunnelsvc.client.plugins.unixsocket import UnixDomainSocket
from tunnelsvc.config.plugins import PLUGINS, UnixDomainSocketConfig
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.handover import Connections

UNIX = UnixDomainSocketConfig(unix_path="/run/app.sock")


class RegistryTests(SynchronousTestCase):
    """From the configuration to the plugin."""

    def test_made(self) -> None:
        reactor: Any = Clock()
        proxy = TCPProxyConfig(name="x", type="tcp", plugin=UNIX)
        made = make_plugin(Place(proxy, reactor, Connections()))
        self.assertIsInstance(made, UnixDomainSocket)

    def test_complete(self) -> None:
        """What a file may name is there, and the other way round."""
        self.assertEqual(set(plugins._PLUGINS), set(PLUGINS))

    def test_none_imported_for_another(self) -> None:
        """The registry itself imports no plugin."""
        source = Path(plugins.__file__).read_text(encoding="utf-8")
        for target in plugins._PLUGINS.values():
            module = target.rpartition(".")[0]
            self.assertNotIn(f"import {module}", source)
            self.assertNotIn(f"from {module}", source)
