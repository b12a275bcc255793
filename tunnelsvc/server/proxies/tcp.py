# -*- test-case-name: tests.server.proxies.test_tcp -*-
"""``type = tcp``: a public port (`tunnelsvc.config.schema.TCPProxyConfig`)."""

from typing import Any

from tunnelsvc.handover import ParkingFactory
from tunnelsvc.server.ports import PublicPort
from tunnelsvc.server.proxies.base import Proxy


class TCPProxy(Proxy):
    """Listens on ``remote_port``; hop 1 of its users is `Proxy.accept`."""

    uses_port = True
    _port: PublicPort

    async def listen(self) -> str:
        """See `Proxy`."""
        factory = ParkingFactory(self.accept, self.context.connections)
        self._port = self.context.ports.listen(self.name, self.request.remote_port, factory)
        return f":{self._port.number}"

    async def unlisten(self) -> None:
        """See `Proxy`."""
        await self._port.close()

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        return super().api_conf() | {"remotePort": self._port.number}
