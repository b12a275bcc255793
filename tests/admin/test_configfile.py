# -*- test-case-name: tests.admin.test_configfile -*-
"""Tests of `tunnelsvc.admin.configfile`."""

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.configfile import replace
from tunnelsvc.errors import ConfigError


def bad(path: str) -> None:
    raise ConfigError([f"{path}:3: no", "and no"])


class ReplaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.file = self.directory / "frpc.toml"
        self.file.write_bytes(b"old")
        self.checked: list[tuple[str, bytes]] = []

    def check(self, path: str) -> None:
        self.checked.append((path, Path(path).read_bytes()))
        self.assertEqual(self.file.read_bytes(), b"old", "written before it was checked")

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def mode(self) -> int:
        return stat.S_IMODE(self.file.stat().st_mode)

    def test_checked_then_exchanged(self) -> None:
        before = self.file.stat().st_ino
        replace(str(self.file), b"new", self.check)
        ((path, content),) = self.checked
        self.assertEqual((Path(path).suffix, content), (".toml", b"new"))
        self.assertEqual(Path(path).parent, self.file.resolve().parent)
        self.assertEqual((self.file.read_bytes(), self.files()), (b"new", ["frpc.toml"]))
        self.assertNotEqual(self.file.stat().st_ino, before, "a reader may have seen half of it")

    def test_bad(self) -> None:
        with self.assertRaises(ConfigError) as raised:
            replace(str(self.file), b"new", bad)
        self.assertEqual(raised.exception.problems, (f"{self.file}:3: no", "and no"))
        self.assertEqual((self.file.read_bytes(), self.files()), (b"old", ["frpc.toml"]))

    def test_mode(self) -> None:
        for mode in (0o600, 0o640, 0o644):
            self.file.chmod(mode)
            replace(str(self.file), b"new", lambda _: None)
            self.assertEqual(self.mode(), mode)

    def test_another_owner(self) -> None:
        """Of a file that we can't give back to him, what our group may is nothing."""

        def chown(*_: object) -> None:
            raise PermissionError

        self.file.chmod(0o644)
        self.patch(os, "fchown", chown)
        others = (os.geteuid() + 1, os.getegid() + 1)
        self.patch(os, "fstat", lambda _: os.stat_result((0, 0, 0, 0, *others, 0, 0, 0, 0)))
        replace(str(self.file), b"new", lambda _: None)
        self.assertEqual((self.mode(), self.file.read_bytes()), (0o600, b"new"))

    def test_a_link(self) -> None:
        link = self.directory / "link"
        link.symlink_to("frpc.toml")
        replace(str(link), b"new", lambda _: None)
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.file.read_bytes(), b"new")

    def test_there_was_none(self) -> None:
        self.file.unlink()
        replace(str(self.file), b"new", lambda _: None)
        self.assertEqual((self.mode(), self.file.read_bytes()), (0o600, b"new"))

    def test_no_such_directory(self) -> None:
        path = str(self.directory / "nowhere" / "x")
        self.assertRaises(OSError, replace, path, b"new", lambda _: None)

    def test_private_all_the_time(self) -> None:
        modes = []
        self.file.chmod(0o600)
        replace(str(self.file), b"x", lambda path: modes.append(Path(path).stat().st_mode & 0o77))
        self.assertEqual(modes, [0])
