# -*- test-case-name: tests.test_server_tap -*-
"""``twistd tunnel-server``: its options, and what it is composed of."""

import os
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as global_reactor

from tunnelsvc.config import Loaded, load_server
from tunnelsvc.config.commandline import server_of
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.flags import FILE, SERVER, STRICT, FlagOptions, no_unsafe
from tunnelsvc.lean import import_web
from tunnelsvc.runner import Program, config_errors_exit
from tunnelsvc.server.reload import Prepare, Reload
from tunnelsvc.server.service import TunnelServer

DEFAULT_FILE: Final = "frps.ini"
"""What is read when neither a file nor flags are given."""


class Options(FlagOptions):
    """Options of the server.

    Attributes:
        loaded: what the configuration file says, or the flags.
        strict: whether a key that nobody knows is an error, where the format has such errors.
    """

    longdesc = "The public side of the tunnel. Its configuration is that of frps."
    flags = (*FILE, *SERVER)
    loaded: Loaded[ServerConfig]
    strict = True

    def postOptions(self) -> None:
        """Read the configuration.

        Raises:
            UsageError: a flag makes no sense.
            SystemExit: the configuration can't be used; the problems are on standard error.
        """
        no_unsafe(self)
        self.strict = self.is_on(STRICT, default=True)
        entries = self.entries(SERVER)
        with config_errors_exit():
            if self["config"] is None and entries:
                self.loaded = server_of(entries)
            else:
                self.loaded = self.load(self["config"] or DEFAULT_FILE)

    def load(self, path: str) -> Loaded[ServerConfig]:
        """Read a file, before whose values those of flags go.

        Raises:
            ConfigError: with everything that is wrong.
        """
        return load_server(path, os.environ, strict=self.strict, flags=self.entries(SERVER))


def makeService(options: Options, reactor: Any = global_reactor) -> Program:
    """Compose the server: tunnel and dashboard.

    Args:
        options: the parsed command line.
        reactor: what everything runs on.

    Raises:
        SystemExit: a file can't be used; the problems are on standard error.
    """
    config = options.loaded.config
    program = Program(
        config.log, reactor, warnings=options.loaded.warnings, launcher=options.parent
    )
    with config_errors_exit():
        server = TunnelServer(config, reactor)
        parts: list[Prepare] = [lambda new: partial(program.set_log_level, new.log.level)]
        if config.dashboard.port:
            # Half of the start-up time of a server that has no dashboard.
            import_web()
            from tunnelsvc.admin.history.place import find  # noqa: PLC0415
            from tunnelsvc.admin.history.service import History  # noqa: PLC0415
            from tunnelsvc.admin.site import DashboardService  # noqa: PLC0415

            place = find(config.data_dir, options.parent, os.environ)
            history = History(place, server.stats, server.moderation, reactor)
            history.setServiceParent(program)
            # What is saved ends before the last of it is written.
            server.setServiceParent(history)
            dashboard = DashboardService(config.dashboard, server, reactor, history)
            dashboard.setServiceParent(history)
            parts.append(dashboard.prepare)
        else:
            server.setServiceParent(program)
    parts.append(server.prepare)  # the last: it opens files
    program.on_hangup.append(server.reopen_logs)
    if config.path:
        # A daemon changes its directory before it reads the file again.
        load = partial(options.load, str(Path(config.path).absolute()))
        program.on_hangup.append(Reload(load, lambda: server.config, server.stats.events, parts))
    program.on_hangup.append(server.reload_certificates)
    program.on_started = lambda: program.ready(f"listening on port {server.ports['bind']}")
    return program
