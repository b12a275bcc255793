# -*- test-case-name: tests.client.test_registration -*-
"""Announcing the proxies of one session to the server, and again where it said no.

A proxy may be withdrawn and announced again at any time, while answers to earlier announcements are
still on their way. The server answers all in order (protocol notes 5.1), so counting them tells
which answer is to the latest.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

from attrs import define, evolve, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelsvc.addresses import host_and_port
from tunnelsvc.client.status import (
    CHECK_FAILED,
    RUNNING,
    START_ERROR,
    WAIT_START,
    ProxyStatus,
)
from tunnelsvc.config.proxies import (
    HTTPProxyConfig,
    ProxyConfig,
    SecretProxyConfig,
    TCPMuxProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VhostProxyConfig,
)
from tunnelsvc.errors import LocalProtocolError
from tunnelsvc.wire.messages import CloseProxy, Message, NewProxy, NewProxyResp

ANSWER_SECONDS = 20.0
"""How long an answer is waited for before the proxy is announced again (protocol notes 5.1)."""
FIRST_RETRY_SECONDS = 2.0
"""How long after a first refusal it is announced again: what held the port or the name may just
have gone away. Doubles with each refusal."""
LAST_RETRY_SECONDS = 30.0
"""Longest wait after a refusal, frp's only one."""


def announcement(proxy: ProxyConfig, wire_name: str) -> NewProxy:
    """Make the message that announces `proxy` under `wire_name`."""
    message = NewProxy(
        proxy_name=wire_name,
        proxy_type=proxy.type,
        use_encryption=proxy.use_encryption,
        use_compression=proxy.use_compression,
        group=proxy.group,
        group_key=proxy.group_key,
        bandwidth_limit=proxy.bandwidth_limit,
        bandwidth_limit_mode=_spoken_mode(proxy),
        metas=proxy.metas,
        annotations=proxy.annotations,
    )
    if isinstance(proxy, VhostProxyConfig):
        message = evolve(message, custom_domains=proxy.custom_domains, subdomain=proxy.subdomain)
    match proxy:
        case TCPProxyConfig() | UDPProxyConfig():
            message = evolve(message, remote_port=proxy.remote_port)
        case SecretProxyConfig():
            message = evolve(message, sk=proxy.secret_key, allow_users=proxy.allow_users)
        case TCPMuxProxyConfig():
            message = evolve(
                message,
                multiplexer=proxy.multiplexer,
                http_user=proxy.http_user,
                http_pwd=proxy.http_password,
                route_by_http_user=proxy.route_by_http_user,
            )
        case HTTPProxyConfig():
            message = evolve(
                message,
                locations=proxy.locations,
                http_user=proxy.http_user,
                http_pwd=proxy.http_password,
                route_by_http_user=proxy.route_by_http_user,
                host_header_rewrite=proxy.host_header_rewrite,
                headers=proxy.headers,
                response_headers=proxy.response_headers,
                one_user_per_work_conn=_tells_who(proxy),
            )
    return message


def _tells_who(proxy: ProxyConfig) -> bool:
    """Whether the service of a proxy is told of each connection whose it is."""
    told = bool(proxy.proxy_protocol_version)
    return told and (proxy.plugin is None or proxy.plugin.passes_on)


def _spoken_mode(proxy: ProxyConfig) -> str:
    """Leave out the default, as frpc does (protocol notes 2.4)."""
    return "" if proxy.bandwidth_limit_mode == "client" else proxy.bandwidth_limit_mode


