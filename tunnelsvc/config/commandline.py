# -*- test-case-name: tests.config.test_commandline -*-
"""Configurations of what a command line says instead of a file."""

from collections.abc import Mapping
from typing import Final

from tunnelsvc.config.files import COMMON, File, Settings
from tunnelsvc.config.load import Loaded, make_client, make_server
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.schema import ClientConfig, ServerConfig

COMMAND_LINE: Final = "command line"
"""What messages say in the place of a file's name."""

Entries = Mapping[str, Entry]


def server_of(common: Entries) -> Loaded[ServerConfig]:
    """Make a server.

    Args:
        common: of ``[common]``, by key.

    Raises:
        ConfigError: with everything that is wrong.
    """
    return make_server("", _file(common), Report(COMMAND_LINE))


def client_of(common: Entries, name: str, proxy: Entries) -> Loaded[ClientConfig]:
    """Make a client with one proxy or visitor.

    Args:
        common: as for a server.
        name: of the proxy.
        proxy: of its section.

    Raises:
        ConfigError: with everything that is wrong.
    """
    file = _file(common, Section(name, 0, proxy, shown=""))
    return make_client("", file, Settings({}, "client", strict=True), Report(COMMAND_LINE))


def _file(common: Entries, *others: Section) -> File:
    return File(Section(COMMON, 0, common, shown=""), list(others), is_ini=True)
