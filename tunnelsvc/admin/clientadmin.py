# -*- test-case-name: tests.admin.test_clientadmin -*-
"""Our own JSON API of the client, ``/api/admin/``: which path answers what.

docs/client-control.md has it. Errors are ``{"Code": 404, "Msg": "…"}``. The values are made in
`tunnelsvc.admin.clientstatus`, `clientconfig` and `clientrequests`, and described in
`clientschemas`.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tunnelsvc.admin import clientrequests, clientshapes
from tunnelsvc.admin.answering import Pieces, answer_by
from tunnelsvc.admin.clientbodies import edits, string
from tunnelsvc.admin.clientconfig import NO_FILE, ConfigText
from tunnelsvc.admin.clientstatus import status
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.admin.endpoints import Asked, Choice, Endpoint, Text, Whole, wrong
from tunnelsvc.admin.hidden import Hider
from tunnelsvc.admin.routing import ANY, APIError, Routes
from tunnelsvc.admin.stream import Hub, stream_endpoint
from tunnelsvc.admin.topics import TableTopic, ValueTopic
from tunnelsvc.admin.web import SERVER_NAME, answer
from tunnelsvc.client.inspection import Exchange
from tunnelsvc.client.inspection.curl import curl_of
from tunnelsvc.client.inspection.request import CannotReplayError
from tunnelsvc.client.inspection.search import STATUS, Filter, Found, search
from tunnelsvc.client.reloading import Reloaded
from tunnelsvc.errors import ConfigError

Handler = Callable[["ClientAdminAPI", Asked], Any]
"""Returns what becomes JSON, or ``NOT_DONE_YET`` or bytes if it has filled in the answer itself."""

TOPICS: Final = ("status", "requests")
LOOK_SECONDS: Final = 1.0
"""Between two looks for what streams tell of."""
ROWS: Final = 100
MOST_ROWS: Final = 500
MOST_IDS_CHARACTERS: Final = 4_000
SANDBOX: Final = b"default-src 'none'; img-src 'self'; sandbox"
"""For bodies of others that are looked at by themselves: nothing in them runs or loads."""
_SIDES: Final = ("request", "response")


class ClientAdminAPI(Resource):
    """``/api/admin/``.

    Attributes:
        hub: its streams, to be closed when the site is.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, client: ClientView, clock: IReactorTime, hider: Hider | None) -> None:
        """Begin.

        Args:
            client: what to show, and to tell what to do.
            clock: what runs calls.
            hider: hides the secrets of the file; None: they are shown.
        """
        super().__init__()
        self._client = client
        self._clock = clock
        self._text = ConfigText(client, hider)
        rows = clientrequests.Rows()
        self.hub = Hub(
            [
                ValueTopic("status", lambda: status(client), LOOK_SECONDS),
                TableTopic(
                    "requests", "id", lambda: rows.read(client.inspector), interval=LOOK_SECONDS
                ),
            ],
            clock,
        )

    def render(self, request: Request) -> Any:
        """Answer."""
        return answer_by(ROUTES, self, request)

    def status(self, asked: Asked) -> Any:  # noqa: ARG002
        """How the client is."""
        return status(self._client)

    # The file.

    def config(self, asked: Asked) -> Any:  # noqa: ARG002
        """The file."""
        return self._text.shape()

    def check(self, asked: Asked) -> Any:
        """What is wrong with another text, and what it would change."""
        return self._text.check(string(asked.json(), "text"))

    def put_config(self, asked: Asked) -> Any:
        """Exchange the file, and become the client of it."""
        given = asked.json()
        shape, written = self._text.put(string(given, "text"), string(given, "etag"))
        if written:
            self.log.info("{path} was exchanged on the client's page", path=self._client.path)
            self._reload()
        return shape

    def reload(self, asked: Asked) -> Any:  # noqa: ARG002
        """Read the file again."""
        if not self._client.path:
            raise APIError(http.NOT_FOUND, NO_FILE)
        return clientshapes.reloaded(self._reload())

    def _reload(self) -> Reloaded:
        try:
            return self._client.reload(strict=None)
        except ConfigError as why:
            raise APIError(http.BAD_REQUEST, str(why)) from None

    # Requests.

    def requests(self, asked: Asked) -> Any:
        """Those that were recorded, newest first."""
        found = self._search(asked, asked["limit"])
        rows = [clientrequests.row(each) for each in found.exchanges]
        return {"rows": rows, "more": found.before > 0, "before": found.before or None}

    def _search(self, asked: Asked, limit: int) -> Found:
        inspector = self._client.inspector
        if inspector is None:
            return Found([], 0)
        wanted = Filter(
            asked["text"],
            asked["proxy"],
            _status(asked["status"]),
            asked["method"],
            _ids(asked["ids"]) if "ids" in asked.values else frozenset(),
        )
        return search(inspector, wanted, asked["before"], limit)

    def har(self, asked: Asked) -> Any:
        """The same as a HTTP Archive."""
        # Few ask for it.
        from tunnelsvc.client.inspection.har import archive_text  # noqa: PLC0415

        request = asked.request
        exchanges = self._search(asked, MOST_ROWS).exchanges
        request.setHeader(b"Server", SERVER_NAME)
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Content-Disposition", b'attachment; filename="requests.har"')
        text = archive_text(reversed(exchanges), reveal=asked["reveal"] == "1")
        Pieces(request, text if request.method != b"HEAD" else (), self._clock)
        return NOT_DONE_YET

    def clear(self, asked: Asked) -> Any:  # noqa: ARG002
        """Forget all."""
        if self._client.inspector is not None:
            self._client.inspector.clear()
        return {}

    def one(self, asked: Asked) -> Any:
        """All that is known of one."""
        return clientrequests.whole(self._exchange(asked), reveal=asked["reveal"] == "1")

    def _exchange(self, asked: Asked) -> Exchange:
        inspector = self._client.inspector
        found = inspector.find(asked["id"]) if inspector is not None else None
        if found is None:
            raise APIError(http.NOT_FOUND, f"request {asked['id']} is not kept any more")
        return found

    def body(self, asked: Asked) -> Any:
        """A body by itself."""
        exchange, request = self._exchange(asked), asked.request
        half = exchange.request if asked["side"] == "request" else exchange.response
        data, kind = clientrequests.download_type(half)
        how = "inline" if kind.startswith("image/") else "attachment"
        name = f"{asked['side']}-{exchange.id}"
        request.setHeader(b"Content-Disposition", f'{how}; filename="{name}"'.encode())
        request.setHeader(b"Content-Security-Policy", SANDBOX)
        return answer(request, data, kind)

    def curl(self, asked: Asked) -> Any:
        """A line for the shell."""
        line = curl_of(self._exchange(asked), reveal=asked["reveal"] == "1")
        return answer(asked.request, line.encode(), "text/plain; charset=utf-8")

    def replay(self, asked: Asked) -> Any:
        """Send a request again."""
        exchange = self._exchange(asked)
        wanted = edits(asked.json(), exchange)
        try:
            return {"id": self._client.replay(exchange, wanted).id}
        except CannotReplayError as why:
            raise APIError(http.CONFLICT, str(why)) from None

    def stream(self, asked: Asked) -> Any:
        """All that changes, as it does."""
        return self.hub.answer(asked)


