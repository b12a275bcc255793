# -*- test-case-name: tests.client.plugins.test_unixsocket -*-
"""``plugin = unix_domain_socket``: the local service listens on a socket in the file system."""

from typing import cast

from twisted.internet.error import ConnectError

from tunnelsvc.client.local import LOCAL_SECONDS, introduce
from tunnelsvc.client.plugins import Place
from tunnelsvc.config.plugins import UnixDomainSocketConfig
from tunnelsvc.errors import LocalServiceUnavailable
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.unixsocket import connect_unix
from tunnelsvc.relay import Closed, join
from tunnelsvc.wire.messages import StartWorkConn


class UnixDomainSocket:
    """Joins users to it as to any local service; see `tunnelsvc.client.plugins.Plugin`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = cast("UnixDomainSocketConfig", place.proxy.plugin).unix_path

    async def serve(
        self,
        stream: Stream,
        unread: bytes,
        start: StartWorkConn,
        *,
        far_half_closes: bool,
    ) -> Closed:
        """See `Plugin`."""
        local = await self._dial()
        self._place.connections.add(local)
        introduce(local, self._place.proxy, start)
        return await join(
            local,
            stream,
            far_unread=unread,
            clock=self._place.reactor,
            far_half_closes=far_half_closes,
        )

    async def _dial(self) -> Stream:
        try:
            return await connect_unix(self._place.reactor, self._path, timeout=LOCAL_SECONDS)
        except ConnectError as error:
            raise LocalServiceUnavailable(
                f"connect to local service [{self._path}] error: {error}"
            ) from error
