# -*- test-case-name: tests.e2e.test_api_fuzz -*-
"""Both sites, with everything running, are asked whatever their descriptions permit, and more.

Nothing may fail on our side, and each answer must be as described.
"""

from typing import Any, Final

from tests.e2e.fuzzing import Fuzzer, Known
from tests.e2e.services import connected, echo, request
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import PATIENCE, Sections, eventually, free_port, require_module

EXAMPLES: Final = 12
"""Right requests for each operation, and as many wrong ones."""
FEW: Final = 4
"""Of those that wait, or have to be put right again."""

LOGIN: Final = {"user": "admin", "password": "secret"}
ENDLESS: Final = "GET /api/admin/stream"
STOP: Final = "POST /api/stop"
SESSIONS: Final = ("POST /login", "POST /logout")


class FuzzTestCase(TunnelTestCase):
    """Has a tunnel with users, and a site to ask."""

    def setUp(self) -> None:
        super().setUp()
        require_module("requests")
        require_module("schemathesis")
        self.site_port = free_port()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.site_port}"

    def by_password(self) -> Fuzzer:
        """Ask as scripts do."""
        import requests  # noqa: PLC0415 - comes with schemathesis, which not everybody has

        session = requests.Session()
        session.trust_env = False
        session.auth = (LOGIN["user"], LOGIN["password"])
        return Fuzzer(self.base, session, self.ask("/api/openapi.json"))

    def by_cookie(self) -> Fuzzer:
        """Ask as the pages do."""
        fuzzer = self.by_password()
        fuzzer.session.auth = None
        answer = fuzzer.session.post(f"{self.base}/login", json=LOGIN, timeout=PATIENCE)
        self.assertEqual(answer.status_code, 200)
        fuzzer.session.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return fuzzer

    def ask(self, path: str, method: str = "GET") -> Any:
        answer = request(self.site_port, path, method=method, user="admin:secret")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def check_streams(self, fuzzer: Fuzzer) -> None:
        """What never ends is looked at until the first event."""
        operation = fuzzer.operation(ENDLESS)
        fuzzer.done.add(operation.label)
        for topics, status in (("nothing", 400), (self.topics, 200)):
            query = {"topics": topics}
            with fuzzer.session.get(
                f"{self.base}/api/admin/stream", params=query, stream=True, timeout=PATIENCE
            ) as answer:
                self.assertEqual(answer.status_code, status, topics)
                self.assertIn(str(status), operation.definition.raw["responses"])
                if status == 200:
                    self.assertIn("text/event-stream", answer.headers["Content-Type"])
                    self.assertTrue(next(answer.iter_lines()))

    topics = ""

    def check_fuzzer(self) -> None:
        """An answer that isn't as described is noticed."""
        fuzzer = self.by_password()
        of_health = fuzzer.description["paths"]["/healthz"]["get"]["responses"]["200"]["content"]
        of_health["application/json"] = of_health.pop("text/plain")
        session = fuzzer.description["components"]["schemas"]["Session"]
        session["properties"]["version"] = {"type": "integer"}
        for label, failure in (
            ("GET /healthz", "Undocumented Content-Type"),
            ("GET /api/admin/session", "violates"),
        ):
            with self.assertRaises(BaseExceptionGroup) as raised:
                fuzzer.fuzz(fuzzer.operation(label), 1)
            self.assertIn(failure, str(raised.exception))

    def check_sessions(self) -> None:
        """Logging in and out. Wrong passwords wait longer and longer: a few are enough."""
        fuzzer = self.by_password()
        fuzzer.session.auth = None
        fuzzer.fuzz(fuzzer.operation(SESSIONS[0]), 2)
        self.assertIn(403, fuzzer.asked)
        fuzzer = self.by_cookie()
        fuzzer.fuzz(fuzzer.operation(SESSIONS[1]), FEW)
        self.assertEqual(fuzzer.asked.get(200), 1, "the first logs out")
        self.assertEqual(fuzzer.session.get(f"{self.base}/api/admin/session").status_code, 401)

    def check_strangers(self) -> None:
        """Without a login all is refused but what is open to everybody, or no HTTP at all."""
        fuzzer = self.by_password()
        fuzzer.session.auth = None
        for operation in fuzzer.operations(SESSIONS):
            if fuzzer.is_guarded(operation):
                fuzzer.fuzz(operation, 1)
        self.assertEqual(set(fuzzer.asked) - {400}, {401})


