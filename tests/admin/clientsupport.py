# -*- test-case-name: tests.admin.test_clientapi -*-
"""A client that isn't there, and its site without a network."""

import json
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.admin.support import RIGHT, Answer
from tunnelsvc.admin.clientsite import admin_site
from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.request import CannotReplayError, Edits
from tunnelsvc.client.reloading import Reloaded
from tunnelsvc.client.status import RUNNING, LinkStatus, ProxyStatus, VisitorStatus
from tunnelsvc.config import Loaded, load_client
from tunnelsvc.config.diff import compare
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.config.schema import AdminConfig, ClientConfig
from tunnelsvc.errors import ConfigError

SSH = TCPProxyConfig(name="ssh", local_port=22, remote_port=6000)
OPEN = AdminConfig(port=7400)
SECURED = AdminConfig(port=7400, user="admin", password="secret")
HOST = "127.0.0.1:7400"


class FakeClient:
    """A `tunnelsvc.admin.clientview.ClientView`."""

    def __init__(self, path: str) -> None:
        self.config = ClientConfig(server_addr="vps", proxies=(SSH,))
        self.path = path
        self.statuses = [ProxyStatus(SSH, RUNNING, "", ":6000", "vps")]
        self.problem: ConfigError | None = None
        self.editable = True
        self.inspector: Inspector | None = None
        self.link = LinkStatus("vps:7000", 1000.0, "r1")
        self.visitors: list[VisitorStatus] = []
        self.replayed: list[tuple[Exchange, Edits]] = []
        self.replay_problem: CannotReplayError | None = None
        self.strict: list[bool | None] = []
        self.stops = 0

    def link_status(self) -> LinkStatus:
        return self.link

    def visitor_statuses(self) -> list[VisitorStatus]:
        return self.visitors

    def replay(self, exchange: Exchange, edits: Edits) -> Exchange:
        if self.replay_problem is not None:
            raise self.replay_problem
        self.replayed.append((exchange, edits))
        return exchange

    def proxy_statuses(self) -> list[ProxyStatus]:
        return self.statuses

    def load(self, path: str) -> Loaded[ClientConfig]:
        return load_client(path, {})

    def reload(self, *, strict: bool | None) -> Reloaded:
        self.strict.append(strict)
        if self.problem is not None:
            raise self.problem
        web = TCPProxyConfig(name="web", local_port=80)
        new = evolve(self.config, proxies=(SSH, web), token="hunter2")
        return Reloaded(compare(self.config, new), ("a warning",))

    def stop_soon(self) -> None:
        self.stops += 1


class AdminTester:
    """The site of a `FakeClient`."""

    def __init__(self, path: str, config: AdminConfig = OPEN) -> None:
        self.clock = Clock()
        self.client = FakeClient(path)
        self.site, self.gate = admin_site(config, self.client, self.clock)
        self.transport = StringTransport()

    @property
    def file(self) -> Path:
        return Path(self.client.path)

    def connect(self) -> Any:
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 4321))
        channel = self.site.buildProtocol(cast("IAddress", self.transport.getPeer()))
        assert channel is not None
        channel.makeConnection(self.transport)
        return channel

    def ask_json(self, path: str, method: str = "GET", value: object = None) -> Answer:
        """Ask with a body of JSON, and with the right password."""
        body = b"" if value is None else json.dumps(value).encode()
        return self.ask(path, method, body, Authorization=RIGHT.decode())

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", host: str = HOST, **headers: str
    ) -> Answer:
        """Ask once, on a connection of its own; underscores in names of headers become hyphens."""
        if body or method in {"PUT", "POST"}:
            headers["Content-Length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        channel = self.connect()
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        return Answer(self.transport.value(), method)
