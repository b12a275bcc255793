# -*- test-case-name: tests.server.test_reload -*-
"""Tests of `tunnelsvc.server.reload`, and of each field that it changes.

A test of a field is called after it, so that `EveryFieldTests` finds one that has none.
"""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.link.authority import Authority, write_certificates, write_key
from tests.loglines import LogLines
from tests.programs import free_port
from tests.server.fakes import TOKEN, FakeClient, Reactor
from tests.server.hooks.plugin import Plugin
from tests.streams import pair, recorded
from tests.tunnels import LOOPBACK, PATIENCE_SECONDS, TunnelCase, clock
from tunnelsvc.admin.site import DashboardService
from tunnelsvc.config import Loaded
from tunnelsvc.config.changes import LIVE
from tunnelsvc.config.proxies import HTTPProxyConfig
from tunnelsvc.config.schema import (
    CertificateConfig,
    DashboardConfig,
    LogConfig,
    ServerConfig,
    TLSConfig,
)
from tunnelsvc.control.auth import TokenAuth
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.link.mux import MuxSession
from tunnelsvc.metrics.events import EventLog
from tunnelsvc.runner import Program
from tunnelsvc.server import accept
from tunnelsvc.server.reload import Reload
from tunnelsvc.server.service import TunnelServer
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import (
    Login,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)


class ReloadTests(SynchronousTestCase):
    """The order of things, and what the log says."""

    def setUp(self) -> None:
        self.lines = LogLines(self)
        self.config = ServerConfig(token="old", bind_port=7000)
        self.loaded: Any = Loaded(self.config, ())
        self.done: list[str] = []
        self.broken: list[str] = []
        self.events = EventLog(lambda: 0.0)

    def reload(self) -> None:
        def load() -> Loaded[ServerConfig]:
            if isinstance(self.loaded, Exception):
                raise self.loaded
            assert isinstance(self.loaded, Loaded)
            return self.loaded

        def part(name: str) -> Any:
            def prepare(config: ServerConfig) -> Any:
                if name in self.broken:
                    raise ConfigError([f"{name} is broken"])
                return lambda: self.done.append(f"{name}: {config.token} {config.bind_port}")

            return prepare

        Reload(load, lambda: self.config, self.events, [part("a"), part("b")])()

    def seen(self) -> list[tuple[str, str]]:
        return [(event.kind, event.detail) for event in self.events.recent()]

    def test_changes(self) -> None:
        """Those that have to wait are told, and are in nobody's configuration."""
        new = evolve(self.config, token="new", bind_port=7001)
        self.loaded = Loaded(new, ("frps.ini: mind the gap",))
        self.reload()
        self.assertEqual(self.done, ["a: new 7000", "b: new 7000"])
        warning, kept, live = self.lines
        self.assertEqual(warning, "frps.ini: mind the gap")
        self.assertIn("bind_port can't change while the server runs", kept)
        self.assertEqual(live, "token has changed, for clients that log in from now on")
        self.assertNotIn("new", f"{warning}{live}".replace("now", ""))
        self.assertEqual(self.seen(), [("reloaded", "token; not before the next start: bind_port")])

    def test_no_change(self) -> None:
        self.reload()
        self.assertEqual(
            list(self.lines), ["the configuration was read again; nothing has changed"]
        )
        self.assertEqual(len(self.done), 2)  # files may have
        self.assertEqual(self.seen(), [("reloaded", "nothing has changed")])

    def test_a_file_that_can_not_be_used(self) -> None:
        self.loaded = ConfigError(["frps.ini:3: wrong", "frps.ini:4: wrong as well"])
        self.reload()
        self.assertEqual(self.done, [])
        self.assertEqual(self.lines[:2], ["frps.ini:3: wrong", "frps.ini:4: wrong as well"])
        self.assertIn("the one before stays in force", self.lines[2])
        self.assertEqual(
            self.seen(), [("reload_failed", "frps.ini:3: wrong; frps.ini:4: wrong as well")]
        )

    def test_a_part_that_can_not(self) -> None:
        self.loaded = Loaded(evolve(self.config, token="new"), ())
        self.broken = ["b"]
        self.reload()
        self.assertEqual(self.done, [])
        self.assertEqual(self.lines[0], "b is broken")
        self.assertEqual(self.seen(), [("reload_failed", "b is broken")])


