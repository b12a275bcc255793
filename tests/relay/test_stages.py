# -*- test-case-name: tests.relay.test_stages -*-
"""Tests of `tunnelsvc.relay.stages`."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.streams import MemoryStream, Recorder, pair, pump, recorded
from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.handover import attach, untaken_bytes
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay.stages import codecs, dress
from tunnelsvc.wire.snappy import Decompressor

KEY = bytes(range(16))


def dressed_pair(
    *, encryption: bool, compression: bool
) -> tuple[MemoryStream, Stream, MemoryStream, Stream]:
    """Two ends of one stream, dressed alike."""
    a, b = pair("work")
    stages = {"encryption": encryption, "compression": compression}
    dressed_a, _ = dress(a, b"", codecs(KEY, **stages))
    dressed_b, _ = dress(b, b"", codecs(KEY, **stages))
    return a, dressed_a, b, dressed_b


class DressTests(SynchronousTestCase):
    """Cipher and compression on a work connection."""

    def test_nothing_to_wear(self) -> None:
        stream, _ = pair("bare")
        self.assertEqual(
            dress(stream, b"unread", codecs(KEY, encryption=False, compression=False)),
            (stream, b"unread"),
        )

    @given(st.lists(st.binary(max_size=3000)), st.booleans(), st.booleans())
    def test_both_ends_understand_each_other(
        self, chunks: list[bytes], encryption: bool, compression: bool
    ) -> None:
        a, dressed_a, _, dressed_b = dressed_pair(encryption=encryption, compression=compression)
        reader = Recorder()
        attach(dressed_b, reader)
        dressed_b.resumeProducing()
        for chunk in chunks:
            dressed_a.write(chunk)
        dressed_a.loseWriteConnection()
        pump(a)
        self.assertEqual(bytes(reader.received), b"".join(chunks))
        self.assertTrue(reader.finished)

    def test_order_is_compress_then_encrypt(self) -> None:
        """Protocol notes 4.5: the snappy identifier is inside the cipher."""
        (decryptor, decompressor), (compressor, encryptor) = codecs(
            KEY, encryption=True, compression=True
        )
        wire = encryptor.feed(compressor.feed(b"x" * 1000))
        self.assertNotIn(b"sNaPpY", wire)
        self.assertEqual(decompressor.feed(decryptor.feed(wire)), b"x" * 1000)

    def test_bytes_of_a_third_that_cannot_be_encoded(self) -> None:
        """End the stream, and whoever wrote them is told why."""
        stream, _ = pair("bare")
        dressed, _ = dress(stream, b"", ([], [Decompressor()]))
        reader = Recorder()
        attach(dressed, reader)
        dressed.write(b"no snappy at all, which begins otherwise")
        self.assertTrue(stream.lost)
        assert reader.lost is not None
        self.assertTrue(reader.lost.check(RemoteProtocolError))

    def test_unread_bytes_pass_the_stages(self) -> None:
        _, outbound = codecs(KEY, encryption=True, compression=True)
        wire = outbound[1].feed(outbound[0].feed(b"hello"))
        for cut in range(len(wire) + 1):
            a, b = pair("work")
            stages = codecs(KEY, encryption=True, compression=True)
            stream, early = dress(b, wire[:cut], stages)
            reader = Recorder()
            attach(stream, reader)
            stream.resumeProducing()
            a.write(wire[cut:])
            pump(a)
            self.assertEqual(early + bytes(reader.received), b"hello")

    def test_bad_unread_bytes_are_an_error(self) -> None:
        stream, _ = pair("work")
        with self.assertRaises(RemoteProtocolError):
            dress(stream, b"not snappy", codecs(KEY, encryption=False, compression=True))

    def test_bytes_that_cannot_be_decoded_end_the_stream(self) -> None:
        a, b = pair("work")
        stream, _ = dress(b, b"", codecs(KEY, encryption=False, compression=True))
        reader = Recorder()
        attach(stream, reader)
        stream.resumeProducing()
        a.write(b"this is no snappy stream")
        pump(a)
        assert reader.lost is not None
        self.assertTrue(reader.lost.check(RemoteProtocolError))
        self.assertTrue(b.lost)

    def test_is_a_transport(self) -> None:
        _, dressed, bare_b, _ = dressed_pair(encryption=True, compression=False)
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, dressed))
        self.assertEqual(dressed.getPeer(), bare_b.getPeer())
        self.assertEqual(dressed.getHost(), bare_b.getHost())

    def test_calls_reach_the_bare_stream(self) -> None:
        a, dressed, b, _ = dressed_pair(encryption=True, compression=True)
        dressed.pauseProducing()
        self.assertTrue(a.paused)
        dressed.resumeProducing()
        self.assertFalse(a.paused)
        producer = pair("other")[0]
        dressed.registerProducer(producer, True)
        self.assertIs(a.producer, producer)
        dressed.unregisterProducer()
        self.assertIsNone(a.producer)
        dressed.writeSequence([b"a", b"b"])  # type: ignore[attr-defined]
        self.assertEqual(untaken_bytes(dressed), a.buffered())
        dressed.loseConnection()
        at_b = recorded(b)
        b.paused = False
        pump(a)
        self.assertTrue(at_b.finished)
        self.assertTrue(a.lost)

    def test_stop_and_abort(self) -> None:
        for ending in ("stopProducing", "abortConnection"):
            a, dressed, b, _ = dressed_pair(encryption=True, compression=True)
            reader = Recorder()
            attach(dressed, reader)
            getattr(dressed, ending)()
            b.paused = False
            pump(a)
            self.assertIsNotNone(reader.lost)

    def test_empty_writes_send_nothing(self) -> None:
        for encryption, compression in itertools.product((False, True), repeat=2):
            a, dressed, _, _ = dressed_pair(encryption=encryption, compression=compression)
            if encryption or compression:
                dressed.write(b"")
                self.assertEqual(a.out, [])
