# -*- test-case-name: tests.wire.test_messages -*-
"""The messages between client and server (protocol notes 2.3 and 2.4).

Frozen values without behaviour. A field's declared type is all that `tunnelsvc.wire.framing`
needs to read and write it; every field can be missing and then has its zero value.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from attrs import field, frozen

from tunnelsvc.addresses import host_and_port

Texts = tuple[str, ...]
TextMap = Mapping[str, str]
Port = Annotated[int, "0 to 65535"]
"""A field that is a ``uint16`` at the other end, where any other number ends the connection."""

NO_TEXTS: Final[TextMap] = MappingProxyType({})


def _mask(value: object) -> str:
    return "'***'" if value else "''"


def _secret() -> Any:
    """Declare a text whose value never appears in ``repr``."""
    return field(default="", repr=_mask)


def _named(json_name: str, default: Any) -> Any:
    """Declare a field whose JSON name is not its attribute name."""
    return field(default=default, metadata={"json": json_name})


WIRE_VERSION: Final = "0.70.1"
"""The frp version whose behaviour we announce; peers parse three integers (protocol notes 3.7)."""


@frozen(kw_only=True)
class Message:
    """Base of all messages."""

    type_byte: ClassVar[int]
    """First byte of the v1 frame."""


@frozen(kw_only=True)
class Login(Message):
    """Client to server, opens a control connection."""

    type_byte = ord("o")
    version: str = ""
    """frp's version, as three numbers: old servers refuse others (protocol notes 3.7)."""
    hostname: str = ""
    os: str = ""
    arch: str = ""
    user: str = ""
    privilege_key: str = _secret()
    timestamp: int = 0
    """Unix time in seconds."""
    run_id: str = ""
    """Empty at the first login; later what the server gave."""
    metas: TextMap = NO_TEXTS
    client_id: str = ""
    pool_count: int = 0
    tunnelsvc: str = ""
    """Our own version, an addition of ours: not empty when the other end is no frp. A client that
    says it takes streams that the server opens in its multiplexed connection; they begin with
    StartWorkConn."""


@frozen(kw_only=True)
class LoginResp(Message):
    """Server to client, answers `Login`."""

    type_byte = ord("1")
    version: str = ""
    run_id: str = ""
    server_udp_port: int = 0
    error: str = ""
    tunnelsvc: str = ""
    """As `Login.tunnelsvc`."""
    direct_work_conns: int = _named("tunnelsvc_direct_work_conns", 0)
    """Work connections that a multiplexed client may keep ready outside of its multiplexed
    connection, an addition of ours."""


@frozen(kw_only=True)
class NewProxy(Message):
    """Client to server, registers a proxy. Which fields have a meaning depends on the type."""

    type_byte = ord("p")
    proxy_name: str = ""
    """With the user before it, as in all messages."""
    proxy_type: str = ""
    use_encryption: bool = False
    use_compression: bool = False
    bandwidth_limit: str = ""
    bandwidth_limit_mode: str = ""
    group: str = ""
    group_key: str = _secret()
    metas: TextMap = NO_TEXTS
    annotations: TextMap = NO_TEXTS
    remote_port: int = 0
    """Not a `Port`: the other end reads any integer, and answers a wrong one with an error."""
    custom_domains: Texts = ()
    subdomain: str = ""
    locations: Texts = ()
    http_user: str = ""
    http_pwd: str = _secret()
    host_header_rewrite: str = ""
    headers: TextMap = NO_TEXTS
    response_headers: TextMap = NO_TEXTS
    route_by_http_user: str = ""
    sk: str = _secret()
    allow_users: Texts = ()
    multiplexer: str = ""
    one_user_per_work_conn: bool = _named("tunnelsvc_one_user_per_work_conn", False)
    """Whether requests of other users may not come on a work connection (http), an addition of
    ours: the local service is told who the user is once, at its beginning."""


@frozen(kw_only=True)
class NewProxyResp(Message):
    """Server to client, answers `NewProxy`."""

    type_byte = ord("2")
    proxy_name: str = ""
    remote_addr: str = ""
    error: str = ""
    https_addr: str = _named("tunnelsvc_https_addr", "")
    """Where an http proxy is by https, as the server has a certificate for it; an addition of
    ours."""
    unasked: bool = _named("tunnelsvc_unasked", False)
    """Whether this answers nothing, but is news of a proxy that was answered: the administrator has
    disabled it (then there is an error), or enabled it again; an addition of ours."""


@frozen(kw_only=True)
class CloseProxy(Message):
    """Client to server, takes a proxy back. Has no answer."""

    type_byte = ord("c")
    proxy_name: str = ""


@frozen(kw_only=True)
class NewWorkConn(Message):
    """Client to server, opens a work connection."""

    type_byte = ord("w")
    run_id: str = ""
    privilege_key: str = _secret()
    timestamp: int = 0
    """Unix time in seconds."""


@frozen(kw_only=True)
class ReqWorkConn(Message):
    """Server to client: open one more work connection."""

    type_byte = ord("r")


