# -*- test-case-name: tests.admin.test_clientapi -*-
"""frp's JSON API of the client (reference 1.10): which path answers what.

Errors are ``{"Code": 404, "Msg": "…"}``. The values are made in `tunnelsvc.admin.clientshapes`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from tunnelsvc.admin import clientshapes, configfile
from tunnelsvc.admin.clientadmin import ClientAdminAPI
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.admin.clientweb import MOST_BODY_BYTES, AdminRequest
from tunnelsvc.admin.cookies import cookie_name
from tunnelsvc.admin.hidden import Hider
from tunnelsvc.admin.routing import ANY, APIError, Routes, query, route
from tunnelsvc.admin.web import answer, answer_json
from tunnelsvc.config import legacy
from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig
from tunnelsvc.errors import ConfigError

Handler = Callable[["ClientAPI", AdminRequest, list[str]], bytes]
"""Given the request and the variable parts of its path, answer, and return the body."""

TRUE: Final = ("1", "t", "true")
"""What Go's ParseBool takes for it."""
TEXT: Final = "text/plain; charset=utf-8"


class ClientAPI(Resource):
    """``/api/``.

    Attributes:
        admin: our own, below it.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, client: ClientView, clock: IReactorTime, *, hides: bool) -> None:
        """Begin.

        Args:
            client: what to show, and to tell what to do.
            clock: what runs calls.
            hides: whether secrets of the file are hidden from who asks for it.
        """
        super().__init__()
        self._client = client
        self._hider = Hider() if hides else None
        self.admin = ClientAdminAPI(client, clock, self._hider)

    def render(self, request: Request) -> Any:
        """Answer."""
        if request.postpath and request.postpath[0] == b"admin":
            request.postpath = request.postpath[1:]
            return self.admin.render(request)
        assert isinstance(request, AdminRequest)
        try:
            handler, variables = route(ROUTES, request)
            return handler(self, request, variables)
        except APIError as why:
            return answer_json(request, why.shape(), why.code)

    def openapi(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """All of the site's APIs, described."""
        # Who doesn't ask for it doesn't spend the memory.
        from tunnelsvc.admin.clientdescribed import description  # noqa: PLC0415

        cookie = cookie_name(request, "client").decode()
        return answer_json(request, description(cookie, secured=self._hider is None))

    def status(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """How all proxies are."""
        return answer_json(request, clientshapes.statuses(self._client.proxy_statuses()))

    def reload(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """Read the file again, and say what came of it: ours, frp's answer is empty."""
        strict = query(request, "strictConfig").lower() in TRUE
        try:
            done = self._client.reload(strict=strict)
        except ConfigError as why:
            raise APIError(http.BAD_REQUEST, str(why)) from None
        shape = {"Code": http.OK, "Msg": "success"}
        return answer_json(request, shape | clientshapes.reloaded(done))

    def stop(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """End the program, once this is answered."""
        self.log.info("stopped by the admin API")
        self._client.stop_soon()
        return answer(request, b"", TEXT)

    def config_file(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """The file, as it is."""
        try:
            content = legacy.read(self._client.path)
        except ConfigError as why:
            raise APIError(http.BAD_REQUEST, str(why)) from None
        if self._hider is not None:
            content = self._hider.hide(_text(content)).encode()
        return answer(request, content, TEXT)

    def put_config_file(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """Exchange the file, if the new one is right. It isn't read before a reload."""
        if request.too_long:
            raise APIError(
                http.REQUEST_ENTITY_TOO_LARGE, f"body can't be longer than {MOST_BODY_BYTES} bytes"
            )
        content = request.body()
        if not content:
            raise APIError(http.BAD_REQUEST, "body can't be empty")
        try:
            if self._hider is not None:
                file = _text(legacy.read(self._client.path))
                content = self._hider.put_back(_text(content), file).encode()
            configfile.replace(self._client.path, content, self._client.load)
        except ConfigError as why:
            raise APIError(http.BAD_REQUEST, str(why)) from None
        except OSError as why:
            raise configfile.not_written(self._client.path, why) from None
        self.log.info("{path} was exchanged by the admin API", path=self._client.path)
        return answer(request, b"", TEXT)

    def proxy(self, request: AdminRequest, variables: list[str]) -> bytes:
        """What the file says of one proxy."""
        return self._definition(request, "proxy", self._client.config.proxies, variables)

    def visitor(self, request: AdminRequest, variables: list[str]) -> bytes:
        """What the file says of one visitor."""
        return self._definition(request, "visitor", self._client.config.visitors, variables)

    def _definition(
        self,
        request: Request,
        kind: str,
        configs: Sequence[ProxyConfig | VisitorConfig],
        variables: list[str],
    ) -> bytes:
        (name,) = variables
        for config in configs:
            if config.name == name and config.enabled:
                return answer_json(request, clientshapes.definition(config))
        raise APIError(http.NOT_FOUND, f'{kind} "{name}" not found')

    def no_store(self, request: AdminRequest, variables: list[str]) -> bytes:  # noqa: ARG002
        """Proxies that the API adds, and keeps beside the file: there is no such thing."""
        raise APIError(
            http.NOT_FOUND, "store API is disabled: proxies are those of the configuration file"
        )


def _text(content: bytes) -> str:
    """Decode a file, or make what isn't UTF-8 an error that its owner understands."""
    try:
        return content.decode()
    except UnicodeDecodeError as why:
        raise APIError(http.BAD_REQUEST, f"not UTF-8 at byte {why.start}") from None


_STORE: Final = dict.fromkeys((b"GET", b"POST", b"PUT", b"DELETE"), ClientAPI.no_store)
ROUTES: Final[Routes[Handler]] = {
    ("openapi.json",): {b"GET": ClientAPI.openapi},
    ("status",): {b"GET": ClientAPI.status},
    ("reload",): {b"GET": ClientAPI.reload},
    ("stop",): {b"POST": ClientAPI.stop},
    ("config",): {b"GET": ClientAPI.config_file, b"PUT": ClientAPI.put_config_file},
    ("proxy", ANY, "config"): {b"GET": ClientAPI.proxy},
    ("visitor", ANY, "config"): {b"GET": ClientAPI.visitor},
    ("store", "proxies"): _STORE,
    ("store", "proxies", ANY): _STORE,
    ("store", "visitors"): _STORE,
    ("store", "visitors", ANY): _STORE,
}
