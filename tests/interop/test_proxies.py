# -*- test-case-name: tests.interop.test_proxies -*-
"""Our client's ``http_proxy``, ``socks5`` and ``static_file`` behind every real frps."""

from typing import Final

from tests.e2e.commands import curl
from tests.e2e.services import digest_of, pattern, request
from tests.e2e.tunnel import NO_OPTIONS, Options, TunnelTestCase
from tests.interop.binaries import add_tests, with_each_server
from tests.programs import Peer, free_port
from tunnelsvc.units import MiB

SIZE: Final = 8 * MiB
SECURED: Final = {"use_encryption": True, "use_compression": True}


class FrpsTests(TunnelTestCase):
    """A real frps, our client with a plugin, and curl."""

    def start(self, server: Peer, plugin: Options, http: Options = NO_OPTIONS) -> list[int]:
        """Start all of it; return the ports, of which the second is encrypted and compressed."""
        self.server_peer = server
        self.start_server()
        ports = [free_port(), free_port()]
        proxies = {
            f"tcp{port}": {"type": "tcp", "remote_port": port, **plugin, **options}
            for port, options in zip(ports, (NO_OPTIONS, SECURED), strict=True)
        }
        if http:
            proxies["http"] = {"type": "http", **plugin, **http}
        self.start_client(proxies)
        return ports

    def check_download(self, *arguments: str) -> None:
        """What curl gets is the pattern."""
        page = curl(*arguments)
        self.assertEqual(digest_of(iter([page])), digest_of(pattern(SIZE)))

    def check_socks5(self, server: Peer) -> None:
        """By name, with a login."""
        site = self.local_site("site")
        login = {"plugin_user": "alice", "plugin_passwd": "s3cret"}
        for port in self.start(server, {"plugin": "socks5", **login}):
            via = ("--socks5-hostname", f"127.0.0.1:{port}", "--proxy-user", "alice:s3cret")
            self.check_download(*via, f"http://localhost:{site}/bytes/{SIZE}")

    def check_http_proxy(self, server: Peer) -> None:
        """Requests and connections, with a login."""
        site = self.local_site("site")
        login = {"plugin_http_user": "alice", "plugin_http_passwd": "s3cret"}
        for port in self.start(server, {"plugin": "http_proxy", **login}):
            via = ("-x", f"http://alice:s3cret@127.0.0.1:{port}")
            url = f"http://127.0.0.1:{site}/bytes/{SIZE}"
            self.check_download(*via, url)
            self.check_download(*via, "-p", url)

    def check_static_file(self, server: Peer) -> None:
        """Whole files and parts, through both types of proxies."""
        shared = self.directory / "shared"
        shared.mkdir()
        content = b"".join(pattern(SIZE))
        (shared / "large").write_bytes(content)
        plugin = {"plugin": "static_file", "plugin_local_path": shared}
        ports = self.start(server, plugin, {"custom_domains": "files.test"})
        for port in *ports, self.vhost_port:
            answer = request(port, "/large", host="files.test")
            self.assertEqual((answer.status, answer.body == content), (200, True))
            part = request(port, "/large", host="files.test", headers={"Range": "bytes=5-9"})
            self.assertEqual((part.status, part.body), (206, content[5:10]))
            self.assertEqual(request(port, "/nope", host="files.test").status, 404)


add_tests(
    FrpsTests,
    with_each_server(
        {
            "socks5": FrpsTests.check_socks5,
            "http_proxy": FrpsTests.check_http_proxy,
            "static_file": FrpsTests.check_static_file,
        }
    ),
)
