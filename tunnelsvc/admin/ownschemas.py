# -*- test-case-name: tests.admin.test_ownapi -*-
"""What our own API of the server answers, for its description: see `tunnelsvc.admin.ownshapes`."""

from collections.abc import Mapping
from typing import Final

from tunnelsvc.admin.endpoints import Schema
from tunnelsvc.admin.openapi import (
    BOOLEAN,
    COUNT,
    NUMBER,
    STRING,
    list_of,
    map_of,
    or_null,
    record,
    ref,
)
from tunnelsvc.metrics.events import GROUPS

_IN_OUT: Final = record(**{"in": COUNT, "out": COUNT})
_STRINGS: Final = list_of(STRING)
_CURVE: Final = list_of({"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2})
_DATE: Final = {"type": "string", "format": "date"}


def _rows(name: str, **more: Schema) -> Schema:
    return record(rows=list_of(ref(name)), **more)


SCHEMAS: Final[Mapping[str, Schema]] = {
    "Overview": record(
        version=STRING,
        started_at=NUMBER,
        now=NUMBER,
        ports=map_of(COUNT),
        subdomain_host=STRING,
        clients=record(online=COUNT, known=COUNT),
        proxies=map_of(record(online=COUNT, known=COUNT)),
        connections=COUNT,
        rate=ref("InOut"),
        curve=_CURVE,
        curve_seconds=NUMBER,
        today=ref("InOut"),
        total=ref("InOut"),
        process=record(cpu_percent=NUMBER, memory_bytes=COUNT, open_files=or_null("integer")),
        history=BOOLEAN,
    ),
    "Start": record(
        server_addr=STRING,
        server_port=COUNT,
        token=BOOLEAN,
        subdomain_host=STRING,
        takes_http=BOOLEAN,
        remote_port=COUNT,
    ),
    "InOut": _IN_OUT,
    "Days": record(days=list_of(record(date=_DATE, **{"in": COUNT, "out": COUNT}))),
    "Curve": record(curve=_CURVE, curve_seconds=NUMBER),
    "Client": record(
        key=STRING,
        user=STRING,
        client_id=STRING,
        run_id=STRING,
        address=STRING,
        hostname=STRING,
        version=STRING,
        os=STRING,
        arch=STRING,
        protocol=STRING,
        online=BOOLEAN,
        since=NUMBER,
        last_seen=or_null("number"),
        rtt_ms=or_null("number"),
        proxies=_STRINGS,
        blocked=BOOLEAN,
    ),
    "Clients": _rows("Client"),
    "Block": record(
        id=COUNT, user=STRING, client_id=STRING, hostname=STRING, address=STRING, since=NUMBER
    ),
    "Blocks": _rows("Block"),
    "Proxy": record(
        name=STRING,
        type=STRING,
        client=STRING,
        user=STRING,
        online=BOOLEAN,
        disabled=BOOLEAN,
        remote_addr=STRING,
        urls=_STRINGS,
        connections=COUNT,
        today=ref("InOut"),
        total=ref("InOut"),
        rate=ref("InOut"),
        started_at=NUMBER,
        closed_at=or_null("number"),
        closed_reason=STRING,
    ),
    "Proxies": _rows("Proxy"),
    "Connection": record(
        id=COUNT,
        proxy=STRING,
        type=STRING,
        user=STRING,
        since=NUMBER,
        **{"in": COUNT, "out": COUNT},
    ),
    "Connections": _rows("Connection", more=COUNT),
    "Event": record(
        id=COUNT,
        at=NUMBER,
        kind=STRING,
        group={"type": "string", "enum": list(GROUPS)},
        client=STRING,
        proxy=STRING,
        address=STRING,
        detail=STRING,
    ),
    "Events": _rows("Event", more=BOOLEAN),
}
