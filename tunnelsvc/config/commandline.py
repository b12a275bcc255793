# -*- test-case-name: tests.config.test_commandline -*-
"""Configurations of what a command line says instead of a file."""

from collections.abc import Mapping

from tunnelsvc.config.load import Loaded, make_client, make_server
from tunnelsvc.config.report import Entry, Report, Section
from tunnelsvc.config.schema import ClientConfig, ServerConfig

Entries = Mapping[str, Entry]

COMMAND_LINE = "command line"
"""What messages say in the place of a file's name."""


def server_of(entries: Entries) -> Loaded[ServerConfig]:
    """Make a server of the keys of ``[common]`` alone.

    Raises:
        ConfigError: with everything that is wrong.
    """
    return make_server("", _common(entries), [], Report(COMMAND_LINE))


def client_of(common: Entries, name: str, proxy: Entries) -> Loaded[ClientConfig]:
    """Make a client with one proxy or visitor.

    Args:
        common: keys of ``[common]``.
        name: of the proxy.
        proxy: keys of its section.

    Raises:
        ConfigError: with everything that is wrong.
    """
    section = Section(name, 0, proxy, shown="")
    return make_client("", _common(common), [section], Report(COMMAND_LINE))


def _common(entries: Entries) -> Section:
    return Section("common", 0, entries, shown="")
