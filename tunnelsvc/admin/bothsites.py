# -*- test-case-name: tests.admin.test_described -*-
"""What both sites have for programs beside their APIs, for the descriptions."""

from collections.abc import Mapping
from typing import Final

from tunnelsvc.admin.endpoints import Endpoint, Schema
from tunnelsvc.admin.openapi import STRING, record
from tunnelsvc.admin.routing import Routes

TEXT, HTML = "text/plain", "text/html"

HEALTH: Final[Routes[Endpoint[None]]] = {
    ("healthz",): {
        b"GET": Endpoint(None, "200 while the program lives.", content_type=TEXT, is_open=True)
    },
}
SESSION: Final[Routes[Endpoint[None]]] = {
    ("api", "admin", "session"): {
        b"GET": Endpoint(None, "Who asks, how that is known, and the token for changes.", "Session")
    },
}
"""Which the gate answers, whether a password is asked for or not."""
LOGIN: Final[Routes[Endpoint[None]]] = {
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
}
"""Where a password is asked for."""

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Credentials": record(user=STRING, password=STRING),
    "Begun": record(csrf=STRING),
    "Session": record(
        user=STRING,
        csrf=STRING,
        by={"type": "string", "enum": ["cookie", "basic", "none"]},
        version=STRING,
    ),
    "Description": {"type": "object", "required": ["openapi", "info", "paths"]},
}
