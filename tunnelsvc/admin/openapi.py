# -*- test-case-name: tests.admin.test_openapi -*-
"""Describe an API to programs: OpenAPI 3.1, from the tables by which requests find their answers.

A site puts its `Section` s together, with the schemas that their endpoints name::

    description = describe("tunnelsvc client", SECTIONS, SCHEMAS, cookie=name)

Nothing of it is imported or made before somebody asks for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen
from twisted.web import http

from tunnelsvc import __version__
from tunnelsvc.admin.endpoints import JSON, NOTHING, Choices, Endpoint, Parameter, Schema
from tunnelsvc.admin.routing import ANY, Routes

VERSION: Final = "3.1.0"
ERROR: Final = "Error"
"""The schema of errors, unless a section has one of its own."""
BASIC, COOKIE, CSRF = "basic", "cookie", "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
FORM: Final = "application/x-www-form-urlencoded"

TEXTS: Final = {
    400: "A parameter or the body isn't what it may be.",
    401: "No login, or a wrong one.",
    403: "Another site's page has asked, the CSRF token is missing, or a password was wrong.",
    404: "There is no such thing.",
    405: "The path has no such method.",
    409: "It has changed meanwhile.",
    413: "The body is too long.",
    415: "The body is neither a form nor JSON.",
    429: "Too many at a time, or after too many failures; Retry-After says when to try again.",
    503: "This takes too long, or can't be done now.",
}
"""Of errors; each that an endpoint names must be here."""
FOR_ALL: Final = (401, 403, 405, 429)
"""Errors that any request may get, before it is known what it asks for."""
FOR_OPEN: Final = (403, 405)
"""Those that are left where no login is asked for."""


def record(_optional: Mapping[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """Make the schema of an object that has these fields and no others.

    Args:
        _optional: fields that may be missing.
        fields: those that may not.
    """
    properties = {**fields, **(_optional or {})}
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, "required": list(fields)} if fields else shape


def list_of(items: Schema) -> Schema:
    """Make the schema of a list."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Make the schema of an object with any names."""
    return {"type": "object", "additionalProperties": values}


def ref(name: str) -> Schema:
    """Refer to another schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(kind: str) -> Schema:
    """Make the schema of a value of a simple type that there may be none of."""
    return {"type": [kind, "null"]}


STRING: Final[Schema] = {"type": "string"}
INTEGER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
BOOLEAN: Final[Schema] = {"type": "boolean"}

BASIC_SCHEMAS: Final[Mapping[str, Schema]] = {
    NOTHING: record(),
    ERROR: record(Code=INTEGER, Msg=STRING),
}
"""That every description has."""


def as_it_is(schema: Schema) -> Schema:
    """Put nothing around an answer."""
    return schema


@frozen
class Section:
    """Endpoints below one path.

    Attributes:
        prefix: that path: ``/api/admin``.
        tag: a short name of all of them.
        routes: the table.
        error: name of the schema of errors that the endpoints answer with.
        around: what an answer comes in.
    """

    prefix: str
    tag: str
    routes: Routes[Endpoint[Any]]
    error: str = ERROR
    around: Callable[[Schema], Schema] = as_it_is


def describe(
    title: str,
    sections: Iterable[Section],
    schemas: Mapping[str, Schema],
    *,
    cookie: str,
    secured: bool = True,
) -> dict[str, Any]:
    """Make the description.

    Args:
        title: whose API it is.
        sections: all there is, each path once.
        schemas: by the names that endpoints and other schemas have for them.
        cookie: name of the one that sessions have (`tunnelsvc.admin.cookies`).
        secured: whether a login is asked for.
    """
    paths: dict[str, dict[str, Any]] = {}
    for section in sections:
        for path, method, endpoint in operations(section):
            of_path = paths.setdefault(path, {})
            of_path[method] = _operation(section, path, method, endpoint, secured=secured)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": __version__},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**BASIC_SCHEMAS, **schemas},
            "securitySchemes": {
                BASIC: {"type": "http", "scheme": "basic"},
                COOKIE: {"type": "apiKey", "in": "cookie", "name": cookie},
                CSRF: {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
            },
        },
    }


def operations(section: Section) -> Iterator[tuple[str, str, Endpoint[Any]]]:
    """List (path with names in braces, method in small letters, endpoint)."""
    for pattern, methods in section.routes.items():
        for method, endpoint in methods.items():
            names = iter(endpoint.path)
            parts = [part if part is not ANY else f"{{{next(names).name}}}" for part in pattern]
            yield "/".join([section.prefix, *parts]), method.decode().lower(), endpoint


def _operation(
    section: Section, path: str, method: str, endpoint: Endpoint[Any], *, secured: bool
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(path, method),
        "summary": endpoint.summary,
        "tags": [section.tag],
        "security": _security(endpoint, secured=secured),
        "parameters": [
            *(_parameter(each, "path") for each in endpoint.path),
            *(_parameter(each, "query") for each in endpoint.query),
        ],
        "responses": _responses(section, endpoint, secured=secured),
    }
    if endpoint.body:
        kinds = (JSON, FORM) if endpoint.takes_forms else (JSON,)
        content = {kind: {"schema": ref(endpoint.body)} for kind in kinds}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(path: str, method: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in path).split()
    return "_".join([method, *words])


def _security(endpoint: Endpoint[Any], *, secured: bool) -> list[dict[str, list[str]]]:
    if endpoint.is_open or not secured:
        return []
    return [{BASIC: []}, {COOKIE: [], CSRF: []}]


def _parameter(parameter: Parameter, where: str) -> dict[str, Any]:
    schema = parameter.schema()
    described = {"name": parameter.name, "in": where, "description": parameter.text}
    if where == "path":
        if schema["type"] == "string":
            schema["minLength"] = 1
        return {**described, "required": True, "schema": schema}
    if isinstance(parameter, Choices):
        described |= {"style": "form"}
        return {**described, "explode": False, "schema": schema}
    return {**described, "required": parameter.required, "schema": schema}


def _responses(section: Section, endpoint: Endpoint[Any], *, secured: bool) -> dict[str, Any]:
    codes = {*(FOR_ALL if secured and not endpoint.is_open else FOR_OPEN), *endpoint.errors}
    if endpoint.path or endpoint.query or endpoint.body:
        codes.add(http.BAD_REQUEST)
    if endpoint.path:
        codes.add(http.NOT_FOUND)
    if endpoint.body:
        codes.add(http.REQUEST_ENTITY_TOO_LARGE)
    if endpoint.takes_forms:
        codes.add(http.UNSUPPORTED_MEDIA_TYPE)
    is_json = endpoint.content_type == JSON
    schema = section.around(ref(endpoint.answer)) if is_json else STRING
    answer = {"description": "Done.", "content": {endpoint.content_type: {"schema": schema}}}
    return {"200": answer} | {str(code): _error(section, code) for code in sorted(codes)}


def _error(section: Section, code: int) -> dict[str, Any]:
    # Who guards the site answers browsers with a page, and programs with a line.
    schemas = [ref(ERROR)] if section.error == ERROR else [ref(ERROR), ref(section.error)]
    content = {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
    if code in FOR_ALL or not section.prefix:
        content |= {kind: {"schema": STRING} for kind in ("text/plain", "text/html")}
    return {"description": TEXTS[code], "content": content}
