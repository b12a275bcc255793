# -*- test-case-name: tests.quick.test_plan -*-
"""What is asked of the server for one service, and what instead if it says no.

A name that nobody chose and somebody else has is exchanged for the next one; a web site that the
server can't tell from others by its name gets a port. All else is for the user to decide.
"""

import re
from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from tunnelsvc.addresses import LOOPBACK, host_and_port
from tunnelsvc.config.commandline import COMMAND_LINE, client_of
from tunnelsvc.config.report import Entry, Source
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.quick.names import readable_name

MOST_NAMES: Final = 10
"""Names that are tried before it must be something else than their being taken."""

_TAKEN: Final = re.compile(r"router config conflict|already (?:exists|in use)")
"""In the words of frps of all versions, and ours: somebody has the name."""
_BELOW: Final = re.compile(r"should not belong to subdomain host \[([^\]]*)\]")
"""Likewise: a whole name that is to be asked for by its first label."""
_NO_NAMES: Final = re.compile(r"subdomain is not supported|vhost http port is not set")
"""Likewise: there are no web sites by name."""
_NO_PORT: Final = re.compile(
    r"port (?:already used|unavailable|not allowed)|address already in use|can't listen on port"
)
"""Likewise: somebody else has the port by now, or nobody may have it any more."""


@frozen
class Setting:
    """A value for a key of ``[common]``.

    Attributes:
        value: as a file would have it.
        said_by: what gave it, for messages: ``--server``, ``TUNNELSVC_SERVER``.
    """

    value: str = field(repr=False)
    said_by: str


@frozen(kw_only=True)
class Plan:
    """One service, and by which name or port it shall be reached.

    Attributes:
        kind: ``http`` or ``tcp``.
        target_host: where the service is.
        target_port: likewise.
        common: keys of ``[common]``.
        own: keys of the proxy's section besides, which only its kind has.
        identity: see `tunnelsvc.quick.names`.
        service: which one of all that have the identity.
        is_web: whether it is a web site, by a name or by a port.
        inspect: whether its requests are kept to be looked at, if it has a name.
        host: the name that was asked for: of any domain if it has a dot, else below the server's
            ``subdomain_host``. Empty: a readable one.
        number: how many names were taken.
        port: the server's that it had before, as users know that; 0: any.
    """

    kind: str
    target_host: str = LOOPBACK
    target_port: int
    common: Mapping[str, Setting]
    own: Mapping[str, Setting] = field(factory=dict)
    identity: bytes = field(repr=False)
    service: str
    is_web: bool = False
    inspect: bool = False
    host: str = ""
    number: int = 0
    port: int = 0

    @property
    def name(self) -> str:
        """The proxy's: names of proxies are the whole server's."""
        words = readable_name(self.identity, self.service, self.number)
        return f"{self.kind}-{self.host or words}"

    @property
    def target(self) -> str:
        """The service, as ``host:port``."""
        return host_and_port(self.target_host, self.target_port)

    def config(self) -> ClientConfig:
        """Make the client's configuration.

        Raises:
            ConfigError: with everything that is wrong.
        """
        common = {key: _entry(key, setting) for key, setting in self.common.items()}
        settings = {
            "type": Setting(self.kind, self.kind),
            "local_ip": Setting(self.target_host, "the service"),
            "local_port": Setting(str(self.target_port), "the service"),
            **self._place(),
            **self.own,
        }
        own = {key: _entry(key, setting) for key, setting in settings.items()}
        return client_of(common, self.name, own).config

    def _place(self) -> Mapping[str, Setting]:
        if self.kind != "http":
            return {"remote_port": Setting(str(self.port), "the server")} if self.port else {}
        inspect = {"inspect": Setting(str(self.inspect).lower(), "http")}
        if "." in self.host:
            return {**inspect, "custom_domains": Setting(self.host, "--host")}
        words = readable_name(self.identity, self.service, self.number)
        return {**inspect, "subdomain": Setting(self.host or words, "--host")}

    def instead(self, refusal: str) -> "Plan | None":
        """Return what to ask for after the server said no; None: nothing, it is the user's turn.

        Args:
            refusal: what the server said.
        """
        if self.port and _NO_PORT.search(refusal):
            return evolve(self, port=0)
        if self.host:
            below = _BELOW.search(refusal)
            name, _, domain = self.host.partition(".")
            return evolve(self, host=name) if below and below[1] == domain else None
        if _TAKEN.search(refusal) and self.number + 1 < MOST_NAMES:
            return evolve(self, number=self.number + 1)
        # What only http proxies have, such as a password, isn't dropped on the way to a port.
        if self.kind == "http" and not self.own and _NO_NAMES.search(refusal):
            return evolve(self, kind="tcp", number=0)
        return None

    def again(self, remote_addr: str) -> "Plan":
        """Return what to ask for next time, after the server said where users go."""
        port = remote_addr.rpartition(":")[2]
        return evolve(self, port=int(port)) if self.kind == "tcp" and port.isdecimal() else self

    def url(self, remote_addr: str, https_addr: str = "") -> str:
        """Say where users go.

        Args:
            remote_addr: what the server said: ``name.example.com:8080``, or ``:6000``.
            https_addr: likewise, by https; empty: it isn't there by https.

        Returns:
            A URL; with the scheme ``tcp`` for what isn't a web site.
        """
        if https_addr:
            return f"https://{https_addr.partition(',')[0]}"
        first = remote_addr.partition(",")[0]
        if first.startswith(":"):
            first = host_and_port(self.config().server_addr, first[1:])
        return f"{'http' if self.is_web else 'tcp'}://{first}"


def _entry(key: str, setting: Setting) -> Entry:
    return Entry("", key, setting.value, 0, setting.said_by, Source(COMMAND_LINE))
