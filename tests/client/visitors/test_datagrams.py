# -*- test-case-name: tests.client.visitors.test_datagrams -*-
"""Tests of `tunnelsvc.client.visitors.datagrams`, against a fake server."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import CannotListenError

from tests.client.visitors.support import VisitCase, visitor_config
from tests.loglines import LogLines
from tests.streams import MemoryStream
from tunnelsvc.client.visitors import datagrams
from tunnelsvc.client.visitors.datagrams import RETRY_SECONDS, DatagramVisitor
from tunnelsvc.client.visitors.listening import FIRST_RETRY_SECONDS
from tunnelsvc.client.visitors.sessions import SESSION_SECONDS
from tunnelsvc.handover import Connections
from tunnelsvc.link.udp import Receive
from tunnelsvc.relay.datagrams import SILENCE_SECONDS
from tunnelsvc.wire.datagrams import (
    Datagram,
    DatagramCodec,
    FrameDatagrams,
    MessageDatagrams,
    user_at,
)
from tunnelsvc.wire.messages import NewVisitorConn, NewVisitorConnResp

USER = ("192.0.2.7", 5000)


class Port:
    """The visitor's port, in memory."""

    def __init__(self, number: int, receive: Receive) -> None:
        self.number, self.receive = number, receive
        self.sent: list[bytes] = []
        self.open = True

    def send_to(self, data: bytes, address: object) -> bool:
        assert address == USER
        self.sent.append(data)
        return True

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "127.0.0.1", self.number)

    def stopListening(self) -> None:
        self.open = False


class Visited:
    """The owner's end of a visitor connection."""

    def __init__(self, case: "DatagramVisitorTests", codec: DatagramCodec) -> None:
        self.case, self.codec = case, codec
        self.heard: list[Datagram] = []
        self.stream, unread = case.server.work[-1].detach()
        self.heard.extend(codec.feed(unread))
        self.stream.protocol = self  # type: ignore[assignment]
        self.stream.resumeProducing()
        case.move()

    def dataReceived(self, data: bytes) -> None:
        self.heard.extend(self.codec.feed(data))

    def connectionLost(self, reason: object) -> None:
        pass

    def say(self, content: bytes) -> None:
        self.stream.write(self.codec.encode(user_at(USER), content))
        self.case.move()

    @property
    def lost(self) -> bool:
        assert isinstance(self.stream, MemoryStream)
        return self.stream.lost


