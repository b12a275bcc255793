# -*- test-case-name: tests.test_client_tap -*-
"""``twistd tunnel-client``: its options, and what it is composed of."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import define
from twisted.internet import reactor as global_reactor

from tunnelsvc.addresses import LOOPBACK
from tunnelsvc.client.reloading import Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config import Loaded, load_client
from tunnelsvc.config.commandline import client_of
from tunnelsvc.config.keys import VISITOR_TYPES
from tunnelsvc.config.report import Entry
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.flags import (
    CLIENT,
    CONFIG_DIR,
    FILE,
    PROXIES,
    STRICT,
    VISITOR,
    Flag,
    FlagOptions,
    no_unsafe,
)
from tunnelsvc.lean import import_web
from tunnelsvc.runner import Program, config_errors_exit

DEFAULT_FILE: Final = "frpc.ini"
"""What is read when nothing else is given."""


class SingleOptions(FlagOptions):
    """Options of a client without a file, for one proxy or visitor.

    Attributes:
        kind: its type.
        own_flags: those of its section; the others are of ``[common]``.
    """

    kind: ClassVar[str]
    own_flags: ClassVar[Sequence[Flag]]

    def load(self) -> Loaded[ClientConfig]:
        """Make the configuration.

        Raises:
            UsageError: a flag makes no sense.
            ConfigError: with everything that is wrong.
        """
        if self.subCommand:
            loaded: Loaded[ClientConfig] = self.subOptions.load()
            return loaded
        common = {"server_addr": Entry("", "server_addr", LOOPBACK, 0)}
        common |= self.entries(CLIENT)
        own = self.said_by_name() | self.entries(self.own_flags)
        port = own.get("local_port") or own.get("bind_port")
        name = own.pop("name", None)
        default = f"{self.kind}-{port.value}" if port else self.kind
        return client_of(common, name.value if name else default, own)

    def said_by_name(self) -> dict[str, Entry]:
        """Return the entries that the command's name stands for."""
        return {"type": Entry("", "type", self.kind, 0, f"client {self.kind}")}


class _VisitorOptions(SingleOptions):
    """Options of a client with one visitor."""

    own_flags = VISITOR

    def said_by_name(self) -> dict[str, Entry]:
        """See `SingleOptions`."""
        role = Entry("", "role", "visitor", 0, "visitor")
        return super().said_by_name() | {"role": role}


def _single(kind: str) -> type[SingleOptions]:
    """Make the options of the command for one type of proxy."""
    own = PROXIES[kind]
    more: list[list[Any]] = []
    if kind in VISITOR_TYPES:
        visitor = {"kind": kind, "flags": (*CLIENT, *VISITOR)}
        made = type(f"{kind}Visitor", (_VisitorOptions,), visitor)
        more.append(["visitor", None, made, "The visitor's side of it."])
    attributes = {"kind": kind, "own_flags": own, "flags": (*CLIENT, *own)}
    return type(kind, (SingleOptions,), {**attributes, "subCommands": more})


class Options(FlagOptions):
    """Options of the client.

    Attributes:
        loaded: what the configuration file says, or the flags, or a directory's first file.
        others: what that directory's other files say.
        strict: whether a key that nobody knows is an error, where the format has such errors.
    """

    longdesc = (
        "The hidden side of the tunnel. Its configuration is that of frpc; a single proxy needs no "
        "file: tunnelsvc client tcp --help."
    )
    flags = (*FILE, CONFIG_DIR)
    subCommands: ClassVar[list[Any]] = [
        [kind, None, _single(kind), f"One proxy of type {kind}, without a file."]
        for kind in PROXIES
    ]
    loaded: Loaded[ClientConfig]
    others: Sequence[Loaded[ClientConfig]] = ()
    strict = True

    def postOptions(self) -> None:
        """Read the configuration.

        Raises:
            UsageError: a flag makes no sense.
            SystemExit: the configuration can't be used; the problems are on standard error.
        """
        no_unsafe(self)
        with config_errors_exit():
            self.loaded, *self.others = self._load()

    def _load(self) -> Iterator[Loaded[ClientConfig]]:
        if self.subCommand:
            yield self.subOptions.load()
            return
        self.strict = self.is_on(STRICT, default=True)
        for path in self._paths():
            yield _load(path, strict=self.strict)

    def _paths(self) -> list[str]:
        directory = self[CONFIG_DIR.dashed]
        if directory is None:
            return [self["config"] or DEFAULT_FILE]
        try:
            paths = sorted(str(path) for path in Path(directory).iterdir() if path.is_file())
        except OSError as why:
            raise ConfigError([f"{directory}: can't be read: {why.strerror or why}"]) from None
        if not paths:
            raise ConfigError([f"{directory}: there is no file in it"])
        return paths


def _load(path: str, *, strict: bool) -> Loaded[ClientConfig]:
    """Read a client's file; see `tunnelsvc.client.reloading.Load`."""
    return load_client(path, os.environ, strict=strict)


def _run_with_reloads(program: Program, client: TunnelClient, *, strict: bool) -> None:
    """Run a client with what reads its file again, and the site by which that is asked for."""
    path = str(Path(client.config.path).absolute())
    reloader = Reloader(client, path, _load, program.reactor, program.set_log_level, strict=strict)
    if client.config.admin.port:
        # twisted.web is half as much again as all the rest of a client.
        import_web()
        from tunnelsvc.admin.clientsite import AdminService  # noqa: PLC0415

        # Before the client: it answers, and refuses to start, before the first login.
        AdminService(client, reloader, program.end, program.reactor).setServiceParent(program)
    client.setServiceParent(program)
    reloader.setServiceParent(program)
    program.on_hangup.append(reloader.reload_or_log)


def makeService(options: Options, reactor: Any = global_reactor) -> Program:
    """Compose the client.

    Args:
        options: the parsed command line.
        reactor: what everything runs on.

    Raises:
        SystemExit: a TLS file can't be used; the problems are on standard error.
    """
    first = options.loaded.config
    all_loaded = [options.loaded, *options.others]
    warnings = [text for loaded in all_loaded for text in loaded.warnings]
    program = Program(first.log, reactor, warnings=warnings, launcher=options.parent)
    clients = Remaining(program, len(all_loaded))
    for loaded in all_loaded:
        with config_errors_exit():
            client = TunnelClient(loaded.config, reactor, clients.gave_up)
            client.on_login = lambda run_id: program.ready(f"logged in, run id {run_id}")
            if client.config.path:
                _run_with_reloads(program, client, strict=options.strict)
            else:
                client.setServiceParent(program)
    return program


@define
class Remaining:
    """Ends the program when all its clients have given up.

    Attributes:
        program: that.
        left: clients that haven't.
    """

    program: Program
    left: int

    def gave_up(self, message: str) -> None:
        """Take note of one more."""
        self.left -= 1
        if self.left <= 0:
            self.program.fail(message)
