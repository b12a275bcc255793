# -*- test-case-name: tests.e2e.test_transports -*-
"""Ways from client to server with both programs of ours: websockets, proxies, several servers."""

import socket
from typing import Final

from tests.e2e.nginx import start_proxy
from tests.e2e.secure import Trust
from tests.e2e.services import (
    connected,
    echo,
    echo_bulk,
    echo_once,
    is_closed,
    receive,
    serves_echo,
)
from tests.e2e.tunnel import Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.programs import (
    OUR_CLIENT,
    OUR_SERVER,
    PATIENCE,
    Program,
    Sections,
    accepts_connections,
    eventually,
    free_port,
    require_program,
)
from tunnelsvc.units import MiB

TINYPROXY_CONFIG: Final = """\
Port {port}
Listen 127.0.0.1
Timeout 60
Allow 127.0.0.1
BasicAuth ann s3cret
ConnectPort {target}
"""


def answer_at_the_end(connection: socket.socket) -> None:
    """Service: say how many bytes came, after the end of the request."""
    count = sum(map(len, iter(lambda: connection.recv(65536), b"")))
    connection.sendall(b"got %d" % count)


class TransportTestCase(TunnelTestCase):
    """An echo service behind `tcp_port`."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp_port = free_port()
        self.echo = self.local_service(echo)

    @property
    def proxies(self) -> Sections:
        return {"echo": tcp_proxy(self.echo.port, self.tcp_port)}

    def check_echo(self) -> None:
        sent, received = echo_bulk(self.tcp_port, 8 * MiB)
        self.assertEqual(sent, received)
        self.assertTrue(serves_echo(self.tcp_port))

    def refused_client(self, options: Options) -> str:
        """Run a client that can't log in; return what it says."""
        config = self.write_config("refused.ini", self.client_sections(self.proxies, options))
        client = self.run_program((*OUR_CLIENT.command, "-c", str(config)), name="refused")
        self.assertEqual(client.wait(), 1)
        return client.output()


