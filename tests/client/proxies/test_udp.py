# -*- test-case-name: tests.client.proxies.test_udp -*-
"""Tests of `tunnelsvc.client.proxies.udp`, against a fake server."""

from collections.abc import Sequence
from typing import Any

from tests.client.localsocketsupport import FakeSockets
from tests.client.test_service import ClientCase
from tests.streams import MemoryStream
from tunnelsvc.client import localsockets
from tunnelsvc.config.proxies import ProxyConfig, SUDPProxyConfig, UDPProxyConfig
from tunnelsvc.relay import codecs, dress
from tunnelsvc.relay.datagrams import PING_SECONDS
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.datagrams import Datagram, DatagramCodec, FrameDatagrams, MessageDatagrams
from tunnelsvc.wire.messages import LoginResp, StartWorkConn, UDPAddress

USER = UDPAddress(ip="192.0.2.7", port=5000)
DNS = UDPProxyConfig(name="dns", local_port=53, remote_port=6000)
SECRET = SUDPProxyConfig(name="dns", local_port=53, secret_key="s")


class End:
    """The other end of a work connection."""

    def __init__(self, case: "DatagramCase", codec: DatagramCodec, *, encrypted: bool) -> None:
        self.case = case
        self.codec = codec
        self.heard: list[Datagram] = []
        self.bytes = 0
        messages = case.work()
        messages.send(case.start_message)
        self.bare, unread = messages.detach()
        stages = codecs(derive_key("12345678"), encryption=encrypted, compression=False)
        self.stream, _ = dress(self.bare, unread, stages)
        self.stream.protocol = self  # type: ignore[assignment]
        self.stream.resumeProducing()
        case.move()

    def dataReceived(self, data: bytes) -> None:
        self.bytes += len(data)
        self.heard.extend(self.codec.feed(data))

    def connectionLost(self, reason: object) -> None:
        pass

    def say(self, content: bytes, user: UDPAddress = USER) -> None:
        self.stream.write(self.codec.encode(user, content))
        self.case.move()

    @property
    def lost(self) -> bool:
        assert isinstance(self.bare, MemoryStream)
        return self.bare.lost


class DatagramCase(ClientCase):
    """A client with a udp proxy; its sockets are in memory."""

    start_message = StartWorkConn(proxy_name="dns")

    def setUp(self) -> None:
        super().setUp()
        self.made = FakeSockets()
        self.patch(localsockets, "connect_udp", self.made)

    def end(self, codec: DatagramCodec | None = None, *, encrypted: bool = False) -> End:
        """Give the client a work connection."""
        return End(self, codec or MessageDatagrams(), encrypted=encrypted)

    def move(self) -> None:
        self.pump()
        self.clock.advance(0)
        self.pump()

    def begin(self, *proxies: ProxyConfig, **options: Any) -> None:
        self.start(*(proxies or (DNS,)), **options)


