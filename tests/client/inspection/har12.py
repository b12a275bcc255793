"""A JSON schema of HAR 1.2, made from http://www.softwareishard.com/blog/har-12-spec/.

What isn't of the format must begin with an underscore.
"""

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "number", "minimum": -1}
SIZE: Schema = {"type": "integer", "minimum": -1}
DATE: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}


def record(required: Schema, optional: Schema) -> Schema:
    """Describe an object; a comment is allowed everywhere."""
    return {
        "type": "object",
        "properties": {**required, **optional, "comment": STRING},
        "required": list(required),
        "patternProperties": {"^_": {}},
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": items}


PROGRAM = record({"name": STRING, "version": STRING}, {})
PAIR = record({"name": STRING, "value": STRING}, {})
COOKIE = record(
    {"name": STRING, "value": STRING},
    {
        "path": STRING,
        "domain": STRING,
        "expires": DATE,
        "httpOnly": {"type": "boolean"},
        "secure": {"type": "boolean"},
    },
)
PARAM = record({"name": STRING}, {"value": STRING, "fileName": STRING, "contentType": STRING})
MESSAGE: Schema = {
    "httpVersion": STRING,
    "cookies": list_of(COOKIE),
    "headers": list_of(PAIR),
    "headersSize": SIZE,
    "bodySize": SIZE,
}
REQUEST = record(
    {"method": STRING, "url": STRING, "queryString": list_of(PAIR), **MESSAGE},
    {"postData": record({"mimeType": STRING, "text": STRING}, {"params": list_of(PARAM)})},
)
RESPONSE = record(
    {
        "status": {"type": "integer"},
        "statusText": STRING,
        "redirectURL": STRING,
        "content": record(
            {"size": SIZE, "mimeType": STRING},
            {"compression": {"type": "integer"}, "text": STRING, "encoding": STRING},
        ),
        **MESSAGE,
    },
    {},
)
ENTRY = record(
    {
        "startedDateTime": DATE,
        "time": {"type": "number", "minimum": 0},
        "request": REQUEST,
        "response": RESPONSE,
        "cache": record({}, {"beforeRequest": {}, "afterRequest": {}}),
        "timings": record(
            {name: {"type": "number", "minimum": 0} for name in ("send", "wait", "receive")},
            dict.fromkeys(("blocked", "dns", "connect", "ssl"), TIME),
        ),
    },
    {"pageref": STRING, "serverIPAddress": STRING, "connection": STRING},
)
ARCHIVE: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **record(
        {
            "log": record(
                {"version": {"const": "1.2"}, "creator": PROGRAM, "entries": list_of(ENTRY)},
                {"browser": PROGRAM, "pages": {"type": "array"}},
            )
        },
        {},
    ),
}
