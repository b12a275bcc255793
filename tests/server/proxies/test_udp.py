# -*- test-case-name: tests.server.proxies.test_udp -*-
"""Tests of `tunnelsvc.server.proxies.udp`."""

from typing import Any

from attrs import evolve
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tests.server.fakes import FakeClient, make_registry
from tests.server.test_work import Session
from tests.streams import pump
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.link.udp import Receive
from tunnelsvc.relay import codecs, dress
from tunnelsvc.relay.datagrams import SILENCE_SECONDS
from tunnelsvc.server.proxies.udp import ANSWER_SECONDS, RETRY_SECONDS
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.datagrams import (
    Datagram,
    FrameDatagrams,
    MessageDatagrams,
    SocketAddress,
    user_at,
)
from tunnelsvc.wire.framing import MessageReader
from tunnelsvc.wire.messages import CloseProxy, NewProxy, NewProxyResp, ReqWorkConn, StartWorkConn

USER = ("192.0.2.7", 5000)
DNS = NewProxy(proxy_name="dns", proxy_type="udp", remote_port=6000)


class Port:
    """A UDP port in memory."""

    def __init__(self, ports: dict[int, "Port"], number: int, receive: Receive) -> None:
        self.number, self.receive = number, receive
        self.sent: list[tuple[bytes, SocketAddress]] = []
        self._ports = ports
        ports[number] = self

    def send_to(self, data: bytes, address: SocketAddress) -> bool:
        self.sent.append((data, address))
        return True

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        del self._ports[self.number]


class Work:
    """A work connection, as the client has it from StartWorkConn on."""

    def __init__(self, messages: MessageProtocol, start: StartWorkConn) -> None:
        self.start = start
        self.stream, unread = messages.detach()
        self.received = bytearray(unread)
        self.stream.protocol = self  # type: ignore[assignment]
        self.stream.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: object) -> None:
        pass


class UDPCase(SynchronousTestCase):
    """A server whose UDP ports are in memory."""

    session: Session | None = None

    def setUp(self) -> None:
        self.make()

    def make(self, *, login: dict[str, Any] | None = None, **options: Any) -> None:
        self.ports: dict[int, Port] = {}
        registry = make_registry(**options)
        self.context = registry.context
        self.context.udp_ports.bind = self.listen
        self.client = FakeClient(registry, session=self.session, **(login or {}))
        self.started: list[Work] = []
        self.client.on_start = lambda *each: self.started.append(Work(*each))

    def listen(self, _reactor: Any, number: int, receiver: Receive, /, *, interface: str) -> Port:
        number = number or 50000 + len(self.ports)
        if number in self.ports:
            raise CannotListenError(interface, number, OSError("in use"))
        return Port(self.ports, number, receiver)

    def advance(self, seconds: float = 0.0) -> None:
        self.client.reactor.advance(seconds)
        self.client.pump()

    def wishes(self) -> int:
        return len([each for each in self.client.heard if isinstance(each, ReqWorkConn)])


class PortTests(UDPCase):
    """Where it listens."""

    def test_listens_and_stops(self) -> None:
        before = self.client.reactor.getDelayedCalls()
        answer = self.client.say(DNS)
        self.assertEqual(answer, NewProxyResp(proxy_name="dns", remote_addr=":6000"))
        proxy = self.context.proxies["dns"]
        self.assertEqual(proxy.api_conf()["remotePort"], 6000)
        self.assertEqual(proxy.stats.type, "udp")
        self.client.say(CloseProxy(proxy_name="dns"))
        self.assertEqual(self.ports, {})
        self.assertEqual(self.client.reactor.getDelayedCalls(), before)

    def test_another_name(self) -> None:
        """A plugin has given it one; its client goes on to call it by its own."""
        self.client.say(DNS)
        proxy = self.context.proxies["dns"]
        proxy.called = "at-home"
        start = proxy.start_message(UNIXAddress(b""), None)
        self.assertEqual(start.proxy_name, "at-home")

    def test_tcp_has_other_ports(self) -> None:
        self.client.say(DNS)
        tcp = NewProxy(proxy_name="tcp", proxy_type="tcp", remote_port=6000)
        self.assertEqual(self.client.say(tcp), NewProxyResp(proxy_name="tcp", remote_addr=":6000"))

    def refusal(self, **changes: Any) -> str:
        answer = self.client.say(NewProxy(proxy_name="b", proxy_type="udp", **changes))
        assert isinstance(answer, NewProxyResp)
        return answer.error

    def test_refusals(self) -> None:
        """In frp's words."""
        self.make(allow_ports=(range(6000, 6003),), max_ports_per_client=2)
        self.client.say(DNS)
        Port(self.ports, 6001, lambda *_: None)
        start = "acquire port"
        self.assertEqual(self.refusal(remote_port=6000), f"{start} 6000 error: port already used")
        self.assertEqual(self.refusal(remote_port=6001), f"{start} 6001 error: port unavailable")
        self.assertEqual(self.refusal(remote_port=7000), f"{start} 7000 error: port not allowed")
        self.assertEqual(self.refusal(), "")
        self.assertEqual(self.refusal(), "exceed the max_ports_per_client")

    def test_the_same_port_again(self) -> None:
        """A proxy without a wish finds its old port."""
        self.make(allow_ports=(range(6000, 6100),))
        any_port = NewProxy(proxy_name="any", proxy_type="udp")
        first = self.client.say(any_port)
        self.client.say(CloseProxy(proxy_name="any"))
        self.assertEqual(self.client.say(any_port), first)


