# -*- test-case-name: tests.client.test_service -*-
"""Tests of `tunnelsvc.client.service`, against a fake server."""

from random import Random
from typing import Any, cast

from attrs import evolve
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.control.fakes import TOKEN, FakeServer
from tests.loglines import LogLines
from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.client import local, service
from tunnelsvc.client.service import LEAVE_SECONDS, LOOK_SECONDS, TunnelClient
from tunnelsvc.client.status import LinkStatus
from tunnelsvc.config.proxies import HealthCheckConfig, HTTPProxyConfig, ProxyConfig, TCPProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import LoginFailed
from tunnelsvc.handover import park
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import codecs, dress
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import (
    CloseProxy,
    LoginResp,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)


class ClientCase(SynchronousTestCase):
    """A client with a fake server at one end and fake local services at the other."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = FakeServer(self.clock)
        self.fatal: list[str] = []
        self.logins: list[str] = []
        self.lines = LogLines(self)
        self.services: list[MemoryStream] = []
        self.dialled: list[tuple[str, int]] = []
        self.dial_result: Deferred[Stream] | None = None
        self.patch(service, "servers", lambda *_: (self.server.listed(),))
        self.patch(local, "dial", self.dial)

    async def dial(self, reactor: object, host: str, port: int, *, timeout: float) -> Stream:
        self.dialled.append((host, port))
        if self.dial_result is not None:
            return await self.dial_result
        near, far = pair("local")
        self.services.append(far)
        return near

    def start(self, *proxies: ProxyConfig, **options: Any) -> TunnelClient:
        config = ClientConfig(server_addr="vps", token=TOKEN, proxies=proxies, **options)
        self.client = TunnelClient(config, self.clock, self.fatal.append, Random(1))
        self.client.on_login = self.logins.append
        self.client.startService()
        self.server.pump()
        for message in list(self.server.heard):
            if isinstance(message, NewProxy):
                self.server.say(NewProxyResp(proxy_name=message.proxy_name, remote_addr=":6000"))
        return self.client

    def work(self) -> MessageProtocol:
        """Make the client open a work connection."""
        self.server.say(ReqWorkConn())
        return self.server.work[-1]

    def pump(self) -> None:
        streams = [stream for link in self.server.links for stream in link.streams]
        pump(*streams, *self.services)


SSH = TCPProxyConfig(name="ssh", type="tcp", local_port=22, remote_port=6000)


class StatusTests(ClientCase):
    """What is told of the state of things."""

    def test_link(self) -> None:
        self.clock.advance(5)
        client = self.start(SSH)
        self.assertEqual(client.link_status(), LinkStatus("vps:7000", 5.0, "r1"))

    def test_a_link_that_is_lost(self) -> None:
        client = self.start(SSH)
        self.server.up = False
        self.server.control.abort()
        lost = client.link_status()
        self.assertEqual((lost.since, lost.run_id), (None, ""))
        self.assertIn("connection to server vps:7000 lost", lost.error)
        self.clock.advance(0)
        self.assertIn("Connection was refused", client.link_status().error)
        self.server.up = True
        self.clock.pump([1] * 60)
        self.server.pump()
        self.assertEqual(client.link_status().error, "")

    def test_a_refused_login(self) -> None:
        self.server.answer = lambda _: LoginResp(error="no")
        client = self.start(SSH)
        self.assertEqual(client.link_status().error, "login to server failed: no [vps:7000]")

    def test_a_service_that_is_down(self) -> None:
        """Until a user reaches it again."""
        client = self.start(SSH)
        self.dial_result = fail(error.ConnectionRefusedError())
        self.work().send(StartWorkConn(proxy_name="ssh"))
        self.pump()
        (status,) = client.proxy_statuses()
        self.assertIn("connect to local service [127.0.0.1:22] error", status.dial_error)
        self.assertEqual((status.phase, status.error), ("running", ""))
        self.dial_result = None
        self.work().send(StartWorkConn(proxy_name="ssh"))
        self.pump()
        self.assertEqual(client.proxy_statuses()[0].dial_error, "")

    def test_visitors(self) -> None:
        client = self.start()
        self.assertEqual(client.visitor_statuses(), [])


class LoginTests(ClientCase):
    """From start to stop."""

    def test_announces_its_proxies(self) -> None:
        client = self.start(SSH)
        self.assertEqual(self.logins, ["r1"])
        self.assertEqual(client.proxy_addresses, {"ssh": ":6000"})
        self.assertIn("[ssh] start proxy success", self.lines)

    def test_a_refused_login_is_fatal(self) -> None:
        self.server.answer = lambda _: LoginResp(error="no")
        self.start(SSH)
        self.assertEqual(self.fatal, ["login to server failed: no [vps:7000]"])
        self.assertIn(self.fatal[0], self.lines)

    def test_a_server_that_is_too_old(self) -> None:
        """What it drops is told after each login, as it may be another one by then."""
        proxy = HTTPProxyConfig(name="w", local_port=1, subdomain="w", route_by_http_user="alice")
        self.server.answer = lambda _: LoginResp(run_id="r1", version="0.33.0")
        self.start(proxy)
        told = "[w] this server, frps 0.33.0, ignores route_by_http_user: users of all names are"
        self.assertEqual(len([line for line in self.lines if line.startswith(told)]), 1)

    def test_a_server_of_ours_is_never_too_old(self) -> None:
        proxy = HTTPProxyConfig(name="w", local_port=1, subdomain="w", route_by_http_user="alice")
        self.server.answer = lambda _: LoginResp(run_id="r1", version="0.33.0", tunnelsvc="1")
        self.start(proxy)
        self.assertFalse([line for line in self.lines if "ignores" in line])

    def test_announces_again_after_a_loss(self) -> None:
        client = self.start(SSH)
        self.server.control.abort()
        self.assertEqual(client.proxy_addresses, {})
        self.server.heard.clear()
        self.clock.advance(0)
        self.server.pump()
        self.assertEqual([type(message) for message in self.server.heard][:1], [NewProxy])
        self.assertEqual(self.logins, ["r1", "r1"])

    def test_stop(self) -> None:
        self.start(SSH)
        stopped = self.client.stopService()
        self.server.pump()
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.server.links[0].closed)
        self.client.message_received(NewProxyResp(proxy_name="ssh"))

    def stop_while_serving(self) -> tuple[MemoryStream, Deferred[None]]:
        """Stop while there is a user; return the server's end of his connection."""
        self.start(SSH)
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        self.pump()
        user, _ = work.detach()
        self.server.heard.clear()
        stopped = self.client.stopService()
        self.server.pump()
        self.assertEqual(self.server.heard, [CloseProxy(proxy_name="ssh")])
        self.assertFalse(self.server.links[0].closed)
        return cast("MemoryStream", user), stopped

    def test_stop_lets_users_end(self) -> None:
        user, stopped = self.stop_while_serving()
        service = recorded(self.services[0])
        user.write(b"bye")
        user.loseConnection()
        self.pump()
        self.assertEqual(bytes(service.received), b"bye")
        self.assertTrue(service.finished)
        self.services[0].loseConnection()
        self.pump()
        self.clock.pump([LOOK_SECONDS] + [0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.server.links[0].closed)

    def test_stop_waits_for_nobody_long(self) -> None:
        _, stopped = self.stop_while_serving()
        self.clock.pump([LOOK_SECONDS] * int(LEAVE_SECONDS / LOOK_SECONDS - 1))
        self.assertFalse(self.server.links[0].closed)
        self.clock.pump([LOOK_SECONDS] * 2 + [0] * 20)
        self.assertTrue(self.server.links[0].closed)
        self.successResultOf(stopped)


CHECKED = TCPProxyConfig(
    name="web", type="tcp", local_port=80, health_check=HealthCheckConfig(type="tcp")
)


class HealthTests(ClientCase):
    """Proxies that come and go with their services."""

    def announced(self) -> list[str]:
        """Tell what the server has heard of proxies since the last time."""
        self.server.pump()
        heard = [each for each in self.server.heard if isinstance(each, NewProxy | CloseProxy)]
        self.server.heard.clear()
        return [f"{type(message).__name__} {message.proxy_name}" for message in heard]

    def stop_service(self) -> None:
        self.dial_result = fail(error.ConnectionRefusedError("111"))

    def start_service(self) -> None:
        self.dial_result = None

    def next_check(self) -> None:
        self.clock.advance(10.0)

    def test_no_checks(self) -> None:
        self.start(SSH)
        self.assertIsNone(self.client._proxies._health)

    def test_announced_when_well(self) -> None:
        self.stop_service()
        self.start(SSH, CHECKED)
        self.assertEqual(self.announced(), ["NewProxy ssh"])
        self.start_service()
        self.next_check()
        self.assertEqual(self.announced(), ["NewProxy web"])
        self.stop_service()
        self.next_check()
        self.assertEqual(self.announced(), ["CloseProxy web"])
        self.next_check()
        self.assertEqual(self.announced(), [])

    def test_at_once(self) -> None:
        self.start(SSH, CHECKED)
        self.assertEqual(self.announced(), ["NewProxy ssh", "NewProxy web"])
        self.assertEqual(set(self.client.proxy_addresses), {"ssh", "web"})

    def test_without_a_session(self) -> None:
        """A new session gets what is well by then."""
        self.start(SSH, CHECKED)
        self.announced()
        self.client.session_lost()
        self.stop_service()
        self.next_check()
        self.server.control.abort()
        self.clock.advance(0)
        self.assertEqual(self.announced(), ["NewProxy ssh"])

    def test_users_keep_their_connections(self) -> None:
        self.start(CHECKED)
        work = self.work()
        work.send(StartWorkConn(proxy_name="web"))
        user, _ = work.detach()
        self.pump()
        service = recorded(self.services[-1])
        self.stop_service()
        self.next_check()
        self.assertEqual(self.announced()[-1], "CloseProxy web")
        user.write(b"still here")
        self.pump()
        self.assertEqual(bytes(service.received), b"still here")

    def test_stop(self) -> None:
        self.start(CHECKED)
        stopped = self.client.stopService()
        self.server.pump()
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WaitingTests(ClientCase):
    """Programs that wait for proxies."""

    def client_of(self, *proxies: ProxyConfig, **options: Any) -> TunnelClient:
        config = ClientConfig(server_addr="vps", token=TOKEN, proxies=proxies, **options)
        self.client = TunnelClient(config, self.clock, random=Random(1))
        return self.client

    def answer(self, **fields: Any) -> None:
        self.server.say(NewProxyResp(proxy_name="me.ssh", **fields))

    def test_running(self) -> None:
        client = self.client_of(SSH, user="me")
        early = client.when_running()
        client.startService()
        self.server.pump()
        self.assertNoResult(early)
        self.answer(remote_addr=":6000")
        self.assertEqual(self.successResultOf(early), {"ssh": ":6000"})
        self.assertEqual(self.successResultOf(client.when_running("ssh")), {"ssh": ":6000"})
        self.assertRaises(KeyError, client.when_running, "other")

    def test_refused(self) -> None:
        """It is told once; the client goes on asking."""
        client = self.client_of(SSH, user="me")
        client.startService()
        self.server.pump()
        waiter = client.when_running("ssh")
        self.answer(error="port already used")
        self.assertEqual(str(self.failureResultOf(waiter).value), "port already used")
        waiter = client.when_running("ssh")
        self.clock.advance(2)
        self.answer(remote_addr=":6000")
        self.successResultOf(waiter)

    def test_no_login(self) -> None:
        """Without anybody else to tell, it is enough to tell who waits."""
        self.server.answer = lambda _: LoginResp(error="no")
        client = self.client_of(SSH)
        waiter = client.when_running()
        client.startService()
        self.server.pump()
        failure = self.failureResultOf(waiter, LoginFailed)
        self.assertEqual(str(failure.value), "login to server failed: no [vps:7000]")

    def test_stopped_and_started_again(self) -> None:
        client = self.client_of(SSH, user="me")
        waiter = client.when_running()
        client.startService()
        self.server.pump()
        client.stopService()
        self.failureResultOf(waiter, CancelledError)
        self.clock.pump([0] * 20)
        waiter = client.when_running()
        client.startService()
        self.server.pump()
        self.answer(remote_addr=":6000")
        self.successResultOf(waiter)


class UserTests(ClientCase):
    """User connections."""

    def test_a_user_meets_the_local_service(self) -> None:
        self.start(SSH)
        work = self.work()
        self.assertIn(NewWorkConn(run_id="r1"), self.server.heard)
        work.send(StartWorkConn(proxy_name="ssh", src_addr="192.0.2.1", src_port=5))
        user, _ = work.detach()
        assert isinstance(user, MemoryStream)
        at_user = recorded(user)
        user.write(b"hello from the user")
        self.pump()
        self.assertEqual(self.dialled, [("127.0.0.1", 22)])
        [service] = self.services
        at_service = recorded(service)
        service.write(b"hello from the service")
        self.pump()
        self.assertEqual(bytes(at_service.received), b"hello from the user")
        self.assertEqual(bytes(at_user.received), b"hello from the service")
        user.loseConnection()
        self.pump()
        service.loseConnection()
        self.pump()
        [line] = [line for line in self.lines if "192.0.2.1:5" in line]
        self.assertIn("19 bytes in, 22 bytes out", line)

    def test_encrypted_and_compressed(self) -> None:
        proxy = TCPProxyConfig(
            name="ssh", type="tcp", local_port=22, use_encryption=True, use_compression=True
        )
        self.start(proxy)
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        stages = codecs(derive_key(TOKEN), encryption=True, compression=True)
        user, _ = dress(*work.detach(), stages)
        user.write(b"in the clear for the service")
        self.pump()
        at_service = recorded(self.services[0])
        self.pump()
        self.assertEqual(bytes(at_service.received), b"in the clear for the service")

    def test_bytes_that_are_not_of_the_codec(self) -> None:
        self.start(TCPProxyConfig(name="ssh", type="tcp", local_port=22, use_compression=True))
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        user, _ = work.detach()
        user.write(b"not snappy at all")
        self.pump()
        self.assertTrue(user.lost)  # type: ignore[attr-defined]

    def test_real_frp_ends_whole(self) -> None:
        """Its end of file says that it reads no more; ours may go on."""
        for ours, service_is_cut in (("", True), ("0.1.0", False)):
            self.services.clear()
            self.server.answer = lambda _, ours=ours: LoginResp(run_id="r1", tunnelsvc=ours)  # type: ignore[misc]
            self.start(SSH)
            work = self.work()
            work.send(StartWorkConn(proxy_name="ssh"))
            user, _ = work.detach()
            self.pump()
            recorded(self.services[0])
            user.loseWriteConnection()
            self.pump()
            self.assertEqual(self.services[0].peer.lost, service_is_cut)

    def test_a_bug_of_ours_leaves_nobody_waiting(self) -> None:
        self.start(SSH)
        self.dial_result = Deferred()
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        user, _ = work.detach()
        self.pump()
        self.dial_result.errback(Failure(ZeroDivisionError()))
        self.assertTrue(user.lost)  # type: ignore[attr-defined]
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_link_that_takes_no_more_streams(self) -> None:
        self.start(SSH)

        async def gone() -> Stream:
            raise error.ConnectionLost

        self.server.links[0].open = gone  # type: ignore[method-assign]
        self.server.say(ReqWorkConn())
        self.assertTrue(any(line.startswith("no work connection: ") for line in self.lines))

    def test_a_dead_local_service(self) -> None:
        self.start(SSH)
        self.dial_result = Deferred()
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        user, _ = work.detach()
        self.pump()
        self.lines.clear()
        self.dial_result.errback(Failure(error.ConnectionRefusedError("111")))
        self.assertTrue(user.lost)  # type: ignore[attr-defined]
        [line] = self.lines
        self.assertIn("[ssh] connect to local service [127.0.0.1:22] error:", line)
        self.assertIn("refused", line)

    def test_a_service_that_is_told(self) -> None:
        """Who the user is comes before what he says, even if that came first."""
        self.start(evolve(SSH, proxy_protocol_version="v1"))
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh", src_addr="192.0.2.1", src_port=5))
        user, _ = work.detach()
        user.write(b"hello")
        self.pump()
        service = recorded(self.services[0])
        self.pump()
        self.assertEqual(bytes(service.received), b"PROXY TCP4 192.0.2.1 127.0.0.1 5 0\r\nhello")

    def test_a_user_who_leaves_while_the_service_is_dialled(self) -> None:
        self.start(SSH)
        self.dial_result = Deferred()
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        user, _ = work.detach()
        self.pump()
        user.abortConnection()
        near, far = pair("local")
        self.services.append(far)
        self.dial_result.callback(near)
        self.assertTrue(far.lost)

    def test_with_a_user_name(self) -> None:
        self.start(SSH, user="me")
        work = self.work()
        work.send(StartWorkConn(proxy_name="me.ssh"))
        self.pump()
        self.assertEqual(len(self.services), 1)

    def test_refused_work_connections(self) -> None:
        self.start(SSH)
        for message in (
            StartWorkConn(error="work connection pool is full, discarding"),
            StartWorkConn(proxy_name="unknown"),
            Pong(),
        ):
            work = self.work()
            lost: list[Failure] = []
            work.on_lost = lost.append
            work.send(message)
            self.pump()
            self.assertEqual(len(lost), 1, message)
        self.assertEqual(self.services, [])

    def test_a_start_after_the_session(self) -> None:
        self.start(SSH)
        work = self.work()
        self.client.session_lost()
        work.send(StartWorkConn(proxy_name="ssh"))
        self.pump()
        self.assertEqual(self.services, [])

    def test_a_server_that_cannot_be_dialled_for_work(self) -> None:
        self.start(SSH)

        async def refuse() -> Stream:
            raise error.ConnectionRefusedError

        self.server.links[0].open = refuse  # type: ignore[method-assign]
        self.server.say(ReqWorkConn())
        self.assertTrue(any(line.startswith("no work connection: ") for line in self.lines))

    def test_events_while_dialling_are_kept(self) -> None:
        """A service that speaks first and closes at once loses nothing."""
        self.start(SSH)
        self.dial_result = Deferred()
        work = self.work()
        work.send(StartWorkConn(proxy_name="ssh"))
        user, _ = work.detach()
        self.pump()
        near, far = pair("local")
        park(near)
        far.write(b"banner")
        far.loseWriteConnection()
        self.services.append(far)
        self.dial_result.callback(near)
        at_user = recorded(user)  # type: ignore[arg-type]
        self.pump()
        self.assertEqual(bytes(at_user.received), b"banner")
        self.assertTrue(at_user.finished)
