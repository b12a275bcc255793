# -*- test-case-name: tests.interop.test_wire2 -*-
"""The tests' sections as a TOML file for a real frpc, which has some keys in no other."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from tests.programs import Sections

COMMON: Final = {
    "server_addr": "serverAddr",
    "server_port": "serverPort",
    "log_level": "log.level",
    "disable_log_color": "log.disablePrintColor",
    "token": "auth.token",
    "tls_enable": "transport.tls.enable",
    "disable_custom_tls_first_byte": "transport.tls.disableCustomTLSFirstByte",
    "tcp_mux": "transport.tcpMux",
    "pool_count": "transport.poolCount",
    "wire_protocol": "transport.wireProtocol",
    "heartbeat_interval": "transport.heartbeatInterval",
    "heartbeat_timeout": "transport.heartbeatTimeout",
    "udp_packet_size": "udpPacketSize",
    "user": "user",
}
SCOPES: Final = {
    "authenticate_heartbeats": "HeartBeats",
    "authenticate_new_work_conns": "NewWorkConns",
}
PROXY: Final = {
    "type": "type",
    "local_port": "localPort",
    "remote_port": "remotePort",
    "use_encryption": "transport.useEncryption",
    "use_compression": "transport.useCompression",
    "custom_domains": "customDomains",
    "locations": "locations",
    "subdomain": "subdomain",
    "http_user": "httpUser",
    "http_pwd": "httpPassword",
    "host_header_rewrite": "hostHeaderRewrite",
    "sk": "secretKey",
    "server_name": "serverName",
    "bind_addr": "bindAddr",
    "bind_port": "bindPort",
}
LISTS: Final = ("custom_domains", "locations")
HEADER: Final = "header_"


def to_toml(sections: Sections) -> str:
    """Write sections as frpc's TOML."""
    lines = list(_common(sections["common"]))
    for name, options in sections.items():
        if name != "common":
            kind = "visitors" if options.get("role") == "visitor" else "proxies"
            lines += [f"[[{kind}]]", f"name = {json.dumps(name)}", *_proxy(options)]
    return "\n".join(lines) + "\n"


def _common(options: Mapping[str, object]) -> Iterator[str]:
    scopes = [name for key, name in SCOPES.items() if options.get(key)]
    yield f"auth.additionalScopes = {json.dumps(scopes)}"
    for key, value in options.items():
        if key not in SCOPES:
            yield f"{COMMON[key]} = {json.dumps(value)}"


def _proxy(options: Mapping[str, object]) -> Iterator[str]:
    for key, value in options.items():
        if key.startswith(HEADER):
            name = json.dumps(key.removeprefix(HEADER))
            yield f"requestHeaders.set.{name} = {json.dumps(value)}"
        elif key != "role":
            shown = str(value).split(",") if key in LISTS else value
            yield f"{PROXY[key]} = {json.dumps(shown)}"
