# -*- test-case-name: tests.e2e.test_clientpage_load -*-
"""What `tests.e2e.clientpagemock` has to show: a client with one of each kind of thing.

It is what the documentation's pictures show, too.
"""

import base64
import json
import time
from typing import Final

from tests.e2e.clientpagemock import MockSite, Row, exchange, side

CONFIG: Final = """\
# The tunnel of the workshop
[common]
server_addr = tunnel.example.com
server_port = 7000
token = ***1f2e3d4c5b6a7988***
admin_port = 7400

[notebook]
type = http
local_port = 8888
custom_domains = notebook.example.com

[shop]
type = http
local_port = 5000
subdomain = shop
inspect = true

[ssh]
type = tcp
local_port = 22
remote_port = 6000
"""
WRONG: Final = "/etc/tunnelsvc/frpc.ini:9: [notebook] type = htp: not a type of proxy"
WRONG_LINE: Final = 9
RIGHT: Final[Row] = {
    "problems": [],
    "warnings": [],
    "diff": (
        "--- now\n+++ new\n@@ -3,12 +3,18 @@\n"
        " server_addr = tunnel.example.com\n server_port = 7000\n"
        " token = ***1f2e3d4c5b6a7988***\n-admin_port = 7400\n+admin_port = 7401\n \n"
        " [notebook]\n type = http\n local_port = 8888\n"
        " custom_domains = notebook.example.com\n+inspect = true\n+\n"
        "+[grafana]\n+type = http\n+local_port = 3000\n+subdomain = grafana\n \n [shop]\n"
    ),
    "changes": {"added": ["grafana"], "removed": [], "changed": ["notebook"]},
    "remarks": ["[common] admin_port: holds after a restart"],
}
"""What a check says."""

BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"
JSON_TYPE: Final = "application/json"
ASKED: Final = (
    ("shop", "GET", "/", 200, "text/html", 8123, 14.2),
    ("shop", "GET", "/static/shop.js?v=91", 304, "", 187, 3.1),
    ("shop", "GET", "/img/lamp.webp", 200, "image/webp", 48211, 6.4),
    ("shop", "POST", "/v1/carts", 201, JSON_TYPE, 512, 31.7),
    ("shop", "PUT", "/v1/carts/77/items/A-100", 200, JSON_TYPE, 498, 22.9),
    ("shop", "GET", "/v1/stock/B-7", 404, JSON_TYPE, 217, 9.0),
    ("notebook", "GET", "/lab/tree/orders.ipynb", 200, "text/html", 20480, 88.1),
    ("notebook", "PUT", "/api/contents/orders.ipynb", 200, JSON_TYPE, 1834, 140.5),
    ("shop", "POST", "/login", 302, "text/html", 340, 61.0),
    ("shop", "GET", "/v1/report?month=11", 500, "text/plain", 903, 1840.2),
    ("shop", "DELETE", "/v1/carts/76", 204, "", 120, 12.3),
)
"""Proxy, method, path, status, type, size, milliseconds."""
ORDER: Final = {
    "customer": {"id": 4711, "name": "Ada Lovelace"},
    "items": [{"sku": "A-100", "quantity": 2}, {"sku": "B-7", "quantity": 1}],
    "express": True,
    "coupon": None,
}


def _proxy(name: str, kind: str, public: str, local: str, **more: object) -> Row:
    status = {"phase": "running", "error": "", "hint": "", "inspect": False}
    return {"name": name, "type": kind, "public": public, "local": local, **status, **more}