class ServerTests(FuzzTestCase):
    """The dashboard's API, and frp's."""

    topics = "overview,clients,proxies,connections,events"

    def setUp(self) -> None:
        super().setUp()
        self.remote_port = free_port()
        self.server = self.start_server({
            "dashboard_port": self.site_port,
            "dashboard_user": LOGIN["user"],
            "dashboard_pwd": LOGIN["password"],
            "enable_prometheus": True,
            "data_dir": self.directory / "data",
        })  # fmt: skip
        service = self.local_service(echo)
        web = self.local_site("web")
        self.start_client({
            "ssh": tcp_proxy(service.port, self.remote_port),
            "a/b c": http_proxy(web, {"custom_domains": "web.test"}),
        })  # fmt: skip
        self.use()

    def use(self) -> None:
        """Have users come by both proxies; one stays."""
        user = connected(self.remote_port)
        connection = user.__enter__()
        self.addCleanup(user.__exit__, None, None, None)
        connection.sendall(b"hello")
        self.assertEqual(connection.recv(100), b"hello")
        answer = request(self.vhost_port, "/", host="web.test")
        self.assertEqual(answer.status, 200)

    def known(self) -> Known:
        """Give what there is."""
        proxies = [row["name"] for row in self.ask("/api/admin/proxies")["rows"]]
        return {
            "name": proxies,
            "key": [row["key"] for row in self.ask("/api/admin/clients")["rows"]],
            "id": [str(row["id"]) for row in self.ask("/api/admin/connections")["rows"]],
            "kind": ["tcp", "http"],
            "type": ["tcp", "http"],
        }

    def put_right(self) -> None:
        """Allow all, enable all, and wait for the client."""
        for row in self.ask("/api/admin/blocks")["rows"]:
            self.ask(f"/api/admin/blocks/{row['id']}", "DELETE")
        for name in ("ssh", "a%2Fb%20c"):
            self.ask(f"/api/admin/proxies/{name}/enable", "POST")

        def all_there() -> bool:
            rows = self.ask("/api/admin/proxies")["rows"]
            return len(rows) == 2 and all(row["online"] for row in rows)

        eventually(all_there, "the client came back")

    def test_all(self) -> None:
        fuzzer = self.by_cookie()
        known = self.known()
        for operation in fuzzer.operations((ENDLESS, *SESSIONS)):
            changes = operation.method != "get"
            fuzzer.fuzz(operation, FEW if changes else EXAMPLES, known)
            if changes:
                self.put_right()
        self.check_streams(fuzzer)
        self.assertIn("POST /api/admin/clients/{key}/kick", fuzzer.done)

    def test_by_password(self) -> None:
        self.check_fuzzer()
        fuzzer = self.by_password()
        for operation in fuzzer.operations((ENDLESS, *SESSIONS)):
            fuzzer.fuzz(operation, 1)
        self.check_streams(fuzzer)
        self.check_strangers()
        self.check_sessions()


class ClientTests(FuzzTestCase):
    """The client's page's API, and frp's."""

    topics = "status,requests"

    def setUp(self) -> None:
        super().setUp()
        self.start_server()
        web = self.local_site("web")
        self.proxies: Sections = {
            "web": http_proxy(web, {"custom_domains": "web.test", "inspect": True}),
            "ssh": tcp_proxy(self.local_service(echo).port, free_port()),
        }
        self.options: Options = {
            "admin_port": self.site_port,
            "admin_user": LOGIN["user"],
            "admin_pwd": LOGIN["password"],
        }
        self.client = self.start_client(self.proxies, self.options)
        self.use()

    def use(self) -> None:
        """Have requests to look at, one with a body."""
        for path in ("/", "/bytes/100000", "/x?y=z"):
            self.assertEqual(request(self.vhost_port, path, host="web.test").status, 200)
        answer = request(
            self.vhost_port, "/form", method="POST", host="web.test", body=b'{"a": 1}',
            headers={"Content-Type": "application/json", "Authorization": "Bearer secret"},
        )  # fmt: skip
        self.assertEqual(answer.status, 200)

    def known(self) -> Known:
        """Give what there is."""
        rows = self.ask("/api/admin/requests")["rows"]
        self.assertGreaterEqual(len(rows), 4)
        return {
            "id": [str(row["id"]) for row in rows[-4:]],
            "side": ["request", "response"],
            "name": ["web", "ssh"],
        }

    def put_right(self) -> None:
        """Write the file anew, have it read, and see that requests are recorded again."""
        self.write_config("frpc.ini", self.client_sections(self.proxies, self.options))
        self.ask("/api/reload")

        def serves() -> bool:
            return request(self.vhost_port, "/", host="web.test").status == 200

        eventually(serves, "the proxy is back")
        self.use()

    def test_all(self) -> None:
        fuzzer = self.by_cookie()
        for operation in fuzzer.operations((ENDLESS, STOP, *SESSIONS)):
            changes = operation.method != "get"
            fuzzer.fuzz(operation, FEW if changes else EXAMPLES, self.known())
            if changes:
                self.put_right()
        self.check_streams(fuzzer)
        self.assertIn("POST /api/admin/requests/{id}/replay", fuzzer.done)
        fuzzer.fuzz(fuzzer.operation(STOP), 1)
        self.assertEqual(self.client.wait(), 0)

    def test_by_password(self) -> None:
        fuzzer = self.by_password()
        for operation in fuzzer.operations((ENDLESS, STOP, *SESSIONS)):
            fuzzer.fuzz(operation, 1)
        self.check_streams(fuzzer)
        self.check_strangers()
        self.check_sessions()
        self.assertTrue(self.client.status.is_running)
