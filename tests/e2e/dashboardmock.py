# -*- test-case-name: tests.e2e.test_dashboard_load -*-
"""A dashboard with as many proxies and connections as asked for, which all change all the time.

A program of its own: it serves the real page with the real headers, and answers below
``/api/admin/`` as docs/dashboard-api.md says, of a server that isn't there.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from attrs import define, field
from twisted.internet import reactor as global_reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tunnelsvc import __version__
from tunnelsvc.admin.channel import DashboardSite
from tunnelsvc.admin.pages import Redirect, StaticFiles
from tunnelsvc.admin.web import answer_json

reactor: Any = global_reactor

Row = dict[str, Any]

POINTS: Final = 150
DAYS: Final = 30
DAY: Final = 86400
EVENTS_SHOWN: Final = 200

HOSTS: Final = (
    *("lab-gpu-1", "lab-gpu-2", "office-nas", "notebook-mara", "raspberry-roof", "ci-runner-3"),
    *("printer-hall", "home-assistant", "build-arm64", "camera-gate"),
)
SERVICES: Final = (
    ("ssh", "tcp"),
    ("jupyter", "http"),
    ("grafana", "http"),
    ("wiki", "https"),
    ("dns", "udp"),
    ("postgres", "stcp"),
    ("tensorboard", "http"),
    ("rdp", "tcp"),
)


@define
class Fake:
    """What the server that isn't there would know."""

    client_count: int
    proxy_count: int
    connection_count: int
    dice: random.Random = field(factory=lambda: random.Random(7))
    started_at: float = field(factory=lambda: time.time() - 11 * DAY - 4000)
    clients: dict[str, Row] = field(factory=dict)
    proxies: dict[str, Row] = field(factory=dict)
    connections: dict[int, Row] = field(factory=dict)
    events: list[Row] = field(factory=list)
    blocks: dict[int, Row] = field(factory=dict)
    points: list[list[float]] = field(factory=list)
    next_id: int = 1

    def __attrs_post_init__(self) -> None:
        for number in range(self.client_count):
            self.add_client(number)
        for number in range(self.proxy_count if self.clients else 0):
            self.add_proxy(number)
        for _ in range(self.connection_count if self.proxies else 0):
            self.add_connection()
        while len(self.points) < POINTS:
            self.points.append(self.point())
        self.begin_with_events()

    def add_client(self, number: int) -> None:
        host = HOSTS[number % len(HOSTS)] + (f"-{number}" if number >= len(HOSTS) else "")
        key, now = f"ops.{host}", time.time()
        online = number % 9 != 8
        self.clients[key] = {
            "key": key,
            "user": "ops",
            "client_id": host,
            "run_id": f"{self.dice.getrandbits(64):016x}",
            "address": f"203.0.113.{20 + number % 200}:{40000 + number}",
            "hostname": host,
            "version": ("0.70.1", "0.61.0", __version__)[number % 3],
            "os": "linux",
            "arch": ("amd64", "arm64")[number % 2],
            "protocol": ("tcp", "quic", "websocket")[number % 3],
            "online": online,
            "since": now - self.dice.randint(60, 5 * DAY),
            "last_seen": now - (0 if online else 7200),
            "rtt_ms": self.dice.choice([0.4, 11.8, 24.3, 87.0]) if online else None,
            "proxies": [],
            "blocked": False,
        }

    def add_proxy(self, number: int) -> None:
        service, kind = SERVICES[number % len(SERVICES)]
        client = self.dice.choice(list(self.clients.values()))
        name = f"{service}-{client['client_id']}-{number}"
        online, today = client["online"], self.dice.randint(10**5, 10**10)
        names = {"http": "http://{}.tunnel.example:8080/", "https": "https://{}.tunnel.example/"}
        addresses = {"tcp": f":{6000 + number}", "udp": f":{6000 + number}"}
        urls = [names[kind].format(name)] if kind in names else []
        self.proxies[name] = {
            "name": name,
            "type": kind,
            "client": client["key"],
            "user": "ops",
            "online": online,
            "disabled": number % 17 == 5,
            "remote_addr": addresses.get(kind, ""),
            "urls": urls,
            "connections": 0,
            "today": {"in": today // 9, "out": today},
            "total": {"in": today * 3, "out": today * 21},
            "rate": {"in": 0, "out": 0},
            "started_at": client["since"],
            "closed_at": None if online else client["last_seen"],
            "closed_reason": "" if online else "the client closed the connection",
        }
        client["proxies"].append(name)

    def add_connection(self) -> None:
        open_ones = [
            each for each in self.proxies.values() if each["online"] and not each["disabled"]
        ]
        proxy = self.dice.choice(open_ones)
        proxy["connections"] += 1
        number = self.number()
        self.connections[number] = {
            "id": number,
            "proxy": proxy["name"],
            "type": proxy["type"],
            "user": f"198.51.100.{self.dice.randint(1, 254)}:{self.dice.randint(1024, 65535)}",
            "since": time.time() - self.dice.expovariate(1 / 1800),
            "in": self.dice.randint(0, 10**6),
            "out": self.dice.randint(0, 10**8),
        }

    def number(self) -> int:
        self.next_id += 1
        return self.next_id

    def point(self) -> list[float]:
        load = self.connection_count * 9000
        if not self.points:
            return [load * 0.2, load]
        # Random, but a little like the one before: traffic has hills, and no noise alone.
        near = [each * self.dice.uniform(0.82, 1.2) for each in self.points[-1]]
        return [round(0.85 * near[0] + 0.03 * load), round(0.85 * near[1] + 0.15 * load)]

    def begin_with_events(self) -> None:
        self.event("started", "", detail=f"version {__version__}")
        for client in self.clients.values():
            self.event("login", client["key"], address=client["address"])
            for name in client["proxies"][:3]:
                self.event("proxy_opened", client["key"], name)
        if self.clients:
            self.event(
                "login_refused",
                "",
                address="192.0.2.66:50122",
                detail="token doesn't match, 14 times",
            )
            self.event(
                "user_refused",
                "",
                next(iter(self.proxies), ""),
                "192.0.2.9:40022",
                "address not allowed",
            )
            self.event("reloaded", "", detail="max_ports_per_client 0 -> 8")
        now = time.time()
        for place, each in enumerate(reversed(self.events)):
            each["at"] = now - 50 * (1 + place) ** 1.6

    def event(
        self, kind: str, client: str, proxy: str = "", address: str = "", detail: str = ""
    ) -> Row:
        groups = {
            "login": ("login", "logout"),
            "refusal": ("login_refused", "user_refused"),
            "closure": ("proxy_opened", "proxy_closed"),
            "config": ("started", "reloaded"),
        }
        group = next((name for name, kinds in groups.items() if kind in kinds), "admin")
        row = {
            "id": self.number(),
            "at": time.time(),
            "kind": kind,
            "group": group,
            "client": client,
            "proxy": proxy,
            "address": address,
            "detail": detail,
        }
        self.events.append(row)
        return row

    def overview(self) -> Row:
        types: dict[str, Row] = {}
        for each in self.proxies.values():
            counts = types.setdefault(each["type"], {"online": 0, "known": 0})
            counts["known"] += 1
            counts["online"] += each["online"] and not each["disabled"]
        sums = {
            name: {
                way: sum(each[name][way] for each in self.proxies.values()) for way in ("in", "out")
            }
            for name in ("today", "total")
        }
        online = sum(each["online"] for each in self.clients.values())
        return {
            "version": __version__,
            "started_at": self.started_at,
            "now": time.time(),
            "ports": {"bind": 7000, "vhost_http": 8080, "vhost_https": 443},
            "subdomain_host": "tunnel.example",
            "clients": {"online": online, "known": len(self.clients)},
            "proxies": types,
            "connections": len(self.connections),
            "rate": dict(zip(("in", "out"), self.points[-1], strict=True)),
            "curve_seconds": 2,
            **sums,
            "process": {
                "cpu_percent": round(self.dice.uniform(0.8, 4.2), 1),
                "memory_bytes": 61 * 2**20,
                "open_files": 48 + len(self.connections),
            },
            "history": True,
        }

    def traffic(self, scale: float = 1.0) -> Row:
        dice = random.Random(3)
        today = self.overview()["today"]
        days = []
        for back in range(DAYS - 1, 0, -1):
            at = time.gmtime(time.time() - back * DAY)
            quiet = 0.35 if at.tm_wday > 4 else 1.0
            days.append(
                {
                    "date": time.strftime("%Y-%m-%d", at),
                    "in": round(today["in"] * quiet * dice.uniform(0.4, 1.6) * scale),
                    "out": round(today["out"] * quiet * dice.uniform(0.4, 1.6) * scale),
                }
            )
        last = {way: round(today[way] * scale) for way in ("in", "out")}
        return {"days": [*days, {"date": time.strftime("%Y-%m-%d", time.gmtime()), **last}]}

    def move(self) -> dict[str, Row]:
        """Let everything go on for a second; give what changed, by topic."""
        for each in self.connections.values():
            each["in"] += self.dice.randint(1, 4000)
            each["out"] += self.dice.randint(1, 90000)
        for each in self.proxies.values():
            each["rate"] = {
                "in": each["connections"] * self.dice.randint(1, 900),
                "out": each["connections"] * self.dice.randint(1, 9000),
            }
            for name in ("today", "total"):
                each[name] = {way: each[name][way] + each["rate"][way] for way in ("in", "out")}
        gone = self.some_go()
        self.points = [*self.points[1:], self.point()]
        overview = {**self.overview(), "point": self.points[-1]}
        live = [
            {name: each[name] for name in ("id", "in", "out")} for each in self.connections.values()
        ]
        return {
            "overview": {"value": overview},
            "proxies": {
                "changed": [
                    {name: each[name] for name in ("name", "connections", "today", "total", "rate")}
                    for each in self.proxies.values()
                ],
                "gone": [],
            },
            "connections": {"changed": [*live, *self.come(len(gone))], "gone": gone},
        }

    def some_go(self) -> list[int]:
        gone = self.dice.sample(list(self.connections), len(self.connections) // 100)
        for each in gone:
            self.proxies[self.connections.pop(each)["proxy"]]["connections"] -= 1
        return gone

    def come(self, count: int) -> list[Row]:
        for _ in range(count):
            self.add_connection()
        return list(self.connections.values())[-count:] if count else []

    def snapshot(self, topic: str) -> Row:
        if topic == "overview":
            return {"value": {**self.overview(), "curve": self.points}}
        if topic == "events":
            return {"rows": self.events[::-1][:EVENTS_SHOWN]}
        return {"rows": list(getattr(self, topic).values())}

    def some_events(self, asked: dict[str, str]) -> Row:
        """Answer ``GET events``."""
        found = [
            each
            for each in reversed(self.events)
            if each["id"] < int(asked.get("before", 2**53))
            and asked.get("group", "") in {"", each["group"]}
            and asked.get("text", "") in json.dumps(each)
        ]
        limit = int(asked.get("limit", EVENTS_SHOWN))
        return {"rows": found[:limit], "more": len(found) > limit}


class API(Resource):
    """``/api/admin/``."""

    isLeaf = True

    def __init__(self, fake: Fake, seconds: float) -> None:
        super().__init__()
        self.fake = fake
        self.streams: dict[Request, set[str]] = {}
        LoopingCall(self.move).start(seconds, now=False)

    def render(self, request: Request) -> bytes | int:
        parts = [part.decode() for part in request.postpath or ()]
        if parts == ["stream"]:
            return self.stream(request)
        if request.method != b"GET":
            self.change([unquote(part) for part in parts])
            return answer_json(request, {})
        return answer_json(request, self.read(request, parts))

    def read(self, request: Request, parts: list[str]) -> object:
        fake = self.fake
        asked = {name.decode(): value[0].decode() for name, value in request.args.items()}
        answers: dict[str, Callable[[], object]] = {
            "session": lambda: {
                "user": "admin",
                "csrf": "x",
                "by": "cookie",
                "version": __version__,
            },
            "traffic": fake.traffic,
            "blocks": lambda: {"rows": list(fake.blocks.values())},
            "events": lambda: fake.some_events(asked),
            "start": lambda: {
                "server_addr": "tunnel.example",
                "server_port": 7000,
                "token": True,
                "subdomain_host": "tunnel.example",
                "takes_http": True,
                "remote_port": 6000,
            },
        }
        if parts[0] == "proxies" and parts[2:] == ["curve"]:
            return {"curve": [[a / 9, b / 9] for a, b in fake.points], "curve_seconds": 2}
        if parts[0] == "proxies" and parts[2:] == ["traffic"]:
            return fake.traffic(0.1)
        return answers[parts[0]]()

    def change(self, parts: list[str]) -> None:
        """Do what was asked for, and tell all who listen."""
        fake = self.fake
        if parts[0] == "connections":
            gone = fake.connections.pop(int(parts[1]))
            self.tell("connections", {"changed": [], "gone": [gone["id"]]})
            self.happened("cut", "", gone["proxy"], gone["user"])
        elif parts[0] == "proxies":
            disabled = parts[2] == "disable"
            fake.proxies[parts[1]]["disabled"] = disabled
            self.tell("proxies", {"changed": [{"name": parts[1], "disabled": disabled}]})
            self.happened("disabled" if disabled else "enabled", "", parts[1])
        elif parts[0] == "clients":
            client = fake.clients[parts[1]]
            client.update(online=False, last_seen=time.time(), blocked=parts[2] == "block")
            if client["blocked"]:
                number = fake.number()
                own = {name: client[name] for name in ("user", "client_id", "hostname", "address")}
                fake.blocks[number] = {"id": number, "since": time.time(), **own}
            changed = {name: client[name] for name in ("key", "online", "last_seen", "blocked")}
            self.tell("clients", {"changed": [changed]})
            self.happened("blocked" if client["blocked"] else "kicked", parts[1])
        else:
            block = fake.blocks.pop(int(parts[1]))
            for client in fake.clients.values():
                if client["client_id"] == block["client_id"]:
                    client["blocked"] = False
                    self.tell("clients", {"changed": [{"key": client["key"], "blocked": False}]})

    def happened(self, kind: str, client: str, proxy: str = "", address: str = "") -> None:
        self.tell("events", {"changed": [self.fake.event(kind, client, proxy, address)]})

    def stream(self, request: Request) -> int:
        topics = request.args[b"topics"][0].decode().split(",")
        request.setHeader(b"Content-Type", b"text/event-stream")
        for topic in topics:
            send(request, "snapshot", {"topic": topic, **self.fake.snapshot(topic)})
        self.streams[request] = set(topics)
        request.notifyFinish().addBoth(lambda _: self.streams.pop(request, None))
        return NOT_DONE_YET

    def tell(self, topic: str, what: Row) -> None:
        for request, topics in self.streams.items():
            if topic in topics:
                send(request, "delta", {"topic": topic, **what})

    def move(self) -> None:
        for topic, what in self.fake.move().items():
            self.tell(topic, what)


def send(request: Request, kind: str, message: Row) -> None:
    request.write(f"event: {kind}\ndata: {json.dumps(message)}\n\n".encode())


def main() -> None:
    """Serve on a port of loopback until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--proxies", type=int, default=24)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0, help="between two changes")
    options = parser.parse_args()
    root, api = Resource(), Resource()
    root.putChild(b"", Redirect(b"static/"))
    root.putChild(b"static", StaticFiles("server"))
    root.putChild(b"api", api)
    fake = Fake(options.clients, options.proxies, options.connections)
    api.putChild(b"admin", API(fake, options.seconds))
    reactor.listenTCP(options.port, DashboardSite(root, reactor), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
