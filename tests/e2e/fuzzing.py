# -*- test-case-name: tests.e2e.test_api_fuzz -*-
"""Ask a site whatever its OpenAPI description permits, and what it doesn't (schemathesis)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Any, Final

from attrs import define, field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.programs import PATIENCE, require_module

HEADERS: Final = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Permissions-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Cache-Control",
)
"""What each answer has, whatever it is."""

REAL_EXAMPLES: Final = 3
"""Requests for each thing that there is."""

Known = Mapping[str, Iterable[str]]
"""By the name of a part of a path: what there is, so that not everything is "not found"."""


@define(eq=False)
class Fuzzer:
    """Asks one site.

    Attributes:
        base: its URL, without a slash at the end.
        session: a ``requests.Session``, with what is sent along with each request.
        description: what the site says of itself (``/api/openapi.json``).
        asked: how many requests there were, by status.
        done: operations that have been asked for, as ``GET /path``.
        guarded: whether one has to be logged in for an operation, by its id.
    """

    base: str
    session: Any
    description: Any
    asked: dict[int, int] = field(factory=dict)
    done: set[str] = field(factory=set)
    guarded: dict[str, bool] = field(factory=dict)
    _schema: Any = None

    @property
    def schema(self) -> Any:
        """The description, as schemathesis has it."""
        if self._schema is None:
            require_module("schemathesis")
            import schemathesis  # noqa: PLC0415 - not everybody has it, and it takes a second

            description = self.description
            for of_path in description["paths"].values():
                for operation in of_path.values():
                    # Or it would make up passwords, too, and be locked out.
                    self.guarded[operation["operationId"]] = bool(operation.pop("security"))
            self._schema = schemathesis.openapi.from_dict(description)
        return self._schema

    def is_guarded(self, operation: Any) -> bool:
        """Tell whether one has to be logged in for an operation."""
        return self.guarded[operation.definition.raw["operationId"]]

    def operations(self, but: Collection[str] = ()) -> Iterator[Any]:
        """Give the operations of the site, but some, as ``POST /path``."""
        for found in self.schema.get_all_operations():
            operation = found.ok()
            if operation.label not in but:
                yield operation

    def operation(self, label: str) -> Any:
        """Give one."""
        (found,) = (each for each in self.operations() if each.label == label)
        return found

    def fuzz(self, operation: Any, examples: int, known: Known | None = None, **fixed: Any) -> None:
        """Ask for one thing in many ways: right ones, wrong ones, and for what there is.

        Args:
            operation: one of `operations`.
            examples: of right requests, and as many wrong ones.
            known: see there.
            fixed: what isn't made up, as ``headers``.
        """
        from schemathesis import GenerationMode  # noqa: PLC0415 - see `schema`

        self.done.add(operation.label)
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            if mode is GenerationMode.NEGATIVE and not has_input(operation):
                continue
            self._run(operation.as_strategy(generation_mode=mode), examples, **fixed)
        for place in places(operation, known or {}):
            made = operation.as_strategy(path_parameters=place)
            self._run(made, REAL_EXAMPLES, **fixed)

    def _run(self, strategy: Any, examples: int, **fixed: Any) -> None:
        @settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def ask(case: Any) -> None:
            self.check(case, **fixed)

        # Nothing is wrong for a path that takes any text.
        with suppress(Unsatisfiable):
            ask()

    def check(self, case: Any, **fixed: Any) -> None:
        """Ask once; the answer must be as the description says, and nobody's failure."""
        response = case.call(
            base_url=self.base, session=self.session, timeout=PATIENCE, allow_redirects=False,
            **fixed,
        )  # fmt: skip
        status = response.status_code
        self.asked[status] = self.asked.get(status, 0) + 1
        case.validate_response(response, checks=checks())
        missing = [name for name in HEADERS if name.lower() not in response.headers]
        assert not missing, (case.as_curl_command(), missing)


def checks() -> list[Callable[..., Any]]:
    """Give what is asked of each answer."""
    from schemathesis.checks import not_a_server_error  # noqa: PLC0415 - see `Fuzzer.schema`
    from schemathesis.specs.openapi import checks as of_openapi  # noqa: PLC0415

    return [
        not_a_server_error,
        of_openapi.status_code_conformance,
        of_openapi.content_type_conformance,
        of_openapi.response_headers_conformance,
        of_openapi.response_schema_conformance,
    ]


def has_input(operation: Any) -> bool:
    """Tell whether there is anything that can be wrong."""
    return bool(list(operation.body) or list(operation.query) or list(operation.path_parameters))


def places(operation: Any, known: Known) -> Iterator[dict[str, str]]:
    """Give the path's parameters for each thing that there is."""
    names = [parameter.name for parameter in operation.path_parameters]
    if names:
        for values in product(*(known.get(name, ()) for name in names)):
            yield dict(zip(names, values, strict=True))
