# -*- test-case-name: tests.test_flags -*-
"""frp's command line flags: a key of a configuration file each (frp reference 1.8).

They are spelled with underscores or dashes (``--bind_port``, ``--bind-port``), with their value
behind a blank or a "=", and switches alone or as ``--tls_only=false``.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import field, frozen
from twisted.python.usage import UsageError

from tunnelsvc.config import values
from tunnelsvc.config.commandline import COMMAND_LINE
from tunnelsvc.config.report import Entry, Source
from tunnelsvc.runner import ProgramOptions


@frozen
class Flag:
    """One flag.

    Attributes:
        name: as frp documents it.
        what: for ``--help``.
        key: of a configuration file; default: the name. With "_" at the end: what begin so.
        short: a letter that stands for it, if there is one.
        is_switch: whether it stands for true if it has no value.
        is_list: whether it may be given more than once.
    """

    name: str
    what: str
    key: str = field(kw_only=True)
    short: str = field(default="", kw_only=True)
    is_switch: bool = field(default=False, kw_only=True)
    is_list: bool = field(default=False, kw_only=True)

    @key.default
    def _same(self) -> str:
        return self.name

    @property
    def dashed(self) -> str:
        """The name as our ``--help`` spells it."""
        return self.name.replace("_", "-")

    def entry(self, value: str, key: str) -> Entry:
        """Make an entry, as if it stood in a file."""
        return Entry("", key, value, 0, f"--{self.name}", Source(COMMAND_LINE))

    def settings(self, value: str) -> Iterator[tuple[str, str]]:
        """Give the keys that a value sets, and to what.

        Raises:
            UsageError: it should be a list of ``KEY=VALUE``.
        """
        if not self.key.endswith("_"):
            yield self.key, value
            return
        for item in values.items(value):
            name, equals, text = item.partition("=")
            if not equals:
                raise UsageError(f"--{self.name}: not a list such as KEY=VALUE,KEY=VALUE")
            yield f"{self.key}{name.strip()}", text.strip()


def spelled(args: Sequence[str], flags: Sequence[Flag]) -> list[str]:
    """Spell all flags alike: ``--with-dashes=value``, each once.

    Args:
        args: of the command that has these flags, and of commands below it, which are left alone.
        flags: that are known. Others are kept: what is wrong with them is said by who parses it.
    """
    known = {f"--{flag.dashed}": flag for flag in flags}
    known |= {f"-{flag.short}": flag for flag in flags if flag.short}
    rest, done, given = list(args), list[str](), dict[str, str]()
    while rest and rest[0].startswith("-") and rest[0] != "--":
        name, value = _split(rest.pop(0), known)
        flag = known.get(name)
        if flag is None:
            done.append(name if value is None else f"{name}={value}")
        elif value is None and not flag.is_switch and not rest:
            done.append(f"--{flag.dashed}")
        else:
            if value is None:
                value = "true" if flag.is_switch else rest.pop(0)
            before = given.get(flag.dashed)
            given[flag.dashed] = f"{before},{value}" if before and flag.is_list else value
    return [*done, *(f"--{name}={value}" for name, value in given.items()), *rest]


def _split(arg: str, known: Mapping[str, Flag]) -> tuple[str, str | None]:
    """Split ``--name=value``, and ``-xvalue`` where ``-x`` isn't a switch."""
    name, equals, value = arg.partition("=")
    if name.startswith("--"):
        return name.replace("_", "-"), value if equals else None
    letter, attached = name[:2], arg[2:]
    flag = known.get(letter)
    if flag is not None and not flag.is_switch and attached and not attached.startswith("="):
        return letter, attached
    return name, value if equals else None


class FlagOptions(ProgramOptions):
    """Options of a command that has flags.

    Attributes:
        flags: of the command; subclasses set them.
    """

    flags: ClassVar[Sequence[Flag]] = ()
    optParameters: ClassVar[list[Any]] = []

    opt_v = ProgramOptions.opt_version

    def __init_subclass__(cls) -> None:
        """Tell the base class, whose way this is, what the flags are."""
        cls.optParameters = [[flag.dashed, flag.short, None, flag.what] for flag in cls.flags]

    def parseOptions(self, options: Any = None) -> None:  # noqa: N802 - as its base has it
        """Parse.

        Raises:
            UsageError: an unknown flag, or one without a value.
        """
        given = sys.argv[1:] if options is None else options
        super().parseOptions(spelled(given, self.flags))

    def entries(self, flags: Iterable[Flag]) -> dict[str, Entry]:
        """Return what was given of these flags, by key of a file.

        Raises:
            UsageError: a list isn't one of ``KEY=VALUE``.
        """
        found: dict[str, Entry] = {}
        for flag in flags:
            value = self[flag.dashed]
            if value is not None:
                found |= {key: flag.entry(text, key) for key, text in flag.settings(value)}
        return found

    def is_on(self, flag: Flag, *, default: bool) -> bool:
        """Tell whether a switch is on.

        Raises:
            UsageError: its value is neither true nor false.
        """
        value = self[flag.dashed]
        try:
            return default if value is None else values.boolean(value)
        except values.BadValueError as why:
            raise UsageError(f"--{flag.name}={value}: {why}") from None


def no_unsafe(options: FlagOptions) -> None:
    """Refuse ``--allow-unsafe``: it must not look as if that did something.

    Raises:
        UsageError: it is given.
    """
    if options[ALLOW_UNSAFE.dashed] is not None:
        raise UsageError("--allow-unsafe: what frp needs it for is not supported")


_LOG: Final = (
    Flag("log_file", "Where to log: console, or a file."),
    Flag("log_level", "trace, debug, info, warn or error."),
    Flag("log_max_days", "Days that log files are kept."),
    Flag("disable_log_color", "No colours on the console.", is_switch=True),
)
_TOKEN: Final = Flag("token", "The secret that server and clients share.", short="t")

