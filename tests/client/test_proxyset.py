# -*- test-case-name: tests.client.test_proxyset -*-
"""Tests of `tunnelsvc.client.proxyset`: a client whose configuration is exchanged."""

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.defer import fail

from tests.client.test_service import CHECKED, SSH, ClientCase
from tests.control.fakes import FakeServer
from tests.streams import recorded
from tunnelsvc.client.proxyset import LATE_SECONDS
from tunnelsvc.client.registration import announcement
from tunnelsvc.client.service import TunnelClient
from tunnelsvc.config.plugins import TLSToRawConfig
from tunnelsvc.config.proxies import HTTPProxyConfig, HTTPSProxyConfig, ProxyConfig
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import ConfigError, ProxyRefused, ProxyRemoved
from tunnelsvc.interfaces import Stream
from tunnelsvc.wire.messages import CloseProxy, LoginResp, NewProxy, NewProxyResp, StartWorkConn

WEB = HTTPProxyConfig(name="web", local_port=80, subdomain="w")
SSH_ELSEWHERE = evolve(SSH, local_port=2222)
SSH_MOVED = evolve(SSH, remote_port=6022)
CHECKED_MOVED = evolve(CHECKED, remote_port=6080)


class ReloadCase(ClientCase):
    """A client that gets other proxies."""

    def reload(self, *proxies: ProxyConfig, **options: Any) -> list[str]:
        """Exchange them; return what the server hears."""
        self.server.heard.clear()
        self.client.reload(evolve(self.client.config, proxies=proxies, **options))
        return self.heard()

    def heard(self) -> list[str]:
        self.server.pump()
        heard = [each for each in self.server.heard if isinstance(each, NewProxy | CloseProxy)]
        self.server.heard.clear()
        return [f"{type(message).__name__} {message.proxy_name}" for message in heard]

    def answer(self, name: str = "ssh", **answer: Any) -> None:
        self.server.say(NewProxyResp(proxy_name=name, **{"remote_addr": ":6000", **answer}))

    def user(self, name: str = "ssh") -> Any:
        """Let a user come; return the server's end of his connection."""
        work = self.work()
        work.send(StartWorkConn(proxy_name=name))
        self.pump()
        stream, _ = work.detach()
        return stream

    def phases(self) -> dict[str, str]:
        return {each.config.name: each.phase for each in self.client.proxy_statuses()}