PROXIES: Final = [
    _proxy("notebook", "http", "http://notebook.example.com/", "127.0.0.1:8888", inspect=True),
    _proxy("shop", "http", "http://shop.tunnel.example.com/", "127.0.0.1:5000", inspect=True),
    _proxy("ssh", "tcp", "tunnel.example.com:6000", "127.0.0.1:22"),
    _proxy(
        "metrics",
        "tcp",
        "",
        "127.0.0.1:9100",
        phase="start error",
        error="port already used",
        hint="Another proxy or program has this port. Choose another one, or end what has it.",
        hint_key="port_taken",
    ),
    _proxy(
        "files",
        "https",
        "",
        "plugin https2http",
        phase="check failed",
        error="connect to 127.0.0.1:8081: connection refused",
        hint="The local service doesn't pass its health check.",
        hint_key="health_check",
    ),
    _proxy("game", "udp", "", "127.0.0.1:27015", phase="wait start"),
]
VISITORS: Final = [
    {"name": "database", "type": "stcp", "bind": "127.0.0.1:5432", "error": "", "hint": ""},
    {
        "name": "a_name_of_somebody_who_likes_long_ones_" + "x" * 60,
        "type": "stcp",
        "bind": "127.0.0.1:8554",
        "error": "there is no proxy camera_at_home",
        "hint": "Start the client that offers it.",
    },
]


def _headers(host: str) -> dict[str, str]:
    return {
        "Host": host,
        "User-Agent": BROWSER,
        "Accept": "*/*",
        "Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.s3cr3t",
        "Cookie": "session=c00kie",
    }


def _answered(media_type: str, shape: object) -> Row:
    text = json.dumps(shape) if media_type == JSON_TYPE else ""
    return side({"Content-Type": media_type, "Set-Cookie": "session=fresh"}, text)


def fill(site: MockSite) -> int:
    """Have it all happen; return the number of the last but one request: an order.

    The last one is that order again, answered otherwise.
    """
    site.say(proxies=PROXIES, visitors=VISITORS)
    site.config["text"] = CONFIG
    now, number = time.time(), 0
    for round_, (proxy, method, path, status, kind, size, ms) in enumerate(ASKED * 2):
        number += 1
        host = "notebook.example.com" if proxy == "notebook" else "shop.tunnel.example.com"
        row = exchange(number, method, f"http://{host}{path}", status, proxy=proxy, ms=ms, out=size)
        row["at"] = now - 40 * (30 - round_)
        site.add(row, {"request": side(_headers(host)), "response": _answered(kind, {"id": 77})})
    _add_odd_ones(site, number)
    return _add_order(site, number + 2)


def _add_odd_ones(site: MockSite, number: int) -> None:
    url = "http://notebook.example.com/api/kernels/1f2e/channels?session_id=9d3c"
    row = exchange(number + 1, "GET", url, 101, proxy="notebook", kind="websocket", ms=None)
    halves = {"request": side(_headers("notebook.example.com")), "response": side({})}
    site.add(row, {**halves, "websocket": {"sent": 120, "received": 14}})
    raw = bytes(range(256)) * 20
    binary = side({"Content-Type": "application/octet-stream"})
    encoded = base64.b64encode(raw).decode()
    binary["body"] |= {"size": 200000, "kept": len(raw), "base64": encoded, "truncated": True}
    del binary["body"]["text"]
    url = "http://shop.tunnel.example.com/upload/" + "long-" * 40
    row = exchange(number + 2, "POST", url, 500, proxy="shop", error="the connection broke")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    site.add(row, {"request": side(form, "user=ada&next=%2F"), "response": binary})


def _add_order(site: MockSite, number: int) -> int:
    headers = {**_headers("shop.tunnel.example.com"), "Content-Type": JSON_TYPE}
    for again in (0, 1):
        url = "http://shop.tunnel.example.com/v1/orders"
        row = exchange(number + 1 + again, "POST", url, 201, proxy="shop", out=420, ms=37.4)
        row |= {"in": 488, "replay_of": number + 1 if again else None, "ms": 37.4 - 20 * again}
        shape = {"id": 10482 + again, "state": "accepted", "queue": 3, "order": ORDER}
        request = side(headers, json.dumps(ORDER))
        site.add(row, {"request": request, "response": _answered(JSON_TYPE, shape)})
    return number + 1