@frozen(kw_only=True)
class StartWorkConn(Message):
    """Server to client: this work connection now carries a user of that proxy."""

    type_byte = ord("s")
    proxy_name: str = ""
    src_addr: str = ""
    """The user's address."""
    dst_addr: str = ""
    """Where on the server the user connected to."""
    src_port: Port = 0
    dst_port: Port = 0
    error: str = ""
    datagram_frames: bool = _named("tunnelsvc_datagram_frames", False)
    """Datagrams go in frames of ours, an addition of ours; see `tunnelsvc.wire.datagrams`."""

    @property
    def user(self) -> str:
        """Who the user is, for the log."""
        return host_and_port(self.src_addr, self.src_port) if self.src_addr else "(not told)"


@frozen(kw_only=True)
class NewVisitorConn(Message):
    """Client to server, opens a visitor connection."""

    type_byte = ord("v")
    run_id: str = ""
    proxy_name: str = ""
    sign_key: str = _secret()
    timestamp: int = 0
    """Unix time in seconds."""
    use_encryption: bool = False
    use_compression: bool = False


@frozen(kw_only=True)
class NewVisitorConnResp(Message):
    """Server to client, answers `NewVisitorConn`."""

    type_byte = ord("3")
    proxy_name: str = ""
    error: str = ""
    datagram_frames: bool = _named("tunnelsvc_datagram_frames", False)
    """The owner understands datagrams in frames of ours, an addition of ours; as it understands
    frp's messages, too, the visitor needn't use them."""


@frozen(kw_only=True)
class Ping(Message):
    """Client to server: still here."""

    type_byte = ord("h")
    privilege_key: str = _secret()
    timestamp: int = 0
    """Unix time in seconds."""


@frozen(kw_only=True)
class Pong(Message):
    """Server to client, answers `Ping`."""

    type_byte = ord("4")
    error: str = ""


@frozen(kw_only=True)
class UDPAddress:
    """An address inside a `UDPPacket`."""

    ip: str = _named("IP", "")
    port: int = _named("Port", 0)
    zone: str = _named("Zone", "")


@frozen(kw_only=True)
class UDPPacket(Message):
    """Both ways on the work connection of a udp proxy: one datagram."""

    type_byte = ord("u")
    c: str = ""
    """The content in base64 (standard alphabet, padded)."""
    l: UDPAddress | None = None  # noqa: E741 - the name on the wire
    r: UDPAddress | None = None
    """The user."""


@frozen(kw_only=True)
class NatHoleVisitor(Message):
    """The visitor of an xtcp proxy asks to be connected."""

    type_byte = ord("i")
    transaction_id: str = ""
    proxy_name: str = ""
    pre_check: bool = False
    protocol: str = ""
    sign_key: str = _secret()
    timestamp: int = 0
    """Unix time in seconds."""
    mapped_addrs: Texts = ()
    assisted_addrs: Texts = ()


@frozen(kw_only=True)
class NatHoleClient(Message):
    """The owner of an xtcp proxy tells its addresses."""

    type_byte = ord("n")
    transaction_id: str = ""
    proxy_name: str = ""
    sid: str = ""
    mapped_addrs: Texts = ()
    assisted_addrs: Texts = ()


@frozen(kw_only=True)
class PortsRange:
    """Ports to try, both ends included."""

    from_: int = _named("from", 0)
    to: int = 0


@frozen(kw_only=True)
class DetectBehavior:
    """How one side of an xtcp connection is to make its hole."""

    role: str = ""
    mode: int = 0
    ttl: int = 0
    send_delay_ms: int = 0
    read_timeout: int = 0
    """Milliseconds."""
    candidate_ports: tuple[PortsRange, ...] = ()
    send_random_ports: int = 0
    listen_random_ports: int = 0


@frozen(kw_only=True)
class NatHoleResp(Message):
    """Server to both sides of an xtcp connection: the addresses of the other one."""

    type_byte = ord("m")
    transaction_id: str = ""
    sid: str = ""
    protocol: str = ""
    visitor_addr: str = ""
    client_addr: str = ""
    candidate_addrs: Texts = ()
    assisted_addrs: Texts = ()
    detect_behavior: DetectBehavior | None = None
    error: str = ""


@frozen(kw_only=True)
class NatHoleSid(Message):
    """Names an xtcp connection, on work connections and in its first datagrams."""

    type_byte = ord("5")
    transaction_id: str = ""
    sid: str = ""
    response: bool = False
    nonce: str = ""


@frozen(kw_only=True)
class NatHoleClientDetectOK(Message):
    """Owner to server, up to 0.48 only. Later servers close the connection on it."""

    type_byte = ord("d")


@frozen(kw_only=True)
class NatHoleReport(Message):
    """Owner to server, since 0.49 only. Earlier servers close the connection on it."""

    type_byte = ord("6")
    sid: str = ""
    success: bool = False


TYPES: Final[Mapping[int, type[Message]]] = MappingProxyType(
    {
        kind.type_byte: kind
        for kind in (
            Login,
            LoginResp,
            NewProxy,
            NewProxyResp,
            CloseProxy,
            NewWorkConn,
            ReqWorkConn,
            StartWorkConn,
            NewVisitorConn,
            NewVisitorConnResp,
            Ping,
            Pong,
            UDPPacket,
            NatHoleVisitor,
            NatHoleClient,
            NatHoleResp,
            NatHoleSid,
            NatHoleClientDetectOK,
            NatHoleReport,
        )
    }
)
"""Which message a first byte announces."""
