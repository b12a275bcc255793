# -*- test-case-name: tests.admin.test_site -*-
"""A server that isn't there, its dashboard, and HTTP without a network."""

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, cast

from attrs import define, evolve, field, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from tunnelsvc.admin.gate import Gate
from tunnelsvc.admin.serverapi import ServerAPI
from tunnelsvc.admin.site import dashboard_site
from tunnelsvc.config.schema import DashboardConfig, ServerConfig
from tunnelsvc.gateway.forwarded import Network, Trust
from tunnelsvc.metrics.counters import ProxyStats, ServerStats
from tunnelsvc.metrics.prometheus import Exporter

STARTED = time.mktime((2026, 7, 14, 13, 5, 9, 0, 0, -1))
"""When the fake server started; also where its clock begins."""
DASHBOARD = DashboardConfig(
    addr="127.0.0.1", user="admin", password="secret", credentials_configured=True
)
CONFIG = ServerConfig(dashboard=DASHBOARD)


@frozen(kw_only=True)
class FakeBlock:
    """A `tunnelsvc.admin.view.Block`."""

    id: int = 1
    user: str = ""
    client_id: str = ""
    hostname: str = "box"
    address: str = "192.0.2.7"
    since: float = STARTED

    def bars(self, **who: str) -> bool:
        return who == {name: getattr(self, name) for name in who}


@define
class FakeModeration:
    """A `tunnelsvc.admin.view.Moderation` that only writes down what it is told.

    Attributes:
        told: what, and about whom.
        known: those that there are.
        blocks: see there.
        refuses: what enabling a proxy fails with.
        waits: when disabling and enabling are done.
    """

    told: list[tuple[str, object]] = field(factory=list)
    known: set[object] = field(factory=set)
    blocks: list[FakeBlock] = field(factory=list)
    refuses: Exception | None = None
    waits: "Deferred[None] | None" = None

    def kick(self, client_key: str) -> bool:
        return self._note("kick", client_key)

    def block(self, client_key: str) -> FakeBlock | None:
        return FakeBlock() if self._note("block", client_key) else None

    def allow(self, block_id: int) -> bool:
        return self._note("allow", block_id)

    async def disable(self, proxy: str) -> bool:
        if self.waits is not None:
            await self.waits
        return self._note("disable", proxy)

    async def enable(self, proxy: str) -> bool:
        if self.refuses is not None:
            raise self.refuses
        return self._note("enable", proxy)

    def _note(self, what: str, whom: object) -> bool:
        self.told.append((what, whom))
        return whom in self.known


@define
class FakeServer:
    """A `tunnelsvc.admin.view.DashboardView`."""

    stats: ServerStats
    config: ServerConfig = CONFIG
    ports: Mapping[str, int] = field(factory=dict)
    started_at: float = STARTED
    moderation: FakeModeration = field(factory=FakeModeration)
    round_trips: dict[str, float] = field(factory=dict)
    certified: set[str] = field(factory=set)

    def ends_tls(self, host: str) -> bool:
        return host in self.certified

    def round_trip_seconds(self, run_id: str) -> float | None:
        return self.round_trips.get(run_id)

    def login(self, run_id: str, user: str = "", client_id: str = "", host: str = "box") -> None:
        self.stats.client_online(
            run_id,
            user=user,
            client_id=client_id,
            version="0.70.1",
            address="192.0.2.7",
            os="linux",
            arch="amd64",
            hostname=host,
        )

    def proxy(self, name: str, kind: str = "tcp", **conf: Any) -> ProxyStats:
        conf = {"name": name, "type": kind, **conf}
        return self.stats.proxy_online(name, type=kind, conf=conf, run_id="r1")


def basic(text: str) -> bytes:
    """Make the value of an Authorization header."""
    return b"Basic " + b64encode(text.encode())


RIGHT = basic("admin:secret")


