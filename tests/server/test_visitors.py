# -*- test-case-name: tests.server.test_visitors -*-
"""Tests of `tunnelsvc.server.visitors`."""

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loglines import LogLines
from tests.server.fakes import FakeClient, make_registry
from tests.streams import MemoryStream, Recorder, pair, recorded
from tunnelsvc.handover import attach
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import codecs, dress
from tunnelsvc.server.visitors import (
    MOST_NAME_CHARACTERS,
    MOST_WRONG,
    WRONG_SECONDS,
    Guesses,
    VisitorDesk,
)
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.dialect import V1
from tunnelsvc.wire.framing import encode
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import (
    CloseProxy,
    NewProxy,
    NewProxyResp,
    NewVisitorConn,
    NewVisitorConnResp,
    Ping,
    StartWorkConn,
    UDPPacket,
)

SECRET = "sesame"
AUTH_FAILED = "visitor connection of [secret] auth failed"


def visit(**changes: Any) -> NewVisitorConn:
    """Make a first message with the right key."""
    changes.setdefault("proxy_name", "secret")
    return NewVisitorConn(timestamp=5, **{"sign_key": login_key(SECRET, 5), **changes})


class DeskCase(SynchronousTestCase):
    """A server with an owner whose work connections are opened by the test."""

    dialect = V1
    """Of visitors."""

    def setUp(self) -> None:
        self.build()

    def build(self, *, owner: dict[str, Any] | None = None, **options: Any) -> None:
        self.registry = make_registry(**options)
        self.clock = self.registry.context.reactor
        self.desk = VisitorDesk(self.registry)
        self.owner = FakeClient(self.registry, **(owner or {}))
        self.judged: list[bool] = []

    def publish(self, **changes: Any) -> NewProxyResp:
        """Have the owner announce a proxy."""
        wanted = {"proxy_name": "secret", "proxy_type": "stcp", "sk": SECRET, **changes}
        answer = self.owner.say(NewProxy(**wanted))
        assert isinstance(answer, NewProxyResp)
        return answer

    def come(self, first: NewVisitorConn, more: bytes = b"") -> MemoryStream:
        """Connect as a visitor; returns its end."""
        near, far = pair("visitor")
        self.owner.streams.append(near)
        messages = MessageProtocol(far, self.clock, self.dialect)
        expected = messages.expect(10)
        expected.addCallback(lambda _: self.desk.receive(messages, first, self.judged.append))
        messages.start(self.dialect.encode(first) + more)
        return near

    def heard(self, near: MemoryStream) -> list[NewVisitorConnResp]:
        """Return what the visitor is told."""
        reader = MessageProtocol(near, self.clock)
        answers: list[Any] = []
        reader.on_message = answers.append
        reader.start()
        self.owner.pump()
        return answers

    def refusal(self, first: NewVisitorConn) -> str:
        """Come, and be refused; returns why."""
        near = self.come(first)
        self.clock.advance(WRONG_SECONDS)
        [answer] = self.heard(near)
        self.assertTrue(near.lost)
        self.assertFalse(self.judged.pop())
        event = self.registry.context.stats.events.recent()[-1]
        self.assertEqual(event.kind, "user_refused")
        self.assertEqual(event.proxy, first.proxy_name[:MOST_NAME_CHARACTERS])
        self.assertEqual(event.address, "192.0.2.7")
        if self.registry.context.config.detailed_errors_to_client:
            self.assertEqual(event.detail, answer.error)
        else:
            self.assertNotIn(event.detail, {"", answer.error})
        return answer.error


