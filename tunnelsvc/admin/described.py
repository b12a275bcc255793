# -*- test-case-name: tests.admin.test_described -*-
"""The description of all that programs find on the server's site: ``/api/openapi.json``."""

from functools import cache
from typing import Any, Final

from tunnelsvc.admin import frpschemas, ownapi, ownschemas, serverapi, serverapi2
from tunnelsvc.admin.endpoints import Endpoint, Schema
from tunnelsvc.admin.openapi import INTEGER, STRING, Section, describe, record
from tunnelsvc.admin.routing import Routes


def enveloped(schema: Schema) -> Schema:
    """Describe an answer of frp's second API."""
    return record(code=INTEGER, msg=STRING, data=schema)


TEXT: Final = "text/plain"
SITE: Final[Routes[Endpoint[None]]] = {
    ("healthz",): {
        b"GET": Endpoint(None, "200 while the server lives.", content_type=TEXT, is_open=True)
    },
    ("metrics",): {
        b"GET": Endpoint(
            None, "For Prometheus, with enable_prometheus.", content_type=TEXT, errors=(404,)
        )
    },
}
"""What of the site is no API, and still for programs."""

SECTIONS: Final = (
    Section("", "site", SITE),
    Section("/api/admin", "dashboard", ownapi.ROUTES),
    Section("/api", "frp", serverapi.ROUTES),
    Section("/api/v2", "frp v2", serverapi2.ROUTES, "V2Error", enveloped),
)


@cache
def description() -> dict[str, Any]:
    """Make the description, once."""
    return describe("tunnelsvc server", SECTIONS, {**ownschemas.SCHEMAS, **frpschemas.SCHEMAS})
