# -*- test-case-name: tests.admin.test_ownapi -*-
"""Our own JSON API of the server, ``/api/admin/`` (docs/dashboard-api.md): which path answers what.

Errors are ``{"Code": 404, "Msg": "…"}``. The values are made in `tunnelsvc.admin.ownshapes`, and
described in `tunnelsvc.admin.ownschemas`. What the administrator does becomes an event, and a line
in the log, where it is done.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from tunnelsvc.admin import ownshapes
from tunnelsvc.admin.answering import answer_by
from tunnelsvc.admin.endpoints import Asked, Choice, Endpoint, Text, Whole
from tunnelsvc.admin.history.service import HistoryError
from tunnelsvc.admin.history.values import Query
from tunnelsvc.admin.owntopics import Overview, server_topics
from tunnelsvc.admin.process import Process
from tunnelsvc.admin.routing import ANY, APIError, Routes
from tunnelsvc.admin.stream import Hub, stream_endpoint
from tunnelsvc.admin.view import DashboardView, History
from tunnelsvc.admin.web import asked_host
from tunnelsvc.errors import ProxyRefused
from tunnelsvc.metrics.counters import ProxyStats
from tunnelsvc.metrics.events import GROUPS, Event
from tunnelsvc.metrics.traffic import DAYS

Handler = Callable[["AdminAPI", Asked], Any]
"""Returns what becomes JSON, a coroutine of that, or ``NOT_DONE_YET`` if it answers itself."""

TOPICS: Final = ("overview", "clients", "proxies", "connections", "events")
MOST_EVENTS: Final = 500
EVENTS: Final = 200


class AdminAPI(Resource):
    """``/api/admin/``.

    Attributes:
        hub: its streams, to be closed when the site is.
    """

    isLeaf = True
    log = Logger()

    def __init__(
        self, server: DashboardView, clock: IReactorTime, history: History | None = None
    ) -> None:
        """Begin.

        Args:
            server: what to show, and to tell what to do.
            clock: what runs calls.
            history: what is remembered over restarts; None: nothing is.
        """
        super().__init__()
        self._server = server
        self._history = history
        self._overview = Overview(server, Process(), history)
        self.hub = Hub(server_topics(server, self._overview), clock)

    def render(self, request: Request) -> Any:
        """Answer."""
        return answer_by(ROUTES, self, request)

    def overview(self, asked: Asked) -> Any:  # noqa: ARG002
        """Facts, sums and the curve."""
        return self._overview.read() | ownshapes.curve(self._server.stats.curves.total())

    def start(self, asked: Asked) -> Any:
        """What a first client needs to know."""
        config, listening = self._server.config, ownshapes.ports(self._server)
        return {
            "server_addr": _host_of(asked.request),
            "server_port": listening.get("bind", config.bind_port),
            "token": bool(config.token),
            "subdomain_host": config.subdomain_host,
            "takes_http": config.takes_http,
            "remote_port": ownshapes.port_to_suggest(self._server),
        }

    def traffic(self, asked: Asked) -> Any:
        """Bytes of everything by day."""
        stats = self._server.stats
        return ownshapes.days(stats.last_days(), stats.now(), asked["days"])

    def clients(self, asked: Asked) -> Any:  # noqa: ARG002
        """All clients, online or remembered."""
        return {"rows": list(ownshapes.clients(self._server).values())}

    def kick(self, asked: Asked) -> Any:
        """End a client's session."""
        key = asked["key"]
        if not self._server.moderation.kick(key):
            known = self._server.stats.client(key) is not None
            raise APIError(
                http.NOT_FOUND, f'client "{key}" is not online' if known else _no("client", key)
            )
        return {}

    def block(self, asked: Asked) -> Any:
        """Do the same, and refuse its logins."""
        key = asked["key"]
        if self._server.moderation.block(key) is None:
            raise APIError(http.NOT_FOUND, _no("client", key))
        return {}

    def blocks(self, asked: Asked) -> Any:  # noqa: ARG002
        """Who may not log in."""
        return {"rows": [ownshapes.block(each) for each in self._server.moderation.blocks]}

    def allow(self, asked: Asked) -> Any:
        """Take a block back."""
        if not self._server.moderation.allow(asked["id"]):
            raise APIError(http.NOT_FOUND, f"there is no block {asked['id']}")
        return {}

    def proxies(self, asked: Asked) -> Any:  # noqa: ARG002
        """All proxies, online or remembered."""
        return {"rows": list(ownshapes.proxies(self._server).values())}

    def proxy_traffic(self, asked: Asked) -> Any:
        """Bytes of one proxy by day."""
        proxy = self._proxy(asked["name"])
        return ownshapes.days(proxy.last_days(), self._server.stats.now(), asked["days"])

    def proxy_curve(self, asked: Asked) -> Any:
        """How fast bytes of one proxy moved lately."""
        proxy = self._proxy(asked["name"])
        return ownshapes.curve(self._server.stats.curves.of(proxy.name))

    def _proxy(self, name: str) -> ProxyStats:
        proxy = self._server.stats.proxy(name)
        if proxy is None:
            raise APIError(http.NOT_FOUND, _no("proxy", name))
        return proxy

    async def disable(self, asked: Asked) -> Any:
        """Let nobody reach a proxy."""
        if not await self._server.moderation.disable(asked["name"]):
            raise APIError(http.NOT_FOUND, _no("proxy", asked["name"]))
        return {}

    async def enable(self, asked: Asked) -> Any:
        """Take that back; one that isn't disabled stays as it is."""
        name = asked["name"]
        try:
            enabled = await self._server.moderation.enable(name)
        except ProxyRefused as why:
            raise APIError(http.CONFLICT, f"it stays disabled: {why}") from None
        if not enabled:
            self._proxy(name)
        return {}

    def connections(self, asked: Asked) -> Any:  # noqa: ARG002
        """Who is connected."""
        rows, more = ownshapes.connections(self._server.stats)
        return {"rows": list(rows.values()), "more": more}

    def close(self, asked: Asked) -> Any:
        """End one connection."""
        if not self._server.stats.cut(asked["id"]):
            raise APIError(http.NOT_FOUND, f"there is no connection {asked['id']} any more")
        self.log.info("connection {id} was closed by the administrator", id=asked["id"])
        return {}

    async def events(self, asked: Asked) -> Any:
        """What has happened, the newest first."""
        limit = asked["limit"]
        found = await self._events(asked["before"], limit + 1, asked["group"], asked["text"])
        rows = [ownshapes.event(each) for each in found[:limit]]
        return {"rows": rows, "more": len(found) > limit}

    async def _events(self, before: int | None, limit: int, group: str, text: str) -> list[Event]:
        if self._history is not None:
            try:
                return await self._history.events(before, limit, group, text)
            except HistoryError as why:
                raise APIError(http.SERVICE_UNAVAILABLE, str(why)) from None
        query = Query(before=before, group=group, text=text, limit=limit)
        return query.newest(self._server.stats.events.recent())

    def stream(self, asked: Asked) -> Any:
        """All that changes, as it does."""
        return self.hub.answer(asked)