class ReloadTests(ReloadCase):
    """Proxies that come, go and change."""

    def test_the_same_again(self) -> None:
        self.start(SSH, WEB)
        self.assertEqual(self.reload(SSH, WEB), [])
        self.assertEqual(self.reload(WEB, SSH), [])
        self.assertEqual(self.reload(evolve(SSH), WEB), [])
        self.assertEqual(set(self.client.proxy_addresses), {"ssh", "web"})
        self.assertEqual(list(self.phases()), ["ssh", "web"])

    def test_added_and_removed(self) -> None:
        self.start(SSH)
        self.assertEqual(self.reload(WEB), ["CloseProxy ssh", "NewProxy web"])
        self.assertEqual(self.phases(), {"web": "wait start"})
        self.answer("web")
        self.assertEqual(self.client.proxy_addresses, {"web": ":6000"})
        self.assertEqual(self.reload(), ["CloseProxy web"])
        self.assertEqual(self.client.proxy_addresses, {})

    def test_changed(self) -> None:
        self.start(SSH, WEB)
        self.assertEqual(self.reload(SSH_ELSEWHERE, WEB), ["CloseProxy ssh", "NewProxy ssh"])
        self.answer()
        self.user()
        self.assertEqual(self.dialled, [("127.0.0.1", 2222)])

    def test_not_enabled(self) -> None:
        off = evolve(SSH, enabled=False)
        self.start(WEB, off)
        self.assertEqual(self.phases(), {"web": "running"})
        self.assertEqual(self.reload(WEB, SSH), ["NewProxy ssh"])
        self.answer()
        self.assertEqual(self.reload(WEB, off), ["CloseProxy ssh"])
        self.assertEqual(self.reload(WEB), [])
        self.assertEqual(self.phases(), {"web": "running"})

    def test_before_the_login(self) -> None:
        self.server.answer = lambda _: LoginResp(error="no")
        self.start(SSH, login_fail_exit=False)
        self.assertEqual(self.reload(WEB), [])
        self.assertEqual(self.phases(), {"web": "new"})
        self.server.answer = lambda _: LoginResp(run_id="r1")
        self.clock.advance(1)
        self.assertEqual(self.heard(), ["NewProxy web"])

    def test_what_the_next_login_says(self) -> None:
        self.start(SSH)
        self.reload(SSH, pool_count=7, token="other")
        self.assertEqual(self.client.config.pool_count, 7)
        self.assertNotEqual(self.client.config.token, "other")
        self.server.control.abort()
        self.clock.advance(0)
        self.server.pump()
        self.assertEqual(self.server.logins[-1].pool_count, 7)

    def test_a_bad_plugin_changes_nothing(self) -> None:
        """All that is wrong is told."""
        self.start(SSH)
        bad = [
            HTTPSProxyConfig(
                name=name,
                subdomain=name,
                plugin=TLSToRawConfig(local_addr=("127.0.0.1", 80), crt_path=name, key_path=name),
            )
            for name in ("nowhere", "neither")
        ]
        with self.assertRaises(ConfigError) as raised:
            self.reload(WEB, *bad)
        self.assertEqual(len(raised.exception.problems), 4, raised.exception)
        self.assertEqual(self.heard(), [])
        self.assertEqual(self.client.config.proxies, (SSH,))
        self.assertEqual(self.phases(), {"ssh": "running"})

    def test_too_old_a_server(self) -> None:
        self.server.answer = lambda _: LoginResp(run_id="r1", version="0.33.0")
        self.start(SSH)
        self.reload(SSH, evolve(WEB, route_by_http_user="alice"))
        told = "[web] this server, frps 0.33.0, ignores route_by_http_user"
        self.assertEqual(len([line for line in self.lines if line.startswith(told)]), 1)

    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(st.lists(st.lists(st.sampled_from([SSH, SSH_ELSEWHERE, WEB, CHECKED]), max_size=3)))
    def test_any_order(self, files: list[list[ProxyConfig]]) -> None:
        """Whatever happens between, in the end the server has what the last file has."""
        self.server = type(self.server)(self.clock)
        client = self.start()
        at_server: dict[str, int] = {}
        for proxies in files:
            unique = {each.name: each for each in proxies}
            self.server.heard.clear()
            client.reload(evolve(client.config, proxies=tuple(unique.values())))
            self.server.pump()
            for message in self.server.heard:
                if isinstance(message, NewProxy):
                    self.assertNotIn(message.proxy_name, at_server)
                    at_server[message.proxy_name] = 1
                elif isinstance(message, CloseProxy):
                    del at_server[message.proxy_name]
            self.assertEqual(at_server.keys(), unique.keys())
            self.assertEqual([each.config for each in client.proxy_statuses()], [*unique.values()])
        client.stopService()


class AgreementTests(ReloadCase):
    """Reloads, services that come and go, lost sessions and refusals, in any order."""

    steps = st.one_of(
        st.lists(st.sampled_from([SSH, SSH_MOVED, WEB, CHECKED, CHECKED_MOVED]), max_size=3),
        st.sampled_from(["serve", "refuse", "tell"]),
        st.sampled_from(["well", "ill", "lose", "wait", "wait long"]),
    )

    @settings(derandomize=True, deadline=None, max_examples=600)
    @given(st.lists(steps, max_size=40))
    def test_in_the_end(self, steps: list[list[ProxyConfig] | str]) -> None:
        """The server has what the last file has and whose service is well, and says the client."""
        self.server = FakeServer(self.clock)
        at_server = SlowServer(self.server)
        self.ill = False
        client = self.start(heartbeat_interval_seconds=0.0)
        for step in steps:
            if isinstance(step, list):
                unique = {each.name: each for each in step}
                client.reload(evolve(client.config, proxies=tuple(unique.values())))
            else:
                self.take(step, at_server)
            at_server.take()
        for _ in range(12):
            self.clock.advance(10)
            at_server.catch_up()
        wanted = {
            each.name: announcement(each, each.name)
            for each in client.config.proxies
            if each.health_check is None or not self.ill
        }
        self.assertEqual(at_server.open, wanted)
        self.assertEqual(client.proxy_addresses.keys(), wanted.keys())
        client.stopService()

    async def dial(self, *args: Any, **options: Any) -> Stream:
        if self.ill:
            raise error.ConnectionRefusedError("111")
        return await super().dial(*args, **options)

    def take(self, step: str, at_server: "SlowServer") -> None:
        match step:
            case "well" | "ill":
                self.ill = step == "ill"
            case "serve" | "refuse":
                at_server.serve(refuse=step == "refuse")
            case "tell":
                at_server.tell()
            case "lose":
                at_server.lose()
            case "wait" | "wait long":
                self.clock.advance(2 if step == "wait" else 20)