class WebSocketTests(TransportTestCase):
    """websocket and wss."""

    def test_half_close(self) -> None:
        """The end of a request doesn't cut its answer off, by whatever way it goes."""
        service = self.local_service(answer_at_the_end)
        proxies = {"count": tcp_proxy(service.port, self.tcp_port)}
        self.start_server()
        for protocol, tls, mux in (
            ("websocket", False, False),
            ("websocket", True, False),
            ("wss", True, False),
            ("wss", True, True),
        ):
            client = self.start_client(
                proxies, {"protocol": protocol, "tls_enable": tls, "tcp_mux": mux}
            )
            with connected(self.tcp_port) as user:
                user.sendall(bytes(MiB))
                user.shutdown(socket.SHUT_WR)
                self.assertEqual(receive(user, 11), b"got 1048576", self.show_outputs())
            client.stop()

    def test_tls_only(self) -> None:
        self.start_server({"tls_only": True})
        said = self.refused_client({"protocol": "websocket", "tls_enable": False})
        self.assertIn("It may insist on TLS", said)
        self.start_client(self.proxies, {"protocol": "wss"})
        self.check_echo()

    def test_no_websocket_there(self) -> None:
        self.start_server()
        said = self.refused_client({"protocol": "websocket", "server_port": self.vhost_port})
        self.assertIn("no websocket: the server answers 404", said)

    def test_a_wrong_certificate(self) -> None:
        trust = Trust(self.directory)
        files = trust.issue("server", "tunnel.test")
        self.start_server({"tls_cert_file": files.cert, "tls_key_file": files.key})
        said = self.refused_client(
            {
                "protocol": "wss",
                "tls_trusted_ca_file": trust.file,
                "tls_server_name": "other.test",
            }
        )
        self.assertIn("host name mismatch", said)

    def test_by_the_name_of_a_site(self) -> None:
        """One port, one certificate: users of a site, and clients by wss."""
        trust = Trust(self.directory)
        files = trust.issue("site", "site.test")
        sections = self.server_sections({"vhost_https_port": self.bind_port})
        server = self.run_server({**sections, "certificate.site": files.options})
        site = http_proxy(self.local_site("mine"), {"custom_domains": "site.test"})
        self.start_client(
            {**self.proxies, "site": site},
            {
                "protocol": "wss",
                "tls_trusted_ca_file": trust.file,
                "tls_server_name": "site.test",
            },
        )
        self.check_echo()
        with trust.connected(self.bind_port, "site.test") as user:
            user.sendall(b"GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
            self.assertIn(b"mine", b"".join(iter(lambda: user.recv(65536), b"")))
        # Who names no protocol in TLS is served as well.
        curl = self.run_program(
            (
                *(require_program("curl"), "--silent", "--no-alpn", "--cacert", trust.file),
                *("--resolve", f"site.test:{self.bind_port}:127.0.0.1"),
                f"https://site.test:{self.bind_port}/",
            )
        )
        self.assertEqual(curl.wait(), 0)
        self.assertIn("mine", curl.output())
        self.assertEqual(server.lines("websocket refused"), [])

    def test_behind_nginx(self) -> None:
        """The server learns who the client is, from nobody but nginx."""
        front = free_port()
        server = self.start_server({"trusted_proxies": "loopback"})
        start_proxy(self, front, self.bind_port, "X-Forwarded-For 203.0.113.7")
        self.start_client(self.proxies, {"protocol": "websocket", "server_port": front})
        self.check_echo()
        self.assertEqual(len(server.lines("client login info: ip [203.0.113.7]")), 1)


class ProxyTests(TransportTestCase):
    """The server is reached through a proxy."""

    def start_tinyproxy(self) -> tuple[int, Program]:
        """Run a tinyproxy that lets ann through to the server's port."""
        port = free_port()
        config = self.directory / "tinyproxy.conf"
        config.write_text(
            TINYPROXY_CONFIG.format(port=port, target=self.bind_port), encoding="ascii"
        )
        proxy = self.run_program((require_program("tinyproxy"), "-d", "-c", str(config)))
        proxy.wait_until(lambda: accepts_connections(port), f"port {port} listened on")
        return port, proxy

    def test_tinyproxy(self) -> None:
        port, proxy = self.start_tinyproxy()
        self.start_server()
        for times, protocol in enumerate(("tcp", "websocket", "wss"), start=1):
            client = self.start_client(
                self.proxies,
                {"http_proxy": f"http://ann:s3cret@127.0.0.1:{port}", "protocol": protocol},
            )
            self.check_echo()
            self.assertEqual(client.lines("s3cret"), [])
            self.assertGreaterEqual(
                len(proxy.lines(f"CONNECT 127.0.0.1:{self.bind_port}")), times, proxy.output()
            )
            client.stop()

    def test_refusals(self) -> None:
        port, _ = self.start_tinyproxy()
        self.start_server()
        for login, what in (
            ("", "it wants user and password (407)"),
            ("ann:wrong@", "it refuses user or password"),
        ):
            said = self.refused_client({"http_proxy": f"http://{login}127.0.0.1:{port}"})
            self.assertIn(f"proxy http://127.0.0.1:{port}: it ", said)
            self.assertIn(what, said)
            self.assertNotIn("wrong", said)

    def test_nobody_there(self) -> None:
        port = free_port()
        said = self.refused_client({"http_proxy": f"http://127.0.0.1:{port}"})
        self.assertIn(f"proxy http://127.0.0.1:{port}: Connection was refused", said)

    def test_ntlm(self) -> None:
        said = self.refused_client({"http_proxy": "ntlm://ann:s3cret@127.0.0.1:1"})
        self.assertIn("NTLM is not supported", said)
        self.assertNotIn("s3cret", said)

    def test_our_own_proxies(self) -> None:
        """A client that offers its network lets another one out."""
        self.start_server()
        socks_port, http_port = free_port(), free_port()
        login = {"plugin_user": "ann", "plugin_passwd": "pw"}
        http = {"plugin": "http_proxy", "plugin_http_user": "ann", "plugin_http_passwd": "pw"}
        self.start_client(
            {
                "s": {"type": "tcp", "remote_port": socks_port, "plugin": "socks5", **login},
                "h": {
                    "type": "tcp",
                    "remote_port": http_port,
                    **http,
                },
            }
        )
        for scheme, port in (("socks5", socks_port), ("http", http_port)):
            client = self.start_client(
                self.proxies, {"http_proxy": f"{scheme}://ann:pw@127.0.0.1:{port}"}
            )
            self.check_echo()
            client.stop()

    def test_the_environment_is_not_for_this_machine(self) -> None:
        self.start_server()
        config = self.write_config("frpc.ini", self.client_sections(self.proxies))
        client = self.run_program(
            (*OUR_CLIENT.command, "-c", str(config)),
            environ={"http_proxy": f"http://127.0.0.1:{free_port()}"},
        )
        client.wait_for("[echo] start proxy success")


class ServersTests(TransportTestCase):
    """Two servers, on two addresses of this machine."""

    def start_at(self, address: str) -> Program:
        """Start a server."""
        options = {"bind_addr": address, "proxy_bind_addr": address, "vhost_http_port": 0}
        config = self.write_config(f"{address}.ini", self.server_sections(options))
        server = self.run_program((*OUR_SERVER.command, "-c", str(config)), name=address)
        server.wait_for("tunnel server started successfully")
        return server

    def serves(self, address: str) -> bool:
        """Whether the service can be reached through a server."""
        try:
            with socket.create_connection((address, self.tcp_port), timeout=PATIENCE) as user:
                return echo_once(user)
        except OSError:
            return False

    def test_killed_and_restarted(self) -> None:
        first, second = "127.0.0.1", "127.0.0.2"
        servers = {address: self.start_at(address) for address in (first, second)}
        where = f"{first}:{self.bind_port},{second}:{self.bind_port}"
        client = self.start_client(self.proxies, {"server_addr": where})
        self.assertTrue(self.serves(first))
        self.assertFalse(self.serves(second))
        used, unused = first, second
        for _ in range(3):
            with socket.create_connection((used, self.tcp_port), timeout=PATIENCE) as user:
                self.assertTrue(echo_once(user))
                servers[used].kill()
                self.assertTrue(is_closed(user))
            eventually(lambda at=unused: self.serves(at), f"served at {unused}")  # type: ignore[misc]
            self.assertIn(f"using server {unused}:{self.bind_port}", client.lines("using")[-1])
            servers[used] = self.start_at(used)
            used, unused = unused, used

    def test_the_first_is_down_from_the_beginning(self) -> None:
        self.start_at("127.0.0.2")
        where = f"127.0.0.1:{free_port()},127.0.0.2:{self.bind_port}"
        client = self.start_client(self.proxies, {"server_addr": where})
        self.assertTrue(self.serves("127.0.0.2"))
        self.assertEqual(len(client.lines("Connection was refused")), 1)

    def test_all_down(self) -> None:
        ports = [free_port(), free_port()]
        where = ",".join(f"127.0.0.1:{port}" for port in ports)
        said = self.refused_client({"server_addr": where})
        for port in ports:
            self.assertIn(f"Connection refused. [127.0.0.1:{port}]", said)