MOST_NAME: Final = 1_024
"""Characters of keys and names: more than clients may have (`tunnelsvc.server.names`), so that
nobody can have a name by which he can't be sent away."""
_KEY: Final = Text("key", "Of a client, as in its row.", MOST_NAME)
_NAME: Final = Text("name", "Of a proxy, with its user: alice.ssh.", MOST_NAME)
_DAYS: Final = Whole("days", "How many, today included.", 1, DAYS, default=DAYS)

ROUTES: Final[Routes[Endpoint[Handler]]] = {
    ("overview",): {b"GET": Endpoint(AdminAPI.overview, "Facts, sums and the curve.", "Overview")},
    ("start",): {b"GET": Endpoint(AdminAPI.start, "What a first client needs to know.", "Start")},
    ("traffic",): {
        b"GET": Endpoint(
            AdminAPI.traffic, "Bytes of everything by day, today last.", "Days", query=(_DAYS,)
        )
    },
    ("clients",): {b"GET": Endpoint(AdminAPI.clients, "All clients.", "Clients")},
    ("clients", ANY, "kick"): {
        b"POST": Endpoint(AdminAPI.kick, "End a client's session; it may come back.", path=(_KEY,))
    },
    ("clients", ANY, "block"): {
        b"POST": Endpoint(
            AdminAPI.block, "End a client's session, and refuse its logins.", path=(_KEY,)
        )
    },
    ("blocks",): {b"GET": Endpoint(AdminAPI.blocks, "Who may not log in.", "Blocks")},
    ("blocks", ANY): {
        b"DELETE": Endpoint(
            AdminAPI.allow, "Let a client log in again.", path=(Whole("id", "Of a block."),)
        )
    },
    ("proxies",): {b"GET": Endpoint(AdminAPI.proxies, "All proxies.", "Proxies")},
    ("proxies", ANY, "traffic"): {
        b"GET": Endpoint(
            AdminAPI.proxy_traffic,
            "Bytes of a proxy by day, today last.",
            "Days",
            path=(_NAME,),
            query=(_DAYS,),
        )
    },
    ("proxies", ANY, "curve"): {
        b"GET": Endpoint(
            AdminAPI.proxy_curve,
            "Rates of a proxy in the last minutes, the oldest first.",
            "Curve",
            path=(_NAME,),
        )
    },
    ("proxies", ANY, "disable"): {
        b"POST": Endpoint(
            AdminAPI.disable, "Let nobody reach a proxy, and end its connections.", path=(_NAME,)
        )
    },
    ("proxies", ANY, "enable"): {
        b"POST": Endpoint(
            AdminAPI.enable, "Let a proxy be reached again.", path=(_NAME,), errors=(http.CONFLICT,)
        )
    },
    ("connections",): {
        b"GET": Endpoint(
            AdminAPI.connections, "Users' connections, 2000 of them at most.", "Connections"
        )
    },
    ("connections", ANY, "close"): {
        b"POST": Endpoint(
            AdminAPI.close, "End one connection.", path=(Whole("id", "Of a connection."),)
        )
    },
    ("events",): {
        b"GET": Endpoint(
            AdminAPI.events,
            "What has happened, the newest first.",
            "Events",
            query=(
                Whole("before", "Only events with a smaller id."),
                Choice("group", "Only events of this group.", tuple(GROUPS)),
                Text("text", "Only events that have this somewhere."),
                Whole("limit", "At most so many.", 1, MOST_EVENTS, default=EVENTS),
            ),
            errors=(http.SERVICE_UNAVAILABLE,),
        )
    },
    ("stream",): {b"GET": stream_endpoint(AdminAPI.stream, TOPICS)},
}


def _no(what: str, name: str) -> str:
    return f'there is no {what} "{name}"'


def _host_of(request: Request) -> str:
    """Tell by which name or address somebody has asked for us, without a port."""
    return asked_host(request) or str(getattr(request.getHost(), "host", ""))
