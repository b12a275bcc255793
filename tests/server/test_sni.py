# -*- test-case-name: tests.server.test_sni -*-
"""Tests of `tunnelsvc.server.sni`."""

import datetime
from typing import Any, cast

from attrs import frozen
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.hellos import openssl_hello
from tests.loglines import LogLines
from tests.streams import MemoryStream, pair, pump, recorded
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.gateway.router import Router
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import server_context
from tunnelsvc.link.hello import HELLO_SECONDS
from tunnelsvc.server.context import NamedProxy
from tunnelsvc.server.sitecertificates import SiteCertificate
from tunnelsvc.server.sni import Names, TLSEntrance
from tunnelsvc.wire.clienthello import ALERT_NO_APPLICATION_PROTOCOL, ALERT_UNRECOGNIZED_NAME

HTTP = (b"http/1.1",)
self_signed_connection = server_context(TLSConfig())


def certificate(name: str) -> SiteCertificate:
    """Make a certificate that nobody gets to see."""
    return SiteCertificate(
        name, (), self_signed_connection, datetime.datetime.now(datetime.UTC), ()
    )


class Certificates:
    """As `tunnelsvc.server.sitecertificates.CertificateStore`, without files."""

    def __init__(self) -> None:
        self.by_host: dict[str, SiteCertificate] = {}
        self.default: SiteCertificate | None = None

    def find(self, host: str) -> SiteCertificate | None:
        return self.by_host.get(host)


@frozen
class Taker:
    """An https proxy that notes who comes."""

    domains: tuple[str, ...]
    told: list[object]

    def accept(self, user: Stream, seen: bytes = b"") -> None:
        self.told.append((self.domains[0], user, seen))


class SNICase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = LogLines(self)
        self.told: list[object] = []
        self.certificates = cast("Any", Certificates())
        self.router: Router[NamedProxy] = Router()
        self.names = Names(self.router, self.certificates)
        self.entrance = TLSEntrance(self.names, self.certificates, self.terminate, HTTP, self.clock)

    def proxy(self, *domains: str) -> Taker:
        taker = Taker(domains, self.told)
        for domain in domains:
            self.router.add(domain, "", taker)
        return taker

    def terminate(self, user: Stream, seen: bytes, certificate: SiteCertificate) -> None:
        self.told.append((certificate.name, user, seen))


class NamesTests(SNICase):
    """Whom a name belongs to."""

    def test_order(self) -> None:
        """The proxy of this very name, a certificate, a proxy's wildcard."""
        exact, wild = self.proxy("a.x.example"), self.proxy("*.x.example", "*")
        owned = certificate("owned")
        self.certificates.by_host |= {"a.x.example": owned, "b.x.example": owned}
        self.assertIs(self.names.find("a.x.example"), exact)
        self.assertIs(self.names.find("b.x.example"), owned)
        self.assertIs(self.names.find("c.x.example"), wild)
        self.assertIs(self.names.find("anything"), wild)

    def test_nobody(self) -> None:
        self.assertIsNone(self.names.find("a.example"))
        self.assertFalse(self.names.ends_here("a.example"))

    def test_ends_here(self) -> None:
        self.certificates.by_host["a.example"] = certificate("a")
        self.assertTrue(self.names.ends_here("a.example"))
        self.proxy("a.example")
        self.assertFalse(self.names.ends_here("a.example"))


class EntranceTests(SNICase):
    """Connections to a port of their own."""

    def connect(self) -> None:
        self.user, self.near = pair("user")
        self.at_user = recorded(self.user)
        self.entrance.accept(self.near)

    def say(self, data: bytes) -> None:
        self.connect()
        self.user.write(data)
        pump(self.user)

    def assert_told(self, name: str, seen: bytes) -> None:
        """It was given to this owner, parked, with all that was read."""
        self.assertEqual(self.told, [(name, self.near, seen)])
        self.assertIsInstance(self.near.protocol, Parked)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assert_refused(self, answer: bytes) -> None:
        self.assertEqual(self.told, [])
        self.assertEqual(bytes(self.at_user.received), answer)
        self.user.loseConnection()
        pump(self.user)
        self.assertTrue(self.near.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_proxy(self) -> None:
        """What is spoken inside is none of our business."""
        self.proxy("a.example")
        hello = openssl_hello("A.example", ["h2", "acme-tls/1"])
        self.say(hello + b"early")
        self.assert_told("a.example", hello + b"early")

    def test_certificate(self) -> None:
        self.certificates.by_host["a.example"] = certificate("one")
        for protocols in ([], ["h2", "http/1.1"]):
            self.told.clear()
            hello = openssl_hello("a.example", protocols)
            self.say(hello)
            self.assert_told("one", hello)

    def test_no_protocol_in_common(self) -> None:
        self.certificates.by_host["a.example"] = certificate("one")
        self.say(openssl_hello("a.example", ["h2"]))
        self.assert_refused(ALERT_NO_APPLICATION_PROTOCOL)

    def test_unknown_name(self) -> None:
        self.certificates.default = certificate("default")
        self.say(openssl_hello("b.example"))
        self.assert_refused(ALERT_UNRECOGNIZED_NAME)

    def test_no_name(self) -> None:
        """The first certificate, if there is one; a proxy that takes all is asked before."""
        hello = openssl_hello(None)
        self.say(hello)
        self.assert_refused(ALERT_UNRECOGNIZED_NAME)
        self.certificates.default = certificate("default")
        self.say(hello)
        self.assert_told("default", hello)
        self.told.clear()
        self.proxy("*")
        self.say(hello)
        self.assert_told("*", hello)

    def test_garbage(self) -> None:
        """Closed without a word."""
        for data in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x00", b"\0"):
            self.say(data)
            self.assertTrue(self.user.lost)
            self.assertEqual(self.told, [])
            self.assertEqual(bytes(self.at_user.received), b"")

    def test_silence(self) -> None:
        self.say(openssl_hello("a.example")[:-1])
        self.clock.advance(HELLO_SECONDS)
        self.assertTrue(self.near.lost)


class SharedPortTests(SNICase):
    """Connections to the bind port."""

    def say(self, data: bytes, first: int = 1) -> MemoryStream:
        """Connect; the port's own look takes some first bytes."""
        user, near = pair("user")
        user.paused = False
        user.write(data[first:])

        def otherwise(stream: Stream, seen: bytes) -> None:
            self.told.append(("client", stream, seen))

        self.entrance.sort_out(near, data[:first], otherwise)
        pump(user)
        return near

    def test_users(self) -> None:
        self.proxy("a.example")
        self.certificates.by_host["b.example"] = certificate("one")
        for name, owner in (("a.example", "a.example"), ("b.example", "one")):
            hello = openssl_hello(name)
            near = self.say(hello)
            self.assertEqual(self.told.pop(), (owner, near, hello))

    def test_clients(self) -> None:
        """No name, one that nobody has, or something that a ClientHello can't be."""
        self.proxy("*.example.com", "*")
        self.certificates.default = certificate("one")
        no_name = openssl_hello(None)
        near = self.say(no_name)
        self.assertEqual(self.told.pop(), ("client", near, no_name))
        self.router.remove("*", "")
        for hello in (openssl_hello("tunnel.example"), b"\x16\x03\x01\x00\x02hello"):
            for first in (1, len(hello)):
                near = self.say(hello, first)
                self.assertEqual(self.told.pop(), ("client", near, hello))
