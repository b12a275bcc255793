# -*- test-case-name: tests.admin.test_described -*-
"""The description of all that programs find on the server's site: ``/api/openapi.json``."""

from functools import cache
from typing import Any, Final

from tunnelsvc.admin import bothsites, frpschemas, ownapi, ownschemas, serverapi, serverapi2
from tunnelsvc.admin.bothsites import HEALTH, LOGIN, SESSION, TEXT
from tunnelsvc.admin.endpoints import Endpoint, Schema
from tunnelsvc.admin.openapi import INTEGER, STRING, Section, describe, record
from tunnelsvc.admin.routing import Routes


def enveloped(schema: Schema) -> Schema:
    """Describe an answer of frp's second API."""
    return record(code=INTEGER, msg=STRING, data=schema)


SITE: Final[Routes[Endpoint[None]]] = {
    **HEALTH,
    **LOGIN,
    **SESSION,
}
"""What isn't answered by an API, and still is for programs."""
METRICS: Final[Routes[Endpoint[None]]] = {
    ("metrics",): {b"GET": Endpoint(None, "For Prometheus.", content_type=TEXT)}
}
"""With ``enable_prometheus``."""

SECTIONS: Final = (
    Section("", "site", SITE),
    Section("/api/admin", "dashboard", ownapi.ROUTES),
    Section("/api", "frp", serverapi.ROUTES),
    Section("/api/v2", "frp v2", serverapi2.ROUTES, "V2Error", enveloped),
)


@cache
def description(cookie: str, *, metrics: bool) -> dict[str, Any]:
    """Make the description, once for each name that the session's cookie has.

    Args:
        cookie: that name.
        metrics: whether there are any.
    """
    sections = (*SECTIONS, Section("", "site", METRICS)) if metrics else SECTIONS
    schemas = {**bothsites.SCHEMAS, **ownschemas.SCHEMAS, **frpschemas.SCHEMAS}
    return describe("tunnelsvc server", sections, schemas, cookie=cookie)
