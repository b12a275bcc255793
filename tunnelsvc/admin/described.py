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


TEXT, HTML = "text/plain", "text/html"
SITE: Final[Routes[Endpoint[None]]] = {
    ("healthz",): {
        b"GET": Endpoint(None, "200 while the server lives.", content_type=TEXT, is_open=True)
    },
    ("login",): {
        b"GET": Endpoint(None, "A form for people.", content_type=HTML, is_open=True),
        b"POST": Endpoint(
            None,
            "Begin a session, whose cookie comes with the answer.",
            "Begun",
            body="Credentials",
            takes_forms=True,
            errors=(403, 429),
            is_open=True,
        ),
    },
    ("logout",): {b"POST": Endpoint(None, "End the session.")},
    ("api", "admin", "session"): {
        b"GET": Endpoint(None, "Who asks, and the token for changes.", "Session")
    },
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
    schemas = {**ownschemas.SCHEMAS, **frpschemas.SCHEMAS}
    return describe("tunnelsvc server", sections, schemas, cookie=cookie)
