# -*- test-case-name: tests.e2e.test_jupyter -*-
"""A real Jupyter through the tunnel: log in, run a kernel, open a terminal."""

import json

from websocket import WebSocketBadStatusException

from tests.e2e.jupyter import PASSWORD, JupyterUser, run_cell, start_jupyter, until
from tests.e2e.nginx import start_proxy
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy
from tests.programs import free_port

# Of a cell's output: more than one read of any layer, in a WebSocket frame of the longest kind.
PRINTED_BYTES = 200_000


class JupyterTests(TunnelTestCase):
    """The server of Jupyter, asked as its pages ask."""

    def start_tunnel(self, options: Options, *, remote: bool = True) -> None:
        """Start Jupyter and both programs.

        Args:
            options: of the proxy.
            remote: Jupyter takes requests for names that aren't its machine's.
        """
        jupyter = start_jupyter(self, "jupyter_server", f"--ServerApp.allow_remote_access={remote}")
        self.start_server({"subdomain_host": "tunnel.test"})
        self.start_client({"jupyter": http_proxy(jupyter, options)})

    def check_all(self, user: JupyterUser) -> None:
        """Do what a person does: log in, run a cell, type into a terminal."""
        self.check_login(user)
        self.check_kernel(user)
        self.check_terminal(user)

    def check_login(self, user: JupyterUser) -> None:
        """Only who knows the password gets in."""
        self.assertEqual(user.ask("GET", "/api/kernels").status, 403)
        self.assertEqual(user.log_in("wrong").status, 401)
        self.assertEqual(user.log_in(PASSWORD).status, 302)
        self.assertEqual(user.ask("GET", "/api/kernels").status, 200)

    def check_kernel(self, user: JupyterUser) -> None:
        """A kernel runs a cell, and what it prints and gives comes back."""
        self.assertEqual(user.ask("POST", "/api/kernels", "{}").status, 403, "without its proof")
        started = user.ask("POST", "/api/kernels", "{}", user.proof)
        self.assertEqual(started.status, 201, started.body)
        path = f"/api/kernels/{started.json()['id']}"
        with user.websocket(f"{path}/channels") as kernel:
            self.assertEqual(
                run_cell(kernel, "print('hello', flush=True); 6 * 7"), ("hello\n", "42")
            )
            printed, _ = run_cell(kernel, f"print('x' * {PRINTED_BYTES})")
            self.assertEqual(len(printed), PRINTED_BYTES + 1)
        self.assertEqual(user.ask("DELETE", path, headers=user.proof).status, 204)

    def check_terminal(self, user: JupyterUser) -> None:
        """A shell echoes."""
        started = user.ask("POST", "/api/terminals", headers=user.proof)
        self.assertEqual(started.status, 200, started.body)
        name = started.json()["name"]
        with user.websocket(f"/terminals/websocket/{name}") as terminal:
            terminal.send(json.dumps(["stdin", "echo sum-$((6 * 7))\r"]))
            until(terminal.recv, lambda message: "sum-42" in message)
        self.assertEqual(
            user.ask("DELETE", f"/api/terminals/{name}", headers=user.proof).status, 204
        )

    def test_custom_domain(self) -> None:
        """By a name of its own, on the vhost port and on the bind port."""
        self.start_tunnel({"custom_domains": "jupyter.test"})
        for port in (self.vhost_port, self.bind_port):
            self.check_all(JupyterUser(port, f"jupyter.test:{port}"))

    def test_nginx(self) -> None:
        """Behind nginx, which keeps its connections to us for whoever comes."""
        self.start_tunnel({"subdomain": "jupyter"})
        port = free_port()
        way = "X-Forwarded-For $proxy_add_x_forwarded_for"
        start_proxy(self, port, self.vhost_port, way)
        self.check_all(JupyterUser(port, f"jupyter.tunnel.test:{port}"))

    def test_renamed(self) -> None:
        """By a Host of its own machine: no option is needed, and other sites stay others."""
        self.start_tunnel(
            {"custom_domains": "jupyter.test", "host_header_rewrite": "localhost"}, remote=False
        )
        user = JupyterUser(self.vhost_port, f"jupyter.test:{self.vhost_port}")
        self.check_all(user)
        started = user.ask("POST", "/api/kernels", "{}", user.proof)
        path = f"/api/kernels/{started.json()['id']}/channels"
        for stranger in ("http://evil.test", "http://localhost"):
            with (
                self.assertRaises(WebSocketBadStatusException) as refused,
                user.websocket(path, origin=stranger),
            ):
                pass
            self.assertEqual(refused.exception.status_code, 403)
