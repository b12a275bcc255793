# -*- test-case-name: tests.client.visitors.test_handshake -*-
"""Tests of `tunnelsvc.client.visitors.handshake`."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred, fail

from tests.client.visitors.support import VisitCase, visitor_config
from tests.streams import Recorder
from tunnelsvc.client.visitors.handshake import ANSWER_SECONDS, open_visitor_connection
from tunnelsvc.errors import VisitRefused
from tunnelsvc.handover import attach
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import codecs, dress
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewVisitorConn, NewVisitorConnResp, Pong

Opened = Deferred[tuple[Stream, bytes]]


class OpenTests(VisitCase):
    """From the session to plain bytes, or to a reason why not."""

    def open(self, **changes: Any) -> Opened:
        config = visitor_config(**changes)
        opened: Opened = ensureDeferred(open_visitor_connection(self.session, config))
        self.server.pump()
        return opened

    def refusal(self, opened: Opened) -> str:
        return str(self.failureResultOf(opened, VisitRefused).value)

    def test_whom_and_who(self) -> None:
        self.clock.advance(100.7)
        self.open(use_encryption=True, use_compression=True)
        self.assertEqual(
            self.asked(),
            NewVisitorConn(
                run_id="r1",
                proxy_name="ssh",
                sign_key=login_key("sesame", 100),
                timestamp=100,
                use_encryption=True,
                use_compression=True,
            ),
        )

    def test_own_user(self) -> None:
        self.connect(user="ann")
        self.open()
        self.assertEqual(self.asked().proxy_name, "ann.ssh")

    def test_another_user(self) -> None:
        self.connect(user="ann")
        self.open(server_user="bob")
        self.assertEqual(self.asked().proxy_name, "bob.ssh")

    def test_plain(self) -> None:
        opened = self.open()
        self.assertNoResult(opened)
        self.answer()
        stream, unread = self.successResultOf(opened)
        reader = Recorder()
        attach(stream, reader)
        stream.resumeProducing()
        stream.write(b"question")
        service, early = self.server.work[-1].detach()
        self.assertEqual(early, b"")
        at_service = Recorder()
        attach(service, at_service)
        service.resumeProducing()
        service.write(b"answer")
        self.server.pump()
        self.assertEqual((unread, bytes(reader.received)), (b"", b"answer"))
        self.assertEqual(bytes(at_service.received), b"question")

    def test_bytes_that_come_with_the_answer(self) -> None:
        """Whatever the codecs are: the first bytes of a service may be as fast as the answer."""
        for switches in ({}, {"use_encryption": True, "use_compression": True}):
            opened = self.open(**switches)
            self.asked()
            work = self.server.work[-1]
            work.send(NewVisitorConnResp(proxy_name="ssh"))
            bare, _ = work.detach()
            stages = codecs(
                derive_key("sesame"),
                encryption=switches.get("use_encryption", False),
                compression=switches.get("use_compression", False),
            )
            service, _ = dress(bare, b"", stages)
            service.write(b"SSH-2.0-")
            near = self.server.links[-1].streams[-1].peer
            bare.out[:] = [b"".join(bare.out)]  # type: ignore[attr-defined]
            self.server.pump()
            self.assertTrue(near.paused)
            _, unread = self.successResultOf(opened)
            self.assertEqual(unread, b"SSH-2.0-")

    def test_refused(self) -> None:
        """The server's words, and what to do."""
        for words, remedy in (
            ("custom listener for [ssh] doesn't exist", "logged in"),
            ("visitor connection of [ssh] auth failed", "sk must be the same"),
            ("visitor connection of [ssh] user [ann] not allowed", "allow_users"),
            ("no client control found for run id [r1]", "new login"),
        ):
            opened = self.open()
            self.answer(words)
            why = self.refusal(opened)
            self.assertTrue(why.startswith(f"{words} ("), why)
            self.assertIn(remedy, why)
            self.assertTrue(self.server.links[-1].streams[-1].lost)

    def test_refused_in_other_words(self) -> None:
        opened = self.open()
        self.answer("register visitor conn error")
        self.assertEqual(self.refusal(opened), "register visitor conn error")

    def test_no_answer_in_time(self) -> None:
        opened = self.open()
        self.clock.advance(ANSWER_SECONDS)
        self.assertEqual(self.refusal(opened), "no answer of the server within 10 s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hung_up(self) -> None:
        opened = self.open()
        self.asked()
        self.server.work[-1].close()
        self.server.pump()
        self.assertIn("no answer of the server: ", self.refusal(opened))

    def test_another_answer(self) -> None:
        opened = self.open()
        self.asked()
        self.server.work[-1].send(Pong())
        self.server.pump()
        self.assertIn("expected NewVisitorConnResp, got Pong", self.refusal(opened))

    def test_what_is_no_answer(self) -> None:
        opened = self.open()
        self.asked()
        self.server.work[-1].stream.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.server.pump()
        self.assertIn("no answer of the server: ", self.refusal(opened))

    def test_first_bytes_that_are_not_of_the_codecs(self) -> None:
        opened = self.open(use_compression=True)
        self.asked()
        work = self.server.work[-1]
        work.send(NewVisitorConnResp(proxy_name="ssh"))
        work.stream.write(b"no snappy at all, which begins otherwise")
        out = self.server.links[-1].streams[-1].out
        out[:] = [b"".join(out)]  # type: ignore[arg-type]
        self.server.pump()
        self.assertIn("no answer of the server: ", self.refusal(opened))
        self.assertTrue(self.server.links[-1].streams[-1].lost)

    def test_no_connection(self) -> None:
        self.session.link.open = lambda: fail(error.ConnectionRefusedError())  # type: ignore[assignment,method-assign,return-value]
        self.assertIn("no connection to the server: ", self.refusal(self.open()))

    def test_names_that_fit_into_no_message(self) -> None:
        opened = self.open(server_name="x" * 11_000)
        self.assertIn("no connection to the server: ", self.refusal(opened))
        self.assertTrue(self.server.links[-1].streams[-1].lost)

    def test_given_up(self) -> None:
        opened = self.open()
        self.asked()
        opened.cancel()
        self.failureResultOf(opened)
        self.assertTrue(self.server.links[-1].streams[-1].lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