class DatagramVisitorTests(VisitCase):
    def setUp(self) -> None:
        super().setUp()
        self.lines = LogLines(self)
        self.ports: list[Port] = []
        self.taken = False
        self.patch(datagrams, "listen_udp", self.listen)
        self.visitor = DatagramVisitor(
            visitor_config(type="sudp"), self.clock, self.sessions, Connections()
        )
        self.visitor.start()
        self.sessions.begin(self.session)

    def listen(self, _reactor: Any, number: int, receive: Receive, *, interface: str) -> Port:
        if self.taken:
            raise CannotListenError(interface, number, OSError("in use"))
        self.ports.append(Port(number, receive))
        return self.ports[-1]

    def move(self) -> None:
        self.server.pump()
        self.clock.advance(0)
        self.server.pump()

    def ask(self, content: bytes) -> None:
        """Send a datagram as a user."""
        self.ports[-1].receive(content, USER)
        self.move()

    def visits(self) -> int:
        return len([each for each in self.server.heard if isinstance(each, NewVisitorConn)])

    def welcome(self, *, frames: bool = False) -> Visited:
        """Answer a visit."""
        answer = NewVisitorConnResp(proxy_name="ssh", datagram_frames=frames)
        self.server.work[-1].send(answer)
        return Visited(self, FrameDatagrams() if frames else MessageDatagrams())

    def test_the_first_datagram(self) -> None:
        """Opens the connection; those that come meanwhile wait, in order."""
        self.assertEqual(self.visits(), 0)
        for content in (b"1", b"", b"3"):
            self.ask(content)
        self.assertEqual(self.visits(), 1)
        owner = self.welcome()
        self.assertEqual(owner.heard, [(user_at(USER), each) for each in (b"1", b"", b"3")])
        owner.say(b"answer")
        self.assertEqual(self.ports[0].sent, [b"answer"])
        self.ask(b"4")
        self.assertEqual((self.visits(), owner.heard[-1][1]), (1, b"4"))

    def test_frames(self) -> None:
        """If the server says that the owner understands them."""
        self.ask(bytes(60_000))
        owner = self.welcome(frames=True)
        self.assertEqual([len(content) for _, content in owner.heard], [60_000])
        owner.say(bytes(65_507))
        self.assertEqual([len(content) for content in self.ports[0].sent], [65_507])

    def test_too_long(self) -> None:
        """For real frp: dropped whole."""
        self.ask(bytes(1501))
        self.ask(bytes(1500))
        owner = self.welcome()
        self.assertEqual([len(content) for _, content in owner.heard], [1500])

    def test_a_new_visit(self) -> None:
        """For the next datagram after the end, which isn't lost."""
        self.ask(b"1")
        owner = self.welcome()
        self.clock.advance(RETRY_SECONDS)
        owner.stream.abortConnection()
        self.move()
        self.assertEqual(self.visits(), 1)
        self.ask(b"2")
        self.assertEqual(self.visits(), 2)
        self.assertEqual(self.welcome().heard, [(user_at(USER), b"2")])

    def test_silence(self) -> None:
        self.ask(b"1")
        owner = self.welcome()
        self.clock.advance(SILENCE_SECONDS / 2)
        owner.stream.write(owner.codec.ping())
        self.move()
        self.clock.advance(SILENCE_SECONDS / 2)
        self.assertFalse(owner.lost)
        self.clock.advance(SILENCE_SECONDS / 2)
        self.assertTrue(owner.lost)

    def test_refused(self) -> None:
        """What waited is dropped; the next is tried again, but not at once."""
        self.ask(b"1")
        self.answer("custom listener for [ssh] doesn't exist")
        self.move()
        self.assertTrue([line for line in self.lines if "doesn't exist" in line])
        self.assertTrue([line for line in self.lines if "no way to the other end" in line])
        for _ in range(20):
            self.ask(b"2")
        self.assertEqual(self.visits(), 1)
        self.clock.advance(RETRY_SECONDS)
        self.move()
        self.assertEqual(self.visits(), 2)
        self.assertEqual(self.welcome().heard, [(user_at(USER), b"2")] * 20)

    def test_no_login(self) -> None:
        """Datagrams wait a while for one."""
        self.sessions.end()
        self.ask(b"1")
        self.sessions.begin(self.session)
        self.move()
        self.assertEqual(self.welcome().heard, [(user_at(USER), b"1")])

    def test_no_login_for_long(self) -> None:
        self.sessions.end()
        self.ask(b"1")
        self.clock.advance(SESSION_SECONDS)
        self.assertTrue([line for line in self.lines if "no way to the other end" in line])

    def test_taken(self) -> None:
        """The port is waited for."""
        self.visitor = DatagramVisitor(
            visitor_config(type="sudp"), self.clock, self.sessions, Connections()
        )
        self.taken = True
        self.visitor.start()
        self.assertIsNone(self.visitor.port)
        self.taken = False
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.assertEqual(self.visitor.port, 9000)

    def test_stop(self) -> None:
        """Nobody can stay without the port."""
        self.ask(b"1")
        owner = self.welcome()
        self.successResultOf(ensureDeferred(self.visitor.close()))
        self.move()
        self.assertTrue(owner.lost)
        self.assertFalse(self.ports[0].open)

    def test_stop_while_visiting(self) -> None:
        self.ask(b"1")
        self.successResultOf(ensureDeferred(self.visitor.stop()))
        self.assertTrue(self.welcome().lost)

    def test_stop_before_the_next_attempt(self) -> None:
        self.ask(b"1")
        self.answer("custom listener for [ssh] doesn't exist")
        self.ask(b"2")
        self.successResultOf(ensureDeferred(self.visitor.stop()))
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.visits(), 1)
