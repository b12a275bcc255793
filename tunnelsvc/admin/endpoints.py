# -*- test-case-name: tests.admin.test_endpoints -*-
"""One row of an API's table of routes: who answers, what may be asked, what the answer looks like.

Requests are checked by the same words that describe them to programs (`tunnelsvc.admin.openapi`)::

    ROUTES: Final[Routes[Endpoint[Handler]]] = {
        ("events",): {
            b"GET": Endpoint(API.events, "What has happened.", "Events",
                             query=(Whole("limit", "At most so many.", 1, 1000, default=200),)),
        },
        ("clients", ANY, "kick"): {
            b"POST": Endpoint(API.kick, "End a client's session.", path=(Text("key", "Whose."),)),
        },
    }

    endpoint, variables = route(ROUTES, request)
    answer = endpoint.handler(self, asked(endpoint, request, variables))
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from attrs import field, frozen
from twisted.web import http
from twisted.web.server import Request

from tunnelsvc.admin.routing import APIError

H = TypeVar("H")
Schema = dict[str, Any]
"""JSON Schema 2020-12, as OpenAPI 3.1 has it."""

MOST_TEXT: Final = 300
"""Characters of a parameter: as many as names and addresses have."""
MOST_SHOWN: Final = 40
"""Characters of a wrong value that an error repeats."""
MOST_ID: Final = 2**53 - 1
"""The largest whole number that JavaScript has (RFC 8259 section 6)."""
NOTHING: Final = "Nothing"
"""The schema of ``{}``, the answer to a change that was made."""
JSON: Final = "application/json"

_WHOLE: Final = re.compile("[0-9]{1,16}")


class Parameter(Protocol):
    """A part of a path, or of a query."""

    @property
    def name(self) -> str:
        """As it is asked by."""

    @property
    def text(self) -> str:
        """What it is, for people."""

    @property
    def default(self) -> Any:
        """What holds if it isn't given."""

    @property
    def required(self) -> bool:
        """Whether it must be."""

    def schema(self) -> Schema:
        """Describe what may be given."""

    def parse(self, given: str) -> Any:
        """Read what was given.

        Raises:
            APIError: it can't be that.
        """


@frozen
class Text:
    """Any text."""

    name: str
    text: str
    most: int | None = MOST_TEXT
    """Characters; None: as many as a request has."""
    default: str = ""
    required = False

    def schema(self) -> Schema:
        """See `Parameter`."""
        most = {} if self.most is None else {"maxLength": self.most}
        return {"type": "string", **most}

    def parse(self, given: str) -> str:
        """See `Parameter`."""
        if self.most is not None and len(given) > self.most:
            raise wrong(f"{self.name} can't be longer than {self.most} characters")
        return given


@frozen
class Whole:
    """A whole number."""

    name: str
    text: str
    least: int = 0
    most: int = MOST_ID
    default: int | None = None
    required = False

    def schema(self) -> Schema:
        """See `Parameter`."""
        default = {} if self.default is None else {"default": self.default}
        return {"type": "integer", "minimum": self.least, "maximum": self.most, **default}

    def parse(self, given: str) -> int:
        """See `Parameter`."""
        number = int(given) if _WHOLE.fullmatch(given) else -1
        if not self.least <= number <= self.most:
            raise wrong(
                f"{self.name} must be a whole number between {self.least} and {self.most},"
                f" not {_shown(given)}"
            )
        return number


@frozen
class Choice:
    """One of a few words; unless there must be one, the empty one is for none of them."""

    name: str
    text: str
    words: tuple[str, ...]
    default: str = ""
    required: bool = False

    def schema(self) -> Schema:
        """See `Parameter`."""
        return {"type": "string", "enum": [*([] if self.required else [""]), *self.words]}

    def parse(self, given: str) -> str:
        """See `Parameter`."""
        if not (given or self.required):
            return self.default
        if given not in self.words:
            raise wrong(_one_of(self.name, self.words, given))
        return given


