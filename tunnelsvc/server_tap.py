# -*- test-case-name: tests.test_server_tap -*-
"""``twistd tunnel-server``: its options, and what it is composed of."""

import os
from typing import Any, Final

from twisted.internet import reactor as global_reactor

from tunnelsvc.config import Loaded, load_server
from tunnelsvc.config.commandline import server_of
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.flags import FILE, SERVER, STRICT, FlagOptions, no_unsafe
from tunnelsvc.runner import Program, config_errors_exit
from tunnelsvc.server.service import TunnelServer

DEFAULT_FILE: Final = "frps.ini"
"""What is read when neither a file nor flags are given."""


class Options(FlagOptions):
    """Options of the server.

    Attributes:
        loaded: what the configuration file says, or the flags.
    """

    longdesc = "The public side of the tunnel. Its configuration is that of frps."
    flags = (*FILE, *SERVER)
    loaded: Loaded[ServerConfig]

    def postOptions(self) -> None:
        """Read the configuration.

        Raises:
            UsageError: a flag makes no sense.
            SystemExit: the configuration can't be used; the problems are on standard error.
        """
        no_unsafe(self)
        strict = self.is_on(STRICT, default=True)
        entries = self.entries(SERVER)
        with config_errors_exit():
            if self["config"] is None and entries:
                self.loaded = server_of(entries)
            else:
                path = self["config"] or DEFAULT_FILE
                self.loaded = load_server(path, os.environ, strict=strict, flags=entries)


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
        server.setServiceParent(program)
        program.on_hangup += [server.reopen_logs, server.reload_certificates]
        if config.dashboard.port:
            # Half of the start-up time of a server that has no dashboard.
            from tunnelsvc.admin.site import DashboardService  # noqa: PLC0415

            DashboardService(config.dashboard, server, reactor).setServiceParent(program)
    program.on_started = lambda: program.ready(f"listening on port {server.ports['bind']}")
    return program
