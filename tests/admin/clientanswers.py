# -*- test-case-name: tests.admin.test_clientadmin -*-
"""Answers of the client's site against their description."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tunnelsvc.admin.clientdescribed import description

URI = "urn:client"


@cache
def validator_for(name: str) -> Any:
    """Make a validator of one schema in the client's description."""
    resource = DRAFT202012.create_resource(description("tunnelsvc_client_12345", secured=True))
    registry: Any = Registry().with_resource(URI, resource)
    return Draft202012Validator({"$ref": f"{URI}#/components/schemas/{name}"}, registry=registry)


def wrong_with(value: Any, name: str) -> list[str]:
    """List how a value isn't what the schema of that name describes."""
    return [f"{name}: {each.message}" for each in validator_for(name).iter_errors(value)]