class RefusedTests(DeskCase):
    """Who may not come in."""

    def test_no_such_proxy(self) -> None:
        self.assertEqual(
            self.refusal(visit(proxy_name="other")), "custom listener for [other] doesn't exist"
        )

    def test_no_secret_proxy(self) -> None:
        self.publish(proxy_type="tcp", remote_port=6000)
        self.assertEqual(self.refusal(visit()), "custom listener for [secret] doesn't exist")

    def test_closed_proxy(self) -> None:
        self.publish()
        self.owner.say(CloseProxy(proxy_name="secret"))
        self.assertEqual(self.refusal(visit()), "custom listener for [secret] doesn't exist")

    def test_wrong_secret(self) -> None:
        self.publish()
        self.assertEqual(self.refusal(visit(sign_key=login_key("guess", 5))), AUTH_FAILED)
        self.assertEqual(self.refusal(visit(sign_key="é")), AUTH_FAILED)

    def test_key_of_another_time(self) -> None:
        self.publish()
        self.assertEqual(self.refusal(visit(sign_key=login_key(SECRET, 6))), AUTH_FAILED)

    def test_unknown_run_id(self) -> None:
        self.publish()
        self.assertEqual(
            self.refusal(visit(run_id="nobody")), "no client control found for run id [nobody]"
        )

    def test_long_words_fit_into_the_answer(self) -> None:
        for first in (visit(proxy_name="x" * 9_000), visit(run_id="x" * 9_000)):
            self.assertLess(len(self.refusal(first)), 400)

    def test_without_details(self) -> None:
        self.build(detailed_errors_to_client=False)
        self.publish()
        self.assertEqual(self.refusal(visit(sign_key="x")), "register visitor conn error")

    def test_the_log_has_the_details(self) -> None:
        self.build(detailed_errors_to_client=False)
        lines = LogLines(self)
        self.refusal(visit())
        [line] = lines
        self.assertIn("error: custom listener for [secret] doesn't exist (from 192.0.2.7)", line)


class UserTests(DeskCase):
    """Whose visitors may come in."""

    def come_as(self, user: str) -> str:
        """Come as a client of that user; returns the refusal."""
        visitor = FakeClient(self.registry, user=user)
        near = self.come(visit(run_id=visitor.run_id))
        [answer] = self.heard(near)
        return answer.error

    def test_own_user(self) -> None:
        self.build(owner={"user": "ann"})
        self.publish()
        self.assertEqual(self.come_as("ann"), "")
        self.assertEqual(
            self.come_as("bob"), "visitor connection of [secret] user [bob] not allowed"
        )

    def test_named_users(self) -> None:
        self.build(owner={"user": "ann"})
        self.publish(allow_users=("bob", "carol"))
        self.assertEqual([self.come_as("bob"), self.come_as("carol")], ["", ""])
        self.assertIn("user [ann] not allowed", self.come_as("ann"))

    def test_everybody(self) -> None:
        self.publish(allow_users=("*",))
        self.assertEqual(self.come_as("bob"), "")

    def test_nobody_in_particular(self) -> None:
        """A visitor that doesn't say who it is has the empty user."""
        self.publish()
        [answer] = self.heard(self.come(visit()))
        self.assertEqual(answer.error, "")
        self.build(owner={"user": "ann"})
        self.publish()
        self.assertEqual(
            self.refusal(visit()), "visitor connection of [secret] user [] not allowed"
        )

    def test_owner_that_cannot_name_users(self) -> None:
        """Between two programs of the time before users, the secret is all there is."""
        self.build(owner={"user": "ann", "version": "0.44.0"})
        self.publish()
        [answer] = self.heard(self.come(visit()))
        self.assertEqual(answer.error, "")
        self.assertIn("user [bob] not allowed", self.come_as("bob"))


