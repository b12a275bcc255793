# -*- test-case-name: tests.test_server_tap -*-
"""``twistd tunnel-server``: its options, and what it is composed of."""

import os
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as global_reactor

from tunnelsvc.config import Loaded, load_server
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.runner import Program, ProgramOptions, config_errors_exit
from tunnelsvc.server.reload import Prepare, Reload
from tunnelsvc.server.service import TunnelServer


class Options(ProgramOptions):
    """Options of the server.

    Attributes:
        loaded: what the configuration file says.
    """

    longdesc = "The public side of the tunnel. Its configuration is that of frps."
    optParameters: ClassVar = [["config", "c", "frps.ini", "The configuration file."]]
    loaded: Loaded[ServerConfig]

    def postOptions(self) -> None:
        """Read the configuration.

        Raises:
            SystemExit: it can't be used; the problems are on standard error.
        """
        with config_errors_exit():
            self.loaded = load_server(self["config"], os.environ)


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
        parts: list[Prepare] = [lambda new: partial(program.show_from, new.log.level)]
        if config.dashboard.port:
            # Half of the start-up time of a server that has no dashboard.
            from tunnelsvc.admin.site import DashboardService  # noqa: PLC0415

            dashboard = DashboardService(config.dashboard, server, reactor)
            dashboard.setServiceParent(program)
            parts.append(dashboard.prepare)
    parts.append(server.prepare)  # the last: it opens files
    # A daemon changes its directory before it reads the file again.
    load = partial(load_server, str(Path(options["config"]).absolute()), os.environ)
    reload = Reload(load, lambda: server.config, parts)
    program.on_hangup += [server.reopen_logs, reload, server.reload_certificates]
    program.on_started = lambda: program.ready(f"listening on port {server.ports['bind']}")
    return program
