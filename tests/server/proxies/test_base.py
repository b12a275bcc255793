# -*- test-case-name: tests.server.proxies.test_base -*-
"""Tests of `tunnelsvc.server.proxies.base`."""

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.server.test_clients import ssh
from tests.streams import pair, recorded
from tunnelsvc.wire.messages import CloseProxy, ReqWorkConn, StartWorkConn


class UserTests(SynchronousTestCase):
    """A user connection on the server, from accept to account."""

    def test_a_user_meets_the_client(self) -> None:
        registry = make_registry()
        client = FakeClient(registry)
        client.say(ssh())
        starts: list[StartWorkConn] = []

        def started(work: object, start: StartWorkConn) -> None:
            starts.append(start)

        client.on_start = started
        client.work()
        user = client.reactor.user(6000)
        at_user = recorded(user)
        user.write(b"hello")
        client.streams.append(user)
        client.pump()
        [start] = starts
        self.assertEqual(
            start,
            StartWorkConn(
                proxy_name="ssh",
                src_addr="192.0.2.7",
                src_port=51000,
                dst_addr="127.0.0.1",
                dst_port=7000,
            ),
        )
        self.assertEqual(client.heard[-1], ReqWorkConn(), "a spare is asked for")
        stats = registry.context.proxies["ssh"].stats
        self.assertEqual(stats.connections, 1)
        (live,) = registry.context.stats.live_connections()
        self.assertEqual(
            (live.proxy, live.type, live.user, live.in_bytes), ("ssh", "tcp", "192.0.2.7:51000", 5)
        )
        work = client.streams[1]
        at_work = recorded(work)
        work.write(b"welcome")
        client.pump()
        self.assertEqual(bytes(at_user.received), b"welcome")
        self.assertEqual(bytes(at_work.received), b"")
        lines = LogLines(self)
        user.abortConnection()
        client.pump()
        [line] = lines
        self.assertRegex(
            line,
            r"^\[ssh\] user 192\.0\.2\.7:51000: cut off by the user, 5 bytes in, 7 bytes out, ",
        )
        self.assertEqual(stats.connections, 0)
        self.assertEqual((stats.total().in_bytes, stats.total().out_bytes), (5, 7))

    def test_no_work_connection_in_time(self) -> None:
        client = FakeClient(make_registry(user_conn_timeout_seconds=10.0))
        client.say(ssh())
        user = client.reactor.user(6000)
        client.reactor.advance(10)
        self.assertTrue(user.peer.lost)

    def test_a_client_that_speaks_before_it_is_started(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        early = client.work()
        early.stream.write(b"s\x00\x00")
        client.pump()
        client.work()
        user = client.reactor.user(6000)
        client.streams.append(user)
        client.pump()
        self.assertTrue(client.streams[1].lost)
        self.assertFalse(client.streams[2].lost)
        self.assertFalse(user.lost)

    def test_a_user_who_comes_as_the_proxy_closes(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        proxy = client.registry.context.proxies["ssh"]
        client.say(CloseProxy(proxy_name="ssh"))
        user, inner = pair("late")
        proxy.accept(inner)
        self.assertTrue(user.lost)

    def test_a_bug_of_ours_leaves_nobody_waiting(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        proxy = client.registry.context.proxies["ssh"]
        client.work()
        self.patch(proxy, "start_message", lambda *_: None)
        user = client.reactor.user(6000)
        client.pump()
        self.assertTrue(user.lost)
        self.assertTrue(client.streams[1].lost)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_real_frp_ends_whole(self) -> None:
        """Its end of file says that it reads no more; ours may go on."""
        for theirs, user_is_cut in (({}, True), ({"tunnelsvc": "0.1.0"}, False)):
            client = FakeClient(make_registry(), **dict[str, Any](theirs))
            client.say(ssh())
            client.work()
            user = client.reactor.user(6000)
            client.streams.append(user)
            client.pump()
            client.streams[1].loseWriteConnection()
            client.pump()
            self.assertEqual(user.peer.lost, user_is_cut)

    def test_a_user_without_an_ip_address(self) -> None:
        client = FakeClient(make_registry())
        client.say(ssh())
        proxy = client.registry.context.proxies["ssh"]
        start = proxy.start_message(UNIXAddress(b"/run/x"), None)
        self.assertEqual(start, StartWorkConn(proxy_name="ssh"))
