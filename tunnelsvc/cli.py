# -*- test-case-name: tests.test_cli -*-
"""The command ``tunnelsvc``.

A role's modules are imported when its command is given: ``verify`` opens no reactor, and the
server doesn't carry the client with it.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from tunnelsvc.lean import forget_sources, lean_imports

with lean_imports():
    import twisted.internet.default  # noqa: F401 - the core, but no reactor yet
    from twisted.python.usage import Options, UsageError

    from tunnelsvc.config import Loaded, load_client, load_server
    from tunnelsvc.flags import FILE, STRICT, FlagOptions, no_unsafe
    from tunnelsvc.runner import ProgramOptions, config_errors_exit, run
forget_sources()

USAGE_STATUS: Final = 2
"""Exit status of a command line that makes no sense, as shells and argparse have it."""

READ_LIMIT_BYTES: Final = 1024 * 1024
"""What is read of a file to see whose it is: the longest that either program takes."""

_INI_SIGN: Final = re.compile(rb"^[ \t]*\[[ \t]*common[ \t]*\]", re.MULTILINE)

# A server's file has [common], certificates and plugins. A client's has proxies, or at least a
# server.
_CLIENT_SIGN: Final = re.compile(
    rb"^\s*(\[(?!\s*(common\s*\]|certificate\.|plugin\.))|server_(addr|port)\s*=)", re.MULTILINE
)

# The same for TOML, YAML and JSON, in which each may be in quotes.
_CLIENT_KEYS: Final = rb"(?:proxies|visitors|serverAddr|serverPort)"
_CLIENT_DOCUMENT_SIGN: Final = re.compile(
    rb"^[ \t]*(?:\[\[[ \t]*%(keys)s[ \t]*\]\]|['\"]?%(keys)s['\"]?[ \t]*[:=])"
    rb"|[{,\s]\"%(keys)s\"\s*:" % {b"keys": _CLIENT_KEYS},
    re.MULTILINE | re.IGNORECASE,
)


def role_of(content: bytes) -> Literal["client", "server"]:
    """Tell whose configuration file this is."""
    if _CLIENT_DOCUMENT_SIGN.search(content):
        return "client"
    return "client" if _INI_SIGN.search(content) and _CLIENT_SIGN.search(content) else "server"


def _role_of_file(path: str) -> Literal["client", "server"]:
    try:
        with Path(path).open("rb") as file:
            return role_of(file.read(READ_LIMIT_BYTES))
    except (OSError, ValueError):
        return "server"  # Reading it again gives the message.


class VerifyRole(FlagOptions):
    """Options of ``verify server`` and ``verify client``."""

    longdesc = "Reads the file, shows what is wrong with it, and runs nothing."
    flags = FILE

    def postOptions(self) -> None:
        """See `no_unsafe`."""
        no_unsafe(self)


class VerifyOptions(VerifyRole):
    """Options of ``verify``."""

    subCommands: ClassVar[list[Any]] = [
        ["server", None, VerifyRole, "Check it as a server's file."],
        ["client", None, VerifyRole, "Check it as a client's file."],
    ]

    @property
    def synopsis(self) -> str:
        """What ``--help`` shows after the command's name."""
        return "" if self.subCommand else "[server|client] -c FILE"

    def path(self) -> str:
        """The file to check.

        Raises:
            UsageError: none is given.
        """
        given = (self.subCommand and self.subOptions["config"]) or self["config"]
        if not given:
            raise UsageError("which file? Say -c FILE")
        return str(given)

    def strict(self) -> bool:
        """Whether a key that nobody knows is an error, where the format has such errors."""
        wide = self.is_on(STRICT, default=True)
        return self.subOptions.is_on(STRICT, default=wide) if self.subCommand else wide

    def role(self) -> str:
        """Whose file it is: what was said, else what it looks like."""
        return str(self.subCommand) if self.subCommand else _role_of_file(self.path())


class ConvertOptions(ProgramOptions):
    """Options of ``convert``."""

    longdesc = (
        "Turns an INI file into TOML, which frp from 0.52 on takes, too. Comments don't come along."
    )
    optParameters: ClassVar = [
        ["output", "o", None, "The file to write; without, it is shown."],
        ["role", "r", None, "client or server; without, it is told from the file."],
    ]

    def parseArgs(self, *paths: str) -> None:  # noqa: N802 - Twisted's name
        """Take the INI file.

        Args:
            paths: its name, and options that stand behind it.

        Raises:
            UsageError: there is none, or more than one, or the role is none.
        """
        if len(paths) > 1 and paths[1].startswith("-"):
            # Twisted stops at the first word that is no option.
            self.parseOptions([*paths[1:], paths[0]])
            return
        if len(paths) != 1:
            raise UsageError("which file? Say convert FILE")
        self["path"] = paths[0]
        if self["role"] not in {None, "client", "server"}:
            raise UsageError("--role is client or server")

    @property
    def synopsis(self) -> str:
        """What ``--help`` shows after the command's name."""
        return "[options] FILE"


class DemoOptions(ProgramOptions):
    """Options of ``demo``."""

    longdesc = "Listens on free ports of 127.0.0.1 only."

    optFlags: ClassVar = [["verbose", "V", "Show what server and client log."]]


