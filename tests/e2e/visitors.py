# -*- test-case-name: tests.e2e.test_visitors -*-
"""Three programs for a test: a server, the owner of secret proxies, and who visits them."""

from typing import Final

from tests.e2e.services import connected, is_closed
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import OUR_CLIENT, Peer, Program, Sections

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

    def start_owner(self, proxies: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start the owner's client, and wait until its proxies work, by whatever name they have."""
        owner = self.run_in_role("owner", self.client_peer, proxies, options)
        owner.wait_for("start proxy success", times=len(proxies))
        return owner

    def start_visitor(self, visitors: Sections, options: Options = NO_OPTIONS) -> Program:
        """Start the visitor's client, and wait until users can come."""
        visitor = self.run_in_role("visitor", self.visitor_peer, visitors, options)
        visitor.wait_for("start visitor success", times=len(visitors))
        return visitor

    def run_in_role(
        self, role: str, peer: Peer, sections: Sections, options: Options = NO_OPTIONS
    ) -> Program:
        """Run a client that may have proxies, visitors, and both."""
        config = self.write_config(f"{role}.ini", self.client_sections(sections, options))
        return self.run_program((*peer.command, "-c", str(config)), name=f"{role} {peer.name}")


def is_refused(port: int) -> bool:
    """Whether a visitor's user is sent away, perhaps before the kernel has told of the arrival."""
    try:
        with connected(port) as user:
            return is_closed(user)
    except ConnectionError:
        return True
