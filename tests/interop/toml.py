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
    "additional_scopes": "auth.additionalScopes",
    "user": "user",
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
}
LISTS: Final = ("custom_domains", "locations")
HEADER: Final = "header_"


def to_toml(sections: Sections) -> str:
    """Write sections as frpc's TOML."""
    lines = [f"{COMMON[key]} = {json.dumps(value)}" for key, value in sections["common"].items()]
    for name, options in sections.items():
        if name != "common":
            lines += ["[[proxies]]", f"name = {json.dumps(name)}", *_proxy(options)]
    return "\n".join(lines) + "\n"


def _proxy(options: Mapping[str, object]) -> Iterator[str]:
    for key, value in options.items():
        if key.startswith(HEADER):
            name = json.dumps(key.removeprefix(HEADER))
            yield f"requestHeaders.set.{name} = {json.dumps(value)}"
        else:
            shown = str(value).split(",") if key in LISTS else value
            yield f"{PROXY[key]} = {json.dumps(shown)}"
