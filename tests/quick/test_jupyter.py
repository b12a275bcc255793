# -*- test-case-name: tests.quick.test_jupyter -*-
"""Tests of `tunnelsvc.quick.jupyter`; tests.e2e.test_quick has a real one."""

import shutil
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.programs import free_port
from tunnelsvc.quick import jupyter
from tunnelsvc.quick.jupyter import (
    MOST_LINE_BYTES,
    SHOWN_LINES,
    Jupyter,
    Output,
    Unsafe,
    arguments,
    environment,
    find_jupyter,
    is_safe,
)
from tunnelsvc.quick.options import JupyterOptions


class FindTests(SynchronousTestCase):
    """Which program it is."""

    def install(self, *names: str) -> None:
        def which(name: str, path: str) -> str | None:
            self.assertTrue(path.startswith(str(Path(sys.executable).parent)))
            return f"/bin/{name}" if name in names else None

        self.patch(shutil, "which", which)

    def test_the_most_wanted(self) -> None:
        self.install("jupyter-notebook", "jupyter-server")
        self.assertEqual(find_jupyter(["-y"]), ("/bin/jupyter-notebook", "/tree", ["-y"]))

    def test_chosen(self) -> None:
        self.install("jupyter-lab", "jupyter-server")
        self.assertEqual(find_jupyter(["server", "x"]), ("/bin/jupyter-server", "/", ["x"]))

    def test_missing(self) -> None:
        self.install("jupyter-lab")
        for args, word in (["notebook"], "notebook"), (["server"], "jupyter-server"):
            error = self.assertRaises(LookupError, find_jupyter, args)
            self.assertIn(f"pip install {word}", str(error))

    def test_nothing_installed(self) -> None:
        self.install()
        options = JupyterOptions()
        options.environ = {"TUNNELSVC_SERVER": "example.com"}
        options.parseOptions([])
        error = self.assertRaises(SystemExit, jupyter.make_jupyter, options, reactor)
        self.assertIn("pip install jupyterlab", str(error.code))


class SecretTests(SynchronousTestCase):
    """Who gets to know the token."""

    def test_environment(self) -> None:
        env = environment("secret", {"PATH": "/bin", "TUNNELSVC_TOKEN": "x", "JUPYTER_TOKEN": "y"})
        self.assertEqual(env, {"PATH": "/bin", "JUPYTER_TOKEN": "secret"})

    def test_arguments(self) -> None:
        args = arguments(8888, ["--notebook-dir=/x"])
        self.assertEqual(args[0], "--notebook-dir=/x")
        self.assertIn("--ServerApp.ip=127.0.0.1", args)
        self.assertIn("--ServerApp.port=8888", args)
        self.assertNotIn("token", " ".join(args))


class OutputTests(SynchronousTestCase):
    """What it says before it fails."""

    def test_lines(self) -> None:
        output = Output()
        for piece in (b"on", b"e\ntwo\nthr", b"ee\n\xff\n"):
            output.childDataReceived(1, piece)
        self.assertEqual(list(output.lines), ["one", "two", "three", "\ufffd"])

    def test_bounded(self) -> None:
        output = Output()
        for _ in range(100):
            output.childDataReceived(2, b"x" * MOST_LINE_BYTES)
        output.childDataReceived(2, b"\n" * 100)
        self.assertEqual(len(output.lines), SHOWN_LINES)
        self.assertLessEqual(len(output._rest), MOST_LINE_BYTES)


class Door(Resource):
    """Answers as Jupyter does, to some."""

    isLeaf = True

    def __init__(self, *welcome: str) -> None:
        super().__init__()
        self.welcome = welcome

    def render_GET(self, request: Request) -> bytes:
        given = (request.getHeader("authorization") or "nobody").removeprefix("token ")
        request.setResponseCode(200 if given in self.welcome else 403)
        return b"[]"


class SafeTests(TestCase):
    """Whether it may be made public."""

    timeout = 60

    def serve(self, *welcome: str) -> int:
        site: Any = Site(Door(*welcome))
        port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def test_token(self) -> None:
        self.assertTrue(await is_safe(self.serve("secret"), "secret", reactor))

    async def test_open_to_all(self) -> None:
        """The user's own configuration may say so."""
        port = self.serve("secret", "nobody")
        error = await self.assertFailure(ensureDeferred(is_safe(port, "secret", reactor)), Unsafe)
        self.assertIn("lets in who has no token", str(error))

    async def test_another_token(self) -> None:
        port = self.serve("another")
        error = await self.assertFailure(ensureDeferred(is_safe(port, "secret", reactor)), Unsafe)
        self.assertIn("doesn't take its new token", str(error))

    async def test_not_there_yet(self) -> None:
        self.assertFalse(await is_safe(free_port(), "secret", reactor))


class ServiceTests(TestCase):
    """A program that is run as Jupyter is."""

    timeout = 60

    def run_code(self, code: str, ready: Any) -> None:
        self.told: Deferred[str] = Deferred()
        self.service = Jupyter(
            [sys.executable, "-c", code],
            {},
            ready,
            reactor,
            on_ready=lambda: self.told.callback("ready"),
            on_end=self.told.callback,
        )
        self.service.startService()
        self.addCleanup(lambda: self.service.stopService() if self.service.running else None)

    async def never(self) -> bool:
        return False

    async def test_ready(self) -> None:
        async def ready() -> bool:
            return True

        self.run_code("import time; time.sleep(100)", ready)
        self.assertEqual(await self.told, "ready")

    async def test_fails(self) -> None:
        """What it said is shown."""
        self.run_code(
            "import sys; print('no'); print('way', file=sys.stderr); sys.exit(3)", self.never
        )
        text = await self.told
        self.assertEqual(text.splitlines()[0], "Jupyter ended with status 3")
        self.assertEqual(sorted(text.splitlines()[1:]), ["  no", "  way"])

    async def test_ends(self) -> None:
        """By its own menu, for instance."""
        self.run_code("", self.never)
        self.assertEqual(await self.told, "")

    async def test_unsafe(self) -> None:
        async def unsafe() -> bool:
            raise Unsafe("not for the public")

        self.run_code("import time; time.sleep(100)", unsafe)
        self.assertEqual(await self.told, "not for the public")

    async def test_too_slow(self) -> None:
        self.patch(jupyter, "READY_SECONDS", 0.0)
        self.run_code("import time; time.sleep(100)", self.never)
        self.assertIn("doesn't answer within", await self.told)

    async def test_killed_if_need_be(self) -> None:
        """What ignores the polite signal doesn't outlive us."""
        self.patch(jupyter, "END_SECONDS", 0.2)
        marker = Path(self.mktemp()).absolute()

        async def ready() -> bool:
            return marker.exists()

        code = (
            "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            f"pathlib.Path({str(marker)!r}).touch(); time.sleep(100)"
        )
        self.run_code(code, ready)
        await self.told
        await maybeDeferred(self.service.stopService)
        status = await self.service._output.ended
        self.assertIsNone(status)
        self.assertIsNone(self.service._process)
