# -*- test-case-name: tests.e2e.test_proxyprotocol -*-
"""A real nginx behind the tunnel is told who its users are."""

from pathlib import Path
from typing import Final

from tests.e2e.commands import curl
from tests.e2e.nginx import start_witness
from tests.e2e.secure import Files, Trust
from tests.e2e.services import connected
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.programs import Program, Sections, free_port
from tunnelsvc.wire.proxyprotocol import VERSIONS

HOST: Final = "witness.test"
DRESSED: Final = {"use_encryption": True, "use_compression": True}

# Where users come from; all of 127.0.0.0/8 is this machine.
FIRST_USER: Final = "127.0.0.2"
SECOND_USER: Final = "127.0.0.3"


class WitnessCase(TunnelTestCase):
    """A tunnel, and an nginx that tells each user who he is.

    Attributes:
        ports: public ones, by the name of the proxy.
    """

    files: Files
    socket_path: Path

    def setUp(self) -> None:
        super().setUp()
        self.https_port = free_port()
        self.local_port, self.local_secure_port = free_port(), free_port()
        self.ports: dict[str, int] = {}

    def start(self, proxies: Sections) -> Program:
        """Start all of it; return the client."""
        self.start_server({"vhost_https_port": self.https_port})
        return self.start_client(proxies)

    def start_nginx(self) -> None:
        """Start the service."""
        self.files = Trust(self.directory).issue("witness", HOST)
        self.socket_path = start_witness(self, self.local_port, self.local_secure_port, self.files)

    def proxies(self, version: str) -> Sections:
        """Give a proxy of each kind."""
        told = {"proxy_protocol_version": version}
        self.ports |= {name: free_port() for name in ("tcp", "dressed")}
        return {
            "tcp": {
                "type": "tcp",
                "local_port": self.local_port,
                "remote_port": self.ports["tcp"],
                **told,
            },
            "dressed": {
                "type": "tcp",
                "local_port": self.local_port,
                "remote_port": self.ports["dressed"],
                **DRESSED,
                **told,
            },
            "http": {
                "type": "http",
                "local_port": self.local_port,
                "custom_domains": HOST,
                **told,
            },
            "https": {
                "type": "https",
                "local_port": self.local_secure_port,
                "custom_domains": HOST,
                **told,
            },
        }

    def plugin_proxies(self, version: str) -> Sections:
        """Give a proxy for each plugin that has a service."""
        self.ports |= {name: free_port() for name in ("unix", "tls2raw")}
        told = {"type": "tcp", "proxy_protocol_version": version}
        return {
            "unix": {
                "plugin": "unix_domain_socket",
                "plugin_unix_path": self.socket_path,
                "remote_port": self.ports["unix"],
                **told,
            },
            "tls2raw": {
                "plugin": "tls2raw",
                "plugin_local_addr": f"127.0.0.1:{self.local_port}",
                "remote_port": self.ports["tls2raw"],
                **told,
            },
        }

    def ask(self, scheme: str, port: int, user: str = FIRST_USER) -> tuple[str, str, list[str]]:
        """Let a user ask who he is; return who he is, what he is told, and where he came in."""
        user_port = free_port()
        answer = curl(
            *("--interface", user, "--local-port", str(user_port), "--insecure"),
            *("--resolve", f"{HOST}:{port}:127.0.0.1", f"{scheme}://{HOST}:{port}/"),
        )
        words = answer.decode("ascii").removesuffix(".").split(" ")
        return f"{user} {user_port}", " ".join(words[:2]), words[2:]

    def check_ports(self, secure: str = "") -> None:
        """Users of ports of their own; the entrance is told, too."""
        for name, port in self.ports.items():
            scheme = "https" if name == secure else "http"
            user, told, entrance = self.ask(scheme, port)
            self.assertEqual(told, user, f"{name}\n{self.show_outputs()}")
            self.assertEqual(entrance, ["127.0.0.1", str(port)])

    def check_names(self) -> None:
        """Users of shared ports."""
        for scheme, port in (("https", self.https_port), ("http", self.vhost_port)):
            user, told, entrance = self.ask(scheme, port)
            self.assertEqual(told, user, f"{scheme}\n{self.show_outputs()}")
            expected = str(port) if scheme == "https" else ""
            self.assertEqual(entrance, ["127.0.0.1", expected])

    def check_version(self, version: str, options: Options = NO_OPTIONS) -> None:
        """All of that with one version."""
        self.start_nginx()
        proxies = self.proxies(version)
        self.start({name: {**proxy, **options} for name, proxy in proxies.items()})
        self.check_ports()
        self.check_names()


class ProxyProtocolTests(WitnessCase):
    """Our server and our client."""

    def check(self, version: str) -> None:
        """Everything that we have, and users who come by turns."""
        self.start_nginx()
        self.start({**self.proxies(version), **self.plugin_proxies(version)})
        self.check_ports(secure="tls2raw")
        self.check_names()
        for user in 2 * (FIRST_USER, SECOND_USER):
            expected, told, _ = self.ask("http", self.vhost_port, user)
            self.assertEqual(told, expected)

    def test_v1(self) -> None:
        self.check(VERSIONS[0])

    def test_v2(self) -> None:
        self.check(VERSIONS[1])

    def test_connect(self) -> None:
        """A user of a tcpmux proxy."""
        self.start_nginx()
        port, user_port = free_port(), free_port()
        self.start_server({"tcpmux_httpconnect_port": port})
        proxy = {
            "type": "tcpmux",
            "multiplexer": "httpconnect",
            "local_port": self.local_port,
            "custom_domains": HOST,
            "proxy_protocol_version": "v2",
        }
        self.start_client({"mux": proxy})
        answer = curl(
            *("--interface", FIRST_USER, "--local-port", str(user_port)),
            *("--proxytunnel", "-x", f"http://127.0.0.1:{port}", f"http://{HOST}/"),
        )
        self.assertEqual(answer.decode(), f"{FIRST_USER} {user_port} 127.0.0.1 {port}.")

    def test_requests_by_turns(self) -> None:
        """Two users who keep their connections: each request is its user's."""
        self.start_nginx()
        self.start(self.proxies("v2"))
        request = b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST.encode("ascii")
        with connected(self.vhost_port) as first, connected(self.vhost_port) as second:
            for user in 3 * (first, second):
                user.sendall(request)
                answer = b""
                while not answer.endswith(b"."):
                    answer += user.recv(4096)
                address, port = user.getsockname()
                self.assertIn(b"\r\n\r\n%b %d 127.0.0.1 ." % (address.encode(), port), answer)
