# -*- test-case-name: tests.client.visitors.test_visitors -*-
"""Tests of `tunnelsvc.client.visitors`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import ServerFactory

from tests.client.visitors.support import VisitCase, visitor_config
from tests.server.fakes import Reactor
from tunnelsvc.client.visitors import VISITOR_TYPES, Visitors
from tunnelsvc.client.visitors.listening import LAST_RETRY_SECONDS
from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.handover import Connections


def made(name: str, port: int, **changes: Any) -> VisitorConfig:
    return visitor_config(name=name, bind_port=port, **changes)


configurations = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(
        visitor_config,
        bind_port=st.sampled_from([9000, 9001, 9002, 9003]),
        secret_key=st.sampled_from("xy"),
        enabled=st.booleans(),
    ),
).map(
    lambda drawn: [
        made(name, config.bind_port, secret_key=config.secret_key, enabled=config.enabled)
        for name, config in drawn.items()
    ]
)


class VisitorsTests(VisitCase):
    """All visitors of a client."""

    def setUp(self) -> None:
        self.clock = self.reactor = Reactor()
        self.visitors = Visitors(self.reactor, Connections())
        self.connect()

    def replace(self, *configs: VisitorConfig) -> None:
        self.successResultOf(ensureDeferred(self.visitors.replace(configs)))

    def ports(self) -> list[int]:
        return sorted(self.reactor.listening)

    def test_listen_from_the_first_login_on(self) -> None:
        self.replace(made("a", 9000), made("b", 9001))
        self.assertEqual(self.ports(), [])
        self.visitors.logged_in(self.session)
        self.assertEqual(self.ports(), [9000, 9001])
        self.visitors.session_lost()
        self.assertEqual(self.ports(), [9000, 9001])
        self.visitors.logged_in(self.session)
        self.assertEqual(self.ports(), [9000, 9001])

    def test_statuses(self) -> None:
        self.visitors.logged_in(self.session)
        self.reactor.listenTCP(9001, ServerFactory())
        self.replace(made("a", 9000), made("b", 9001))
        first, second = self.visitors.statuses()
        self.assertEqual((first.config.name, first.port, first.error), ("a", 9000, ""))
        self.assertIsNone(second.port)
        self.assertIn("can't listen on port 9001", second.error)

    def test_a_disabled_one(self) -> None:
        self.visitors.logged_in(self.session)
        self.replace(made("a", 9000, enabled=False))
        self.assertEqual(self.ports(), [])

    def test_replace_touches_only_what_differs(self) -> None:
        self.visitors.logged_in(self.session)
        self.replace(made("a", 9000), made("b", 9001), made("c", 9002))
        before = dict(self.visitors.running)
        listening = dict(self.reactor.listening)
        self.replace(made("a", 9000), made("b", 9001, secret_key="other"), made("d", 9003))
        self.assertEqual(self.ports(), [9000, 9001, 9003])
        self.assertIs(self.visitors.running["a"], before["a"])
        self.assertIsNot(self.visitors.running["b"], before["b"])
        self.assertIs(self.reactor.listening[9000], listening[9000])

    def test_ports_change_hands(self) -> None:
        self.visitors.logged_in(self.session)
        self.replace(made("a", 9000), made("b", 9001))
        self.replace(made("a", 9001), made("b", 9000))
        self.assertEqual([each.port for each in self.visitors.running.values()], [9001, 9000])

    def test_a_port_in_use_costs_nothing_else(self) -> None:
        self.reactor.listenTCP(9000, ServerFactory())
        self.replace(made("a", 9000), made("b", 9001))
        self.visitors.logged_in(self.session)
        self.assertEqual([each.port for each in self.visitors.running.values()], [None, 9001])
        self.successResultOf(ensureDeferred(self.visitors.close()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closed_and_started_again(self) -> None:
        self.replace(made("a", 9000))
        self.visitors.logged_in(self.session)
        self.successResultOf(ensureDeferred(self.visitors.close()))
        self.assertEqual(self.ports(), [])
        self.visitors.logged_in(self.session)
        self.assertEqual(self.ports(), [9000])

    @given(configurations, configurations)
    def test_any_two(self, first: list[VisitorConfig], second: list[VisitorConfig]) -> None:
        """What runs is what was wanted last, whatever was before; what is the same is untouched."""
        self.setUp()
        self.visitors.logged_in(self.session)
        self.replace(*first)
        before = dict(self.visitors.running)
        self.replace(*second)
        running = self.visitors.running
        wanted = {config.name: config for config in second if config.enabled}
        self.assertEqual({name: each.config for name, each in running.items()}, wanted)
        for name, visitor in before.items():
            self.assertEqual(running.get(name) is visitor, wanted.get(name) == visitor.config)
        self.reactor.advance(LAST_RETRY_SECONDS)  # for a port that another one had
        self.assertEqual(self.ports(), sorted({config.bind_port for config in wanted.values()}))

    def test_types(self) -> None:
        for kind, make in VISITOR_TYPES.items():
            config = visitor_config(type=kind)
            visitor = make(config, self.reactor, self.visitors._sessions, Connections())
            self.assertIs(visitor.config, config)
            self.assertIsNone(visitor.port)