class Answer:
    """A response, parsed by Python's own client."""

    def __init__(self, data: bytes, method: str) -> None:
        class Socket:
            def makefile(self, _mode: str) -> BytesIO:
                return BytesIO(data)

        response = HTTPResponse(cast("Any", Socket()), method=method)
        response.begin()
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Conversation:
    """One connection to the dashboard; requests go out at once."""

    def __init__(self, site: Site, host: str = "192.0.2.1") -> None:
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", host, 4321))
        self.channel = site.buildProtocol(cast("IAddress", self.transport.getPeer()))
        assert self.channel is not None
        self.channel.makeConnection(self.transport)
        self._method = ""

    def send(
        self,
        method: str,
        path: str,
        authorization: bytes | None = RIGHT,
        more: bytes = b"",
        host: str = "127.0.0.1:7500",
    ) -> None:
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + host.encode()]
        if authorization is not None:
            lines.append(b"Authorization: " + authorization)
        self._method = method
        self.channel.dataReceived(b"\r\n".join(lines) + b"\r\n" + more + b"\r\n")

    def lose(self) -> None:
        """Be gone."""
        assert self.channel is not None
        self.channel.connectionLost(Failure(ConnectionDone()))

    def answered(self) -> bool:
        return bool(self.transport.value())

    def answer(self) -> Answer:
        data = self.transport.value()
        self.transport.clear()
        return Answer(data, self._method)


class Dashboard:
    """The dashboard of a `FakeServer`."""

    def __init__(
        self,
        *,
        config: DashboardConfig = DASHBOARD,
        metrics: bool = True,
        trusted: tuple[Network, ...] = (),
        **server: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(STARTED)
        self.server = FakeServer(stats=ServerStats(self.clock.seconds), **server)
        self.server.config = evolve(self.server.config, trusted_proxies=trusted)
        exporter = Exporter(self.server.stats) if metrics else None
        self.gate: Gate
        api = ServerAPI(self.server, self.clock)
        trust = Trust(trusted) if trusted else None
        self.site, self.gate = dashboard_site(config, api, self.clock, exporter, trust)

    def connect(self, host: str = "192.0.2.1") -> Conversation:
        return Conversation(self.site, host)

    def ask(
        self,
        path: str,
        method: str = "GET",
        authorization: bytes | None = RIGHT,
        more: bytes = b"",
        host: str = "127.0.0.1:7500",
    ) -> Answer:
        """Ask once, on a connection of its own."""
        connection = self.connect()
        connection.send(method, path, authorization, more, host)
        answer = connection.answer()
        connection.lose()
        return answer


class Visitor:
    """A person's browser, as far as a site notices: keeps the cookie, sends the token."""

    def __init__(self, site: Site, host: str = "127.0.0.1:7500") -> None:
        self.site = site
        self.host = host
        self.address = "192.0.2.1"
        self.cookie = ""
        self.csrf = ""

    def begin(
        self, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Conversation:
        """Ask without waiting; underscores in names of headers become hyphens."""
        if self.cookie:
            headers.setdefault("Cookie", self.cookie)
        if self.csrf and method == "GET":
            headers.setdefault("X_CSRF_Token", self.csrf)
        if body or method != "GET":
            headers["Content-Length"] = str(len(body))
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        connection = Conversation(self.site, self.address)
        connection.send(method, path, None, "".join(lines).encode(), self.host)
        if body:
            connection.channel.dataReceived(body)
        return connection

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: Any) -> Answer:
        """Ask, and get the answer at once."""
        answer = self.begin(path, method, body, **headers).answer()
        for line in answer.headers.get_all("Set-Cookie") or ():
            self.cookie = line.partition(";")[0]
        return answer

    def change(self, path: str, method: str = "POST", **headers: Any) -> Answer:
        """Ask with the token."""
        return self.ask(path, method, X_CSRF_Token=self.csrf, **headers)

    def log_in(self, user: str = "admin", password: str = "secret") -> Answer:
        """Do what the page's script does."""
        body = json.dumps({"user": user, "password": password}).encode()
        answer = self.ask("/login", "POST", body, Content_Type="application/json")
        if answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer
