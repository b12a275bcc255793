# -*- test-case-name: tests.interop.test_quick -*-
"""``tunnelsvc http`` and ``tcp`` with every real frps below ``FRP_BIN_DIR``."""

from urllib.parse import urlsplit

from tests.e2e.services import echo, request, serves_echo
from tests.e2e.test_quick import QuickTestCase
from tests.interop.binaries import add_tests, with_each_server
from tests.programs import Peer


class QuickTests(QuickTestCase):
    """Names, ports, and names that somebody else has."""

    def check_names(self, server: Peer) -> None:
        self.server_peer = server
        self.quick_server()
        site = str(self.local_site("mine"))
        urls = {
            self.url_of(self.quick("http", site, "--url-file", file), file) for file in ("a", "b")
        }
        self.assertEqual(len(urls), 2)
        for url in urls:
            host = urlsplit(url).hostname
            assert host is not None
            self.assertEqual(request(self.vhost_port, host=host).status, 200)

    def check_no_names(self, server: Peer) -> None:
        self.server_peer = server
        self.quick_server({})
        program = self.quick("http", str(self.local_site("mine")), "--url-file", "url")
        port = urlsplit(self.url_of(program)).port
        assert port is not None
        self.assertEqual(request(port).status, 200)

    def check_port(self, server: Peer) -> None:
        self.server_peer = server
        self.quick_server()
        service = self.local_service(echo)
        program = self.quick("tcp", str(service.port), "--url-file", "url")
        port = urlsplit(self.url_of(program)).port
        assert port is not None
        self.assertTrue(serves_echo(port))
        self.interrupt(program)


add_tests(
    QuickTests,
    with_each_server(
        {
            "names": QuickTests.check_names,
            "no_names": QuickTests.check_no_names,
            "port": QuickTests.check_port,
        }
    ),
)
