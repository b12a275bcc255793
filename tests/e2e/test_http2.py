# -*- test-case-name: tests.e2e.test_http2 -*-
"""HTTP/2 with real programs: curl and Chromium in front of services that don't know it."""

import socket
from typing import Final

from tests.e2e.services import digest_of, pattern
from tests.e2e.test_https import MOVED_BYTES, HTTPSTestCase
from tests.e2e.tunnel import http_proxy
from tunnelsvc.units import KiB

PAGE: Final = b"""\
<!doctype html><title>protocol</title><p id="by"><script>
const entry = performance.getEntriesByType("navigation")[0];
document.getElementById("by").textContent = "came by " + entry.nextHopProtocol;
</script>
"""


def shows_page(connection: socket.socket) -> None:
    """Answer one request with the page."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(4096)):
        head += data
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
    )


class HTTP2Tests(HTTPSTestCase):
    """Where TLS ends at the server."""

    def setUp(self) -> None:
        super().setUp()
        self.start_with({"a": self.trust.issue("a", "*.sites.example")})
        self.url = f"https://a.sites.example:{self.https_port}"

    def test_curl(self) -> None:
        """Bodies both ways, alone and many at once."""
        self.start_sites("a.sites.example")
        version = self.curl(f"{self.url}/", "-o", "/dev/null", "-w", "%{http_version}")
        self.assertEqual(version, b"2")
        large = self.curl(f"{self.url}/bytes/{MOVED_BYTES}")
        self.assertEqual(digest_of(iter([large])), digest_of(pattern(MOVED_BYTES)))
        body = self.directory / "body"
        body.write_bytes(large)
        for options in ((), ("-H", "Content-Length:")):
            answer = self.curl(f"{self.url}/post", "--data-binary", f"@{body}", *options)
            self.assertIn(digest_of(pattern(MOVED_BYTES)).encode(), answer)
            self.assertIn(b'"x-forwarded-proto": "https"', answer)
        sizes = [number * 100 * KiB for number in range(1, 31)]
        wanted = f"{self.url}/bytes/[{sizes[0]}-{sizes[-1]}:{sizes[0]}]"
        self.curl(wanted, "--parallel", "-o", str(self.directory / "part-#1"))
        for size in sizes:
            part = (self.directory / f"part-{size}").read_bytes()
            self.assertEqual(digest_of(iter([part])), digest_of(pattern(size)))

    def test_browser(self) -> None:
        service = self.local_service(shows_page)
        self.start_client({"a": http_proxy(service.port, {"custom_domains": "a.sites.example"})})
        self.assertIn("came by h2", self.browse(f"{self.url}/"))
