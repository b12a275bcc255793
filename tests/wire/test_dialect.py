# -*- test-case-name: tests.wire.test_dialect -*-
"""Tests of `tunnelsvc.wire.dialect`."""

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire.dialect import V1, payload_dialect
from tunnelsvc.wire.framing2 import V2
from tunnelsvc.wire.messages import Ping


class DialectTests(SynchronousTestCase):
    def test_v1(self) -> None:
        """It has no preface: the first byte of a message is what it is known by."""
        self.assertEqual((V1.name, V1.preface), ("v1", b""))
        reader = V1.make_reader()
        reader.feed(V1.encode(Ping(timestamp=1)) + b"h")
        self.assertEqual(reader.next_message(), Ping(timestamp=1))
        self.assertIsNone(reader.next_message())
        self.assertEqual(reader.take_unread(), b"h")

    def test_payload(self) -> None:
        """Users' messages are written as all others, except for the frp that didn't."""
        for spoken, version, dialect in (
            (V1, "0.69.0", V1),
            (V2, "0.69.0", V1),
            (V2, "0.69.1", V2),
            (V2, "", V2),
        ):
            self.assertIs(payload_dialect(spoken, version), dialect)