def _status(given: str) -> str:
    if given and not STATUS.fullmatch(given):
        raise wrong("status must be like 404 or 4xx, or error")
    return given


def _ids(given: str) -> frozenset[int]:
    parts = given.split(",") if given else []
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise wrong("ids must be numbers with commas between them")
    return frozenset(map(int, parts))


_ID: Final = Whole("id", "Of a request.", 1)
_REVEAL: Final = Choice("reveal", "1: with secrets, which are masked otherwise.", ("1", "0"))
_FILTER: Final = (
    Text("text", "Only those that have this in URL, status, headers or bodies."),
    Text("proxy", "Only those to this proxy."),
    Text("status", "Only those with this status: 404, 4xx; or error."),
    Text("method", "Only those with this method."),
    Whole("before", "Only those with a smaller id."),
)

ROUTES: Final[Routes[Endpoint[Handler]]] = {
    ("status",): {b"GET": Endpoint(ClientAdminAPI.status, "How the client is.", "Status")},
    ("config",): {
        b"GET": Endpoint(ClientAdminAPI.config, "The client's file.", "Config", errors=(404,)),
        b"PUT": Endpoint(
            ClientAdminAPI.put_config,
            "Exchange the file, if it is right, and reload it.",
            "Checked",
            body="NewConfig",
            errors=(404, 409),
        ),
    },
    ("config", "check"): {
        b"POST": Endpoint(
            ClientAdminAPI.check,
            "What is wrong with a text, and what it would change.",
            "Checked",
            body="ConfigToCheck",
            errors=(404,),
        )
    },
    ("reload",): {
        b"POST": Endpoint(
            ClientAdminAPI.reload, "Read the file again.", "Reloaded", errors=(400, 404)
        )
    },
    ("requests",): {
        b"GET": Endpoint(
            ClientAdminAPI.requests,
            "What users asked for, the newest first.",
            "Requests",
            query=(*_FILTER, Whole("limit", "At most so many.", 1, MOST_ROWS, default=ROWS)),
        ),
        b"DELETE": Endpoint(ClientAdminAPI.clear, "Forget all."),
    },
    ("requests.har",): {
        b"GET": Endpoint(
            ClientAdminAPI.har,
            "The same as a HTTP Archive 1.2.",
            "Archive",
            query=(
                *_FILTER,
                _REVEAL,
                Text("ids", "Only these, with commas between them.", MOST_IDS_CHARACTERS),
            ),
        )
    },
    ("requests", ANY): {
        b"GET": Endpoint(
            ClientAdminAPI.one, "All that is known of one.", "Whole", path=(_ID,), query=(_REVEAL,)
        )
    },
    ("requests", ANY, "body", ANY): {
        b"GET": Endpoint(
            ClientAdminAPI.body,
            "A body by itself.",
            path=(_ID, Choice("side", "Whose.", _SIDES)),
            content_type="*/*",
        )
    },
    ("requests", ANY, "curl"): {
        b"GET": Endpoint(
            ClientAdminAPI.curl,
            "A line for the shell that has curl send it again.",
            path=(_ID,),
            query=(_REVEAL,),
            content_type="text/plain",
        )
    },
    ("requests", ANY, "replay"): {
        b"POST": Endpoint(
            ClientAdminAPI.replay,
            "Send a request to its service again, perhaps edited.",
            "Replayed",
            path=(_ID,),
            body="Edits",
            errors=(409,),
        )
    },
    ("stream",): {b"GET": stream_endpoint(ClientAdminAPI.stream, TOPICS)},
}