class UDPTests(DatagramCase):
    def test_both_ways(self) -> None:
        """By messages, with a real frps."""
        self.begin()
        end = self.end()
        end.say(b"question")
        end.say(b"")
        self.assertEqual(self.made[0].sent, [b"question", b""])
        self.made[0].answer(b"answer")
        self.move()
        self.assertEqual(end.heard, [(USER, b"answer")])

    def test_frames(self) -> None:
        """If the server says so; then nothing is too long."""
        self.start_message = StartWorkConn(proxy_name="dns", datagram_frames=True)
        self.begin()
        end = self.end(FrameDatagrams())
        end.say(bytes(65_507))
        self.made[0].answer(bytes(65_507))
        self.move()
        self.assertEqual(end.heard, [(USER, bytes(65_507))])

    def answers_of(self, sizes: Sequence[int]) -> list[int]:
        end = self.end()
        end.say(b"question")
        for size in sizes:
            self.made[-1].answer(bytes(size))
        self.move()
        return [len(content) for _, content in end.heard]

    def test_sizes(self) -> None:
        """To a real frps goes what it expects, as the file says; the rest is dropped whole."""
        self.begin()
        self.assertEqual(self.answers_of([1500, 1501, 3]), [1500, 3])
        [told] = [line for line in self.lines if "dropped" in line]
        self.assertIn("udp_packet_size", told)

    def test_larger_sizes(self) -> None:
        self.begin(udp_packet_size=9000)
        self.assertEqual(self.answers_of([7000, 9000, 3]), [7000, 3])

    def test_encrypted(self) -> None:
        self.begin(UDPProxyConfig(name="dns", local_port=53, use_encryption=True))
        end = self.end(encrypted=True)
        end.say(b"question")
        self.assertEqual(self.made[0].sent, [b"question"])

    def test_too_old_for_the_cipher(self) -> None:
        """A frps before 0.34 has none here, and it is said."""
        self.server.answer = lambda _: LoginResp(run_id="r1", version="0.33.0")
        self.begin(UDPProxyConfig(name="dns", local_port=53, use_encryption=True))
        end = self.end()
        end.say(b"question")
        self.assertEqual(self.made[0].sent, [b"question"])
        self.assertEqual(len([line for line in self.lines if "use_encryption" in line]), 1)

    def test_pings(self) -> None:
        self.begin()
        end = self.end()
        for number in (1, 2):  # at the third, the server's heartbeat is missing
            self.clock.advance(PING_SECONDS)
            self.pump()
            self.assertEqual(end.bytes, number * len(MessageDatagrams().ping()))

    def test_a_new_work_connection(self) -> None:
        """It takes the place of the old one; users keep their sockets."""
        self.begin()
        old = self.end()
        old.say(b"1")
        new = self.end()
        self.assertTrue(old.lost)
        new.say(b"2")
        self.assertEqual([each.sent for each in self.made], [[b"1", b"2"]])
        self.made[0].answer(b"answer")
        self.move()
        self.assertEqual(new.heard, [(USER, b"answer")])

    def test_answers_wait(self) -> None:
        """For the next work connection, when the old one has ended."""
        self.begin()
        old = self.end()
        old.say(b"1")
        old.stream.abortConnection()
        self.made[0].answer(b"answer")
        self.move()
        self.assertEqual(self.end().heard, [(USER, b"answer")])

    def test_nonsense(self) -> None:
        """It ends that work connection, and nothing else."""
        self.begin()
        end = self.end()
        end.stream.write(b"GET / HTTP/1.1\r\n\r\n")
        self.move()
        self.assertTrue(end.lost)
        self.end().say(b"1")
        self.assertEqual(self.made[0].sent, [b"1"])

    def test_stop(self) -> None:
        self.begin()
        end = self.end()
        end.say(b"1")
        stopped = self.client.stopService()
        self.server.pump()
        self.clock.pump([0] * 20)
        self.successResultOf(stopped)
        self.assertTrue(self.made[0].closed)
        self.assertTrue(end.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """Of its bandwidth: what is beyond waits."""
        self.begin(UDPProxyConfig(name="dns", local_port=53, bandwidth_limit="1KB"))
        end = self.end()
        for number in range(4):
            end.say(bytes([number]) * 600)
        self.assertLess(len(self.made[0].sent), 4)
        for _ in range(20):
            self.clock.advance(0.25)
            self.move()
        self.assertEqual(self.made[0].sent, [bytes([number]) * 600 for number in range(4)])


class SUDPTests(DatagramCase):
    """Work connections are of visitors, each apart."""

    def test_visitors(self) -> None:
        """Users of different visitors may look alike."""
        self.begin(SECRET)
        one, two = self.end(), self.end(FrameDatagrams())
        one.say(b"1")
        two.say(b"2")
        self.assertEqual([each.sent for each in self.made], [[b"1"], [b"2"]])
        self.made[0].answer(b"to one")
        self.made[1].answer(b"to two" * 10_000)
        self.move()
        self.assertEqual(one.heard, [(USER, b"to one")])
        self.assertEqual(two.heard, [(USER, b"to two" * 10_000)])

    def test_end(self) -> None:
        """Takes the sockets of that visitor's users along."""
        self.begin(SECRET)
        one, two = self.end(), self.end()
        one.say(b"1")
        two.say(b"2")
        one.stream.abortConnection()
        self.move()
        self.assertEqual([each.closed for each in self.made], [True, False])

    def test_close(self) -> None:
        self.begin(SECRET)
        end = self.end()
        end.say(b"1")
        self.client._proxies["dns"].close()
        self.assertTrue(self.made[0].closed)
        self.assertTrue(end.lost)
