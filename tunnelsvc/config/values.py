# -*- test-case-name: tests.config.test_values -*-
"""What the text after a ``=`` may be, and what it becomes.

Each function takes that text, without surrounding blanks, and raises `BadValueError` with what
would be right. The error never repeats the text, which may be secret.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from tunnelsvc.errors import TunnelError
from tunnelsvc.units import DAY

Parser = Callable[[str], object]

MAX_PORT: Final = 65535

# Seconds that anything may be told to take.
MAX_SECONDS: Final = int(365 * DAY)

# Seconds that Linux takes for TCP_KEEPIDLE (MAX_TCP_KEEPIDLE); setsockopt refuses more.
MAX_KEEPALIVE_SECONDS: Final = 32767

# Characters of a host name: RFC 1035 2.3.4 allows 255 bytes on the wire, which is 253 of these.
MAX_HOST_CHARACTERS: Final = 253

# Characters of a user's or proxy's name. One message holds both, and 10240 bytes (protocol notes
# 2.1), in which JSON may make 6 of each character.
MAX_NAME_CHARACTERS: Final = 255

LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "error")

# The words of Go's ini.v1, in any case.
_YES: Final = frozenset({"1", "t", "true", "y", "yes", "on"})
_NO: Final = frozenset({"0", "f", "false", "n", "no", "off"})

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
# Underscores aren't legal in host names, but in use; x.x.x.x is a name as well as any.
_HOST: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
_ONLY_NUMBERS: Final = re.compile(r"[0-9.]+")
_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_HOST_AND_PORT: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
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
    if word not in _YES | _NO:
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

port = integer(1, MAX_PORT, "a port number")
port_or_off = integer(0, MAX_PORT, "a port number, or 0")
count = integer(0, 1_000_000)


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


def log_level(value: str) -> str:
    """Take how much is logged."""
    if value.lower() not in LOG_LEVELS:
        raise BadValueError(f"not one of {', '.join(LOG_LEVELS)}")
    return value.lower()


def host(value: str) -> str:
    """Take the name or address of a machine; an IPv6 address with or without brackets."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    is_address = ":" in bare or _ONLY_NUMBERS.fullmatch(bare)
    if not (_is_address(bare) if is_address else _is_host_name(bare)):
        raise BadValueError("not a host name or IP address (without port, without http://)")
    return bare


def optional_address(value: str) -> str:
    """Take an IP address of this machine; nothing: any."""
    if value and not _is_address(value):
        raise BadValueError("not an IP address")
    return value


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Take a list of IP addresses and networks; ``loopback`` is this machine."""
    return tuple(network for item in items(value) for network in _networks(item))


def _networks(item: str) -> tuple[IPv4Network | IPv6Network, ...]:
    if item.lower() == "loopback":
        return ip_network("127.0.0.0/8"), ip_network("::1/128")
    try:
        return (ip_network(item.removeprefix("[").removesuffix("]")),)
    except ValueError:
        raise BadValueError(
            "not a list of IP addresses and networks such as 10.0.0.0/8,2001:db8::/32,loopback"
        ) from None


def _is_host_name(value: str) -> bool:
    return len(value) <= MAX_HOST_CHARACTERS and _HOST.fullmatch(value) is not None


def items(value: str) -> tuple[str, ...]:
    """Take a list with commas between; blanks around items and empty items are dropped."""
    return tuple(item for part in value.split(",") if (item := part.strip()))


def locations(value: str) -> tuple[str, ...]:
    """Take beginnings of URL paths."""
    found = items(value)
    if any(not item.startswith("/") for item in found):
        raise BadValueError('each must be a path that begins with "/"')
    return found


def domain(value: str) -> str:
    """Take a domain name, to be put after others; nothing: none."""
    lowered = value.lower().removesuffix(".")
    if len(lowered) > MAX_HOST_CHARACTERS or (lowered and not _DOMAIN.fullmatch(lowered)):
        raise BadValueError("not a domain name (without port, an international one as xn--…)")
    return lowered


def domains(value: str) -> tuple[str, ...]:
    """Take a list of domain names, of which ``*`` and ``*.example.com`` are the wildcards."""
    return tuple(_pattern(item) for item in items(value))


def _pattern(item: str) -> str:
    # A browser never asks for *.com, and frp never finds it: wildcards need two more labels.
    base = item.removeprefix("*.")
    if item == "*":
        return item
    if "*" in base or (base != item and "." not in base.removesuffix(".")):
        raise BadValueError("a wildcard is * alone, or *. before a name such as example.com")
    lowered = domain(base)
    if not lowered:
        raise BadValueError("not a domain name")
    return item[: len(item) - len(base)] + lowered


def subdomain(value: str) -> str:
    """Take one label, to be put before the server's subdomain_host; nothing: none."""
    lowered = value.lower()
    if lowered and not _LABEL.fullmatch(lowered):
        raise BadValueError('not a single name (letters, digits, "-"; no "." or "*")')
    return lowered


def host_header(value: str) -> str:
    """Take what goes into a Host header; nothing: unchanged."""
    if value and not _HOST_AND_PORT.fullmatch(value):
        raise BadValueError("not a host name, with or without a port")
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


def host_and_port(default: int = 0) -> Callable[[str], tuple[str, int]]:
    """Make a parser of a host with a port; an IPv6 address in brackets.

    Args:
        default: the port if there is none in the text; 0: there must be one.
    """

    def parse(value: str) -> tuple[str, int]:
        name, colon, number = value.rpartition(":")
        has_port = bool(colon) and not value.endswith("]") and not _is_address(value)
        try:
            if default and not has_port:
                return host(value), default
            return host(name), port(number)
        except BadValueError:
            what = "not a host name or IP address with a port, such as 127.0.0.1:8080"
            raise BadValueError(what) from None

    return parse


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
