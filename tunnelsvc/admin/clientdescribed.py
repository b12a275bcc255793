# -*- test-case-name: tests.admin.test_clientdescribed -*-
"""The description of all that programs find on the client's site: ``/api/openapi.json``."""

from functools import cache
from typing import Any, Final

from tunnelsvc.admin import bothsites, clientadmin, clientschemas
from tunnelsvc.admin.bothsites import HEALTH, LOGIN, SESSION, TEXT
from tunnelsvc.admin.endpoints import Choice, Endpoint, Text
from tunnelsvc.admin.openapi import Section, describe
from tunnelsvc.admin.routing import ANY, Routes

_NAME: Final = Text("name", "As in the file.", None)
_STRICT: Final = Choice("strictConfig", "Whether unknown keys are errors.", ("true", "false"))

FRP: Final[Routes[Endpoint[None]]] = {
    ("openapi.json",): {b"GET": Endpoint(None, "This description.", "Description")},
    ("status",): {b"GET": Endpoint(None, "How all proxies are, by type.", "FrpStatus")},
    ("reload",): {
        b"GET": Endpoint(
            None, "Read the file again.", "FrpReloaded", query=(_STRICT,), errors=(400,)
        )
    },
    ("stop",): {b"POST": Endpoint(None, "End the program.", content_type=TEXT)},
    ("config",): {
        b"GET": Endpoint(None, "The file, as it is.", content_type=TEXT, errors=(400,)),
        b"PUT": Endpoint(
            None,
            "Exchange the file, which is the body as it is; it isn't read before a reload.",
            content_type=TEXT,
            errors=(400, 413),
        ),
    },
    ("proxy", ANY, "config"): {
        b"GET": Endpoint(None, "What the file says of a proxy.", "FrpDefinition", path=(_NAME,))
    },
    ("visitor", ANY, "config"): {
        b"GET": Endpoint(None, "What the file says of a visitor.", "FrpDefinition", path=(_NAME,))
    },
}
"""frp's, as `tunnelsvc.admin.clientapi` answers it; nothing is kept in a store."""

SECTIONS: Final = (
    Section("", "site", {**HEALTH, **SESSION}),
    Section("/api/admin", "client", clientadmin.ROUTES),
    Section("/api", "frp", FRP),
)


@cache
def description(cookie: str, *, secured: bool) -> dict[str, Any]:
    """Make the description, once for each.

    Args:
        cookie: the name of the session's.
        secured: whether a password is asked for.
    """
    sections = (*SECTIONS, Section("", "sessions", LOGIN)) if secured else SECTIONS
    schemas = {**bothsites.SCHEMAS, **clientschemas.SCHEMAS}
    return describe("tunnelsvc client", sections, schemas, cookie=cookie, secured=secured)
