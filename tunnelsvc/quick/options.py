# -*- test-case-name: tests.quick.test_options -*-
"""The command lines of ``tunnelsvc http``, ``tcp`` and ``jupyter``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from getopt import GetoptError, gnu_getopt
from typing import Any, ClassVar, Final

from attrs import evolve
from twisted.python.usage import UsageError

from tunnelsvc.addresses import LOOPBACK, unbracketed
from tunnelsvc.quick.names import identity
from tunnelsvc.quick.plan import Plan, Setting
from tunnelsvc.quick.screen import Screen
from tunnelsvc.runner import ProgramOptions

SERVER_VARIABLE: Final = "TUNNELSVC_SERVER"
TOKEN_VARIABLE: Final = "TUNNELSVC_TOKEN"  # noqa: S105 - the name of a variable
MOST_PORT: Final = 65535

_COMMON: Final = (
    ["server", "s", None, f"The server, as HOST or HOST:PORT (7000); else {SERVER_VARIABLE}."],
    ["token", "t", None, f"Its token, which others here may see; better by {TOKEN_VARIABLE}."],
    ["ca", None, None, "A file with the certificate that the server must show (PEM)."],
    ["url-file", "o", None, "A file for the public URL; it is removed at the end."],
)
_HOST: Final = ["host", "H", None, "The name: a whole one, or one below the server's domain."]
_QUIET: Final = ["quiet", "q", "Print the URL, and nothing else but what is wrong."]


class QuickOptions(ProgramOptions):
    """What all of them have.

    Attributes:
        environ: of the process.
        kind: of the proxy.
        target: host and port of the service.
    """

    optParameters: ClassVar[list[Any]] = [*_COMMON]
    optFlags: ClassVar[list[Any]] = [_QUIET]
    environ: Mapping[str, str] = os.environ
    kind: ClassVar[str]
    target: tuple[str, int]
    synopsis = "[options] PORT | HOST:PORT"

    def parseOptions(self, options: Any = None) -> None:  # noqa: N802 - as its base has it
        """Parse; options may stand behind the service, too.

        Raises:
            UsageError: of an option.
        """
        given: list[str] = list(sys.argv[1:] if options is None else options)
        try:
            pairs, rest = gnu_getopt(given, self.shortOpt, self.longOpt)
        except GetoptError as why:
            raise UsageError(str(why)) from None
        super().parseOptions([*self._joined(pairs), "--", *rest])

    def _joined(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """Write options as Twisted parses them: with values that may be empty or begin with "-"."""
        args: list[str] = []
        for name, value in pairs:
            if name.startswith("--"):
                args.append(f"{name}={value}" if f"{name[2:]}=" in self.longOpt else name)
            else:
                args += [name, value] if f"{name[1:]}:" in self.shortOpt else [name]
        return args

    def parseArgs(self, *args: str) -> None:  # noqa: N802 - Twisted's name
        """Take the service.

        Raises:
            UsageError: there is none, or more than one, or it is no address.
        """
        if len(args) != 1:
            raise UsageError(f"which service? Say {self.kind} PORT or {self.kind} HOST:PORT")
        self.target = _address(args[0])

    def postOptions(self) -> None:
        """Insist on a server.

        Raises:
            UsageError: none is known.
        """
        if not self._given("server", SERVER_VARIABLE).value:
            raise UsageError(f"which server? Say --server HOST, or set {SERVER_VARIABLE}")

    def plan(self) -> Plan:
        """Say what is wanted."""
        host, port = self.target
        return Plan(
            kind=self.kind,
            target_host=host,
            target_port=port,
            common=self._common(),
            identity=identity(),
            service=f"{self.kind} {host} {port}",
        )

    def screen(self) -> Screen:
        """Make what the user sees."""
        return Screen(quiet=bool(self["quiet"]))

    def _common(self) -> dict[str, Setting]:
        common = {
            "server_addr": self._given("server", SERVER_VARIABLE),
            "token": self._given("token", TOKEN_VARIABLE),
            "tls_trusted_ca_file": Setting(self["ca"] or "", "--ca"),
        }
        return {key: setting for key, setting in common.items() if setting.value}

    def _given(self, name: str, variable: str) -> Setting:
        if self[name] is not None:
            return Setting(self[name], f"--{name}")
        return Setting(self.environ.get(variable, ""), variable)


class WebOptions(QuickOptions):
    """Options for what is a web site."""

    optParameters: ClassVar[list[Any]] = [_HOST]
    kind = "http"

    def plan(self) -> Plan:
        """See `QuickOptions`."""
        return evolve(super().plan(), is_web=True, host=self["host"] or "")


class HTTPOptions(WebOptions):
    """Options of ``http``."""

    longdesc = (
        "Makes a web site of this machine reachable, prints its public URL, and a line for each "
        "request. Ctrl-C ends it."
    )
    optParameters: ClassVar[list[Any]] = [
        ["auth", "a", None, "USER:PASSWORD that visitors must know."],
    ]
    optFlags: ClassVar[list[Any]] = [
        ["no-inspect", None, "Keep no requests to look at and repeat."],
    ]

    def plan(self) -> Plan:
        """See `QuickOptions`.

        Raises:
            UsageError: ``--auth`` is no user and password.
        """
        own = {}
        if self["auth"] is not None:
            user, colon, password = self["auth"].partition(":")
            if not (user and colon and password):
                raise UsageError("--auth: not USER:PASSWORD")
            own = {"http_user": Setting(user, "--auth"), "http_pwd": Setting(password, "--auth")}
        return evolve(super().plan(), own=own, inspect=not self["no-inspect"])


class TCPOptions(QuickOptions):
    """Options of ``tcp``."""

    longdesc = (
        "Makes a TCP service of this machine reachable, such as 22 for SSH, and prints where. "
        "Ctrl-C ends it."
    )
    optParameters: ClassVar[list[Any]] = [
        ["remote-port", "r", None, "The server's port; none: it chooses."],
    ]
    kind = "tcp"

    def plan(self) -> Plan:
        """See `QuickOptions`."""
        port = self["remote-port"]
        own = {} if port is None else {"remote_port": Setting(port, "--remote-port")}
        return evolve(super().plan(), own=own)


class JupyterOptions(WebOptions):
    """Options of ``jupyter``; all others are Jupyter's.

    Attributes:
        args: for Jupyter.
    """

    longdesc = (
        "Starts Jupyter on this machine with a new token, makes it reachable, and prints its URL, "
        "token included: whoever has that can do what you can. What isn't said here goes to "
        "Jupyter, such as notebook, lab, --notebook-dir=DIR. Ctrl-C ends both."
    )
    synopsis = "[options] [ARGS of Jupyter]"
    args: Sequence[str] = ()

    def parseOptions(self, options: Any = None) -> None:  # noqa: N802 - as its base has it
        """Parse what is ours, before a ``--``, and leave the rest to Jupyter.

        Raises:
            UsageError: an option of ours lacks its value.
        """
        given: list[str] = list(sys.argv[1:] if options is None else options)
        ours, self.args = self._sorted(given)
        ProgramOptions.parseOptions(self, ours)

    def _sorted(self, given: Sequence[str]) -> tuple[list[str], list[str]]:
        takes_value = {name.removesuffix("="): name.endswith("=") for name in self.longOpt}
        ours, theirs, rest = list[str](), list[str](), list(given)
        while rest:
            arg = rest.pop(0)
            if arg == "--":
                theirs += rest
                break
            name, equals, _ = arg.removeprefix("--").partition("=")
            if not arg.startswith("--") or name not in takes_value:
                theirs.append(arg)
                continue
            ours.append(arg)
            if takes_value[name] and not equals and rest:
                ours.append(rest.pop(0))
        return ours, theirs

    def parseArgs(self, *args: str) -> None:  # noqa: N802 - Twisted's name
        """Take nothing: words are Jupyter's."""

    def at(self, port: int) -> None:
        """Say where Jupyter listens, which is to be known before `plan`."""
        self.target = LOOPBACK, port

    def plan(self) -> Plan:
        """See `QuickOptions`. The name doesn't depend on the port."""
        return evolve(super().plan(), service="jupyter")


def _address(text: str) -> tuple[str, int]:
    """Read a port, or an address with a port.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= MOST_PORT):
        raise UsageError(f"{text}: not a port (1 to {MOST_PORT}), nor HOST:PORT")
    return unbracketed(host) or LOOPBACK, int(port)
