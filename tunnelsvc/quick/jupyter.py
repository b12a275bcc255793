# -*- test-case-name: tests.quick.test_jupyter -*-
"""``tunnelsvc jupyter``: Jupyter on loopback with a token of its own, and a tunnel to it.

Who has the token can run anything here. So it is new each time, goes to Jupyter by its environment,
which other users of the machine can't read, and is shown as part of the URL only.
"""

import os
import secrets
import shutil
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseNeverReceived, readBody
from twisted.web.http import OK
from twisted.web.http_headers import Headers

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.errors import TunnelError
from tunnelsvc.link.sockets import free_port
from tunnelsvc.quick.options import JupyterOptions
from tunnelsvc.quick.program import QuickProgram
from tunnelsvc.units import KiB

FLAVOURS: Final = {"lab": "/lab", "notebook": "/tree", "server": "/"}
"""Commands of Jupyter's that serve pages, the most wanted first, and the page to begin with."""
READY_SECONDS: Final = 60.0
"""How long it may take to listen: it reads some hundred files."""
LOOK_SECONDS: Final = 0.1
ANSWER_SECONDS: Final = 5.0
"""How long one answer may take."""
END_SECONDS: Final = 4.0
"""How long it may take to end its kernels before it is killed; less than `runner.STOP_SECONDS`."""
TOKEN_BYTES: Final = 24
SHOWN_LINES: Final = 20
"""Of what it said before it failed."""
MOST_LINE_BYTES: Final = 4 * KiB
ADVICE: Final = "take token and password out of jupyter_server_config.py and its like"


def find_jupyter(args: Sequence[str]) -> tuple[str, str, list[str]]:
    """Find what to run.

    Args:
        args: for Jupyter; the first may be one of `FLAVOURS`.

    Returns:
        The program, the path of its first page, and its arguments.

    Raises:
        LookupError: it isn't installed.
    """
    wanted, rest = list(FLAVOURS), list(args)
    if rest and rest[0] in FLAVOURS:
        wanted = [rest.pop(0)]
    # Beside our own interpreter first: a virtual environment may not be on the PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    for flavour in wanted:
        program = shutil.which(f"jupyter-{flavour}", path=path)
        if program is not None:
            return program, FLAVOURS[flavour], rest
    raise LookupError(
        f"jupyter-{wanted[0]} is not installed: pip install "
        f"{'jupyterlab' if wanted[0] == 'lab' else wanted[0].replace('server', 'jupyter-server')}"
    )


def arguments(port: int, args: Sequence[str]) -> list[str]:
    """Give Jupyter's arguments: ours behind its user's, so that they hold."""
    return [
        *args,
        "--no-browser",
        f"--ServerApp.ip={LOOPBACK}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/",
        "--ServerApp.certfile=",
        # Asked for by its public name it would say no; who knows the token may ask by any.
        "--ServerApp.allow_remote_access=True",
        # Ctrl-C reaches it, too, and it would ask whether it was meant.
        "--ServerApp.answer_yes=True",
    ]


