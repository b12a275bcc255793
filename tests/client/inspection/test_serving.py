# -*- test-case-name: tests.client.inspection.test_serving -*-
"""Tests of `tunnelsvc.client.inspection.serving`: users of an inspected proxy, in memory."""

from attrs import evolve
from twisted.internet import error
from twisted.internet.defer import fail

from tests.client.inspection.exchanges import request, response
from tests.client.test_service import ClientCase
from tests.control.fakes import TOKEN
from tests.streams import Recorder, recorded
from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.replay import MOST_ANSWER_BYTES, MOST_REPLAYS, REPLAY_SECONDS
from tunnelsvc.client.inspection.request import CannotReplayError, Edits
from tunnelsvc.client.inspection.serving import HEAR_OUT_SECONDS, LOOK_SECONDS
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.config.proxies import HTTPProxyConfig
from tunnelsvc.handover import attach
from tunnelsvc.relay import codecs, dress
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewProxyResp, StartWorkConn

WEB = HTTPProxyConfig(name="web", local_port=80, subdomain="web", inspect=True)
NO_EDITS = Edits()
START = StartWorkConn(proxy_name="web", src_addr="192.0.2.1", src_port=50123)


class ServingCase(ClientCase):
    """A client with an inspected proxy."""

    def inspector(self) -> Inspector:
        inspector = self.client.inspector
        assert inspector is not None
        return inspector

    def exchange(self) -> Exchange:
        (exchange,) = self.inspector()
        return exchange

    def use(self, asked: bytes) -> Recorder:
        """Come as a user, and ask; return what he gets."""
        work = self.work()
        work.send(START)
        stream, _ = work.detach()
        plain, _ = dress(stream, b"", self.stages)
        user = Recorder()
        attach(plain, user)
        plain.resumeProducing()
        plain.write(asked)
        self.pump()
        return user

    stages = codecs(b"", encryption=False, compression=False)


class ServingTests(ServingCase):
    """Users come."""

    def test_off(self) -> None:
        """Nothing is there, nothing is different."""
        self.start(evolve(WEB, inspect=False))
        self.assertIsNone(self.client.inspector)

    def test_a_request(self) -> None:
        self.start(WEB)
        user = self.use(request("/x"))
        service = recorded(self.services[0])
        self.pump()
        self.assertEqual(service.received, request("/x"))
        self.services[0].write(response(body=b"hello"))
        self.pump()
        self.assertEqual(user.received, response(body=b"hello"))
        exchange = self.exchange()
        self.assertEqual((exchange.proxy, exchange.target), ("web", b"/x"))
        self.assertEqual((exchange.status, exchange.done), (200, True))
        self.assertEqual(exchange.start.src_port, 50123)

    def test_below_cipher_and_compression(self) -> None:
        """What is seen is what the service sees."""
        self.stages = codecs(derive_key(TOKEN), encryption=True, compression=True)
        self.start(evolve(WEB, use_encryption=True, use_compression=True))
        user = self.use(request("/x"))
        service = recorded(self.services[0])
        self.services[0].write(response(body=b"hello"))
        self.pump()
        self.assertEqual(service.received, request("/x"))
        self.assertEqual(user.received, response(body=b"hello"))
        self.assertEqual(self.exchange().response.body, b"hello")

    def test_proxy_header(self) -> None:
        """It is for the service, and no part of the request."""
        self.start(evolve(WEB, proxy_protocol_version="v1"))
        self.use(request())
        service = recorded(self.services[0])
        self.pump()
        self.assertTrue(service.received.startswith(b"PROXY TCP4 192.0.2.1 "))
        self.assertEqual((self.exchange().method, self.exchange().error), (b"GET", ""))

    def test_a_service_that_is_down(self) -> None:
        self.dial_result = fail(error.ConnectionRefusedError())
        self.start(WEB)
        user = self.use(request())
        self.clock.pump([LOOK_SECONDS] * 2)
        self.pump()
        self.assertIsNotNone(user.lost)
        self.assertIn("connect to local service [127.0.0.1:80] error", self.exchange().error)
        self.assertTrue(self.exchange().done)

    def test_a_service_that_is_down_and_a_user_who_says_nothing(self) -> None:
        self.dial_result = fail(error.ConnectionRefusedError())
        self.start(WEB)
        user = self.use(b"")
        self.clock.pump([LOOK_SECONDS] * int(HEAR_OUT_SECONDS / LOOK_SECONDS + 2))
        self.pump()
        self.assertIsNotNone(user.lost)
        self.assertEqual(list(self.inspector()), [])

    def test_a_service_that_cuts(self) -> None:
        self.start(WEB)
        self.use(request())
        recorded(self.services[0])
        self.services[0].abortConnection()
        self.pump()
        self.assertIn("cut off by the local service", self.exchange().error)

    def test_a_plugin(self) -> None:
        """What it says is seen like what a service says."""
        directory = self.mktemp()
        self.start(evolve(WEB, local_port=0, plugin=StaticFileConfig(local_path=directory)))
        user = self.use(request("/missing"))
        self.assertIn(b"404 Not Found", user.received)
        self.assertEqual(self.exchange().status, 404)

    def test_switched_on_and_off(self) -> None:
        """By a reload; users who are here stay, those who come then are seen or not."""
        self.start(evolve(WEB, inspect=False))
        user = self.use(request("/before"))
        first = recorded(self.services[0])
        self.reload(WEB)
        self.services[0].write(response(body=b"still here"))
        self.pump()
        self.assertIn(b"still here", user.received)
        self.assertEqual(first.received, request("/before"))
        self.use(request("/seen"))
        self.assertEqual(self.exchange().target, b"/seen")
        self.reload(evolve(WEB, inspect=False))
        self.use(request("/after"))
        self.assertEqual(self.exchange().target, b"/seen")

    def reload(self, web: HTTPProxyConfig) -> None:
        self.client.reload(evolve(self.client.config, proxies=(web,)))
        self.server.pump()
        self.server.say(NewProxyResp(proxy_name="web", remote_addr="web.example"))