@define(eq=False)
class _Entry:
    """What is known of one proxy in this session."""

    proxy: ProxyConfig
    remote_addr: str | None = None
    """Where the server put it; None: not running."""
    https_addr: str = ""
    """Likewise by https, if the server sees to that."""
    error: str = ""
    """Why it doesn't run; stays until it does."""
    retry_seconds: float = FIRST_RETRY_SECONDS
    timer: IDelayedCall | None = None
    withdrawn: bool = False
    removed: bool = False
    """Whether the entry is only kept for answers that are to come."""
    unanswered: int = 0
    """Announcements that the server hasn't answered."""
    void: int = 0
    """How many answers are to come that don't matter: the proxy was withdrawn since."""

    def phase(self) -> str:
        """Return what frp calls it."""
        if self.withdrawn:
            return CHECK_FAILED
        if self.remote_addr is not None:
            return RUNNING
        return START_ERROR if self.error and not self.unanswered else WAIT_START

    def stop_timer(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


@define(eq=False)
class Registration:
    """The proxies of a client as one server session sees them.

    Attributes:
        send: sends a message to the server.
        clock: for the retries.
        user: put before the names on the wire, with a dot; may be empty.
        server_addr: shown before the port that the server chose.
    """

    send: Callable[[Message], None]
    clock: IReactorTime
    user: str
    server_addr: str
    log: ClassVar[Logger] = Logger()
    _entries: dict[str, _Entry] = field(factory=dict, init=False)

    def announce(self, proxies: Iterable[ProxyConfig]) -> None:
        """Announce these, without waiting between them."""
        for proxy in proxies:
            entry = self._entries.setdefault(self._wire_name(proxy), _Entry(proxy))
            entry.proxy = proxy
            entry.withdrawn = entry.removed = False
            self._announce(entry)

    def withdraw(self, proxy: ProxyConfig) -> None:
        """Take a proxy back, if it was announced. Users who have a connection keep it."""
        entry = self._entries.get(self._wire_name(proxy))
        if entry is None or entry.withdrawn:
            return
        entry.stop_timer()
        entry.withdrawn = True
        entry.remote_addr = None
        entry.retry_seconds = FIRST_RETRY_SECONDS
        entry.void += entry.unanswered
        entry.unanswered = 0
        entry.error = ""
        self.send(CloseProxy(proxy_name=self._wire_name(proxy)))

    def remove(self, proxy: ProxyConfig) -> None:
        """Take a proxy back for good; another one may get its name."""
        self.withdraw(proxy)
        entry = self._entries.get(self._wire_name(proxy))
        if entry is not None:
            entry.removed = True
            self._forget_answered(entry)

    def _forget_answered(self, entry: _Entry) -> None:
        if entry.removed and not entry.void:
            del self._entries[self._wire_name(entry.proxy)]

    def answered(self, answer: NewProxyResp) -> None:
        """Take the server's answer; one that nobody waits for is ignored."""
        entry = self._entries.get(answer.proxy_name)
        if entry is None:
            return
        if answer.unasked:
            self._heard(entry, answer)
            return
        if entry.void:
            entry.void -= 1
            self._forget_answered(entry)
            return
        entry.unanswered = max(0, entry.unanswered - 1)
        if entry.withdrawn or entry.remote_addr is not None:
            return
        entry.stop_timer()
        if answer.error:
            self._refused(entry, answer.error)
        else:
            self._started(entry, answer)

    def _heard(self, entry: _Entry, news: NewProxyResp) -> None:
        """Take note that a proxy runs no more, or does again, by the will of the administrator."""
        if entry.withdrawn or entry.unanswered:
            return
        if not news.error and entry.remote_addr is None:
            entry.stop_timer()
            self._started(entry, news)
        elif news.error and entry.remote_addr is not None:
            entry.remote_addr, entry.error = None, news.error
            self.log.warn("[{proxy}] {error}", proxy=entry.proxy.name, error=news.error)

    def find(self, wire_name: str) -> ProxyConfig | None:
        """Return the announced proxy of that name.

        A first user may be faster than the answer to the announcement, so that isn't asked for, and
        a last one slower than the news that it is withdrawn.
        """
        entry = self._entries.get(wire_name)
        return entry.proxy if entry is not None else None

    def is_running(self, wire_name: str) -> bool:
        """Tell whether the server has said that the proxy runs."""
        entry = self._entries.get(wire_name)
        return entry is not None and entry.remote_addr is not None

    def status(self, proxy: ProxyConfig) -> ProxyStatus:
        """Say how a proxy is; of one that was never announced, that it is new."""
        entry = self._entries.get(self._wire_name(proxy))
        if entry is None or entry.removed:
            return ProxyStatus(proxy)
        return ProxyStatus(
            proxy,
            entry.phase(),
            entry.error,
            entry.remote_addr or "",
            self.server_addr,
            https_addr=entry.https_addr if entry.remote_addr else "",
        )

    def addresses(self) -> dict[str, str]:
        """Return where the server put the running proxies, by name without the user."""
        return {
            entry.proxy.name: entry.remote_addr
            for entry in self._entries.values()
            if entry.remote_addr is not None
        }

    def stop(self) -> None:
        """Forget all; the session is over."""
        for entry in self._entries.values():
            entry.stop_timer()
        self._entries.clear()

    def _wire_name(self, proxy: ProxyConfig) -> str:
        return f"{self.user}.{proxy.name}" if self.user else proxy.name

    def _announce(self, entry: _Entry) -> None:
        try:
            self.send(announcement(entry.proxy, self._wire_name(entry.proxy)))
        except LocalProtocolError as why:
            entry.error = str(why)
            self.log.error("[{proxy}] start error: {why}", proxy=entry.proxy.name, why=why)
            return
        entry.unanswered += 1
        entry.timer = self.clock.callLater(ANSWER_SECONDS, self._announce, entry)

    def _refused(self, entry: _Entry, error: str) -> None:
        entry.error = error
        self.log.warn("[{proxy}] start error: {error}", proxy=entry.proxy.name, error=error)
        entry.timer = self.clock.callLater(entry.retry_seconds, self._announce, entry)
        entry.retry_seconds = min(2 * entry.retry_seconds, LAST_RETRY_SECONDS)

    def _started(self, entry: _Entry, answer: NewProxyResp) -> None:
        entry.remote_addr = answer.remote_addr
        entry.https_addr = answer.https_addr
        entry.error = ""
        self.log.info("[{proxy}] start proxy success", proxy=entry.proxy.name)
        self.log.info("[{proxy}] users reach it {where}",
                      proxy=entry.proxy.name, where=self._where(answer))  # fmt: skip

    def _where(self, answer: NewProxyResp) -> str:
        """Say how users reach a running proxy, by what the server told us of it."""
        remote_addr = answer.remote_addr
        if answer.https_addr:
            return f"at https://{answer.https_addr.partition(',')[0]}"
        if not remote_addr:
            return "by visitors who have its sk"
        host, _, port = remote_addr.partition(":")
        return f"at {remote_addr if host else host_and_port(self.server_addr, port)}"
