# -*- test-case-name: tests.admin.test_clientdescribed -*-
"""Tests of `tunnelsvc.admin.clientdescribed`: that there is what it says, and nothing else."""

from collections.abc import Iterator
from typing import Any

from openapi_spec_validator import validate
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import OPEN, SECURED, AdminTester
from tests.admin.support import RIGHT, Answer
from tunnelsvc.admin import clientadmin, clientapi
from tunnelsvc.admin.bothsites import SESSION
from tunnelsvc.admin.clientdescribed import FRP, description
from tunnelsvc.config.schema import AdminConfig


def shapes(table: object) -> set[tuple[object, bytes]]:
    """Give (pattern, method) of all routes."""
    return set(_shapes(table))


def _shapes(table: object) -> Iterator[tuple[object, bytes]]:
    assert isinstance(table, dict)
    for pattern, methods in table.items():
        for method in methods:
            yield pattern, method


COOKIE = "tunnelsvc_client_12345"
"""By the port of `StringTransport`."""
BOTH = ((OPEN, False), (SECURED, True))


class DescriptionTests(SynchronousTestCase):
    def ask(self, config: AdminConfig, path: str, method: str = "GET") -> Answer:
        tester = AdminTester(self.mktemp(), config)
        return tester.ask(path, method, Authorization=RIGHT.decode())

    def test_valid(self) -> None:
        for _, secured in BOTH:
            validate(description(COOKIE, secured=secured))

    def test_served(self) -> None:
        for config, secured in BOTH:
            answer = self.ask(config, "/api/openapi.json")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json, description(COOKIE, secured=secured))

    def test_frps_api(self) -> None:
        """But what only says that it isn't there."""
        there = {each for each in shapes(clientapi.ROUTES) if each[0][0] != "store"}  # type: ignore[index]
        self.assertEqual(shapes(FRP), there)

    def test_each_path_answers(self) -> None:
        for config, secured in BOTH:
            for path, operations in description(COOKIE, secured=secured)["paths"].items():
                if not path.endswith("/stream"):
                    self.check(config, path, operations)

    def check(self, config: AdminConfig, path: str, operations: dict[str, Any]) -> None:
        asked = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
        for method in ("get", "post", "put", "delete", "patch"):
            status = self.ask(config, asked, method.upper()).status
            if method in operations:
                self.assertIn(str(status), operations[method]["responses"], f"{method} {path}")
            else:
                self.assertEqual(status, 405, f"{method} {path}")

    def test_our_own(self) -> None:
        paths = {
            path.removeprefix("/api/admin/")
            for path in description(COOKIE, secured=True)["paths"]
            if path.startswith("/api/admin/")
        }
        self.assertEqual(len(paths), len(clientadmin.ROUTES) + len(SESSION))