class ServedTests(DeskCase):
    """Who may come in, is a user like any other."""

    def meet(
        self, first: NewVisitorConn, more: bytes = b"", **proxy: Any
    ) -> tuple[MemoryStream, MemoryStream, StartWorkConn]:
        """Let a visitor in; returns both ends, bare, and what the owner was told."""
        self.publish(**proxy)
        starts: list[StartWorkConn] = []
        works: list[MemoryStream] = []

        def started(work: MessageProtocol, start: StartWorkConn) -> None:
            starts.append(start)
            works.append(work.detach()[0])  # type: ignore[arg-type]

        self.owner.on_start = started
        self.owner.work()
        near = self.come(first, more)
        self.owner.pump()
        return near, works[0], starts[0]

    def test_bytes_go_both_ways(self) -> None:
        near, work, start = self.meet(visit())
        self.assertEqual(
            start,
            StartWorkConn(
                proxy_name="secret", src_addr="192.0.2.7", src_port=51000,
                dst_addr="127.0.0.1", dst_port=7000,
            ),
        )  # fmt: skip
        at_visitor, at_owner = recorded(near), recorded(work)
        near.write(b"hello")
        work.write(b"welcome")
        self.owner.pump()
        answer = encode(NewVisitorConnResp(proxy_name="secret"))
        self.assertEqual(bytes(at_visitor.received), answer + b"welcome")
        self.assertEqual(bytes(at_owner.received), b"hello")
        self.assertEqual(self.judged, [True])
        self.assertEqual(self.registry.context.proxies["secret"].stats.connections, 1)

    def test_bytes_that_come_with_the_first_message(self) -> None:
        _, work, _ = self.meet(visit(), b"early")
        at_owner = recorded(work)
        self.owner.pump()
        self.assertEqual(bytes(at_owner.received), b"early")

    def test_each_leg_has_codecs_of_its_own(self) -> None:
        first = visit(use_encryption=True, use_compression=True)
        near, work, _ = self.meet(first, use_encryption=True)
        self.heard_answer(near)
        user, _ = dress(near, b"", codecs(derive_key(SECRET), encryption=True, compression=True))
        service, _ = dress(
            work, b"", codecs(derive_key("12345678"), encryption=True, compression=False)
        )
        at_user, at_service = Recorder(), Recorder()
        attach(user, at_user)
        attach(service, at_service)
        user.resumeProducing()
        service.resumeProducing()
        user.write(b"question")
        service.write(b"answer")
        self.owner.pump()
        self.assertEqual(bytes(at_user.received), b"answer")
        self.assertEqual(bytes(at_service.received), b"question")

    def heard_answer(self, near: MemoryStream) -> None:
        """Take the answer off the visitor's end, and leave the rest there."""
        reader = MessageProtocol(near, self.clock)

        def taken(_: object) -> None:
            reader.detach()

        reader.on_message = taken
        reader.start()
        self.owner.pump()

    def test_datagrams_in_another_dialect(self) -> None:
        """Are written anew, with and without a cipher; the owner hears no pings of visitors."""
        self.build(owner={"dialect": V2})
        packet = UDPPacket(c="aGk=")
        near, work, _ = self.meet(visit(), proxy_type="sudp")
        at_visitor, at_owner = recorded(near), recorded(work)
        near.write(encode(packet) + encode(Ping()))
        work.write(V2.encode(Ping()) + V2.encode(packet))
        self.owner.pump()
        self.assertEqual(bytes(at_owner.received), V2.encode(packet))
        answer = encode(NewVisitorConnResp(proxy_name="secret"))
        self.assertEqual(bytes(at_visitor.received), answer + encode(Ping()) + encode(packet))

    def test_nonsense_of_either_end_in_another_dialect(self) -> None:
        for end in (0, 1):
            self.build(owner={"dialect": V2})
            ends = self.meet(visit(), proxy_type="sudp")[:2]
            for each in ends:
                recorded(each)
            ends[end].write(b"\xff" * 20)
            self.owner.pump()
            self.assertTrue(all(each.lost for each in ends))

    def test_when_datagrams_stay_as_they_are(self) -> None:
        """The owner's dialect is the visitor's; or both ends are ours, and have frames."""
        for visitors, owners, odd_version, ours in (
            (V1, V1, False, False),
            (V2, V2, False, False),
            (V1, V2, False, True),
            (V2, V1, True, False),
        ):
            self.build(owner={"dialect": owners, "tunnelsvc": "1" if ours else ""})
            visitor = FakeClient(
                self.registry,
                dialect=visitors,
                tunnelsvc="1" if ours else "",
                version="0.69.0" if odd_version else "0.70.1",
            )
            self.dialect = visitors
            near, work, _ = self.meet(visit(run_id=visitor.run_id), proxy_type="sudp")
            at_owner = recorded(work)
            near.write(b"whatever")
            self.owner.pump()
            self.assertEqual(bytes(at_owner.received), b"whatever")

    def test_bytes_that_are_not_of_the_codecs(self) -> None:
        self.publish()
        first = visit(use_compression=True)
        near = self.come(first, b"no snappy at all, which begins otherwise")
        self.owner.pump()
        self.assertTrue(near.lost)

    def test_half_close_of_ours(self) -> None:
        visitor = FakeClient(self.registry, tunnelsvc="1")
        self.owner.registry.clients[self.owner.run_id].is_ours = True
        near, work, _ = self.meet(visit(run_id=visitor.run_id))
        at_visitor, at_owner = recorded(near), recorded(work)
        near.loseWriteConnection()
        self.owner.pump()
        self.assertTrue(at_owner.finished)
        work.write(b"late answer")
        self.owner.pump()
        self.assertTrue(bytes(at_visitor.received).endswith(b"late answer"))

    def test_half_close_of_real_frp(self) -> None:
        """Its end of file means that it doesn't read either: waiting for more would be in vain."""
        visitor = FakeClient(self.registry)
        self.owner.registry.clients[self.owner.run_id].is_ours = True
        for run_id in visitor.run_id, "":
            self.owner.say(CloseProxy(proxy_name="secret"))
            near, work, _ = self.meet(visit(run_id=run_id))
            recorded(near)
            recorded(work)
            near.loseWriteConnection()
            self.owner.pump()
            self.assertTrue(near.peer.lost or near.peer.closing)


