# -*- test-case-name: tests.interop.test_matrix -*-
"""Every real frp below ``FRP_BIN_DIR`` against our other half, over pairs of settings."""

import ssl
import threading
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Final

from attrs import astuple
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.secure import Trust, server_context
from tests.e2e.services import (
    connected,
    digest_of,
    echo,
    echo_bulk,
    echo_once,
    is_closed,
    pattern,
    request,
    serves_echo,
    websocket,
    websocket_echo,
)
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase, http_proxy, tcp_proxy
from tests.interop.binaries import add_with_each
from tests.interop.matrix import CASES, CERTIFICATES_SINCE, PLAIN_TLS_SINCE, Case
from tests.link.authority import Authority, write_certificates, write_key
from tests.programs import OUR_CLIENT, OUR_SERVER, Peer, Sections, free_port
from tunnelsvc.units import KiB, MiB

# What a user reads whose token is wrong, whoever wrote the two programs: protocol notes 3.8.
WRONG_TOKEN: Final = "token in login doesn't match token from configuration"


class CaseTests(SynchronousTestCase):
    """The table of combinations is what it says it is."""

    def test_pairwise(self) -> None:
        rows = [astuple(case) for case in CASES]
        for first, second in combinations(range(len(rows[0])), 2):
            self.assertEqual(len({(row[first], row[second]) for row in rows}), 4)


