# -*- test-case-name: tests.test_notify -*-
"""Tests of `tunnelsvc.notify`."""

import os
import socket
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tunnelsvc.notify import Notifier


class NotifierTests(SynchronousTestCase):
    """A service manager listens, or there is none."""

    def manager(self, address: str) -> Callable[[], str]:
        """Listen as the service manager does; return what gives the next message."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.setblocking(False)
        manager.bind(address)
        return lambda: manager.recv(1000).decode()

    def test_states(self) -> None:
        path = self.mktemp()
        received = self.manager(path)
        notifier = Notifier({"NOTIFY_SOCKET": path})
        notifier.ready("listening on port 7000")
        self.assertEqual(received(), "READY=1\nSTATUS=listening on port 7000")
        notifier.stopping()
        self.assertEqual(received(), "STOPPING=1")

    def test_abstract_socket(self) -> None:
        name = f"tunnelsvc-test-{os.getpid()}"
        received = self.manager(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        self.assertEqual(received(), "STOPPING=1")

    def test_status_is_one_line(self) -> None:
        """Who chooses the status can't add an assignment of their own."""
        path = self.mktemp()
        received = self.manager(path)
        Notifier({"NOTIFY_SOCKET": path}).ready("run id x\nMAINPID=1")
        self.assertEqual(received(), "READY=1\nSTATUS=run id x MAINPID=1")

    def test_no_manager(self) -> None:
        lines = LogLines(self)
        self.patch(socket, "socket", lambda *_: self.fail("a socket without need"))
        Notifier({}).ready("x")
        Notifier({"NOTIFY_SOCKET": ""}).stopping()
        self.assertEqual(lines, [])

    def test_manager_gone(self) -> None:
        lines = LogLines(self)
        Notifier({"NOTIFY_SOCKET": self.mktemp()}).stopping()
        self.assertEqual(len(lines), 1)
        self.assertIn("can't be told STOPPING=1", lines[0])
