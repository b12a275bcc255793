"""A user of a client whose proxy is a plugin, in memory."""

from typing import Any

from twisted.internet.error import ConnectError

from tests.client.test_service import ClientCase
from tests.streams import MemoryStream, Recorder, pair, recorded
from tunnelsvc.client.plugins import reach
from tunnelsvc.config.proxies import ProxyConfig
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.messages import LoginResp, StartWorkConn


class User:
    """One user's connection, seen from the server.

    Attributes:
        end: the work connection.
        seen: what came of it.
    """

    def __init__(self, end: MemoryStream) -> None:
        self.end = end
        self.seen: Recorder = recorded(end)

    @property
    def received(self) -> bytes:
        """All that came so far."""
        return bytes(self.seen.received)


class ProxyCase(ClientCase):
    """A client with one proxy, and what its plugin connects to.

    Attributes:
        reached: where it wanted to go.
        failure: what becomes of that, if not a connection.
        targets: the far ends of the connections.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reached: list[tuple[str, int]] = []
        self.failure: ConnectError | None = None
        self.targets: list[MemoryStream] = []
        self.patch(reach, "dial", self.reach)
        self.server.answer = lambda _: LoginResp(run_id="r1", tunnelsvc="0.1.0")

    async def reach(self, reactor: Any, host: str, port: int, *, timeout: float) -> Stream:
        self.assertIs(reactor, self.clock)
        self.assertEqual(timeout, reach.REACH_SECONDS)
        self.reached.append((host, port))
        if self.dial_result is not None:
            return await self.dial_result
        if self.failure is not None:
            raise self.failure
        near, far = pair(f"target{len(self.targets)}")
        self.targets.append(far)
        return near

    def serve(self, proxy: ProxyConfig) -> None:
        """Start a client with this proxy."""
        self.start(proxy)
        self.lines.clear()
        self.proxy_name = proxy.name

    def user(self, first: bytes = b"") -> User:
        """Let a user connect.

        Args:
            first: what comes in one piece with the message before it.
        """
        work = self.work()
        start = StartWorkConn(proxy_name=self.proxy_name, src_addr="192.0.2.1", src_port=5)
        work.send(start)
        end, _ = work.detach()
        assert isinstance(end, MemoryStream)
        user = User(end)
        if first:
            end.out[-1] += first  # type: ignore[operator]
        self.pump()
        return user

    def pump(self) -> None:
        for _ in range(3):
            super().pump()
            for target in self.targets:
                while target.step() or target.peer.step():
                    pass

    def say(self, user: User, data: bytes) -> bytes:
        """Let a user say something; return what he got so far."""
        user.end.write(data)
        self.pump()
        return user.received
