# -*- test-case-name: tests.client.test_reloading -*-
"""Tests of `tunnelsvc.client.reloading`: from a file to the proxies of a client."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.client import service
from tunnelsvc.client.filewatch import LOOK_SECONDS
from tunnelsvc.client.reloading import Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config import Loaded, load_client
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import ConfigError

LONG = 10
"""Looks, in which a changed file is sure to be noticed."""


class ReloaderTests(SynchronousTestCase):
    """A client and its file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.levels: list[str] = []
        self.patch(service, "servers", lambda *_: ())
        self.write()
        client_config = self.load("./" + str(self.path), strict=True).config
        self.client = TunnelClient(client_config, self.clock)
        self.reloader = Reloader(
            self.client, str(self.path), self.load, self.clock, self.levels.append
        )
        self.reloader.startService()
        self.addCleanup(self.reloader.stopService)
        self.lines = LogLines(self)

    def load(self, path: str, *, strict: bool) -> Loaded[ClientConfig]:
        self.strict = strict
        return load_client(path, {})

    def write(self, common: str = "", proxies: str = "[a]\nlocal_port = 1\n") -> None:
        text = f"[common]\nserver_addr = vps\nlogin_fail_exit = false\n{common}\n{proxies}"
        self.path.write_text(text, encoding="utf-8")

    def names(self) -> list[str]:
        return [each.config.name for each in self.client.proxy_statuses()]

    def pass_time(self) -> None:
        self.clock.pump([LOOK_SECONDS] * LONG)

    def test_nothing_has_changed(self) -> None:
        """Nor by the other name of the file."""
        self.assertTrue(self.reloader.reload().diff.is_empty)
        self.assertEqual(list(self.lines), ["success reload conf: nothing has changed"])

    def test_strictness(self) -> None:
        self.reloader.reload()
        self.assertTrue(self.strict)
        self.reloader.reload(strict=False)
        self.assertFalse(self.strict)

    def test_other_proxies(self) -> None:
        self.write(proxies="[b]\nlocal_port = 1\nlocal_prot = 2\n")
        done = self.reloader.reload()
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(len(done.warnings), 1)
        self.assertEqual(
            list(self.lines)[1:],
            ["proxy removed: ['a']", "proxy added: ['b']", "success reload conf"],
        )
        self.assertIn("local_prot", self.lines[0])

    def test_a_bad_file(self) -> None:
        """All that is wrong is told, and nothing has changed."""
        self.write(proxies="[b]\nlocal_port = x\n[c]\nlocal_port = y\n")
        with self.assertRaises(ConfigError) as raised:
            self.reloader.reload()
        self.assertEqual(len(raised.exception.problems), 2)
        self.assertEqual(self.names(), ["a"])
        self.assertEqual(
            list(self.lines),
            [
                *raised.exception.problems,
                "the configuration is not reloaded: the one before holds",
            ],
        )
        self.reloader.reload_or_log()
        self.assertEqual(self.levels, [])

    def test_no_file(self) -> None:
        self.path.unlink()
        self.reloader.reload_or_log()
        self.assertIn("can't be read", self.lines[0])
        self.assertEqual(self.names(), ["a"])

    def test_start(self) -> None:
        both = "[a]\nlocal_port = 1\n[b]\nlocal_port = 2\n"
        self.write(proxies=both)
        self.reloader.reload()
        self.assertEqual(self.names(), ["a", "b"])
        self.write("start = b\n", both)
        self.assertEqual(self.reloader.reload().diff.remarks(), [])
        self.assertEqual(self.names(), ["b"])

    def test_what_needs_a_restart(self) -> None:
        self.write("server_port = 7001\npool_count = 3\n")
        for times in 1, 2:
            self.reloader.reload()
            told = [line for line in self.lines if line == "server_port changed: needs a restart"]
            self.assertEqual(len(told), times)
        self.assertIn("pool_count changed: holds from the next login on", self.lines)

    def test_log_level(self) -> None:
        self.write("log_level = debug\n")
        self.reloader.reload()
        self.assertEqual(self.levels, ["debug"])

    def test_not_watched(self) -> None:
        self.write(proxies="[b]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["a"])

    def test_watched(self) -> None:
        """From when the file says so, until it says otherwise."""
        self.write("watch_config = true\n")
        self.reloader.reload()
        self.write("watch_config = true\n", "[b]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["b"])
        self.assertIn(f"{self.path} has changed", self.lines)
        self.write("", "[c]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["c"])
        self.write("", "[d]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["c"])

    def test_watches_what_is_included(self) -> None:
        """No more and no less than what is read, by frp's patterns."""
        directory = Path(self.mktemp())
        directory.mkdir()
        common = f"watch_config = true\nincludes = {directory}/[^x]*.ini\n"
        self.write(common)
        self.reloader.reload()
        (directory / "b.ini").write_text("[b]\nlocal_port = 1\n", encoding="utf-8")
        self.pass_time()
        self.assertEqual(self.names(), ["a", "b"])
        self.lines.clear()
        (directory / "x.ini").write_text("[x]\nlocal_port = 1\n", encoding="utf-8")
        self.pass_time()
        self.assertEqual(list(self.lines), [])

    def test_what_is_included_may_go(self) -> None:
        """With its directory, too: the log says so once, and all goes on."""
        directory = Path(self.mktemp())
        directory.mkdir()
        included = directory / "b.ini"
        included.write_text("[b]\nlocal_port = 1\n", encoding="utf-8")
        self.write(f"watch_config = true\nincludes = {directory}/*.ini\n")
        self.reloader.reload()
        self.lines.clear()
        included.unlink()
        directory.rmdir()
        self.pass_time()
        self.assertEqual(self.names(), ["a", "b"])
        self.assertEqual(len([line for line in self.lines if "not exist" in line]), 1)

    def test_a_bad_file_is_told_once(self) -> None:
        self.write("watch_config = true\n")
        self.reloader.reload()
        self.lines.clear()
        self.path.write_text("[common]\nserver_port = x\n", encoding="utf-8")
        self.pass_time()
        self.pass_time()
        self.assertEqual(len([line for line in self.lines if "not reloaded" in line]), 1)
        self.write("watch_config = true\n", "[b]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["b"])

    def test_stop(self) -> None:
        self.write("watch_config = true\n")
        self.reloader.reload()
        self.reloader.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.reloader.startService()
        self.write("watch_config = true\n", "[b]\nlocal_port = 1\n")
        self.pass_time()
        self.assertEqual(self.names(), ["b"])
