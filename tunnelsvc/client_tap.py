# -*- test-case-name: tests.test_client_tap -*-
"""``twistd tunnel-client``: its options, and what it is composed of."""

import os
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as global_reactor

from tunnelsvc.client.reloading import Reloader
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config import Loaded, load_client
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.runner import Program, ProgramOptions, config_errors_exit


class Options(ProgramOptions):
    """Options of the client.

    Attributes:
        loaded: what the configuration file says.
    """

    longdesc = "The hidden side of the tunnel. Its configuration is that of frpc."
    optParameters: ClassVar = [["config", "c", "frpc.ini", "The configuration file."]]
    loaded: Loaded[ClientConfig]

    def postOptions(self) -> None:
        """Read the configuration.

        Raises:
            SystemExit: it can't be used; the problems are on standard error.
        """
        with config_errors_exit():
            self.loaded = load_client(self["config"], os.environ)


def _load(path: str, *, strict: bool) -> Loaded[ClientConfig]:
    """Read a client's file; see `tunnelsvc.client.reloading.Load`."""
    del strict  # INI files, which are all that there are, have no such errors.
    return load_client(path, os.environ)


def makeService(options: Options, reactor: Any = global_reactor) -> Program:
    """Compose the client.

    Args:
        options: the parsed command line.
        reactor: what everything runs on.

    Raises:
        SystemExit: a TLS file can't be used; the problems are on standard error.
    """
    config = options.loaded.config
    program = Program(
        config.log, reactor, warnings=options.loaded.warnings, launcher=options.parent
    )
    path = str(Path(options["config"]).absolute())
    with config_errors_exit():
        client = TunnelClient(config, reactor, program.fail)
        reloader = Reloader(client, path, _load, reactor, program.set_log_level)
        if config.admin.port:
            # twisted.web is half as much again as all the rest of a client.
            from tunnelsvc.admin.clientsite import AdminService  # noqa: PLC0415

            # Before the client: it answers, and refuses to start, before the first login.
            AdminService(client, reloader, program.end, reactor).setServiceParent(program)
    client.on_login = lambda run_id: program.ready(f"logged in, run id {run_id}")
    client.setServiceParent(program)
    reloader.setServiceParent(program)
    program.on_hangup.append(reloader.reload_or_log)
    return program
