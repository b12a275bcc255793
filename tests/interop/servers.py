# -*- test-case-name: tests.interop.test_plugins -*-
"""Give a case one test for each real frps and each thing to check behind it."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.programs import FrpBinaries, Peer


def add_tests(
    case: type[SynchronousTestCase], checks: Mapping[str, Callable[[Any, Peer], None]]
) -> None:
    """Add the tests, or one that says what is missing.

    Args:
        case: gets them.
        checks: methods of `case`, by the ends of the tests' names.
    """
    servers = FrpBinaries.find().servers
    for peer in servers:
        for name, check in checks.items():
            setattr(case, f"test_{peer.label}_{name}", _test(peer, check))
    if not servers:
        setattr(case, "test_none", _skip)  # noqa: B010 - the type has no such attribute


def _test(server: Peer, check: Callable[[Any, Peer], None]) -> object:
    def test(self: SynchronousTestCase) -> None:
        check(self, server)

    return test


def _skip(self: SynchronousTestCase) -> None:
    raise SkipTest("FRP_BIN_DIR names no directory with real frp programs")
