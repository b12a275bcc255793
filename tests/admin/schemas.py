# -*- test-case-name: tests.admin.test_ownapi -*-
"""Answers against their description."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tunnelsvc.admin.described import description

# Of a site on the port of a `StringTransport`.
COOKIE = "tunnelsvc_server_12345"
URI = "urn:description"


@cache
def validator_for(pointer: str) -> Any:
    """Make a validator of one schema in the server's description."""
    registry: Any = Registry().with_resource(
        URI,
        DRAFT202012.create_resource(description(COOKIE, metrics=True)),
    )
    return Draft202012Validator({"$ref": f"{URI}#{pointer}"}, registry=registry)


def wrong_with(value: Any, method: str, path: str, status: int = 200) -> list[str]:
    """List how an answer isn't what is described.

    Args:
        value: JSON.
        method: in small letters.
        path: as the description has it: ``/api/admin/clients/{key}/kick``.
        status: of the answer.
    """
    escaped = path.replace("~", "~0").replace("/", "~1")
    content = f"/paths/{escaped}/{method}/responses/{status}/content/application~1json/schema"
    return [f"{path}: {each.message}" for each in validator_for(content).iter_errors(value)]


def wrong_with_named(value: Any, name: str) -> list[str]:
    """List how a value isn't what the schema of that name describes."""
    errors = validator_for(f"/components/schemas/{name}").iter_errors(value)
    return [f"{name}: {each.message}" for each in errors]
