# -*- test-case-name: tests.admin.test_clientdescribed -*-
"""What our own API of the client answers and takes, for its description.

See `tunnelsvc.admin.clientstatus`, `clientconfig` and `clientrequests`.
"""

from collections.abc import Mapping
from typing import Final

from tunnelsvc.admin.clienthints import KEYS
from tunnelsvc.admin.endpoints import Schema
from tunnelsvc.admin.openapi import (
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    STRING,
    list_of,
    map_of,
    or_null,
    record,
    ref,
)
from tunnelsvc.client.inspection.content import BINARY, IMAGE, TEXT
from tunnelsvc.client.status import CHECK_FAILED, NEW, RUNNING, START_ERROR, WAIT_START
from tunnelsvc.wire.httpexchange import HTTP, WEBSOCKET

_STRINGS: Final = list_of(STRING)
_HINT: Final = {"hint": STRING, "hint_key": {"type": "string", "enum": sorted(set(KEYS))}}
_HEADER: Final = {"type": "array", "items": STRING, "minItems": 2, "maxItems": 2}
_CHANGES: Final = record(removed=_STRINGS, added=_STRINGS, unchanged=_STRINGS)
_MS: Final = or_null("number")
_ROW: Final = {
    "id": COUNT,
    "at": NUMBER,
    "proxy": STRING,
    "method": STRING,
    "url": STRING,
    "path": STRING,
    "status": COUNT,
    "ms": _MS,
    "in": COUNT,
    "out": COUNT,
    "kind": {"type": "string", "enum": [HTTP, WEBSOCKET]},
    "user": STRING,
    "replay_of": or_null("integer"),
    "error": STRING,
}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Status": record(
        version=STRING,
        server=STRING,
        connected=BOOLEAN,
        since=or_null("number"),
        run_id=STRING,
        error=STRING,
        **_HINT,
        proxies=list_of(ref("ProxyStatus")),
        visitors=list_of(ref("VisitorStatus")),
        config=record(path=STRING, editable=BOOLEAN),
    ),
    "ProxyStatus": record(
        name=STRING,
        type=STRING,
        phase={
            "type": "string",
            "enum": [NEW, WAIT_START, START_ERROR, RUNNING, CHECK_FAILED],
        },
        error=STRING,
        **_HINT,
        public=STRING,
        local=STRING,
        inspect=BOOLEAN,
    ),
    "VisitorStatus": record(name=STRING, type=STRING, bind=STRING, error=STRING, **_HINT),
    "Config": record(text=STRING, path=STRING, etag=STRING, hidden=BOOLEAN),
    "ConfigToCheck": record(text=STRING),
    "NewConfig": record(text=STRING, etag=STRING),
    "Checked": record(
        {"etag": STRING},
        problems=_STRINGS,
        warnings=_STRINGS,
        diff=STRING,
        changes=record(added=_STRINGS, removed=_STRINGS, changed=_STRINGS),
        remarks=_STRINGS,
    ),
    "Reloaded": record(proxies=_CHANGES, visitors=_CHANGES, remarks=_STRINGS, warnings=_STRINGS),
    "Request": record(**_ROW),
    "Requests": record(rows=list_of(ref("Request")), more=BOOLEAN, before=or_null("integer")),
    "Whole": record(
        {"websocket": record(sent=COUNT, received=COUNT)},
        **_ROW,
        reason=STRING,
        done=BOOLEAN,
        timings=record(send=_MS, wait=_MS, receive=_MS),
        request=ref("Half"),
        response=ref("Half"),
    ),
    "Half": record(headers=list_of(_HEADER), body=ref("Body")),
    "Body": record(
        {"text": STRING, "base64": STRING, "pretty": STRING},
        size=COUNT,
        kept=COUNT,
        type=STRING,
        kind={"type": "string", "enum": [TEXT, IMAGE, BINARY]},
        truncated=BOOLEAN,
        encoding=STRING,
    ),
    "Edits": record(
        {
            "method": STRING,
            "path": STRING,
            "headers": list_of(_HEADER),
            "body": STRING,
            "body_base64": STRING,
        }
    ),
    "Replayed": record(id=COUNT),
    "Archive": record(log={"type": "object"}),
    "FrpStatus": map_of(list_of(ref("FrpProxyStatus"))),
    "FrpProxyStatus": record(
        name=STRING,
        type=STRING,
        status=STRING,
        err=STRING,
        local_addr=STRING,
        plugin=STRING,
        remote_addr=STRING,
    ),
    "FrpReloaded": record(
        Code=INTEGER,
        Msg=STRING,
        proxies=_CHANGES,
        visitors=_CHANGES,
        remarks=_STRINGS,
        warnings=_STRINGS,
    ),
    "FrpDefinition": {"type": "object", "required": ["name", "type"]},
}
