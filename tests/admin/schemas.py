# -*- test-case-name: tests.admin.test_ownapi -*-
"""Answers of the server's site against their description."""

from collections.abc import Callable
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tunnelsvc.admin.described import description

# Of a site on the port of a `StringTransport`.
COOKIE = "tunnelsvc_server_12345"
URI = "urn:description"


class Described:
    """Knows a description, once somebody asks."""

    def __init__(self, describe: Callable[[], Any]) -> None:
        self._registry = cache(
            lambda: Registry().with_resource(URI, DRAFT202012.create_resource(describe()))
        )
        self._validator_for = cache(self._make_validator)

    def _make_validator(self, pointer: str) -> Any:
        registry: Any = self._registry()
        return Draft202012Validator({"$ref": f"{URI}#{pointer}"}, registry=registry)

    def wrong_with(self, value: Any, pointer: str, what: str) -> list[str]:
        """List how a value isn't what is described at a place."""
        errors = self._validator_for(pointer).iter_errors(value)
        return [f"{what}: {each.message}" for each in errors]

    def wrong_with_named(self, value: Any, name: str) -> list[str]:
        """List how a value isn't what the schema of that name describes."""
        return self.wrong_with(value, f"/components/schemas/{name}", name)


SERVER = Described(lambda: description(COOKIE, metrics=True))
wrong_with_named = SERVER.wrong_with_named


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
    return SERVER.wrong_with(value, content, path)
