# -*- test-case-name: tests.admin.test_serverapi -*-
"""frp's JSON API of the server (reference 1.9): which path answers what.

Errors are ``{"Code": 404, "Msg": "…"}``. The values are made in `tunnelsvc.admin.shapes`.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from tunnelsvc.admin import shapes
from tunnelsvc.admin.cookies import cookie_name
from tunnelsvc.admin.endpoints import Choice, Endpoint, Text
from tunnelsvc.admin.ownapi import AdminAPI
from tunnelsvc.admin.routing import ANY, APIError, Routes, query, route
from tunnelsvc.admin.serverapi2 import NO_PROXY, ServerAPI2
from tunnelsvc.admin.view import DashboardView, History
from tunnelsvc.admin.web import answer_json
from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.metrics.counters import ProxyStats

Handler = Callable[["ServerAPI", Request, list[str]], Any]
"""Given the request and the variable parts of its path, return what becomes JSON."""


class ServerAPI(Resource):
    """``/api/``."""

    isLeaf = True
    log = Logger()

    def __init__(
        self, server: DashboardView, clock: IReactorTime, history: History | None = None
    ) -> None:
        """Begin; see `tunnelsvc.admin.ownapi.AdminAPI`."""
        super().__init__()
        self._server = server
        self.admin = AdminAPI(server, clock, history)
        self._below = {b"v2": ServerAPI2(server), b"admin": self.admin}

    def close(self) -> None:
        """End all streams."""
        self.admin.hub.close()

    def render(self, request: Request) -> Any:
        """Answer."""
        below = self._below.get((request.postpath or [b""])[0])
        if below is not None:
            request.postpath = (request.postpath or [])[1:]
            return below.render(request)
        try:
            endpoint, variables = route(ROUTES, request)
            return answer_json(request, endpoint.handler(self, request, variables))
        except APIError as why:
            return answer_json(request, why.shape(), why.code)

    def openapi(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """All of the site's APIs, described."""
        # Who doesn't ask for it doesn't spend the memory.
        from tunnelsvc.admin.described import description  # noqa: PLC0415

        cookie = cookie_name(request, "server").decode()
        return description(cookie, metrics=self._server.config.dashboard.enable_prometheus)

    def serverinfo(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """Facts and sums."""
        return shapes.server_info(self._server)

    def proxies_of_type(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """All proxies of one type; of an unknown type there are none."""
        (kind,) = variables
        found = (proxy for proxy in self._server.stats.proxies() if proxy.type == kind)
        return {"proxies": [shapes.proxy(each) for each in found]}

    def proxy_of_type(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """One proxy."""
        kind, name = variables
        proxy = self._proxy(name)
        if proxy.type != kind:
            raise APIError(http.NOT_FOUND, NO_PROXY)
        return shapes.proxy(proxy)

    def proxy(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """One proxy, of whatever type."""
        return shapes.proxy(self._proxy(variables[0]))

    def proxies(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """All proxies: ours, frp asks once for each type."""
        return {"proxies": [shapes.proxy(each) for each in self._server.stats.proxies()]}

    def delete_proxies(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """Forget the proxies that are offline."""
        if query(request, "status") != "offline":
            raise APIError(http.BAD_REQUEST, "status only support offline")
        count = self._server.stats.clear_offline_proxies()
        self.log.info("cleared {count} offline proxies", count=count)
        return {"Code": http.OK, "Msg": "success"}

    def traffic(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """Bytes of one proxy by day, today first."""
        return shapes.traffic(self._proxy(variables[0]))

    def clients(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """All clients, as the query wants them."""
        wanted = _client_filter(request)
        return [shapes.client(each) for each in self._server.stats.clients() if wanted(each)]

    def client(self, request: Request, variables: list[str]) -> Any:  # noqa: ARG002
        """One client."""
        (key,) = variables
        client = self._server.stats.client(key)
        if client is None:
            raise APIError(http.NOT_FOUND, f"client {key} not found")
        return shapes.client(client)

    def _proxy(self, name: str) -> ProxyStats:
        proxy = self._server.stats.proxy(name)
        if proxy is None:
            raise APIError(http.NOT_FOUND, NO_PROXY)
        return proxy


_TYPE: Final = Text("type", "Of proxies: tcp, http.", None)
_NAME: Final = Text("name", "Of a proxy, with its user: alice.ssh.", None)

ROUTES: Final[Routes[Endpoint[Handler]]] = {
    ("openapi.json",): {b"GET": Endpoint(ServerAPI.openapi, "This description.", "Description")},
    ("serverinfo",): {b"GET": Endpoint(ServerAPI.serverinfo, "Facts and sums.", "ServerInfo")},
    ("proxy", ANY): {
        b"GET": Endpoint(
            ServerAPI.proxies_of_type, "All proxies of a type.", "FrpProxies", path=(_TYPE,)
        )
    },
    ("proxy", ANY, ANY): {
        b"GET": Endpoint(ServerAPI.proxy_of_type, "One proxy.", "FrpProxy", path=(_TYPE, _NAME))
    },
    ("proxies",): {
        b"GET": Endpoint(ServerAPI.proxies, "All proxies (ours).", "FrpProxies"),
        b"DELETE": Endpoint(
            ServerAPI.delete_proxies,
            "Forget the proxies that are offline.",
            "Success",
            query=(Choice("status", "Of those to forget.", ("offline",), required=True),),
        ),
    },
    ("proxies", ANY): {b"GET": Endpoint(ServerAPI.proxy, "One proxy.", "FrpProxy", path=(_NAME,))},
    ("traffic", ANY): {
        b"GET": Endpoint(
            ServerAPI.traffic, "Bytes of a proxy by day, today first.", "FrpTraffic", path=(_NAME,)
        )
    },
    ("clients",): {
        b"GET": Endpoint(
            ServerAPI.clients,
            "All clients that fit.",
            "FrpClients",
            query=(
                Text("user", "Whose.", None),
                Text("clientId", "What it calls itself.", None),
                Text("runId", "Its login.", None),
                Text("status", "online or offline; anything else: both.", None),
            ),
        )
    },
    ("clients", ANY): {
        b"GET": Endpoint(
            ServerAPI.client,
            "One client.",
            "FrpClient",
            path=(Text("key", "Of a client: USER.CLIENT_ID.", None),),
        )
    },
}


def _client_filter(request: Request) -> Callable[[ClientStats], bool]:
    user, client_id, run_id = (query(request, name) for name in ("user", "clientId", "runId"))
    online = {"online": True, "offline": False}.get(query(request, "status").lower())

    def wanted(client: ClientStats) -> bool:
        return (
            user in {"", client.user}
            and client_id in {"", client.shown_id}
            and run_id in {"", client.run_id}
            and online in {None, client.online}
        )

    return wanted