FILE: Final = (
    Flag("config", "The configuration file.", short="c"),
    Flag("strict_config", "=false: unknown keys are no error.", is_switch=True),
    Flag("allow_unsafe", "Not supported: what frp needs it for isn't.", is_list=True),
)
"""How a file is read."""
CONFIG, STRICT, ALLOW_UNSAFE = FILE
CONFIG_DIR: Final = Flag("config_dir", "Run a client for each file in this directory.")

SERVER: Final = (
    Flag("bind_addr", "Where clients come in."),
    Flag("bind_port", "Where clients come in; 7000.", short="p"),
    Flag("kcp_bind_port", "Not supported yet."),
    Flag("quic_bind_port", "Not supported yet."),
    Flag("bind_udp_port", "Not supported yet."),
    Flag("proxy_bind_addr", "Where users come in."),
    Flag("vhost_http_port", "Where users of http proxies come in."),
    Flag("vhost_https_port", "Where users of https proxies come in."),
    Flag("vhost_http_timeout", "Seconds that a web site may take to begin an answer."),
    Flag("dashboard_addr", "Where the dashboard listens."),
    Flag("dashboard_port", "Where the dashboard listens."),
    Flag("dashboard_user", "Who may see the dashboard."),
    Flag("dashboard_pwd", "That user's password."),
    Flag("dashboard_tls_mode", "The dashboard by https.", is_switch=True),
    Flag("dashboard_tls_cert_file", "Its certificate."),
    Flag("dashboard_tls_key_file", "Its key."),
    Flag("enable_prometheus", "The dashboard has /metrics.", is_switch=True),
    *_LOG,
    _TOKEN,
    Flag("subdomain_host", "The domain below which clients may choose a name."),
    Flag("allow_ports", "Ports that clients may open, such as 2000-3000,3001."),
    Flag("max_ports_per_client", "How many each may open."),
    Flag("tls_only", "Refuse clients without TLS.", is_switch=True),
)
"""Of the server: ``[common]`` of its file."""

CLIENT: Final = (
    Flag("server_addr", "The server, as HOST or HOST:PORT; 127.0.0.1.", short="s"),
    Flag("server_port", "The server's port; 7000.", short="P"),
    Flag("protocol", "tcp, websocket or wss.", short="p"),
    *_LOG,
    Flag("tls_enable", "=false: no TLS.", is_switch=True),
    Flag("tls_server_name", "The name in the server's certificate."),
    Flag("dns_server", "Where to ask for addresses."),
    Flag("user", "Put before the names of proxies.", short="u"),
    Flag("client_id", "A name for this client that it keeps."),
    _TOKEN,
)
"""Of a client without a file: ``[common]``."""

_ENCRYPTION: Final = (
    Flag("ue", "Encrypt users' connections besides TLS.", key="use_encryption", is_switch=True),
    Flag("uc", "Compress users' connections.", key="use_compression", is_switch=True),
)
_PROXY: Final = (
    Flag("proxy_name", "Its name.", key="name", short="n"),
    Flag("local_ip", "Where the local service is; 127.0.0.1.", short="i"),
    Flag("local_port", "Where the local service is.", short="l"),
    *_ENCRYPTION,
    Flag("bandwidth_limit", "Bytes a second, such as 512KB or 1.5MB."),
    Flag("bandwidth_limit_mode", "Who keeps to that: client or server."),
    Flag("metadatas", "For the server: KEY=VALUE,….", key="meta_", is_list=True),
    Flag("annotations", "For the dashboard: KEY=VALUE,….", key="annotation_", is_list=True),
)
_PORT: Final = (Flag("remote_port", "The server's port; none: it chooses.", short="r"),)
_DOMAINS: Final = (
    Flag("custom_domain", "A name of it.", key="custom_domains", short="d", is_list=True),
    Flag("sd", "Its name below the server's subdomain_host.", key="subdomain"),
)
_PASSWORD: Final = (
    Flag("http_user", "Who may use it."),
    Flag("http_pwd", "That user's password."),
)
_VISITED: Final = (
    Flag("server_name", "Name of the proxy that is visited."),
    Flag("server_user", "Whose it is."),
    Flag("bind_addr", "Where users come in; 127.0.0.1."),
    Flag("bind_port", "Where users come in."),
)
_SECRET_KEY: Final = Flag("sk", "The key that owner and visitors share.")
_SECRET: Final = (
    _SECRET_KEY,
    Flag("allow_users", "Users whose visitors may come.", is_list=True),
    Flag("role", "server or visitor."),
    *_VISITED,
)

VISITOR: Final = (
    Flag("visitor_name", "Its name.", key="name", short="n"),
    _SECRET_KEY,
    *_VISITED,
    *_ENCRYPTION,
)
"""Of ``stcp visitor`` and ``sudp visitor``."""

PROXIES: Final[Mapping[str, Sequence[Flag]]] = {
    "tcp": (*_PROXY, *_PORT),
    "udp": (*_PROXY, *_PORT),
    "http": (
        *_PROXY,
        *_DOMAINS,
        Flag("locations", "Only paths that begin so.", is_list=True),
        *_PASSWORD,
        Flag("host_header_rewrite", "What the web site sees as Host."),
    ),
    "https": (*_PROXY, *_DOMAINS),
    "tcpmux": (*_PROXY, *_DOMAINS, Flag("mux", "httpconnect.", key="multiplexer"), *_PASSWORD),
    "stcp": (*_PROXY, *_SECRET),
    "sudp": (*_PROXY, *_SECRET),
}
"""Of a single proxy, by its type."""
