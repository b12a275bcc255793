# -*- test-case-name: tests.e2e.test_visitors -*-
"""Three programs for a test: a server, the owner of secret proxies, and who visits them."""

from typing import Final

from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import (
    OUR_CLIENT,
    Peer,
    Program,
    Sections,
    accepts_connections,
    is_free_udp,
)

SECRET: Final = "open sesame"


def stcp_proxy(local_port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of a ``stcp`` proxy."""
    return {"type": "stcp", "sk": SECRET, "local_port": local_port, **options}


def stcp_visitor(server_name: str, port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of its visitor, whose users come to `port`."""
    return {
        "type": "stcp",
        "role": "visitor",
        "sk": SECRET,
        "server_name": server_name,
        "bind_addr": "127.0.0.1",
        "bind_port": port,
        **options,
    }


def sudp_proxy(local_port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of a ``sudp`` proxy."""
    return {**stcp_proxy(local_port, options), "type": "sudp"}


def sudp_visitor(server_name: str, port: int, options: Options = NO_OPTIONS) -> Options:
    """Give the section of its visitor."""
    return {**stcp_visitor(server_name, port, options), "type": "sudp"}


class VisitorTestCase(TunnelTestCase):
    """A tunnel with one client more; `client_peer` is the owner's program."""

    visitor_peer: Peer = OUR_CLIENT

    def start_visitor(self, visitors: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start the visitor's client, and wait until users can come."""
        config = self.write_config("visitor.ini", self.client_sections(visitors, options))
        client = self.run_program(
            (*self.visitor_peer.command, "-c", str(config)),
            name=f"visiting {self.visitor_peer.name}",
        )
        for section in visitors.values():
            port = section["bind_port"]
            if section["type"] == "sudp":
                client.wait_until(lambda port=port: not is_free_udp(port), f"port {port} is taken")  # type: ignore[misc]
                continue
            assert isinstance(port, int)
            client.wait_until(lambda port=port: accepts_connections(port), f"port {port} is open")  # type: ignore[misc]
        return client
