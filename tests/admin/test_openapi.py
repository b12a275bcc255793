# -*- test-case-name: tests.admin.test_openapi -*-
"""Tests of `tunnelsvc.admin.openapi`."""

from typing import Any, ClassVar

from openapi_spec_validator import validate
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.endpoints import Choice, Choices, Endpoint, Text, Whole
from tunnelsvc.admin.openapi import (
    COUNT,
    ERROR,
    STRING,
    Section,
    describe,
    list_of,
    map_of,
    or_null,
    record,
    ref,
)
from tunnelsvc.admin.routing import ANY, Routes

ROUTES: Routes[Endpoint[None]] = {
    ("things",): {
        b"GET": Endpoint(
            None,
            "All things.",
            "Things",
            query=(
                Whole("limit", "At most.", 1, 10, default=5),
                Choices("of", "Which.", ("a", "b")),
                Choice("kind", "One.", ("x", "y")),
            ),
        ),
        b"POST": Endpoint(None, "Make one.", body="Thing", errors=(409,)),
    },
    ("things", ANY, "text"): {
        b"GET": Endpoint(
            None, "Its text.", path=(Text("name", "Whose."),), content_type="text/plain"
        )
    },
    ("open",): {b"GET": Endpoint(None, "For all.", is_open=True)},
}
SCHEMAS = {
    "Thing": record({"note": or_null("string")}, name=STRING, count=COUNT),
    "Things": record(rows=list_of(ref("Thing")), by=map_of(COUNT)),
    "Other": record(code=COUNT),
}


class DescribeTests(SynchronousTestCase):
    description: ClassVar[dict[str, Any]] = describe(
        "things",
        [
            Section("/api", "first", ROUTES),
            Section("/api/v2", "second", ROUTES, "Other", lambda schema: record(data=schema)),
        ],
        SCHEMAS,
        cookie="c",
    )
    without_login: ClassVar[dict[str, Any]] = describe(
        "things", [Section("/api", "t", ROUTES)], SCHEMAS, cookie="c", secured=False
    )

    def operation(self, method: str, path: str) -> Any:
        return self.description["paths"][path][method]

    def test_valid(self) -> None:
        validate(self.description)
        validate(
            describe("things", [Section("/api", "t", ROUTES)], SCHEMAS, cookie="c", secured=False)
        )

    def test_paths(self) -> None:
        paths = {path: list(methods) for path, methods in self.description["paths"].items()}
        self.assertEqual(
            paths,
            {
                f"{prefix}/{path}": methods
                for prefix in ("/api", "/api/v2")
                for path, methods in {
                    "things": ["get", "post"],
                    "things/{name}/text": ["get"],
                    "open": ["get"],
                }.items()
            },
        )

    def test_parameters(self) -> None:
        limit, of, kind = self.operation("get", "/api/things")["parameters"]
        self.assertEqual(
            limit["schema"], {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}
        )
        self.assertEqual((of["style"], of["explode"]), ("form", False))
        self.assertEqual(of["schema"]["items"]["enum"], ["a", "b"])
        self.assertEqual(kind["schema"]["enum"], ["", "x", "y"])
        (name,) = self.operation("get", "/api/things/{name}/text")["parameters"]
        self.assertEqual((name["in"], name["required"]), ("path", True))
        self.assertEqual(name["schema"], {"type": "string", "maxLength": 300, "minLength": 1})

    def test_answers(self) -> None:
        answers = self.operation("get", "/api/things")["responses"]
        self.assertEqual(list(answers), ["200", "400", "401", "403", "405", "429"])
        schema = answers["200"]["content"]["application/json"]["schema"]
        self.assertEqual(schema, ref("Things"))
        text = self.operation("get", "/api/things/{name}/text")["responses"]
        self.assertEqual(text["200"]["content"], {"text/plain": {"schema": STRING}})
        self.assertIn("404", text)
        made = self.operation("post", "/api/things")
        self.assertEqual({"409", "413"} - set(made["responses"]), set())
        body = made["requestBody"]["content"]["application/json"]["schema"]
        self.assertEqual(body, ref("Thing"))

    def test_a_section_of_its_own_kind(self) -> None:
        answers = self.operation("get", "/api/v2/things")["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        self.assertEqual(schema, record(data=ref("Things")))
        error = answers["400"]["content"]["application/json"]["schema"]
        self.assertEqual(error, {"anyOf": [ref(ERROR), ref("Other")]})

    def test_who_may(self) -> None:
        for method in ("get", "post"):
            self.assertEqual(
                self.operation(method, "/api/things")["security"],
                [{"basic": []}, {"cookie": [], "csrf": []}],
            )
        self.assertEqual(self.operation("get", "/api/open")["security"], [])
        answers = self.operation("get", "/api/open")["responses"]
        self.assertEqual(list(answers), ["200", "403", "405"])
        without = describe(
            "things", [Section("/api", "t", ROUTES)], SCHEMAS, cookie="c", secured=False
        )
        self.assertEqual(without["paths"]["/api/things"]["post"]["security"], [])
