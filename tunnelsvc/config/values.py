# -*- test-case-name: tests.config.test_values -*-
"""What the text after a ``=`` may be, and what it becomes.

Each function takes that text, without surrounding blanks, and raises `BadValueError` with what
would be right. The error never repeats the text, which may be secret.
"""

import re
from collections.abc import Callable, Collection
from typing import Final

from tunnelsvc.config.report import nearest
from tunnelsvc.errors import TunnelError
from tunnelsvc.units import DAY

Parser = Callable[[str], object]

MAX_PORT: Final = 65535

# Seconds that anything may be told to take.
MAX_SECONDS: Final = int(365 * DAY)

# Seconds that Linux takes for TCP_KEEPIDLE (MAX_TCP_KEEPIDLE); setsockopt refuses more.
MAX_KEEPALIVE_SECONDS: Final = 32767


# Characters of a user's or proxy's name. One message holds both, and 10240 bytes (protocol notes
# 2.1), in which JSON may make 6 of each character.
MAX_NAME_CHARACTERS: Final = 255

# Characters of the path and query of a URL: what the servers accept that accept least.
MAX_PATH_CHARACTERS: Final = 2000

HEALTH_CHECK_TYPES: Final = ("", "tcp", "http")

LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "error")
ACCESS_LOG_FORMATS: Final = ("combined", "json")

TRANSPORTS: Final = ("tcp", "websocket", "wss")
"""Ways to a server."""
WIRE_PROTOCOLS: Final = ("v1", "v2")
PROXY_PROTOCOLS: Final = ("", "v1", "v2")
LIMIT_MODES: Final = ("client", "server")
ROLES: Final = ("server", "visitor")
HOOK_OPS: Final = ("Login", "NewProxy", "CloseProxy", "Ping", "NewWorkConn", "NewUserConn")
"""What server plugins may be asked about (frp reference 1.12)."""

# Bytes of a datagram: what IPv4 and UDP headers leave of 65535.
MAX_DATAGRAM_BYTES: Final = 65507

# The words of Go's ini.v1, in any case.
_YES: Final = frozenset({"1", "t", "true", "y", "yes", "on"})
NO: Final = frozenset({"0", "f", "false", "n", "no", "off"})


_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_LIMIT: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(MB|KB)")
# RFC 9112 3.2.1: origin-form, which holds no blanks.
_URL_PATH: Final = re.compile(r"/[!-~]*")
# RFC 9110 5.6.2: token.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadValueError(TunnelError):
    """Text that can't be used; the message says what could. Never leaves this package."""


def text(value: str) -> str:
    """Take anything. Control characters never come this far."""
    return value


def name(value: str) -> str:
    """Take the name of a user or a proxy, as the other program will show it."""
    if len(value) > MAX_NAME_CHARACTERS:
        raise BadValueError(f"longer than {MAX_NAME_CHARACTERS} characters")
    if "\t" in value:
        raise BadValueError("a name can't hold a tab")
    return value


def some_text(value: str) -> str:
    """Take anything but nothing."""
    if not value:
        raise BadValueError("empty; leave the line out for the default")
    return value


def boolean(value: str) -> bool:
    """Take true or false, or another of ini.v1's words for them."""
    word = value.lower()
    if word not in _YES | NO:
        raise BadValueError("neither true nor false")
    return word in _YES


def integer(least: int, most: int, what: str = "a number") -> Callable[[str], int]:
    """Make a parser of numbers in a range."""

    def parse(value: str) -> int:
        number = int(value) if _INTEGER.fullmatch(value) else None
        if number is None or not least <= number <= most:
            raise BadValueError(f"not {what} ({least} to {most})")
        return number

    return parse


def seconds(least: int, most: int = MAX_SECONDS) -> Callable[[str], float]:
    """Make a parser of whole numbers of seconds."""
    parse = integer(least, most, "a number of seconds")
    return lambda value: float(parse(value))


seconds_or_never = seconds(-1)
"""0 or less: never."""

datagram_size = integer(1, MAX_DATAGRAM_BYTES, "a number of bytes")
port = integer(1, MAX_PORT, "a port number")
port_or_off = integer(0, MAX_PORT, "a port number, or 0")
visitor_port = integer(-1, MAX_PORT, "a port number, or -1 for none")
count = integer(0, 1_000_000)
some = integer(1, 1_000_000)


def keepalive(value: str) -> float:
    """Take the idle time of TCP keepalive; negative: none.

    0 has meant one thing or the other in frp, so it is refused.
    """
    number = int(value) if _INTEGER.fullmatch(value) else 0
    if number == 0 or number > MAX_KEEPALIVE_SECONDS:
        raise BadValueError(
            f"not a number of seconds (1 to {MAX_KEEPALIVE_SECONDS}), nor -1 for no keepalive"
        )
    return float(max(number, -1))


