# -*- test-case-name: tests.admin.test_serverapi2 -*-
"""frp's JSON API of the server as frps has it since 0.69 (reference 1.9): ``/api/v2/``.

Every answer is ``{"code": 200, "msg": "success", "data": …}``, and lists come in pages:
``{"total": 120, "page": 1, "pageSize": 50, "items": […]}``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from tunnelsvc.admin import shapes2
from tunnelsvc.admin.endpoints import Choice, Endpoint, Text, Whole, wrong
from tunnelsvc.admin.routing import ANY, APIError, Routes, given, query, route
from tunnelsvc.admin.view import DashboardView
from tunnelsvc.admin.web import answer_json
from tunnelsvc.metrics.counters import ProxyStats

TYPES: Final = ("tcp", "udp", "http", "https", "tcpmux", "stcp", "xtcp", "sudp")
PAGE_SIZE: Final = 50
MOST_PAGE_SIZE: Final = 200
OFFLINE_PROXIES: Final = "offline_proxies"
"""The only thing that can be pruned."""
NO_PROXY: Final = "no proxy info found"
_STATUSES: Final = {"": None, "all": None, "online": True, "offline": False}
_NUMBER: Final = re.compile("[0-9]{1,9}")

Item = dict[str, Any]
Handler = Callable[["ServerAPI2", Request, list[str]], Any]


class ServerAPI2(Resource):
    """``/api/v2/``."""

    isLeaf = True
    log = Logger()

    def __init__(self, server: DashboardView) -> None:
        super().__init__()
        self._server = server

    def render(self, request: Request) -> bytes:
        """Answer."""
        try:
            endpoint, variables = route(ROUTES, request)
            data = endpoint.handler(self, request, variables)
        except APIError as why:
            error = {"code": why.code, "msg": str(why), "data": None}
            return answer_json(request, error, why.code)
        return answer_json(request, {"code": http.OK, "msg": "success", "data": data})

    def info(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """Facts and sums."""
        return shapes2.system_info(self._server)

    def prune(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """Forget the proxies that are offline."""
        kind = query(request, "type").lower()
        if not kind:
            raise wrong("type is required")
        if kind != OFFLINE_PROXIES:
            raise wrong(f"type must be one of {OFFLINE_PROXIES}")
        stats = self._server.stats
        total = len(stats.proxies())
        cleared = stats.clear_offline_proxies()
        self.log.info("cleared {count} offline proxies", count=cleared)
        return {"type": kind, "cleared": cleared, "total": total}

    def users(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """All users, with how many clients and proxies each has."""
        stats = self._server.stats
        clients = Counter(client.user for client in stats.clients())
        proxies = Counter(proxy.user for proxy in stats.proxies())
        wanted = query(request, "q").lower()
        names = sorted(user for user in clients | proxies if wanted in user.lower())
        return _page(
            request,
            [
                {"user": user, "clientCount": clients[user], "proxyCount": proxies[user]}
                for user in names
            ],
        )

    def clients(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """All clients, as the query wants them."""
        fits = _filter(request, online="online", user="user", clientID="clientID", runID="runID")
        words = ("key", "user", "clientID", "runID", "version", "wireProtocol", "hostname")
        found = [shapes2.client(each) for each in self._server.stats.clients()]
        return _page(
            request,
            [each for each in found if fits(each, [each[word] for word in (*words, "clientIP")])],
        )

    def client(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """One client, and what it serves."""
        (key,) = variables
        client = self._server.stats.client(key)
        if client is None:
            raise APIError(http.NOT_FOUND, f"client {key} not found")
        own = [
            proxy
            for proxy in self._server.stats.proxies()
            if (proxy.user, proxy.client_id) == (client.user, client.shown_id)
        ]
        status = {
            "phase": "online" if client.online else "offline",
            "curConns": sum(proxy.connections for proxy in own),
            "proxyCount": len(own),
        }
        return {**shapes2.client(client), "status": status}

    def proxies(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """All proxies, as the query wants them."""
        kind = query(request, "type").lower()
        if kind and kind not in TYPES:
            raise wrong(f"type must be one of {', '.join(TYPES)}")
        fits = _filter(request, online="online", user="user", clientID="clientID")
        proxies = [each for each in self._server.stats.proxies() if kind in {"", each.type}]
        proxies.sort(key=lambda each: (each.type, each.name))
        return _page(
            request,
            [
                shapes2.proxy(each)
                for each in proxies
                if fits(
                    {"online": each.online, "user": each.user, "clientID": each.client_id},
                    _words(each),
                )
            ],
        )

    def proxy(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """One proxy."""
        return shapes2.proxy(self._proxy(variables[0]))

    def traffic(self, request: Request, variables: list[str]) -> Item:  # noqa: ARG002
        """Bytes of one proxy by day, today last."""
        return shapes2.traffic(self._proxy(variables[0]), self._server.stats.now())

    def _proxy(self, name: str) -> ProxyStats:
        proxy = self._server.stats.proxy(name)
        if proxy is None:
            raise APIError(http.NOT_FOUND, NO_PROXY)
        return proxy


_PAGE: Final = (
    Whole("page", "Which, from 1.", 1, 999_999_999, default=1),
    Whole("pageSize", "Elements of a page.", 1, MOST_PAGE_SIZE, default=PAGE_SIZE),
)
_USER: Final = Text("user", "Whose; empty: of those without.", None)
_CLIENT: Final = Text("clientID", "What the client calls itself.", None)
_STATUS: Final = Choice("status", "Which.", ("all", "online", "offline"))
_PART: Final = Text("q", "What the element has somewhere.", None)
_NAME: Final = Text("name", "Of a proxy, with its user: alice.ssh.", None)

ROUTES: Final[Routes[Endpoint[Handler]]] = {
    ("users",): {
        b"GET": Endpoint(ServerAPI2.users, "All users.", "V2Users", query=(_PART, *_PAGE))
    },
    ("clients",): {
        b"GET": Endpoint(
            ServerAPI2.clients,
            "All clients that fit.",
            "V2Clients",
            query=(_USER, _CLIENT, Text("runID", "Its login.", None), _STATUS, _PART, *_PAGE),
        )
    },
    ("clients", ANY): {
        b"GET": Endpoint(
            ServerAPI2.client,
            "One client.",
            "V2Client",
            path=(Text("key", "Of a client: USER.CLIENT_ID.", None),),
        )
    },
    ("proxies",): {
        b"GET": Endpoint(
            ServerAPI2.proxies,
            "All proxies that fit.",
            "V2Proxies",
            query=(Choice("type", "Which.", TYPES), _USER, _CLIENT, _STATUS, _PART, *_PAGE),
        )
    },
    ("proxies", ANY): {b"GET": Endpoint(ServerAPI2.proxy, "One proxy.", "V2Proxy", path=(_NAME,))},
    ("proxies", ANY, "traffic"): {
        b"GET": Endpoint(
            ServerAPI2.traffic, "Bytes of a proxy by day, today last.", "V2Traffic", path=(_NAME,)
        )
    },
    ("system", "info"): {b"GET": Endpoint(ServerAPI2.info, "Facts and sums.", "V2Info")},
    ("system", "prune"): {
        b"POST": Endpoint(
            ServerAPI2.prune,
            "Forget the proxies that are offline.",
            "V2Pruned",
            query=(Choice("type", "What to forget.", (OFFLINE_PROXIES,), required=True),),
        )
    },
}


def _filter(request: Request, *, online: str, **names: str) -> Callable[..., bool]:
    """Make a test of items by a query.

    Args:
        request: has ``status``, ``q``, and perhaps parameters of these names. An empty user is a
            user, too; other empty parameters say nothing.
        online: field that says whether the item is.
        names: of parameters, to the fields that must be equal.

    Returns:
        A function of an item and the texts in which ``q`` is looked for.
    """
    status = query(request, "status").lower()
    if status not in _STATUSES:
        raise wrong("status must be one of all, online, offline")
    wanted: Item = {
        field: value
        for name, field in names.items()
        if (value := given(request, name)) or (value is not None and name == "user")
    }
    if _STATUSES[status] is not None:
        wanted[online] = _STATUSES[status]
    part = query(request, "q").lower()

    def fits(item: Item, words: Iterable[str]) -> bool:
        return all(item[field] == value for field, value in wanted.items()) and (
            not part or any(part in word.lower() for word in words)
        )

    return fits


def _words(proxy: ProxyStats) -> list[str]:
    """List the texts by which a proxy is found."""
    conf = proxy.conf if proxy.online else {}
    port = conf.get("remotePort")
    return [
        proxy.name,
        proxy.type,
        proxy.user,
        proxy.client_id,
        "online" if proxy.online else "offline",
        str(port or ""),
        *conf.get("customDomains", ()),
        conf.get("subdomain", ""),
    ]


def _page(request: Request, items: Sequence[Item]) -> Item:
    """Cut the page out of a list that the query wants."""
    page, size = _positive(request, "page", 1), _positive(request, "pageSize", PAGE_SIZE)
    if size > MOST_PAGE_SIZE:
        raise wrong(f"pageSize must be between 1 and {MOST_PAGE_SIZE}")
    start = (page - 1) * size
    return {
        "total": len(items),
        "page": page,
        "pageSize": size,
        "items": list(items[start : start + size]),
    }


def _positive(request: Request, name: str, default: int) -> int:
    text = query(request, name)
    if not text:
        return default
    if not _NUMBER.fullmatch(text) or not int(text):
        raise wrong(f"{name} must be a positive integer")
    return int(text)
