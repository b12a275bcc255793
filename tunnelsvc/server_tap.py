# -*- test-case-name: tests.test_server_tap -*-
"""``twistd tunnel-server``: its options, and what it is composed of."""

import os
from typing import Any, ClassVar

from twisted.internet import reactor as global_reactor

from tunnelsvc.config import Loaded, load_server
from tunnelsvc.config.schema import ServerConfig
from tunnelsvc.runner import Program, ProgramOptions, config_errors_exit
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
        program.on_hangup += [server.reopen_logs, server.reload_certificates]
        if config.dashboard.port:
            # Half of the start-up time of a server that has no dashboard.
            from tunnelsvc.admin.site import DashboardService  # noqa: PLC0415

            DashboardService(config.dashboard, server, reactor).setServiceParent(program)
    program.on_started = lambda: program.ready(f"listening on port {server.ports['bind']}")
    return program
