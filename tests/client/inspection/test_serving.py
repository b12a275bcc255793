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
from tunnelsvc.client.inspection.serving import HEAR_OUT_SECONDS, LOOK_SECONDS
from tunnelsvc.config.plugins import StaticFileConfig
from tunnelsvc.config.proxies import HTTPProxyConfig
from tunnelsvc.handover import attach
from tunnelsvc.relay import codecs, dress
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewProxyResp, StartWorkConn

WEB = HTTPProxyConfig(name="web", local_port=80, subdomain="web", inspect=True)
START = StartWorkConn(proxy_name="web", src_addr="192.0.2.1", src_port=50123)


class ServingTests(ClientCase):
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
