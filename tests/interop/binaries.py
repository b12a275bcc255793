# -*- test-case-name: tests.interop -*-
"""The real frp programs below ``FRP_BIN_DIR``, and how a case gets tests with each of them."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.programs import OUR_CLIENT, OUR_SERVER, FrpBinaries, Peer

BINARIES: Final = FrpBinaries.find()

C = TypeVar("C", bound=SynchronousTestCase)
D = TypeVar("D", bound=SynchronousTestCase)


def add_tests(case: type[C], tests: Mapping[str, Callable[[C], None]]) -> None:
    """Add tests to a case, or one that says what is missing.

    Args:
        case: gets them.
        tests: what they do, by the ends of their names.
    """
    for name, test in (tests or {"none": _skip}).items():
        setattr(case, f"test_{name}", _method(test))


def add_with_each(
    with_clients: type[C],
    with_servers: type[D],
    tests: Callable[[Peer, Peer], Mapping[str, Callable[[Any], None]]],
) -> None:
    """Add tests to two cases: each real frpc with our server, and our client with each real frps.

    Args:
        with_clients: gets those with a frpc.
        with_servers: gets those with a frps.
        tests: given client and server, returns them as `add_tests` takes them.
    """
    clients = [tests(peer, OUR_SERVER) for peer in BINARIES.clients]
    servers = [tests(OUR_CLIENT, peer) for peer in BINARIES.servers]
    add_tests(with_clients, {name: test for each in clients for name, test in each.items()})
    add_tests(with_servers, {name: test for each in servers for name, test in each.items()})


def with_each_server(
    checks: Mapping[str, Callable[[C, Peer], None]],
) -> dict[str, Callable[[C], None]]:
    """Give the tests that make each check with each real frps, as `add_tests` takes them."""
    return {
        f"{peer.label}_{name}": lambda case, check=check, peer=peer: check(case, peer)  # type: ignore[misc]
        for peer in BINARIES.servers
        for name, check in checks.items()
    }


def _method(test: Callable[[C], None]) -> object:
    """Make what an instance binds, whatever kind of callable it is."""

    def method(case: C) -> None:
        test(case)

    return method


def _skip(case: SynchronousTestCase) -> None:
    raise SkipTest("FRP_BIN_DIR names no directory with real frp programs")