class GuessingTests(DeskCase):
    """Guessing at a secret is slow, for whoever guesses."""

    def test_a_wrong_secret_is_answered_late(self) -> None:
        self.publish()
        near = self.come(visit(sign_key="x"))
        self.assertEqual(self.heard(near), [])
        self.assertEqual(self.judged, [])
        self.clock.advance(WRONG_SECONDS)
        self.owner.pump()
        self.assertTrue(near.lost)
        self.assertEqual(self.judged, [False])

    def test_only_some_guesses_are_looked_at(self) -> None:
        self.publish()
        for _ in range(MOST_WRONG):
            self.come(visit(sign_key="x"))
        [answer] = self.heard(self.come(visit()))
        self.assertEqual(answer.error, AUTH_FAILED)
        self.clock.advance(WRONG_SECONDS)
        [answer] = self.heard(self.come(visit()))
        self.assertEqual(answer.error, "")

    def test_nobody_blocks_another_client(self) -> None:
        """Even at the same address."""
        self.publish()
        visitor = FakeClient(self.registry)
        for _ in range(MOST_WRONG):
            self.come(visit(sign_key="x"))
        [answer] = self.heard(self.come(visit(run_id=visitor.run_id)))
        self.assertEqual(answer.error, "")

    def test_hanging_up_makes_it_no_faster(self) -> None:
        self.publish()
        for _ in range(MOST_WRONG):
            self.come(visit(sign_key="x")).abortConnection()
        [answer] = self.heard(self.come(visit()))
        self.assertEqual(answer.error, AUTH_FAILED)
        self.clock.advance(WRONG_SECONDS)

    def test_by_network(self) -> None:
        """A machine has all of an IPv6 network, and one address of IPv4."""
        self.publish()
        networks = (
            ([f"2001:db8::{number:x}" for number in range(MOST_WRONG)], "2001:db8::ff", False),
            ([f"192.0.2.{number}" for number in range(MOST_WRONG)], "192.0.2.9", True),
        )
        for guessers, then, passes in networks:
            self.clock.advance(WRONG_SECONDS)
            for host in guessers:
                self.come_from(host, visit(sign_key="x"))
            [answer] = self.heard(self.come_from(then, visit()))
            self.assertEqual(answer.error == "", passes)

    def come_from(self, host: str, first: NewVisitorConn) -> MemoryStream:
        kind = IPv6Address if ":" in host else IPv4Address
        near, far = pair("visitor")
        far.getPeer = lambda: kind("TCP", host, 5)  # type: ignore[method-assign]
        messages = MessageProtocol(far, self.clock)
        self.owner.streams.append(near)
        self.desk.receive(messages, first, self.judged.append)
        return near

    def test_without_an_address(self) -> None:
        self.publish()
        near, far = pair("visitor")
        far.getPeer = lambda: UNIXAddress(None)  # type: ignore[method-assign]
        self.owner.streams.append(near)
        messages = MessageProtocol(far, self.clock)
        self.desk.receive(messages, visit(sign_key="x"), self.judged.append)
        self.clock.advance(WRONG_SECONDS)
        [answer] = self.heard(near)
        self.assertEqual(answer.error, AUTH_FAILED)

    def test_closed(self) -> None:
        """A server that stops leaves no timers behind."""
        self.publish()
        self.come(visit(sign_key="x"))
        self.desk.close()
        self.clock.advance(WRONG_SECONDS)
        self.assertEqual(self.judged, [])

    def test_nothing_is_kept(self) -> None:
        clock = Clock()
        guesses = Guesses(clock)
        self.assertFalse(guesses.too_many("a"))
        for _ in range(MOST_WRONG):
            guesses.wrong("a", lambda: None)
        self.assertTrue(guesses.too_many("a"))
        clock.advance(WRONG_SECONDS)
        self.assertFalse(guesses.too_many("a"))
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertNotIn("'a'", repr(vars(guesses)))