@frozen
class Choices:
    """Some of a few words, with commas between them; all if none is given."""

    name: str
    text: str
    words: tuple[str, ...]
    required = False

    @property
    def default(self) -> tuple[str, ...]:
        """See `Parameter`."""
        return self.words

    def schema(self) -> Schema:
        """See `Parameter`; how they are written is said by `style`."""
        return {"type": "array", "items": {"type": "string", "enum": list(self.words)}}

    def parse(self, given: str) -> tuple[str, ...]:
        """See `Parameter`."""
        if not given:
            return self.default
        chosen = dict.fromkeys(given.split(","))
        for word in chosen:
            if word not in self.words:
                raise wrong(_one_of(f"each of {self.name}", self.words, word))
        return tuple(chosen)


@frozen
class Endpoint(Generic[H]):
    """See the module.

    Attributes:
        handler: who answers.
        summary: what this is for, a sentence.
        answer: name of the schema of what is answered with 200.
        path: what the variables of the path are.
        query: what else may be asked.
        body: name of the schema of what is sent with the request; empty: nothing.
        takes_forms: whether that may be a form as well as JSON.
        content_type: of the answer; one that isn't JSON has no schema.
        errors: codes of errors that the handler answers with, besides those that all may have.
        is_open: whether no login is asked for.
    """

    handler: H
    summary: str
    answer: str = NOTHING
    path: tuple[Parameter, ...] = field(default=(), kw_only=True)
    query: tuple[Parameter, ...] = field(default=(), kw_only=True)
    body: str = field(default="", kw_only=True)
    takes_forms: bool = field(default=False, kw_only=True)
    content_type: str = field(default=JSON, kw_only=True)
    errors: tuple[int, ...] = field(default=(), kw_only=True)
    is_open: bool = field(default=False, kw_only=True)


class WithBody(Protocol):
    """A request that may have a body."""

    @property
    def too_long(self) -> bool:
        """Whether the body was longer than it may be, and dropped."""

    def body(self) -> bytes:
        """Return the body."""


@frozen
class Asked:
    """What was asked: a request that has been checked.

    Attributes:
        request: as it came.
        values: of all parameters, of those that weren't given the default.
    """

    request: Request
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def json(self) -> Any:
        """Read the body, an object.

        Raises:
            APIError: it is too long, or no JSON object.
        """
        return json_object(cast("WithBody", self.request))


def json_object(request: WithBody) -> dict[str, Any]:
    """Read the body of a request.

    Raises:
        APIError: it is too long, or no JSON object.
    """
    if request.too_long:
        raise APIError(http.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
    try:
        value = json.loads(request.body())
    except (ValueError, RecursionError):
        raise wrong("the body must be JSON") from None
    if not isinstance(value, dict):
        raise wrong("the body must be a JSON object")
    return value


def wrong(what: str) -> APIError:
    """Make the error of who asks for something that makes no sense."""
    return APIError(http.BAD_REQUEST, what)


def asked(endpoint: Endpoint[Any], request: Request, variables: list[str]) -> Asked:
    """Check a request.

    Args:
        endpoint: that it is for.
        request: the request.
        variables: the variable parts of its path, from `tunnelsvc.admin.routing.route`.

    Raises:
        APIError: a parameter isn't what it may be.
    """
    values = {
        parameter.name: parameter.parse(given)
        for parameter, given in zip(endpoint.path, variables, strict=True)
    }
    for parameter in endpoint.query:
        given = _given(request, parameter.name)
        if given is None and parameter.required:
            raise wrong(f"{parameter.name} is missing")
        values[parameter.name] = parameter.default if given is None else parameter.parse(given)
    return Asked(request, values)


def _given(request: Request, name: str) -> str | None:
    values = request.args.get(name.encode(), [])
    if len(values) > 1:
        raise wrong(f"{name} is given more than once")
    try:
        return values[0].decode("utf-8") if values else None
    except UnicodeDecodeError:
        raise wrong(f"{name} must be UTF-8") from None


def _one_of(name: str, words: tuple[str, ...], given: str) -> str:
    return f"{name} must be one of {', '.join(words)}, not {_shown(given)}"


def _shown(given: str) -> str:
    return f'"{given if len(given) <= MOST_SHOWN else given[:MOST_SHOWN] + "…"}"'
