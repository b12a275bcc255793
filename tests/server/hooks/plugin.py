"""A server plugin in this process: a web service that answers as a test tells it to."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from OpenSSL import crypto
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.link.authority import Authority
from tests.tunnels import LOOPBACK, clock
from tunnelsvc.config.schema import WebhookConfig
from tunnelsvc.config.values import HOOK_OPS

UNCHANGED: Mapping[str, Any] = {"unchange": True}
Reply = Mapping[str, Any] | bytes | int | None
"""An answer, a body, a status, or nothing for ever."""


class Plugin(Resource):
    """Keeps what it is asked, and answers.

    Attributes:
        asked: op and content of each question.
        requests: the requests.
        replies: by op, what is answered, or a function of the content; else ``unchange``.
        connections: how many have been made.
    """

    isLeaf = True

    def __init__(self, **replies: Reply | Callable[[dict[str, Any]], Reply]) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[Request] = []
        self.replies = replies
        self.connections = 0
        self.port = 0

    def render_POST(self, request: Request) -> bytes | int:
        assert request.content is not None
        question = json.load(request.content)
        op = question["op"]
        self.requests.append(request)
        self.asked.append((op, question["content"]))
        reply = self.replies.get(op, UNCHANGED)
        if callable(reply):
            reply = reply(question["content"])
        if reply is None:
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET
        if isinstance(reply, int):
            request.setResponseCode(reply)
            return b"sorry"
        return reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    def contents(self, op: str) -> list[dict[str, Any]]:
        """What it was asked about an op."""
        return [content for each, content in self.asked if each == op]

    def listen(self, case: TestCase, authority: Authority | None = None) -> None:
        """Start to listen on a free port; with an authority, by TLS with its certificate."""
        owner = self

        class Channel(HTTPChannel):
            def connectionMade(self) -> None:
                owner.connections += 1
                super().connectionMade()

        site: Any = Site(self)
        site.protocol = Channel
        if authority is not None:
            identity = authority.issue(LOOPBACK)
            options = CertificateOptions(
                privateKey=crypto.PKey.from_cryptography_key(identity.key),  # type: ignore[arg-type]
                certificate=crypto.X509.from_cryptography(identity.certificate),
            )
            site = TLSMemoryBIOFactory(options, False, site)
        port = clock.listenTCP(0, site, interface=LOOPBACK)
        case.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.scheme = "https" if authority else "http"

    def config(self, *ops: str, **options: Any) -> WebhookConfig:
        """Give its section of the server's file; by default it hears everything."""
        addr = f"{self.scheme}://{LOOPBACK}:{self.port}"
        return WebhookConfig(
            name="test", **{"addr": addr, "path": "/handler", "ops": ops or HOOK_OPS, **options}
        )
