# -*- test-case-name: tests.config.test_commandline -*-
"""Tests of `tunnelsvc.config.commandline`; `tests.test_flags` has the flags that lead there."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config.commandline import COMMAND_LINE, client_of, server_of
from tunnelsvc.config.proxies import TCPProxyConfig, VisitorConfig
from tunnelsvc.config.report import Entry
from tunnelsvc.errors import ConfigError


def entries(**values: str) -> dict[str, Entry]:
    return {key: Entry("x", key, value, 0) for key, value in values.items()}


class CommandLineTests(SynchronousTestCase):
    """Configurations without a file."""

    def test_server(self) -> None:
        config = server_of(entries(bind_port="7001", token="t")).config
        self.assertEqual((config.path, config.bind_port, config.token), ("", 7001, "t"))

    def test_client(self) -> None:
        common = entries(server_addr="vps", token="t")
        loaded = client_of(common, "ssh", entries(type="tcp", local_port="22", remote_port="6000"))
        self.assertEqual(
            loaded.config.proxies, (TCPProxyConfig(name="ssh", local_port=22, remote_port=6000),)
        )
        self.assertEqual(loaded.warnings, ())

    def test_visitor(self) -> None:
        proxy = entries(type="stcp", role="visitor", server_name="ssh", sk="s", bind_port="6000")
        [visitor] = client_of(entries(token="t"), "v", proxy).config.visitors
        self.assertEqual(
            visitor,
            VisitorConfig(name="v", type="stcp", server_name="ssh", secret_key="s", bind_port=6000),
        )

    def test_all_that_is_wrong(self) -> None:
        """At once, and said of the command line, not of a file."""
        with self.assertRaises(ConfigError) as raised:
            client_of(entries(server_port="x"), "ssh", entries(type="tcp", local_port="y"))
        self.assertEqual(len(raised.exception.problems), 2)
        for problem in raised.exception.problems:
            self.assertTrue(problem.startswith(f"{COMMAND_LINE}:"), problem)