class FrpTests(UDPCase):
    """With a client that is real frp."""

    def begin(self, **changes: Any) -> None:
        """Start the proxy, and give it its first work connection."""
        request = NewProxy(
            proxy_name="dns", proxy_type="udp", remote_port=6000, use_encryption=True, **changes
        )
        self.client.say(request)
        self.advance(ANSWER_SECONDS)
        self.work()

    def work(self) -> None:
        self.client.work()
        self.advance()

    def test_asks_after_a_while(self) -> None:
        """Frpc first has to hear that the proxy runs."""
        self.client.say(DNS)
        before = self.wishes()
        self.advance(ANSWER_SECONDS - 0.1)
        self.assertEqual(self.wishes(), before)
        self.advance(0.1)
        self.assertGreater(self.wishes(), before)
        self.work()
        [work] = self.started
        self.assertEqual(work.start, StartWorkConn(proxy_name="dns"))

    def exchange(self, *, encrypted: bool = True) -> list[Datagram]:
        """Send a datagram as a user, and answer what the client gets."""
        self.ports[6000].receive(b"question", USER)
        self.advance()
        work = self.started[-1]
        codec = MessageDatagrams()
        key = derive_key("12345678")
        stages = codecs(key, encryption=encrypted, compression=False)
        stream, unread = dress(work.stream, bytes(work.received), stages)
        found = list(codec.feed(unread))
        for user, _ in found:
            stream.write(codec.encode(user, b"answer"))
        self.client.pump()
        return found

    def test_exchange(self) -> None:
        """By messages, through the proxy's cipher; the account is kept."""
        self.begin()
        self.assertEqual(self.exchange(), [(user_at(USER), b"question")])
        self.assertEqual(self.ports[6000].sent, [(b"answer", USER)])
        stats = self.context.proxies["dns"].stats
        self.assertEqual((stats.total().in_bytes, stats.total().out_bytes), (8, 6))
        self.assertEqual(stats.connections, 1)
        self.advance(60)
        self.assertEqual(stats.connections, 0)

    def test_too_old_for_the_cipher(self) -> None:
        client = self.client.registry.clients[self.client.run_id]
        client.login = evolve(client.login, version="0.33.0")
        self.begin()
        self.assertEqual(self.exchange(encrypted=False), [(user_at(USER), b"question")])
        self.assertEqual(self.ports[6000].sent, [(b"answer", USER)])

    def test_a_new_work_connection(self) -> None:
        """When the old one ends: at once, but not again and again."""
        self.begin()
        self.advance(RETRY_SECONDS)
        before = self.wishes()
        self.started[-1].stream.abortConnection()
        self.advance()
        self.assertGreater(self.wishes(), before)
        self.work()
        self.assertEqual(len(self.started), 2)
        self.started[-1].stream.abortConnection()
        self.advance(RETRY_SECONDS / 2)
        before = self.wishes()
        self.advance(RETRY_SECONDS / 2)
        self.assertGreaterEqual(self.wishes(), before)
        self.work()
        self.assertEqual(len(self.started), 3)

    def test_what_came_meanwhile(self) -> None:
        """Waits for the first work connection."""
        self.client.say(DNS)
        self.ports[6000].receive(b"early", USER)
        self.advance(ANSWER_SECONDS)
        self.work()
        found = self.exchange(encrypted=False)
        self.assertEqual(found, [(user_at(USER), b"early"), (user_at(USER), b"question")])

    def test_silence(self) -> None:
        """A client that sends no pings has lost the connection."""
        self.begin()
        self.advance(SILENCE_SECONDS)
        self.advance()
        self.work()
        self.assertEqual(len(self.started), 2)

    def test_no_work_connection(self) -> None:
        """A client that gives none is asked again."""
        self.client.say(DNS)
        self.advance(ANSWER_SECONDS)
        for _ in range(4):
            self.advance(10.0)
        self.work()
        self.assertEqual(len(self.started), 1)

    def test_closed_while_it_waits(self) -> None:
        """The work connection that comes too late isn't kept."""
        self.client.say(DNS)
        self.advance(ANSWER_SECONDS)
        self.client.say(CloseProxy(proxy_name="dns"))
        work = self.client.work()
        self.advance()
        self.assertTrue(work._lost)


class OursTests(UDPCase):
    """With a client of ours."""

    def setUp(self) -> None:
        self.session = Session()
        self.make(login={"tunnelsvc": "1"})

    def test_at_once(self) -> None:
        """By frames, on a stream that the server opens; large ones as well."""
        self.client.say(DNS)
        self.advance()
        assert self.session is not None
        [stream] = self.session.opened
        received = _Received()
        stream.protocol = received  # type: ignore[assignment]
        stream.resumeProducing()
        content = bytes(60_000)
        self.ports[6000].receive(content, USER)
        self.advance()
        pump(stream)
        reader = MessageReader()
        reader.feed(bytes(received.data))
        start = reader.next_message()
        self.assertEqual(start, StartWorkConn(proxy_name="dns", datagram_frames=True))
        self.assertEqual(FrameDatagrams().feed(reader.take_unread()), [(user_at(USER), content)])
        stream.write(FrameDatagrams().encode(user_at(USER), content))
        pump(stream)
        self.assertEqual(self.ports[6000].sent, [(content, USER)])

    def test_a_dead_session(self) -> None:
        """It is tried again from time to time, until the client is known to be gone."""
        assert self.session is not None
        self.session.over = True
        self.client.say(DNS)
        self.session.over = False
        self.advance(RETRY_SECONDS)
        self.assertEqual(len(self.session.opened), 1)
        self.client.say(CloseProxy(proxy_name="dns"))
        self.assertTrue(self.session.opened[0].lost)
        self.assertEqual(self.client.reactor.getDelayedCalls(), [])


class _Received:
    """Reads a stream."""

    def __init__(self) -> None:
        self.data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
