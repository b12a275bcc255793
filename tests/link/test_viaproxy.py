# -*- test-case-name: tests.link.test_viaproxy -*-
"""Tests of `tunnelsvc.link.viaproxy`."""

import base64
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred, fail
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import Authority, write_certificates
from tests.streams import pair, pump, recorded
from tunnelsvc.config.proxyurl import parse
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import site_context
from tunnelsvc.link.dial import Unreachable
from tunnelsvc.link.tls import start_tls_server
from tunnelsvc.link.viaproxy import ANSWER_SECONDS, dial_proxy, through
from tunnelsvc.wire.socks5 import Handshake, Reply, reply


class ThroughCase(SynchronousTestCase):
    """A proxy at the other end of a stream."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.ours, self.proxy = pair("proxy")
        self.at_proxy = recorded(self.proxy)

    def ask(self, url: str, host: str = "vps", port: int = 7000) -> "Deferred[Stream]":
        asked = ensureDeferred(through(parse(url), self.ours, host, port, self.clock))
        pump(self.ours)
        return asked

    def say(self, data: bytes) -> None:
        self.proxy.write(data)
        pump(self.ours)

    def why(self, asked: "Deferred[Stream]") -> str:
        failure = self.failureResultOf(asked, Unreachable)
        self.assertTrue(self.ours.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsInstance(failure.value, error.ConnectError)
        return str(failure.value)

    def assert_connected(self, asked: "Deferred[Stream]", words: bytes) -> None:
        """The target's first words aren't lost."""
        stream = self.successResultOf(asked)
        self.assertIs(stream, self.ours)
        parked = stream.protocol
        assert isinstance(parked, Parked)
        self.assertTrue(self.ours.paused)
        self.assertEqual(parked._held, [words] if words else [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ConnectTests(ThroughCase):
    """HTTP proxies."""

    def test_request(self) -> None:
        asked = self.ask("http://proxy")
        self.assertEqual(
            bytes(self.at_proxy.received),
            b"CONNECT vps:7000 HTTP/1.1\r\nHost: vps:7000\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
        )
        self.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst words")
        self.assert_connected(asked, b"first words")

    def test_nothing_said_yet(self) -> None:
        asked = self.ask("http://proxy", "2001:db8::1")
        self.assertIn(b"CONNECT [2001:db8::1]:7000 ", bytes(self.at_proxy.received))
        self.say(b"HTTP/1.0 200 Connection established\r\n\r\n")
        self.assert_connected(asked, b"")

    def test_login(self) -> None:
        self.ask("http://ann:p%C3%A4ss@proxy")
        login = base64.b64encode("ann:päss".encode())
        self.assertIn(b"Proxy-Authorization: Basic " + login, bytes(self.at_proxy.received))

    def test_refusals(self) -> None:
        for url, answer, what in (
            ("http://proxy", b"407 Proxy Authentication Required", "it wants user and password"),
            ("http://ann:s3cret@proxy", b"407 Who", "it refuses user or password (407)"),
            ("http://proxy", b"403 Filtered", "it gives no connection: 403 Filtered"),
            ("http://proxy", b"301 " + b"x" * 500, "301 " + "x" * 100),
        ):
            self.setUp()
            asked = self.ask(url)
            self.say(b"HTTP/1.1 " + answer + b"\r\n\r\n")
            why = self.why(asked)
            self.assertTrue(why.startswith("proxy http://proxy:80: it "), why)
            self.assertIn(what, why)
            self.assertNotIn("s3cret", why)
            self.assertLess(len(why), 200)

    def test_no_proxy(self) -> None:
        asked = self.ask("http://proxy")
        self.say(b"SSH-2.0-OpenSSH\r\n\r\n")
        self.assertIn("no proper head", self.why(asked))

    def test_silence(self) -> None:
        asked = self.ask("http://proxy")
        self.clock.advance(ANSWER_SECONDS)
        self.assertEqual(self.why(asked), "proxy http://proxy:80: no answer within 20 s")

    def test_hung_up(self) -> None:
        asked = self.ask("http://proxy")
        self.proxy.abortConnection()
        self.assertIn("proxy http://proxy:80: ", self.why(asked))

    def test_cancelled(self) -> None:
        asked = self.ask("http://proxy")
        asked.cancel()
        self.failureResultOf(asked)
        self.assertTrue(self.ours.lost)

    def test_unreachable(self) -> None:
        def dial(host: str, port: int) -> Any:
            self.assertEqual((host, port), ("proxy", 3128))
            return fail(error.ConnectionRefusedError())

        dialling = ensureDeferred(dial_proxy(parse("http://proxy:3128"), dial))
        failure = self.failureResultOf(dialling, Unreachable)
        self.assertIn("proxy http://proxy:3128: ", failure.getErrorMessage())
        self.assertIn("refused", failure.getErrorMessage())


class SecureProxyTests(ThroughCase):
    """HTTP proxies that are reached by TLS."""

    def serve(self, authority: Authority, name: str = "proxy") -> Any:
        context = site_context(authority.issue(name), ())
        self.at_proxy.makeConnection = lambda _: None  # type: ignore[attr-defined]
        self.proxy.protocol = Parked()
        return start_tls_server(self.proxy, context, self.at_proxy, self.clock)  # type: ignore[arg-type]

    def settle(self) -> None:
        for _ in range(10):
            pump(self.ours)
            self.clock.advance(0)

    def trusted(self) -> Authority:
        """Make an authority that the system trusts."""
        authority = Authority()
        trusted = write_certificates(self.mktemp(), authority.certificate)
        trust = SSL.Context.load_verify_locations
        self.patch(
            SSL.Context,
            "set_default_verify_paths",
            lambda context: trust(context, trusted),
        )
        return authority

    def test_verified_by_what_the_system_trusts(self) -> None:
        authority = self.trusted()
        tls = self.serve(authority)
        asked = self.ask("https://proxy")
        self.settle()
        self.assertIn(b"CONNECT vps:7000", bytes(self.at_proxy.received))
        tls.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.settle()
        self.successResultOf(asked)

    def test_a_stranger(self) -> None:
        self.serve(Authority())
        asked = self.ask("https://proxy")
        self.settle()
        self.assertIn("certificate verify failed", self.why(asked))
        self.assertEqual(bytes(self.at_proxy.received), b"")

    def test_another_name(self) -> None:
        self.serve(self.trusted(), "other")
        asked = self.ask("https://proxy")
        self.settle()
        self.assertIn("host name mismatch", self.why(asked))
        self.assertEqual(bytes(self.at_proxy.received), b"")


class SocksTests(ThroughCase):
    """SOCKS 5."""

    def test_connected(self) -> None:
        asked = self.ask("socks5://ann:pw@proxy")
        proxy = Handshake("ann", "pw")
        while proxy.target is None:
            data = bytes(self.at_proxy.received)
            self.at_proxy.received.clear()
            self.say(proxy.feed(data))
        self.assertEqual((proxy.target.host, proxy.target.port), ("vps", 7000))
        self.say(reply(Reply.SUCCEEDED) + b"first words")
        self.assert_connected(asked, b"first words")

    def test_refused(self) -> None:
        asked = self.ask("socks5://proxy")
        self.say(b"\x05\xff")
        self.assertEqual(self.why(asked), "proxy socks5://proxy:1080: it wants user and password")

    def test_a_login_of_300_bytes(self) -> None:
        self.assertIn("no room", self.why(self.ask(f"socks5://{'x' * 300}@proxy")))
