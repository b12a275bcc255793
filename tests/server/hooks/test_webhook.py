# -*- test-case-name: tests.server.hooks.test_webhook -*-
"""Tests of `tunnelsvc.server.hooks.webhook`, by real web services."""

import os
from typing import Any

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.internet.protocol import Factory, Protocol

from tests.link.authority import Authority, write_certificates
from tests.programs import free_port
from tests.server.hooks.plugin import Plugin
from tests.tunnels import LOOPBACK, TunnelCase, clock
from tunnelsvc.config.schema import WebhookConfig
from tunnelsvc.server.hooks import webhook
from tunnelsvc.server.hooks.webhook import Webhook, WebhookError

BODY = b'{"op": "Login", "content": {}}'


class Raw(Protocol):
    """Answers each request with the same bytes, and perhaps closes."""

    answer = b""
    closes = False
    late = False
    count = 0

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None and self.factory is not None
        type(self).count += 1
        if self.late and type(self).count == 2:
            self.transport.loseConnection()
            return
        self.transport.write(self.answer)
        if self.closes:
            self.transport.loseConnection()


class WebhookTests(TunnelCase):
    """Requests."""

    def make(self, config: WebhookConfig) -> Webhook:
        made = Webhook(config, clock, connections=4, timeout_seconds=20)
        self.addCleanup(lambda: ensureDeferred(made.close()))
        return made

    def plugin(self, authority: Authority | None = None, **replies: Any) -> Plugin:
        made = Plugin(**replies)
        made.listen(self, authority)
        return made

    async def raw(
        self, answer: bytes, *, closes: bool = False, late: bool = False, scheme: str = "http"
    ) -> Webhook:
        options = {"answer": answer, "closes": closes, "late": late, "count": 0}
        self.service: Any = type("Answering", (Raw,), options)
        port = await self.listen(Factory.forProtocol(self.service))
        return self.make(WebhookConfig(name="raw", addr=f"{scheme}://{LOOPBACK}:{port}"))

    async def refused(self, made: Webhook) -> str:
        why = await self.assertFailure(ensureDeferred(made.post("Login", BODY, "n")), WebhookError)
        return str(why)

    async def test_request(self) -> None:
        plugin = self.plugin()
        answer = await self.make(plugin.config()).post("Login", BODY, "0123456789abcdef")
        self.assertEqual(answer, b'{"unchange": true}')
        [request] = plugin.requests
        self.assertEqual(request.uri, b"/handler?version=0.1.0&op=Login")
        self.assertEqual(request.getHeader("X-Frp-Reqid"), "0123456789abcdef")
        self.assertEqual(request.getHeader("Content-Type"), "application/json")
        self.assertEqual(request.getHeader("Content-Length"), str(len(BODY)))

    async def test_paths(self) -> None:
        plugin = self.plugin()
        for path, uri in {
            "": b"/?version=0.1.0&op=Ping",
            "/": b"/?version=0.1.0&op=Ping",
            "/a?key=b": b"/a?key=b&version=0.1.0&op=Ping",
        }.items():
            await self.make(plugin.config(path=path)).post("Ping", BODY, "n")
            self.assertEqual(plugin.requests[-1].uri, uri)

    async def test_connections_are_used_again(self) -> None:
        plugin = self.plugin()
        made = self.make(plugin.config())
        for _ in range(5):
            await made.post("Login", BODY, "n")
        self.assertEqual((len(plugin.asked), plugin.connections), (5, 1))

    async def test_a_connection_that_closes_as_it_is_used(self) -> None:
        """The request is made again, with the same number."""
        made = await self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", late=True)
        self.assertEqual(await made.post("Login", BODY, "n"), b"ok")
        self.assertEqual(await made.post("Login", BODY, "n"), b"ok")
        self.assertEqual(self.service.count, 3)

    async def test_nothing_but_closed_connections(self) -> None:
        made = await self.raw(b"", closes=True)
        self.assertIn("closed", await self.refused(made))
        self.assertEqual(self.service.count, 2)

    async def test_tls(self) -> None:
        """Whatever certificate there is; unless it must be good."""
        authority = Authority("tests")
        plugin = self.plugin(authority)
        self.assertIn(b"unchange", await self.make(plugin.config()).post("Login", BODY, "n"))
        config = plugin.config(addr=f"https://localhost:{plugin.port}")
        self.assertIn(b"unchange", await self.make(config).post("Login", BODY, "n"))
        why = await self.refused(self.make(plugin.config(tls_verify=True)))
        self.assertIn("certificate verify failed", why)
        self.assertEqual(len(plugin.asked), 2)
        trusted = write_certificates(self.mktemp(), authority.certificate)
        os.environ["SSL_CERT_FILE"] = trusted
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        await self.make(plugin.config(tls_verify=True)).post("Login", BODY, "n")
        config = plugin.config(addr=f"https://localhost:{plugin.port}", tls_verify=True)
        self.assertIn("localhost", await self.refused(self.make(config)))

    async def test_no_tls_there(self) -> None:
        made = await self.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", closes=True, scheme="https")
        self.assertNotEqual(await self.refused(made), "")

    async def test_statuses(self) -> None:
        for status in (204, 302, 404, 500):
            made = self.make(self.plugin(Login=status).config())
            self.assertEqual(await self.refused(made), f"its status is {status}, not 200")

    async def test_nobody_there(self) -> None:
        config = WebhookConfig(name="x", addr=f"http://{LOOPBACK}:{free_port()}")
        self.assertIn("refused", await self.refused(self.make(config)))

    async def test_too_long(self) -> None:
        self.patch(webhook, "MOST_ANSWER_BYTES", 1000)
        for size, fits in ((1000, True), (1001, False)):
            made = self.make(self.plugin(Login=b"x" * size).config())
            if fits:
                self.assertEqual(len(await made.post("Login", BODY, "n")), size)
            else:
                self.assertIn("longer than 1000 bytes", await self.refused(made))

    async def test_endless(self) -> None:
        """What has no end is cut, and so is its connection."""
        self.patch(webhook, "MOST_ANSWER_BYTES", 1000)
        made = await self.raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000)
        self.assertIn("longer than 1000 bytes", await self.refused(made))

    async def test_http_1_0(self) -> None:
        """The end of the connection is the end of the answer."""
        made = await self.raw(b"HTTP/1.0 200 OK\r\n\r\n{}", closes=True)
        self.assertEqual(await made.post("Login", BODY, "n"), b"{}")

    async def test_half_an_answer(self) -> None:
        made = await self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", closes=True)
        self.assertIn("closed", await self.refused(made))

    async def test_not_http(self) -> None:
        made = await self.raw(b"SSH-2.0-OpenSSH_9.2\r\n", closes=True)
        self.assertNotEqual(await self.refused(made), "")

    async def test_cancelled(self) -> None:
        """Before the answer has begun, and within it; the connection goes."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"):
            made = await self.raw(answer)
            asking = ensureDeferred(made.post("Login", BODY, "n"))
            await self.wait(lambda: self.service.count == 1)
            asking.cancel()
            with self.assertRaises(CancelledError):
                await asking
            self.assertEqual(self.service.count, 1)