def _one_of(words: Collection[str]) -> Callable[[str], str]:
    """Make a parser of words in any case."""

    def parse(value: str) -> str:
        if value.lower() not in words:
            raise BadValueError(f"not one of {', '.join(words)}")
        return value.lower()

    return parse


log_level = _one_of(LOG_LEVELS)
access_log_format = _one_of(ACCESS_LOG_FORMATS)
limit_mode = _one_of(LIMIT_MODES)
wire_protocol = _one_of(WIRE_PROTOCOLS)


def role(value: str) -> str:
    """Take which end of a secret proxy it is; the error is frp's."""
    if value.lower() not in ROLES:
        raise BadValueError("role should be 'server' or 'visitor'")
    return value.lower()


def no_visitor(value: str) -> str:
    """Take the role of a proxy whose type has no visitors."""
    if value.lower() != "server":
        raise BadValueError("only proxies of type stcp and sudp have visitors")
    return value


def not_inspected(value: str) -> bool:
    """Take it of a proxy whose type has no requests to look at that they aren't looked at."""
    if boolean(value):
        raise BadValueError("only requests to proxies of type http can be inspected")
    return False


def transport(value: str) -> str:
    """Take the protocol between client and server."""
    if value.lower() in {"kcp", "quic"}:
        raise BadValueError(f"is not supported yet; one of {', '.join(TRANSPORTS)}")
    return _one_of(TRANSPORTS)(value)


def proxy_protocol(value: str) -> str:
    """Take a version of the PROXY protocol; nothing: none."""
    if value not in PROXY_PROTOCOLS:
        raise BadValueError("neither v1 nor v2")
    return value


def multiplexer(value: str) -> str:
    """Take the way in which a tcpmux proxy is found; there is one."""
    if value != "httpconnect":
        raise BadValueError("not httpconnect, the only one that there is")
    return value


def bandwidth(value: str) -> str:
    """Take bytes a second, such as ``1MB`` or ``512KB``; nothing: no limit."""
    if value and (not _LIMIT.fullmatch(value) or not float(value[:-2])):
        raise BadValueError("not a number of bytes a second with its unit, such as 512KB or 1.5MB")
    return value


def hook_ops(value: str) -> tuple[str, ...]:
    """Take what a server plugin is asked about; in any case, as frp does."""
    known = {op.lower(): op for op in HOOK_OPS}
    found = items(value)
    unknown = [op for op in found if op.lower() not in known]
    if unknown or not found:
        meant = nearest("".join(unknown[:1]).lower(), known)
        hint = f"; did you mean {known[meant]}?" if meant else ""
        raise BadValueError(f"not a list of these: {', '.join(HOOK_OPS)}{hint}")
    return tuple(dict.fromkeys(known[op.lower()] for op in found))


def items(value: str) -> tuple[str, ...]:
    """Take a list with commas between; blanks around items and empty items are dropped."""
    return tuple(item for part in value.split(",") if (item := part.strip()))


def locations(value: str) -> tuple[str, ...]:
    """Take beginnings of URL paths."""
    found = items(value)
    if any(not item.startswith("/") for item in found):
        raise BadValueError('each must be a path that begins with "/"')
    return found


def health_check_type(value: str) -> str:
    """Take the way in which a local service is checked; nothing: it isn't."""
    if value not in HEALTH_CHECK_TYPES:
        raise BadValueError(f"not one of {', '.join(HEALTH_CHECK_TYPES[1:])}")
    return value


def url_path(value: str) -> str:
    """Take path and query of a URL, as a request has them; nothing: none."""
    if value and (len(value) > MAX_PATH_CHARACTERS or not _URL_PATH.fullmatch(value)):
        raise BadValueError('not a path that begins with "/", without blanks, others as %XX')
    return value


def user_name(value: str) -> str:
    """Take the user of HTTP's Basic scheme, which ends at the first colon (RFC 7617 2)."""
    if ":" in value:
        raise BadValueError('can\'t hold a ":"')
    return value


def header_name(value: str) -> str:
    """Take the name of an HTTP header."""
    if not _TOKEN.fullmatch(value):
        raise BadValueError("what follows header_ is not the name of an HTTP header")
    return value


def port_ranges(value: str) -> tuple[range, ...]:
    """Take port numbers and ranges of them, such as ``2000-3000,3001``."""
    return tuple(_port_range(item) for item in items(value))


def _port_range(item: str) -> range:
    first, dash, last = item.partition("-")
    try:
        low = port(first.strip())
        high = port(last.strip()) if dash else low
    except BadValueError:
        low, high = 1, 0
    if low > high:
        raise BadValueError(
            f"not a list of ports (1 to {MAX_PORT}) and ranges such as 2000-3000,3001"
        )
    return range(low, high + 1)
