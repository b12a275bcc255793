"""Proxy types of the server, by their name on the wire."""

from collections.abc import Mapping

from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.server.proxies.http import HTTPProxy
from tunnelsvc.server.proxies.https import HTTPSProxy
from tunnelsvc.server.proxies.secret import SecretProxy
from tunnelsvc.server.proxies.tcp import TCPProxy
from tunnelsvc.server.proxies.tcpmux import TCPMuxProxy
from tunnelsvc.server.proxies.udp import UDPProxy

PROXY_TYPES: Mapping[str, type[Proxy]] = {
    "tcp": TCPProxy,
    "udp": UDPProxy,
    "http": HTTPProxy,
    "https": HTTPSProxy,
    "tcpmux": TCPMuxProxy,
    "stcp": SecretProxy,
    "sudp": SecretProxy,
}