def environment(token: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Give Jupyter's environment: it shall not know how to reach our server."""
    kept = {key: value for key, value in environ.items() if not key.startswith("TUNNELSVC_")}
    return {**kept, "JUPYTER_TOKEN": token}


class Unsafe(TunnelError):
    """Jupyter runs, but must not be made public."""


async def is_safe(port: int, token: str, reactor: Any) -> bool:
    """Look whether Jupyter answers, and only to who has the token.

    Its user's configuration goes before the environment: it may set no token at all.

    Returns:
        False: it doesn't answer yet.

    Raises:
        Unsafe: it answers to others, or not to who has the token.
    """
    agent = Agent(reactor, connectTimeout=ANSWER_SECONDS)
    url = f"http://{LOOPBACK}:{port}/api/kernels".encode()
    codes: list[int] = []
    for headers in (None, Headers({"Authorization": [f"token {token}"]})):
        asked = agent.request(b"GET", url, headers)
        asked.addTimeout(ANSWER_SECONDS, reactor)
        try:
            response = await asked
        except (ConnectError, DeferredTimeout, ResponseNeverReceived):
            return False
        await readBody(response)
        codes.append(response.code)
    anybody, we = codes
    if anybody == OK:
        raise Unsafe(f"Jupyter's configuration lets in who has no token: {ADVICE}")
    if we != OK:
        raise Unsafe(f"Jupyter doesn't take its new token: {ADVICE}")
    return True


class Output(ProcessProtocol):
    """Keeps the last lines that a program says.

    Attributes:
        lines: those.
        ended: fires with its exit status, None after a signal.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self.ended: Deferred[int | None] = Deferred()
        self._rest = b""

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803, ARG002
        """Take what it says."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-MOST_LINE_BYTES:]
        self.lines += [line[:MOST_LINE_BYTES].decode("utf-8", "replace") for line in lines]

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        """Note the end."""
        self.ended.callback(getattr(reason.value, "exitCode", None))


class Jupyter(Service):
    """Runs as long as the service does."""

    log = Logger()

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        is_ready: Callable[[], Coroutine[Any, Any, bool]],
        reactor: Any,
        *,
        on_ready: Callable[[], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            command: program and arguments.
            env: its environment.
            is_ready: looks whether it answers; raises `Unsafe` if it must not be made public.
            reactor: starts it.
            on_ready: called when it answers.
            on_end: called with what is to be said when it ends by itself, nothing if all is well.
        """
        self._command = command
        self._env = env
        self._is_ready = is_ready
        self._reactor = reactor
        self._on_ready = on_ready
        self._on_end = on_end
        self._output = Output()
        self._process: IProcessTransport | None = None
        self._pause: Deferred[None] = succeed(None)

    def startService(self) -> None:
        """Start it."""
        super().startService()
        self._output.ended.addCallback(self._ended)
        # Without a terminal to read from.
        self._process = self._reactor.spawnProcess(
            self._output, self._command[0], self._command, env=self._env,
            childFDs={0: "w", 1: "r", 2: "r"},
        )  # fmt: skip
        ensureDeferred(self._wait()).addErrback(partial(self.log.failure, "waiting failed"))

    async def _wait(self) -> None:
        until = self._reactor.seconds() + READY_SECONDS
        try:
            while self._runs and not await self._is_ready():
                if self._reactor.seconds() >= until:
                    self._end(self._told(f"Jupyter doesn't answer within {READY_SECONDS:g} s"))
                    return
                self._pause = deferLater(self._reactor, LOOK_SECONDS)
                await self._pause
        except CancelledError:
            return
        except Unsafe as why:
            self._end(str(why))
            return
        if self._runs:
            self._on_ready()

    @property
    def _runs(self) -> bool:
        return bool(self.running) and self._process is not None

    def _ended(self, status: int | None) -> None:
        self._process = None
        self._pause.cancel()
        how = "died" if status is None else f"ended with status {status}"
        self._end(self._told(f"Jupyter {how}") if status != 0 else "")

    def _end(self, why: str) -> None:
        if self.running:
            self._on_end(why)

    def _told(self, what: str) -> str:
        return "\n".join([what, *(f"  {line}" for line in self._output.lines)])

    def stopService(self) -> Deferred[None] | None:
        """End it, and its kernels; fires when it is gone."""
        super().stopService()
        self._pause.cancel()
        if self._process is None:
            return None
        self._signal("TERM")
        kill = self._reactor.callLater(END_SECONDS, self._signal, "KILL")
        gone: Deferred[None] = Deferred()

        def ended(_: object) -> None:
            if kill.active():
                kill.cancel()
            gone.callback(None)

        self._output.ended.addCallback(ended)
        return gone

    def _signal(self, name: str) -> None:
        if self._process is not None:
            with suppress(ProcessExitedAlready):
                self._process.signalProcess(name)


def make_jupyter(options: JupyterOptions, reactor: Any) -> QuickProgram:
    """Compose Jupyter and the tunnel to it, which is opened when Jupyter answers.

    Args:
        options: the command line.
        reactor: what everything runs on.

    Raises:
        SystemExit: Jupyter isn't installed, or the configuration can't be used.
    """
    try:
        command, page, args = find_jupyter(options.args)
    except LookupError as why:
        raise SystemExit(f"tunnelsvc: {why}") from None
    port, token = free_port(), secrets.token_hex(TOKEN_BYTES)
    options.at(port)
    program = QuickProgram(options.screen(), options["url-file"] or "", reactor)
    program.page = f"{page}?token={token}"
    opening = program.prepare(options.plan())
    Jupyter(
        [command, *arguments(port, args)],
        environment(token, options.environ),
        partial(is_safe, port, token, reactor),
        reactor,
        on_ready=partial(program.add, opening),
        on_end=lambda why: program.fail_with(why) if why else program.end(),
    ).setServiceParent(program)
    program.screen.note(f"Starting {Path(command).name}...")
    return program