def ssh(port: int = 6000, name: str = "ssh", **options: Any) -> NewProxy:
    return NewProxy(proxy_name=name, proxy_type="tcp", remote_port=port, **options)


class ClientFieldTests(SynchronousTestCase):
    """Fields that clients notice; the server has no sockets."""

    def setUp(self) -> None:
        self.server = TunnelServer(ServerConfig(token=TOKEN, vhost_http_port=8080), Reactor())
        self.registry = self.server._registry
        self.reactor: Reactor = self.registry.context.reactor

    def change(self, **fields: Any) -> None:
        self.server.prepare(evolve(self.server.config, **fields))()

    def error(self, client: FakeClient, request: NewProxy) -> str:
        answer = client.say(request)
        assert isinstance(answer, NewProxyResp)
        return answer.error

    def log_in(self, token: str) -> bool:
        """Log in with a token; tell whether it is the right one."""
        _, far = pair("client")
        auth = TokenAuth(token=token, now=self.reactor.seconds)
        messages = MessageProtocol(far, self.reactor)
        messages.start()
        return self.registry.login(messages, auth.sign_login(Login()), None) is True

    def test_token(self) -> None:
        """Who is here stays, and is understood; who comes needs the new one."""
        client = FakeClient(self.registry)
        self.change(token="new")
        self.assertEqual(self.error(client, ssh(use_encryption=True)), "")
        self.assertEqual(self.server._context.proxies["ssh"]._key, derive_key(TOKEN))
        self.assertEqual((self.log_in(TOKEN), self.log_in("new")), (False, True))
        self.assertFalse(client.streams[0].lost)

    def test_authenticate_heartbeats(self) -> None:
        """A session is judged by what held when it began."""
        old = FakeClient(self.registry)
        self.change(authenticate_heartbeats=True, token=TOKEN)
        self.assertEqual(old.say(Ping()), Pong())
        new = FakeClient(self.registry)
        error = "token in heartbeat doesn't match token from configuration"
        self.assertEqual(new.say(Ping()), Pong(error=error))

    def test_heartbeats_by_an_old_token(self) -> None:
        """Likewise."""
        self.change(authenticate_heartbeats=True)
        client = FakeClient(self.registry)
        ping = self.registry.auth.ping()
        self.change(token="new")
        self.assertEqual(client.say(ping), Pong())

    def test_authenticate_new_work_conns(self) -> None:
        old = FakeClient(self.registry)
        self.change(authenticate_new_work_conns=True)
        new = FakeClient(self.registry)
        heard: list[StartWorkConn] = []
        for client in (old, new):
            client.on_start = lambda _, start: heard.append(start)
            client.work(NewWorkConn(run_id=client.run_id))
        [refusal] = heard
        self.assertIn("token in NewWorkConn", refusal.error)

    def test_max_pool_count(self) -> None:
        for most in (5, 2):
            self.change(max_pool_count=most)
            heard = FakeClient(self.registry, pool_count=100).heard
            self.assertEqual(heard.count(ReqWorkConn()), most)

    def test_heartbeat_timeout_seconds(self) -> None:
        old = FakeClient(self.registry)
        self.change(heartbeat_timeout_seconds=30.0)
        new = FakeClient(self.registry)
        self.reactor.advance(31)
        old.pump()
        new.pump()
        self.assertEqual((old.streams[0].lost, new.streams[0].lost), (False, True))

    def test_tcp_mux(self) -> None:
        """All that it does is to be shown."""
        self.change(tcp_mux=False)
        self.assertFalse(self.server.config.tcp_mux)

    def test_tcp_mux_chosen(self) -> None:
        session: Any = object()
        for chosen, count in ((False, 10), (True, 0)):
            self.change(tcp_mux_chosen=chosen)
            client = FakeClient(self.registry, session=session, tunnelsvc="1")
            [response] = client.heard
            assert isinstance(response, LoginResp)
            self.assertEqual(response.direct_work_conns, count)

    def test_tcp_mux_keepalive_interval_seconds(self) -> None:
        made: list[float] = []

        def session(**options: Any) -> MuxSession:
            made.append(options["keepalive_seconds"])
            return MuxSession(**options)

        self.patch(accept, "MuxSession", session)
        for seconds in (30.0, 7.0):
            self.change(tcp_mux_keepalive_interval_seconds=seconds)
            _, far = pair("client")
            self.server._acceptor._multiplexed(far, b"")
        self.assertEqual(made, [30.0, 7.0])

    def test_allow_ports(self) -> None:
        """Those that are open stay open."""
        client = FakeClient(self.registry)
        self.assertEqual(self.error(client, ssh()), "")
        self.change(allow_ports=(range(7000, 7001),))
        self.assertEqual(self.error(client, ssh(6001, "b")), "port not allowed")
        self.assertEqual(self.error(client, ssh(7000, "c")), "")
        self.assertEqual(set(self.reactor.listening), {6000, 7000})
        for port, allowed in ((6002, False), (7000, True)):
            request = NewProxy(proxy_name=f"u{port}", proxy_type="udp", remote_port=port)
            self.assertEqual("port not allowed" not in self.error(client, request), allowed)

    def test_max_ports_per_client(self) -> None:
        client = FakeClient(self.registry)
        self.assertEqual(self.error(client, ssh()), "")
        self.change(max_ports_per_client=1)
        self.assertEqual(self.error(client, ssh(6001, "b")), "exceed the max_ports_per_client")
        self.change(max_ports_per_client=2)
        self.assertEqual(self.error(client, ssh(6001, "b")), "")

    def test_subdomain_host(self) -> None:
        client = FakeClient(self.registry)
        request = NewProxy(proxy_name="web", proxy_type="http", subdomain="a")
        self.assertIn("not enabled", self.error(client, request))
        self.change(subdomain_host="t.example")
        answer = client.say(request)
        self.assertEqual(answer, NewProxyResp(proxy_name="web", remote_addr="a.t.example:8080"))

    def test_udp_packet_size(self) -> None:
        """Proxies look for it in their context when they open."""
        self.change(udp_packet_size=9000)
        self.assertEqual(self.server._context.config.udp_packet_size, 9000)

    def test_detailed_errors_to_client(self) -> None:
        client = FakeClient(self.registry)
        self.change(detailed_errors_to_client=False)
        self.assertEqual(self.error(client, ssh(99999)), "new proxy [ssh] error")

    def test_user_conn_timeout_seconds(self) -> None:
        """For clients that are here as well."""
        client = FakeClient(self.registry)
        client.say(ssh())
        self.change(user_conn_timeout_seconds=1.0)
        user = recorded(self.reactor.user(6000))
        self.reactor.advance(0.9)
        self.assertIsNone(user.lost)
        self.reactor.advance(0.2)
        self.assertIsNotNone(user.lost)