class SlowServer:
    """Serves one request of a client, or tells one answer, when told to.

    Attributes:
        open: what it has for the session, as it was announced.
    """

    def __init__(self, link: FakeServer) -> None:
        self.open: dict[str, NewProxy] = {}
        self._link = link
        self._asked: list[NewProxy | CloseProxy] = []
        self._answers: list[NewProxyResp] = []

    def take(self) -> None:
        """Hear what there is."""
        self._link.pump()
        heard, self._link.heard[:] = list(self._link.heard), []
        self._asked += [each for each in heard if isinstance(each, NewProxy | CloseProxy)]

    def serve(self, *, refuse: bool = False) -> None:
        if not self._asked:
            return
        asked = self._asked.pop(0)
        name = asked.proxy_name
        if isinstance(asked, CloseProxy):
            self.open.pop(name, None)
            return
        why = f"proxy [{name}] already exists" if name in self.open else "no" if refuse else ""
        if not why:
            self.open[name] = asked
        self._answers.append(NewProxyResp(proxy_name=name, remote_addr=":1", error=why))

    def tell(self) -> None:
        if self._answers:
            self._link.say(self._answers.pop(0))

    def lose(self) -> None:
        """Drop the session, and all that was of it."""
        self.take()
        self._link.control.abort()
        self._link.pump()
        self.open.clear()
        self._asked.clear()
        self._answers.clear()

    def catch_up(self) -> None:
        """Serve and tell all."""
        self.take()
        while self._asked or self._answers:
            self.serve()
            self.tell()
            self.take()


class UserTests(ReloadCase):
    """What becomes of users."""

    def test_of_unchanged_proxies(self) -> None:
        self.start(SSH)
        user = self.user()
        service = recorded(self.services[0])
        for other in (WEB, evolve(WEB, subdomain="x")) * 10:
            self.reload(SSH, other)
            user.write(b"x")
            self.pump()
        self.assertEqual(bytes(service.received), b"x" * 20)
        self.assertFalse(service.finished)

    def test_of_removed_proxies(self) -> None:
        self.start(SSH)
        user = self.user()
        service = recorded(self.services[0])
        self.reload()
        self.clock.advance(LATE_SECONDS)
        user.write(b"still here")
        self.pump()
        self.assertEqual(bytes(service.received), b"still here")

    def test_who_are_late(self) -> None:
        """The server had given them the connection."""
        self.start(SSH)
        self.reload()
        self.user()
        self.assertEqual(self.dialled, [("127.0.0.1", 22)])
        self.clock.advance(LATE_SECONDS)
        self.user()
        self.assertEqual(len(self.dialled), 1)

    def test_who_are_late_for_a_changed_one(self) -> None:
        """Until the server says that the new one runs, they came to the old one."""
        self.start(SSH)
        self.reload(SSH_ELSEWHERE)
        self.user()
        self.reload(evolve(SSH, local_port=2223))
        self.user()
        self.answer()  # to the one that isn't any more
        self.user()
        self.answer()
        self.user()
        ports = [port for _, port in self.dialled]
        self.assertEqual(ports, [22, 22, 22, 2223])

    def test_stop_waits_for_those_of_removed_proxies(self) -> None:
        self.start(SSH)
        self.user()
        self.reload()
        stopped = self.client.stopService()
        self.assertFalse(self.server.links[0].closed)
        self.clock.pump([0.1] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.server.links[0].closed)

    def test_a_lost_session_takes_the_late_with_it(self) -> None:
        self.start(SSH)
        self.reload()
        self.client.session_lost()
        self.assertNotIn(LATE_SECONDS, [call.getTime() for call in self.clock.getDelayedCalls()])


