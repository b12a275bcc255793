# -*- test-case-name: tests.admin.test_described -*-
"""Tests of `tunnelsvc.admin.described`, and that answers are what it says."""

from collections.abc import Iterator

from attrs import evolve
from openapi_spec_validator import validate
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.schemas import COOKIE, wrong_with
from tests.admin.support import Dashboard
from tests.metrics.moving import move
from tunnelsvc.admin import ownapi, serverapi, serverapi2
from tunnelsvc.admin.described import METRICS, SITE, description
from tunnelsvc.admin.routing import ANY

TABLES = {
    "": {**SITE, **METRICS},
    "/api/admin": ownapi.ROUTES,
    "/api": serverapi.ROUTES,
    "/api/v2": serverapi2.ROUTES,
}


def table_routes() -> Iterator[tuple[str, str, int]]:
    """Give what is routed: a path in which variables are "*", method, number of variables."""
    for prefix, table in TABLES.items():
        for pattern, methods in table.items():
            path = "/".join([prefix, *(part or "*" for part in pattern)])
            for method in methods:
                yield path, method.decode(), sum(part is ANY for part in pattern)


def described_routes() -> Iterator[tuple[str, str, int]]:
    """Give what is described, likewise."""
    for path, operations in description(COOKIE, metrics=True)["paths"].items():
        parts = ["*" if part.startswith("{") else part for part in path.split("/")]
        for method, operation in operations.items():
            variables = [each for each in operation["parameters"] if each["in"] == "path"]
            yield "/".join(parts), method.upper(), len(variables)


class DescriptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dashboard = Dashboard()

    def test_valid(self) -> None:
        validate(description(COOKIE, metrics=True))

    def test_served(self) -> None:
        config = self.dashboard.server.config
        self.assertFalse(config.dashboard.enable_prometheus)
        without = self.dashboard.ask("/api/openapi.json").json
        self.assertEqual(without, description(COOKIE, metrics=False))
        self.assertNotIn("/metrics", without["paths"])
        dashboard = evolve(config.dashboard, enable_prometheus=True)
        self.dashboard.server.config = evolve(config, dashboard=dashboard)
        answer = self.dashboard.ask("/api/openapi.json")
        self.assertEqual((answer.status, answer.json), (200, description(COOKIE, metrics=True)))
        cookie = answer.json["components"]["securitySchemes"]["cookie"]
        self.assertEqual(cookie, {"type": "apiKey", "in": "cookie", "name": COOKIE})

    def test_nothing_but_what_there_is_and_all_of_it(self) -> None:
        self.assertEqual(sorted(described_routes()), sorted(table_routes()))

    def test_each_path_answers_to_its_methods_and_no_others(self) -> None:
        for path, operations in description(COOKIE, metrics=True)["paths"].items():
            if path.endswith("/stream"):
                continue
            asked = "/".join("1" if part.startswith("{") else part for part in path.split("/"))
            for method in ("get", "post", "put", "delete", "patch"):
                status = self.dashboard.ask(asked, method.upper()).status
                if method in operations:
                    self.assertIn(str(status), operations[method]["responses"], f"{method} {path}")
                else:
                    self.assertEqual(status, 405, f"{method} {path}")

    def test_what_the_site_has_besides(self) -> None:
        """Pages aren't for programs; everything else is described."""
        self.assertEqual(self.dashboard.ask("/healthz", authorization=None).status, 200)
        self.assertEqual(self.dashboard.ask("/metrics").status, 200)
        self.assertEqual(Dashboard(metrics=False).ask("/metrics").status, 404)

    def test_answers_of_frps_apis(self) -> None:
        server = self.dashboard.server
        server.login("r1", user="alice", client_id="laptop")
        server.login("r2")
        server.proxy("web", "http", customDomains=["a.example"], transport={"useEncryption": True})
        server.proxy("ssh", remotePort=6000)
        move(server.proxy("old"), 1, 2)
        server.stats.client_offline("r2")
        server.stats.proxy_offline("old")
        for path, asked in {
            "/api/serverinfo": "",
            "/api/proxy/{type}": "/api/proxy/tcp",
            "/api/proxy/{type}/{name}": "/api/proxy/http/web",
            "/api/proxies": "",
            "/api/proxies/{name}": "/api/proxies/old",
            "/api/traffic/{name}": "/api/traffic/ssh",
            "/api/clients": "",
            "/api/clients/{key}": "/api/clients/alice.laptop",
            "/api/v2/users": "",
            "/api/v2/clients": "",
            "/api/v2/clients/{key}": "/api/v2/clients/r2",
            "/api/v2/proxies": "",
            "/api/v2/proxies/{name}": "/api/v2/proxies/old",
            "/api/v2/proxies/{name}/traffic": "/api/v2/proxies/ssh/traffic",
            "/api/v2/system/info": "",
        }.items():
            answer = self.dashboard.ask(asked or path)
            self.assertEqual((answer.status, wrong_with(answer.json, "get", path)), (200, []), path)

    def test_changes_and_errors_of_frps_apis(self) -> None:
        for method, asked, path, status in (
            ("DELETE", "/api/proxies?status=offline", "/api/proxies", 200),
            ("DELETE", "/api/proxies", "/api/proxies", 400),
            ("GET", "/api/proxies/x", "/api/proxies/{name}", 404),
            ("GET", "/api/v2/proxies/x", "/api/v2/proxies/{name}", 404),
            ("GET", "/api/v2/proxies?page=0", "/api/v2/proxies", 400),
            ("POST", "/api/v2/system/prune?type=offline_proxies", "/api/v2/system/prune", 200),
        ):
            answer = self.dashboard.ask(asked, method)
            self.assertEqual(answer.status, status)
            self.assertEqual(wrong_with(answer.json, method.lower(), path, status), [])

    def test_the_check_finds_what_is_wrong(self) -> None:
        good = self.dashboard.ask("/api/serverinfo").json
        self.assertNotEqual(wrong_with({**good, "new": 1}, "get", "/api/serverinfo"), [])
        del good["now"]
        self.assertNotEqual(wrong_with(good, "get", "/api/serverinfo"), [])