class Slow(Resource):
    """Answers at ``/``, and nowhere else."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes | int:
        if request.path == b"/":
            return b"hello"
        request.notifyFinish().addErrback(lambda _: None)
        return NOT_DONE_YET


class UserFieldTests(TunnelCase):
    """Fields that users notice, or the TLS of clients; all is real."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.authority = Authority()
        self.trusted = write_certificates(self.path("ca"), self.authority.certificate)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    async def begin(self, **options: Any) -> None:
        """Start a server, a client and its web site."""
        self.server = self.serve(vhost_http_port=free_port(), token="t", **options)
        web = await self.listen(Site(Slow()))
        proxy = HTTPProxyConfig(
            name="web", type="http", local_port=web, custom_domains=("a.example",)
        )
        self.client = await self.connect(self.server, proxy, token="t")

    def change(self, **fields: Any) -> None:
        self.server.prepare(evolve(self.server.config, **fields))()

    async def ask(
        self, host: str = "a.example", path: str = "/", *, tls: bool = False, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Ask for a page."""

        def get() -> tuple[int, str, dict[str, str]]:
            number = self.server.ports["vhost_https" if tls else "vhost_http"]
            with socket.create_connection((LOOPBACK, number), PATIENCE_SECONDS) as plain:
                user = plain
                if tls:
                    context = ssl.create_default_context(cafile=self.trusted)
                    user = context.wrap_socket(plain, server_hostname=host)
                lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
                lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
                user.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
                response = http.client.HTTPResponse(user)
                response.begin()
                body = response.read().decode()
                user.close()
                return response.status, body, dict(response.getheaders())

        return await deferToThread(get)

    async def test_vhost_http_timeout_seconds(self) -> None:
        await self.begin()
        self.change(vhost_http_timeout_seconds=0.2)
        self.assertEqual((await self.ask(path="/slow"))[0], 504)

    async def test_custom_404_page(self) -> None:
        await self.begin()
        Path(self.path("404.html")).write_text("mine", encoding="utf-8")
        self.assertNotIn("mine", (await self.ask("b.example"))[1])
        self.change(custom_404_page=self.path("404.html"))
        self.assertEqual((await self.ask("b.example"))[:2], (404, "mine"))

    async def test_custom_404_page_for_connect(self) -> None:
        """Whoever asks for a connection to nobody is told by it, too."""
        await self.begin(tcpmux_httpconnect_port=free_port())
        Path(self.path("404.html")).write_text("mine", encoding="utf-8")
        for page in ("", self.path("404.html")):
            self.change(custom_404_page=page)
            user, reader = await self.dial(self.server.ports["tcpmux_httpconnect"])
            user.write(b"CONNECT b.example:80 HTTP/1.1\r\nHost: b.example\r\n\r\n")
            await reader.until(partial(getattr, reader, "finished"))
            user.abortConnection()
            self.assertEqual(reader.received.endswith(b"mine"), bool(page))

    def log(self, name: str) -> str:
        """Give what is in an access log by now."""
        assert self.server._access_file is not None
        self.server._access_file.flush()
        return Path(self.path(name)).read_text(encoding="utf-8")

    async def test_access_log(self) -> None:
        """On, elsewhere, off."""
        await self.begin()
        self.change(access_log=self.path("a.log"))
        await self.ask(path="/?1")
        self.assertIn("/?1", self.log("a.log"))
        self.change(access_log=self.path("b.log"))
        await self.ask(path="/?2")
        self.assertIn("/?2", self.log("b.log"))
        self.change(access_log="")
        await self.ask(path="/?3")
        self.assertNotIn("/?3", "".join(map(Path.read_text, self.directory.glob("*.log"))))

    async def test_requests_under_way_get_into_the_new_access_log(self) -> None:
        await self.begin(access_log=self.path("a.log"), vhost_http_timeout_seconds=60.0)
        user, reader = await self.dial(self.server.ports["vhost_http"])
        user.write(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n")
        proxy: Any = self.server._context.proxies["web"]
        await self.wait(lambda: proxy.stats.connections > 0)
        self.change(access_log=self.path("b.log"))
        user.abortConnection()
        await reader.until(lambda: reader.lost is not None)
        await self.wait(lambda: "/slow" in self.log("b.log"))

    async def test_access_log_format(self) -> None:
        await self.begin(access_log=self.path("a.log"))
        self.change(access_log_format="json")
        await self.ask(path="/?1")
        self.assertIn('"path":"/?1"', self.log("a.log"))

    async def test_an_access_log_that_can_not_be_written(self) -> None:
        """Nothing changes, not even what could."""
        await self.begin(access_log=self.path("a.log"))
        with self.assertRaises(ConfigError):
            self.change(access_log=self.path("none/a.log"), token="new")
        self.assertEqual(self.server._registry.auth.token, "t")
        await self.ask(path="/?1")
        self.assertIn("/?1", self.log("a.log"))

    async def test_trusted_proxies(self) -> None:
        await self.begin(access_log=self.path("a.log"))
        self.change(trusted_proxies=(ip_network("127.0.0.0/8"),))
        await self.ask(X_Forwarded_For="203.0.113.9")
        self.assertIn("203.0.113.9", self.log("a.log"))

    def certificate(self, name: str, *hosts: str) -> CertificateConfig:
        identity = self.authority.issue(*hosts)
        return CertificateConfig(
            name=name,
            cert_file=write_certificates(self.path(f"{name}.crt"), identity.certificate),
            key_file=write_key(self.path(f"{name}.key"), identity),
        )

    async def test_certificates(self) -> None:
        """One more, one less; and none that can't be used."""
        a, b = self.certificate("a", "a.example"), self.certificate("b", "b.example")
        await self.begin(vhost_https_port=free_port(), certificates=(b,))
        with self.assertRaises(ssl.SSLError):
            await self.ask(tls=True)
        self.change(certificates=(a, b))
        self.assertEqual((await self.ask(tls=True))[:2], (200, "hello"))
        with self.assertRaises(ConfigError):
            self.change(certificates=(evolve(a, key_file=b.key_file),))
        self.assertEqual((await self.ask(tls=True))[0], 200)

    async def test_vhost_https_hsts_max_age_seconds(self) -> None:
        a = self.certificate("a", "a.example")
        await self.begin(vhost_https_port=free_port(), certificates=(a,))
        self.change(vhost_https_hsts_max_age_seconds=60.0)
        _, _, headers = await self.ask(tls=True)
        self.assertEqual(headers["Strict-Transport-Security"], "max-age=60")

    async def test_vhost_https_redirect(self) -> None:
        a = self.certificate("a", "a.example")
        await self.begin(vhost_https_port=free_port(), certificates=(a,))
        self.assertEqual((await self.ask())[0], 200)
        self.change(vhost_https_redirect=True)
        self.assertEqual((await self.ask())[0] // 100, 3)
        self.change(vhost_https_redirect=False)
        self.assertEqual((await self.ask())[0], 200)

    async def test_plugins(self) -> None:
        plugin = Plugin()
        plugin.listen(self)
        await self.begin()
        self.change(plugins=(plugin.config("Login"),))
        await self.connect(self.server, token="t", login_fail_exit=True)
        await self.wait(lambda: len(plugin.asked) == 1)
        self.change(plugins=())
        self.assertIsNone(self.server._context.hooks)
        await self.wait(lambda: not self.server._retiring)

    def shake_hands(self, identity: tuple[str, str] | None = None) -> bytes:
        """Begin TLS on the bind port, as clients do; return the server's certificate."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refusal comes within the handshake
        if identity is not None:
            context.load_cert_chain(*identity)
        number = self.server.ports["bind"]
        with (
            socket.create_connection((LOOPBACK, number), PATIENCE_SECONDS) as plain,
            context.wrap_socket(plain) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""

    async def change_own_certificate(self) -> None:
        await self.begin()
        own = self.certificate("own", "server.example")
        before = await deferToThread(self.shake_hands)
        self.change(tls=TLSConfig(cert_file=own.cert_file, key_file=own.key_file))
        after = await deferToThread(self.shake_hands)
        pem = ssl.DER_cert_to_PEM_cert(after)
        self.assertEqual(pem, Path(own.cert_file).read_text(encoding="utf-8"))
        self.assertNotEqual(before, after)
        # And the same files with something else in them, as a reload finds them.
        self.certificate("own", "server.example")
        self.change()
        self.assertNotEqual(await deferToThread(self.shake_hands), after)
        self.assertEqual((await self.ask())[0], 200)  # the client is still there

    async def test_tls_cert_file(self) -> None:
        await self.change_own_certificate()

    async def test_tls_key_file(self) -> None:
        await self.begin()
        a, b = self.certificate("a", "x"), self.certificate("b", "x")
        with self.assertRaises(ConfigError):
            self.change(tls=TLSConfig(cert_file=a.cert_file, key_file=b.key_file))
        self.change(tls=TLSConfig(cert_file=b.cert_file, key_file=b.key_file))
        self.assertTrue(await deferToThread(self.shake_hands))

    async def test_tls_trusted_ca_file(self) -> None:
        await self.begin()
        mine = self.certificate("mine", "client.example")
        await deferToThread(self.shake_hands)
        self.change(tls=TLSConfig(only=True, trusted_ca_file=self.trusted))
        with self.assertRaises((ssl.SSLError, OSError)):
            await deferToThread(self.shake_hands)
        await deferToThread(self.shake_hands, (mine.cert_file, mine.key_file))
        self.assertEqual((await self.ask())[0], 200)

    async def test_tls_only(self) -> None:
        """Clients without TLS that are here stay."""
        self.lines = LogLines(self)
        self.server = self.serve(token="t")
        await self.connect(self.server, token="t", tls=TLSConfig(enable=False))
        await self.wait(lambda: len(self.server._registry.clients) == 1)
        self.change(tls=TLSConfig(only=True))
        user, reader = await self.dial(self.server.ports["bind"])
        user.write(b"o" + bytes(8))
        await reader.until(lambda: reader.lost is not None)
        self.assertIn("non-TLS connection received on a TlsOnly server", "".join(self.lines))
        self.assertEqual(len(self.server._registry.clients), 1)


class DashboardFieldTests(TunnelCase):
    """Fields of the dashboard, and of the log."""

    def begin(self, **options: Any) -> DashboardService:
        server = self.serve()
        # Port 0 isn't one that a file can have, but finds a free one.
        config = DashboardConfig(addr=LOOPBACK, **options)
        self.service = DashboardService(config, server, clock)
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.service.stopService)
        return self.service

    def change(self, **fields: Any) -> None:
        new = evolve(self.service._config, **fields)
        self.service.prepare(ServerConfig(dashboard=new))()

    async def get(self, credentials: str, path: str = "/api/serverinfo") -> int:
        def ask() -> int:
            url = f"http://{LOOPBACK}:{self.service.port}{path}"
            asked = urllib.request.Request(url)
            asked.add_header("Authorization", f"Basic {b64encode(credentials.encode()).decode()}")
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as why:
                return why.code

        return await deferToThread(ask)

    async def test_dashboard_user(self) -> None:
        self.begin(user="a", password="p", credentials_configured=True)
        self.assertEqual(await self.get("a:p"), 200)
        self.change(user="b")
        self.assertEqual((await self.get("a:p"), await self.get("b:p")), (401, 200))

    async def test_dashboard_password(self) -> None:
        self.begin(user="a", password="p", credentials_configured=True)
        self.change(password="q")
        self.assertEqual((await self.get("a:p"), await self.get("a:q")), (401, 200))

    async def test_dashboard_credentials_configured(self) -> None:
        """What was free for this machine no longer is."""
        self.begin(enable_prometheus=True)
        for status in (200, 401):
            self.assertEqual(await self.get("admin:admin"), status)
            self.assertEqual(await self.get("", "/metrics"), status)
            self.change(user="a", password="p", credentials_configured=True)
        self.assertEqual(await self.get("a:p"), 200)
        self.assertEqual(await self.get("a:p", "/metrics"), 200)

    async def check_certificate(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()

        def files(name: str) -> dict[str, str]:
            identity = Authority().issue("localhost")
            cert = write_certificates(f"{directory}/{name}.crt", identity.certificate)
            key = write_key(f"{directory}/{name}.key", identity)
            return {"tls_cert_file": cert, "tls_key_file": key}

        def shown() -> str:
            return ssl.get_server_certificate((LOOPBACK, self.service.port))

        first, second = files("a"), files("b")
        options: Any = {"user": "a", "password": "p", "credentials_configured": True, **first}
        self.begin(**options)
        for used in (first, second):
            self.change(**used)
            text = Path(used["tls_cert_file"]).read_text(encoding="utf-8")
            self.assertEqual(await deferToThread(shown), text)
        with self.assertRaises(ConfigError):
            self.change(tls_key_file=first["tls_key_file"])

    async def test_dashboard_tls_cert_file(self) -> None:
        await self.check_certificate()

    async def test_dashboard_tls_key_file(self) -> None:
        await self.check_certificate()

    def test_log_level(self) -> None:
        program = Program(LogConfig(), clock)
        program.set_log_level("debug")  # the log is somebody else's
        observer: Any = program.open_log(LogConfig(file=self.mktemp(), level="info"))
        event = {"log_namespace": "tunnelsvc.x", "log_level": LogLevel.debug, "log_format": "x"}
        for level, shown in (("info", ""), ("debug", "x"), ("warn", "")):
            program.set_log_level(level)
            observer(event)
            path = Path(observer._target.path)
            self.assertEqual(path.read_text(encoding="utf-8").count(" x\n"), len(shown))
            path.write_text("", encoding="utf-8")
        observer._target.close()


class EveryFieldTests(SynchronousTestCase):
    """Nothing is said to be live that isn't."""

    def test_each_live_field_has_a_test(self) -> None:
        cases = (ClientFieldTests, UserFieldTests, DashboardFieldTests)
        missing = [
            name
            for name in LIVE
            if not any(hasattr(case, f"test_{name.replace('.', '_')}") for case in cases)
        ]
        self.assertEqual(missing, [])