class HealthTests(ReloadCase):
    """Checks that begin, end and begin again."""

    def test_begins(self) -> None:
        self.start(SSH)
        self.dial_result = fail(error.ConnectionRefusedError("111"))
        self.assertEqual(self.reload(SSH, CHECKED), [])
        self.assertEqual(self.phases(), {"ssh": "running", "web": "new"})
        self.dial_result = None
        self.clock.advance(10)
        self.assertEqual(self.heard(), ["NewProxy web"])

    def test_ends(self) -> None:
        self.start(SSH, CHECKED)
        self.reload(SSH)
        dialled = len(self.dialled)
        self.clock.advance(60)
        self.assertEqual(len(self.dialled), dialled)

    def test_unchanged(self) -> None:
        self.start(CHECKED)
        self.assertEqual(self.reload(CHECKED, SSH), ["NewProxy ssh"])
        self.dial_result = fail(error.ConnectionRefusedError("111"))
        self.clock.advance(10)
        self.assertEqual(self.heard(), ["CloseProxy web"])
        self.assertEqual(self.phases()["web"], "check failed")

    def test_changed(self) -> None:
        """It has to be well anew."""
        self.start(CHECKED)
        self.dial_result = fail(error.ConnectionRefusedError("111"))
        self.assertEqual(self.reload(evolve(CHECKED, local_port=81)), ["CloseProxy web"])
        self.dial_result = None
        self.clock.advance(10)
        self.assertEqual(self.heard(), ["NewProxy web"])
        self.assertEqual(self.dialled[-1], ("127.0.0.1", 81))


class WaiterTests(ReloadCase):
    """Programs that wait for proxies."""

    def start(self, *proxies: ProxyConfig, **options: Any) -> TunnelClient:
        """Start without an answer of the server's."""
        config = ClientConfig(server_addr="vps", proxies=proxies, **options)
        self.client = TunnelClient(config, self.clock)
        self.addCleanup(self.client.stopService)
        return self.client

    def test_for_a_removed_one(self) -> None:
        client = self.start(SSH, WEB)
        ssh, web, all_of_them = (
            client.when_running("ssh"),
            client.when_running("web"),
            client.when_running(),
        )
        client.reload(evolve(client.config, proxies=(WEB,)))
        self.assertIn("[ssh]", str(self.failureResultOf(ssh, ProxyRemoved).value))
        self.assertNoResult(web)
        self.assertNoResult(all_of_them)
        for waiter in (web, all_of_them):
            waiter.cancel()
            self.failureResultOf(waiter)
        self.assertRaises(KeyError, client.when_running, "ssh")

    def test_for_none_that_are_left(self) -> None:
        client = self.start(SSH)
        waiter = client.when_running()
        client.reload(evolve(client.config, proxies=()))
        self.assertEqual(self.successResultOf(waiter), {})


class WaiterSessionTests(ReloadCase):
    """The same, with a server that answers."""

    def test_for_a_changed_one(self) -> None:
        self.start(SSH)
        self.reload(SSH_ELSEWHERE)
        waiter = self.client.when_running("ssh")
        self.answer(remote_addr=":7")
        self.assertEqual(self.successResultOf(waiter), {"ssh": ":7"})

    def test_for_a_refused_one(self) -> None:
        self.start(SSH)
        waiter = self.client.when_running()
        self.successResultOf(waiter)
        self.reload(SSH, WEB)
        waiter = self.client.when_running()
        self.answer("web", error="no")
        self.failureResultOf(waiter, ProxyRefused)
