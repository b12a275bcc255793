# -*- test-case-name: tests.admin.history.test_place -*-
"""Tests of `tunnelsvc.admin.history.place`; twistd itself is in `tests.e2e.test_history`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.history.place import PID_FILE, Owner, Place, find

HERE = Path.cwd


def twistd(**options: object) -> dict[str, object]:
    """Options of twistd in the foreground, as it has them when it makes our service."""
    usual = {"nodaemon": 1, "pidfile": str(Path(PID_FILE).absolute()), "uid": None, "gid": None}
    return {**usual, **options}


class PlaceTests(SynchronousTestCase):
    def test_nowhere(self) -> None:
        for launcher in (None, {}, twistd(), {"pidfile": "/run/x.pid"}, twistd(pidfile="")):
            self.assertEqual(find("", launcher, {}), Place(None))
        self.assertEqual(find("", None, {"STATE_DIRECTORY": ""}), Place(None))

    def test_what_the_file_says_goes_first(self) -> None:
        environ = {"STATE_DIRECTORY": "/var/lib/x"}
        place = find("data", twistd(pidfile="/run/x.pid"), environ)
        self.assertEqual(place.directory, HERE() / "data")
        self.assertEqual(find("/data", None, environ).directory, Path("/data"))

    def test_systemd(self) -> None:
        environ = {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}
        self.assertEqual(find("", twistd(nodaemon=0), environ).directory, Path("/var/lib/x"))

    def test_pid_file(self) -> None:
        self.assertEqual(find("", twistd(nodaemon=0), {}).directory, HERE())
        for nodaemon in (0, 1):
            launcher = twistd(nodaemon=nodaemon, pidfile="/run/frps/x.pid")
            self.assertEqual(find("", launcher, {}).directory, Path("/run/frps"))

    def test_owner(self) -> None:
        self.assertEqual(find("", twistd(uid=0, gid=5), {}).owner, Owner(0, 5))
        self.assertEqual(find("", twistd(), {}).owner, Owner())
