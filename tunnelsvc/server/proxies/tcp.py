# -*- test-case-name: tests.server.proxies.test_tcp -*-
"""``type = tcp``: a public port (`tunnelsvc.config.schema.TCPProxyConfig`)."""

from typing import Any

from attrs import evolve

from tunnelsvc.handover import ParkingFactory
from tunnelsvc.server.ports import PublicPort
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.wire.messages import NewProxy


class TCPProxy(Proxy):
    """Listens on ``remote_port``, alone or with its group; hop 1 of its users is `Proxy.accept`."""

    uses_port = True
    _port: PublicPort | None = None
    _number = 0

    async def listen(self) -> str:
        """See `Proxy`."""
        request = self.request
        if request.group:
            self._number = await self.context.tcp_groups.open(
                request.group, self, request.remote_port, request.group_key
            )
            return f":{self._number}"
        factory = ParkingFactory(self.accept, self.context.connections)
        self._port = self.context.ports.listen(self.name, request.remote_port, factory)
        self._number = self._port.number
        return f":{self._number}"

    async def unlisten(self) -> None:
        """See `Proxy`."""
        if self._port is None:
            await self.context.tcp_groups.close(self.request.group, self)
        else:
            await self._port.close()

    def request_again(self) -> NewProxy:
        """See `Proxy`: the port that its client was told."""
        if self.request.group:  # which has one, whatever its members wanted
            return self.request
        return evolve(self.request, remote_port=self._number)

    def api_conf(self) -> dict[str, Any]:
        """See `Proxy`."""
        return super().api_conf() | {"remotePort": self._number}
