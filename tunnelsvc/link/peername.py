# -*- test-case-name: tests.link.test_peername -*-
"""Whom a client means to talk to, as TLS names it."""

import ipaddress
import re

from attrs import frozen

from tunnelsvc.addresses import unbracketed

_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
"""What may be sent as a server name. Underscores aren't legal, but common in private networks."""

_MAX_HOST_NAME_LENGTH = 253
"""RFC 1035 section 2.3.4, less the length bytes of the first and the root label."""


@frozen
class PeerName:
    """Whom the client means to talk to, as certificates name it: ASCII, no brackets, no zone.

    Attributes:
        text: the host name or address; empty if it is neither.
        is_address: whether it is an IP address.
    """

    text: str
    is_address: bool

    @classmethod
    def parse(cls, name: str) -> "PeerName":
        """Read a name as people write it in a configuration."""
        bare = unbracketed(name.strip()).partition("%")[0]
        try:
            return cls(str(ipaddress.ip_address(bare)), is_address=True)
        except ValueError:
            return cls(_ascii_host_name(bare), is_address=False)

    @property
    def server_name(self) -> bytes | None:
        """What to send as server name; RFC 6066 section 3 allows no addresses."""
        return None if self.is_address else self.text.encode("ascii") or None


def _ascii_host_name(name: str) -> str:
    """Return the form that goes over the wire; empty if there is none."""
    name = name.removesuffix(".")
    if not name.isascii():
        name = _international(name)
    legal = len(name) <= _MAX_HOST_NAME_LENGTH and _HOST_NAME.fullmatch(name)
    return name.lower() if legal else ""


def _international(name: str) -> str:
    """Encode letters that aren't ASCII (UTS 46); empty if that can't be done."""
    import idna  # noqa: PLC0415 - its tables, for the few who have such a name

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