class ReplayTests(ServingCase):
    """Requests that are sent to the service again."""

    def setUp(self) -> None:
        super().setUp()
        self.start(WEB)
        self.use(request("/x", method="POST", body=b"hello"))
        self.services[0].write(response(body=b"first"))
        self.pump()

    def replay(self, edits: Edits = NO_EDITS) -> Exchange:
        return self.client.replay(self.first(), edits)

    def first(self) -> Exchange:
        return next(iter(self.inspector()))

    def settle(self) -> None:
        for _ in range(5):
            self.pump()
            self.clock.advance(0)

    def test_sent_and_answered(self) -> None:
        again = self.replay(Edits(path="/y"))
        self.assertEqual((again.id, again.replay_of, again.proxy), (2, 1, "web"))
        self.assertEqual((again.target, again.done), (b"/y", False))
        self.settle()
        service = recorded(self.services[1])
        self.pump()
        self.assertTrue(service.received.startswith(b"POST /y HTTP/1.1\r\n"), service.received)
        self.assertTrue(service.received.endswith(b"\r\n\r\nhello"), service.received)
        self.services[1].write(response(body=b"second"))
        self.settle()
        self.assertEqual((again.status, again.response.body), (200, b"second"))
        self.assertEqual((again.done, again.error), (True, ""))
        self.assertTrue(service.finished or service.lost)
        self.assertFalse(self.first().forgotten)

    def test_of_a_user_whose_address_is_told(self) -> None:
        self.client.reload(
            evolve(self.client.config, proxies=(evolve(WEB, proxy_protocol_version="v1"),))
        )
        self.replay()
        self.settle()
        service = recorded(self.services[1])
        self.pump()
        line, _, rest = bytes(service.received).partition(b"\r\n")
        self.assertEqual(line, b"PROXY TCP4 192.0.2.1 127.0.0.1 50123 0")
        self.assertTrue(rest.startswith(b"POST /x"))

    def test_to_the_end_of_the_connection(self) -> None:
        again = self.replay()
        self.settle()
        recorded(self.services[1])
        self.services[1].write(b"HTTP/1.0 200 OK\r\n\r\nall")
        self.services[1].loseWriteConnection()
        self.settle()
        self.assertEqual((again.done, again.error), (True, ""))
        self.assertEqual(again.response.body, b"all")

    def test_a_service_that_is_down(self) -> None:
        self.dial_result = fail(error.ConnectionRefusedError())
        again = self.replay()
        self.settle()
        self.assertTrue(again.done)
        self.assertIn("connect to local service [127.0.0.1:80] error", again.error)

    def test_a_service_that_says_nothing(self) -> None:
        again = self.replay()
        self.settle()
        service = recorded(self.services[1])
        self.clock.advance(REPLAY_SECONDS)
        self.settle()
        self.assertEqual(again.error, "no complete answer in 60 seconds")
        self.assertIsNotNone(service.lost)

    def test_a_service_that_says_too_much(self) -> None:
        again = self.replay()
        self.settle()
        service = recorded(self.services[1])
        self.services[1].write(b"HTTP/1.0 200 OK\r\n\r\n")
        piece = bytes(1024 * 1024)
        for _ in range(MOST_ANSWER_BYTES // len(piece) + 1):
            self.services[1].write(piece)
            self.settle()
        self.assertTrue(again.done)
        self.assertIn("too long", again.error)
        self.assertIsNotNone(service.lost)

    def test_too_many_at_a_time(self) -> None:
        for _ in range(MOST_REPLAYS):
            self.replay()
        self.assertRaises(CannotReplayError, self.replay)
        self.clock.advance(REPLAY_SECONDS)
        self.settle()
        self.replay()

    def test_a_proxy_that_is_gone(self) -> None:
        first = self.first()
        for proxies in ((evolve(WEB, inspect=False),), ()):
            self.client.reload(evolve(self.client.config, proxies=proxies))
            why = self.assertRaises(CannotReplayError, self.client.replay, first, NO_EDITS)
            self.assertIn("proxy [web] is gone", str(why))

    def test_through_a_plugin(self) -> None:
        directory = self.mktemp()
        plugin = StaticFileConfig(local_path=directory)
        self.client.reload(
            evolve(self.client.config, proxies=(evolve(WEB, local_port=0, plugin=plugin),))
        )
        again = self.replay(Edits(method="GET", body=b""))
        self.settle()
        self.assertEqual((again.status, again.done, again.error), (404, True, ""))
