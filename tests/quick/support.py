# -*- test-case-name: tests.quick.test_plan -*-
"""What the tests of `tunnelsvc.quick` share."""

from typing import Any

from tunnelsvc.quick.plan import Plan, Setting


def make_plan(**changes: Any) -> Plan:
    """Make a plan for a web site on port 8888."""
    settings: dict[str, Any] = {
        "kind": "http",
        "target_port": 8888,
        "common": {"server_addr": Setting("example.com:7001", "--server")},
        "identity": b"me",
        "service": "http 127.0.0.1 8888",
        "is_web": True,
    }
    return Plan(**settings | changes)