class InteropTestCase(TunnelTestCase):
    """One real frp and our other half."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp_port = free_port()
        self.https_port = free_port()

    def use(self, client: Peer, server: Peer) -> None:
        """Choose the two programs."""
        self.client_peer, self.server_peer = client, server

    def echo_proxy(self, options: Options = NO_OPTIONS) -> Sections:
        """Give an echo service behind `tcp_port`."""
        service = self.local_service(echo)
        return {"echo": tcp_proxy(service.port, self.tcp_port, options)}

    def site_proxies(self, options: Options) -> Sections:
        """Give web sites, one for each way in which a request finds its site."""
        first, second = self.local_site("first"), self.local_site("second")
        private = {"custom_domains": "private.test", "http_user": "ann", "http_pwd": "pw"}
        renamed = {"custom_domains": "renamed.test", "host_header_rewrite": "inside.test"}
        api = {"custom_domains": "site.test", "locations": "/api,/v2"}
        return {
            "domain": http_proxy(first, {"custom_domains": "site.test", **options}),
            "location": http_proxy(second, {**api, **options}),
            "subdomain": http_proxy(second, {"subdomain": "sub", **options}),
            "private": http_proxy(first, {**private, **options}),
            "renamed": http_proxy(first, {**renamed, "header_X-From-Where": "frp", **options}),
        }

    def secure_proxy(self, options: Options) -> Sections:
        """Give a web site with a certificate of its own, which `trust` has."""
        self.trust = Trust(self.directory)
        files = self.trust.issue("secure", "secure.test", "secure.host.test")
        site = self.local_site("secure", server_context(files))
        names = {"custom_domains": "secure.test", "subdomain": "secure"}
        return {"secure": {"type": "https", "local_port": site, **names, **options}}

    def check_case(self, case: Case) -> None:
        """Use everything of a tunnel with these settings."""
        https = {"vhost_https_port": self.https_port}
        self.start_server({**case.common, **https, "subdomain_host": "host.test"})
        options = case.proxy_options
        proxies = {
            **self.echo_proxy(options), **self.site_proxies(options), **self.secure_proxy(options)
        }  # fmt: skip
        self.start_client(proxies, case.client_options(self.client_peer, self.server_peer))
        for check in (
            *(self.check_tcp, self.check_routes, self.check_bodies, self.check_websocket),
            self.check_https,
        ):
            try:
                check()
            except Exception as error:  # noqa: BLE001 - whatever it is, show the programs' words
                self.fail(f"{check.__name__}: {error!r}\n{self.show_outputs()}")

    def check_tcp(self) -> None:
        """Bulk through one connection, then several at once."""
        sent, received = echo_bulk(self.tcp_port, 4 * MiB)
        self.assertEqual(sent, received)
        digests: dict[int, tuple[str, str]] = {}

        def one(seed: int) -> None:
            digests[seed] = echo_bulk(self.tcp_port, 256 * KiB, seed)

        threads = [threading.Thread(target=one, args=(seed,), daemon=True) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(digests), len(threads))
        self.assertTrue(all(sent == received for sent, received in digests.values()), digests)

    def check_routes(self) -> None:
        """Each request reaches the site that it is for."""
        seen = self.asked("site.test", "/x?y=1")
        self.assertEqual((seen["site"], seen["path"]), ("first", "/x?y=1"))
        self.assertEqual(self.asked("site.test", "/api/x")["site"], "second")
        self.assertEqual(self.asked("sub.host.test", "/x")["site"], "second")
        self.assertEqual(request(self.vhost_port, "/x", host="nobody.test").status, 404)
        self.assertEqual(request(self.vhost_port, "/x", host="private.test").status, 401)
        self.assertEqual(self.asked("private.test", "/x", user="ann:pw")["site"], "first")
        headers = self.asked("renamed.test", "/x")["headers"]
        assert isinstance(headers, dict)
        self.assertEqual(headers["host"], "inside.test")
        self.assertEqual(headers["x-from-where"], "frp")
        self.assertEqual(headers["x-forwarded-for"], "127.0.0.1")

    def asked(self, host: str, path: str, user: str = "") -> dict[str, object]:
        """Make a request that must succeed; return what the site saw."""
        answer = request(self.vhost_port, path, host=host, user=user)
        self.assertEqual(answer.status, 200)
        return answer.json()

    def check_bodies(self) -> None:
        """Bodies arrive whole in both directions, with a length and with chunks."""
        size = 2 * MiB
        digest = digest_of(pattern(size))
        answer = request(self.vhost_port, f"/bytes/{size}", host="site.test")
        self.assertEqual(digest_of(iter([answer.body])), digest)
        for body in (pattern(size), b"".join(pattern(size))):
            answer = request(self.vhost_port, "/post", method="POST", host="site.test", body=body)
            self.assertEqual(answer.json()["sha256"], digest)

    def check_websocket(self) -> None:
        """An upgraded connection carries frames both ways."""
        with websocket(self.vhost_port, "site.test") as user:
            for message in (b"hello", b"again"):
                self.assertEqual(websocket_echo(user, message), message)

    def check_https(self) -> None:
        """TLS ends at the site; a name that nobody has is refused."""
        for host in ("secure.test", "secure.host.test"):
            answer = self.trust.request(self.https_port, host, f"/bytes/{2 * MiB}")
            self.assertEqual(digest_of(iter([answer.body])), digest_of(pattern(2 * MiB)))
        with self.assertRaises(ssl.SSLError):
            self.trust.request(self.https_port, "nobody.test")

    def check_shared_port(self) -> None:
        """Clients by TLS from its first byte, and users by TLS, on one port."""
        self.https_port = self.bind_port
        self.start_server({"vhost_https_port": self.bind_port, "subdomain_host": "host.test"})
        tls = {"tls_enable": True, "disable_custom_tls_first_byte": True}
        self.start_client({**self.echo_proxy(), **self.secure_proxy(NO_OPTIONS)}, tls)
        self.assertTrue(serves_echo(self.tcp_port))
        answer = self.trust.request(self.bind_port, "secure.test")
        self.assertIn(b"This is secure", answer.body)

    def check_wrong_token(self) -> None:
        """The client's user reads why the login failed, and the client ends."""
        self.start_server({"token": "right"})
        config = self.write_config(
            "frpc.ini", self.client_sections(self.echo_proxy(), {"token": "wrong"})
        )
        client = self.run_program((*self.client_peer.command, "-c", str(config)))
        status = client.wait()
        self.assertIn(WRONG_TOKEN, client.output())
        if self.client_peer is OUR_CLIENT:  # frpc forgot to say so from 0.45 to 0.52
            self.assertEqual(status, 1)

    def check_reconnect(self) -> None:
        """A server that was killed and started again gets its proxies back."""
        server = self.start_server()
        client = self.start_client(self.echo_proxy())
        with connected(self.tcp_port) as user:
            self.assertTrue(echo_once(user))
            server.kill()
            self.assertTrue(is_closed(user))
        self.start_server()
        client.wait_for("[echo] start proxy success", times=2)
        self.assertTrue(serves_echo(self.tcp_port))

    def certificate_files(self, owner: str, authority: Authority, name: str) -> Options:
        """Write an identity of a program; return the keys that tell it and whom to trust."""
        identity = authority.issue(name)
        base = str(self.directory / owner)
        return {
            "tls_cert_file": write_certificates(f"{base}.crt", identity.certificate),
            "tls_key_file": write_key(f"{base}.key", identity),
            "tls_trusted_ca_file": write_certificates(f"{base}.ca", authority.certificate),
        }

    def check_mutual_tls(self) -> None:
        """Each side proves itself to the other; strangers and impostors are refused."""
        family, strangers = Authority("family"), Authority("strangers")
        self.start_server(self.certificate_files("server", family, "server.test"))
        tls = {"tls_enable": True, "tls_server_name": "server.test"}
        member = {**tls, **self.certificate_files("client", family, "client.test")}
        proxies = self.echo_proxy()
        self.start_client(proxies, member)
        self.assertTrue(serves_echo(self.tcp_port))
        trust = write_certificates(str(self.directory / "right.ca"), family.certificate)
        stranger = self.certificate_files("stranger", strangers, "client.test")
        for refused in (
            {**tls, **stranger, "tls_trusted_ca_file": trust},
            {**tls, "tls_trusted_ca_file": trust},
            {**member, "tls_server_name": "other.test"},
            {**member, "tls_trusted_ca_file": stranger["tls_trusted_ca_file"]},
        ):
            self.check_refused(proxies, refused)

    def check_refused(self, proxies: Sections, options: Options) -> None:
        """A client with these options can't log in."""
        config = self.write_config("refused.ini", self.client_sections(proxies, options))
        client = self.run_program((*self.client_peer.command, "-c", str(config)))
        client.wait()
        self.assertNotIn("login to server success", client.output())


