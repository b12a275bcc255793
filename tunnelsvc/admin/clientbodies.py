# -*- test-case-name: tests.admin.test_clientadmin -*-
"""What comes in the bodies of requests to the client's API: see `tunnelsvc.admin.clientadmin`."""

import binascii
from base64 import b64decode
from typing import Any

from tunnelsvc.admin.endpoints import wrong
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.client.inspection.facts import TextHeader, unmasked
from tunnelsvc.client.inspection.request import Edits


def string(given: dict[str, Any], name: str) -> str:
    """Take a text out of a body.

    Raises:
        APIError: it isn't there, or is none.
    """
    value = given.get(name)
    if not isinstance(value, str):
        raise wrong(f"{name} must be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(f"{name} must be proper Unicode") from None
    return value


def edits(given: dict[str, Any], exchange: Exchange) -> Edits:
    """Read what is to be different in a request.

    Raises:
        APIError: it makes no sense.
    """
    unknown = given.keys() - {"method", "path", "headers", "body", "body_base64"}
    if unknown:
        raise wrong(f"unknown: {', '.join(sorted(unknown))[:100]}")
    if "body" in given and "body_base64" in given:
        raise wrong("either body or body_base64")
    return Edits(
        method=string(given, "method") if "method" in given else None,
        path=string(given, "path") if "path" in given else None,
        headers=_edited_headers(given, exchange) if "headers" in given else None,
        body=_edited_body(given),
    )


def _edited_headers(given: dict[str, Any], exchange: Exchange) -> list[TextHeader]:
    headers = given["headers"]
    if not isinstance(headers, list) or not all(
        isinstance(each, list) and len(each) == len(("name", "value")) for each in headers
    ):
        raise wrong("headers must be a list of [name, value]")
    pairs = [{"name": name, "value": value} for name, value in headers]
    texts = [(string(each, "name"), string(each, "value")) for each in pairs]
    return unmasked(texts, exchange.request)


def _edited_body(given: dict[str, Any]) -> bytes | None:
    if "body" in given:
        return string(given, "body").encode()
    if "body_base64" not in given:
        return None
    try:
        return b64decode(string(given, "body_base64"), validate=True)
    except (binascii.Error, ValueError):
        raise wrong("body_base64 must be base64") from None
