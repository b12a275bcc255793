# -*- test-case-name: tests.client.plugins.test_unixsocket -*-
"""Tests of `tunnelsvc.client.plugins.unixsocket`."""

from typing import Any

from attrs import evolve
from twisted.internet import error

from tests.client.test_service import ClientCase
from tests.streams import MemoryStream, pair, recorded
from tunnelsvc.client.plugins import unixsocket
from tunnelsvc.client.service import LEAVE_SECONDS
from tunnelsvc.config.plugins import UnixDomainSocketConfig
from tunnelsvc.config.proxies import TCPProxyConfig
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.messages import LoginResp, StartWorkConn

APP = TCPProxyConfig(
    name="app", type="tcp", plugin=UnixDomainSocketConfig(unix_path="/run/app.sock")
)


class UnixDomainSocketTests(ClientCase):
    """Users of a client with this plugin."""

    app = APP
    failure: error.ConnectError | None = None

    def setUp(self) -> None:
        super().setUp()
        self.patch(unixsocket, "connect_unix", self.connect_unix)
        self.server.answer = lambda _: LoginResp(run_id="r1", tunnelsvc="0.1.0")
        self.start(self.app)
        self.lines.clear()

    async def connect_unix(self, reactor: Any, path: str, *, timeout: float) -> Stream:
        self.assertIs(reactor, self.clock)
        self.assertEqual((path, timeout), ("/run/app.sock", 10.0))
        if self.failure is not None:
            raise self.failure
        near, far = pair("service")
        self.services.append(far)
        return near

    def user(self) -> MemoryStream:
        work = self.work()
        work.send(StartWorkConn(proxy_name="app", src_addr="192.0.2.1", src_port=5))
        user, _ = work.detach()
        assert isinstance(user, MemoryStream)
        return user

    def test_a_user_meets_the_service(self) -> None:
        user = self.user()
        at_user = recorded(user)
        user.write(b"hello")
        self.pump()
        [service] = self.services
        at_service = recorded(service)
        service.write(b"hello, user")
        user.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(at_service.received), b"hello")
        self.assertEqual(bytes(at_user.received), b"hello, user")
        self.assertTrue(at_service.finished)  # and the other direction goes on
        service.write(b"bye")
        service.loseConnection()
        self.pump()
        self.assertEqual(bytes(at_user.received), b"hello, userbye")
        [line] = self.lines
        self.assertIn("192.0.2.1:5: closed by the server, 5 bytes in, 14 bytes out", line)

    def test_the_service_is_cut_when_the_client_stops(self) -> None:
        self.user()
        self.pump()
        stopped = self.client.stopService()
        self.server.pump()
        self.clock.pump([LEAVE_SECONDS] + [0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.services[0].peer.lost)

    def test_no_service(self) -> None:
        """Whoever reads the log learns which file it is about."""
        self.failure = error.ConnectionRefusedError("111")
        user = self.user()
        self.pump()
        self.assertTrue(user.lost)
        [line] = self.lines
        self.assertIn("[app] connect to local service [/run/app.sock] error: ", line)
        self.assertIn("refused", line)


class IntroductionTests(UnixDomainSocketTests):
    """A service that wants to know who the user is hears it first."""

    app = evolve(APP, proxy_protocol_version="v1")

    def test_a_user_meets_the_service(self) -> None:
        user = self.user()
        user.write(b"hello")
        self.pump()
        at_service = recorded(self.services[0])
        self.pump()
        self.assertEqual(bytes(at_service.received), b"PROXY TCP4 192.0.2.1 127.0.0.1 5 0\r\nhello")