def _server_options() -> Options:
    from tunnelsvc.server_tap import Options as ServerOptions

    return ServerOptions()


def _client_options() -> Options:
    with lean_imports():
        import twisted.internet.endpoints  # noqa: F401 - it dials by name, and offers TLS to others

    from tunnelsvc.client_tap import Options as ClientOptions

    return ClientOptions()


def _quick_options(name: str) -> Callable[[], Options]:
    def make() -> Options:
        from tunnelsvc.quick import options

        made: Options = getattr(options, name)()
        return made

    return make


def _remote_options() -> Options:
    from tunnelsvc.remote import RemoteOptions

    return RemoteOptions()


class CommandOptions(ProgramOptions):
    """Options of ``tunnelsvc`` itself."""

    longdesc = "A self-hosted reverse tunnel. tunnelsvc COMMAND --help tells more."
    subCommands: ClassVar[list[Any]] = [
        ["server", None, _server_options, "Run the public side of the tunnel (frps.ini)."],
        ["client", None, _client_options, "Run the hidden side of the tunnel (frpc.ini)."],
        ["http", None, _quick_options("HTTPOptions"), "Make a web site of this machine reachable."],
        [
            "tcp",
            None,
            _quick_options("TCPOptions"),
            "Make a TCP service of this machine reachable.",
        ],
        [
            "jupyter",
            None,
            _quick_options("JupyterOptions"),
            "Start Jupyter, and make it reachable.",
        ],
        ["verify", None, VerifyOptions, "Check a configuration file."],
        ["convert", None, ConvertOptions, "Turn an INI file into TOML."],
        ["reload", None, _remote_options, "Have a client that runs read its file again."],
        ["status", None, _remote_options, "Show how the proxies of a client that runs are."],
        ["stop", None, _remote_options, "End a client that runs."],
        ["demo", None, DemoOptions, "Run both sides and a small web page on this machine."],
    ]

    opt_v = ProgramOptions.opt_version

    @property
    def synopsis(self) -> str:
        """What ``--help`` shows before the command's own synopsis."""
        return "Usage: tunnelsvc" if self.subCommand else "Usage: tunnelsvc COMMAND [options]"

    def postOptions(self) -> None:
        """Insist on a command.

        Raises:
            UsageError: there is none.
        """
        if not self.subCommand:
            raise UsageError("a command is missing")


def _run_server(options: Any) -> int:
    from tunnelsvc.server_tap import makeService

    forget_sources()
    return run(makeService(options))


def _run_client(options: Any) -> int:
    from tunnelsvc.client_tap import makeService

    forget_sources()
    return run(makeService(options))


def _run_quick(options: Any) -> int:
    from twisted.internet import reactor

    from tunnelsvc.quick.program import make_program

    forget_sources()
    return run(make_program(options, reactor))


def _run_jupyter(options: Any) -> int:
    from twisted.internet import reactor

    from tunnelsvc.quick.jupyter import make_jupyter

    return run(make_jupyter(options, reactor))


def _run_demo(options: DemoOptions) -> int:
    from twisted.internet import reactor

    from tunnelsvc.demo import make_demo

    show = partial(print, flush=True)
    return run(make_demo(reactor, show, verbose=bool(options["verbose"])))


def _verify(options: VerifyOptions) -> int:
    path = options.path()
    load: Callable[..., Loaded[Any]] = load_client if options.role() == "client" else load_server
    with config_errors_exit():
        loaded = load(path, os.environ, strict=options.strict())
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    print(f"tunnelsvc: the configuration file {path} syntax is ok")
    return 0


def _convert(options: ConvertOptions) -> int:
    from tunnelsvc.config.convert import convert, write

    path = options["path"]
    with config_errors_exit():
        text, warnings = convert(path, options["role"] or _role_of_file(path))
        if options["output"]:
            write(options["output"], text)
    for warning in warnings:
        print(warning, file=sys.stderr)
    if not options["output"]:
        print(text, end="")
    return 0


def _remote(name: str, options: Any) -> int:
    from tunnelsvc.remote import run_command

    return run_command(name, options)


COMMANDS: Final[dict[str, Callable[[Any], int]]] = {
    "server": _run_server,
    "client": _run_client,
    "verify": _verify,
    "convert": _convert,
    "reload": partial(_remote, "reload"),
    "status": partial(_remote, "status"),
    "stop": partial(_remote, "stop"),
    "demo": _run_demo,
    "http": _run_quick,
    "tcp": _run_quick,
    "jupyter": _run_jupyter,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments, without the program's name; those of the process if None.

    Returns:
        The exit status.

    Raises:
        SystemExit: help or version was shown, or the configuration can't be used.
    """
    # What the console can't show is better garbled than lost.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = CommandOptions()
    try:
        options.parseOptions(sys.argv[1:] if argv is None else list(argv))
        return COMMANDS[str(options.subCommand)](options.subOptions)
    except UsageError as error:
        command = f"{options.subCommand} " if options.subCommand else ""
        print(f"tunnelsvc: {error}\nTry: tunnelsvc {command}--help", file=sys.stderr)
        return USAGE_STATUS