class FrpClientTests(InteropTestCase):
    """frpc logs in to our server."""


class FrpServerTests(InteropTestCase):
    """Our client logs in to frps."""


def _checks(client: Peer, server: Peer) -> dict[str, Callable[[InteropTestCase], None]]:
    """Give what these two can be checked for, by the ends of the tests' names."""
    checks: dict[str, Callable[[InteropTestCase], None]] = {
        **{case.label: partial(InteropTestCase.check_case, case=case) for case in CASES},
        "wrong_token": InteropTestCase.check_wrong_token,
        "reconnect": InteropTestCase.check_reconnect,
    }
    if (client.version or server.version) >= CERTIFICATES_SINCE:
        checks["mutual_tls"] = InteropTestCase.check_mutual_tls
    if server is OUR_SERVER and client.version >= PLAIN_TLS_SINCE:
        checks["shared_port"] = InteropTestCase.check_shared_port
    return checks


def _tests(client: Peer, server: Peer) -> dict[str, Callable[[InteropTestCase], None]]:
    def test(case: InteropTestCase, check: Callable[[InteropTestCase], None]) -> None:
        case.use(client, server)
        check(case)

    real = client if client.version else server
    return {
        f"{real.label}_{name}": partial(test, check=check)
        for name, check in _checks(client, server).items()
    }


add_with_each(FrpClientTests, FrpServerTests, _tests)
