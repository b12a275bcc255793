# -*- test-case-name: tests.admin.test_clientdescribed -*-
"""Tests of `tunnelsvc.admin.clientdescribed`: that there is what it says, and nothing else."""

from collections.abc import Iterator

from openapi_spec_validator import validate
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.clientsupport import AdminTester
from tunnelsvc.admin import clientadmin, clientapi
from tunnelsvc.admin.clientdescribed import FRP, description


def shapes(table: object) -> set[tuple[object, bytes]]:
    """Give (pattern, method) of all routes."""
    return set(_shapes(table))


def _shapes(table: object) -> Iterator[tuple[object, bytes]]:
    assert isinstance(table, dict)
    for pattern, methods in table.items():
        for method in methods:
            yield pattern, method


class DescriptionTests(SynchronousTestCase):
    def test_valid(self) -> None:
        validate(description())

    def test_served(self) -> None:
        answer = AdminTester(self.mktemp()).ask("/api/openapi.json")
        self.assertEqual((answer.status, answer.json), (200, description()))

    def test_frps_api(self) -> None:
        """But what only says that it isn't there."""
        there = {each for each in shapes(clientapi.ROUTES) if each[0][0] != "store"}  # type: ignore[index]
        self.assertEqual(shapes(FRP), there)

    def test_each_path_answers(self) -> None:
        tester = AdminTester(self.mktemp())
        for path, operations in description()["paths"].items():
            if path.endswith("/stream"):
                continue
            asked = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
            for method in ("get", "post", "put", "delete", "patch"):
                status = tester.ask(asked, method.upper()).status
                if method in operations:
                    self.assertIn(str(status), operations[method]["responses"], f"{method} {path}")
                else:
                    self.assertEqual(status, 405, f"{method} {path}")

    def test_our_own(self) -> None:
        paths = {
            path.removeprefix("/api/admin/")
            for path in description()["paths"]
            if path.startswith("/api/admin/")
        }
        self.assertEqual(len(paths), len(clientadmin.ROUTES))
