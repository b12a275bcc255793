# -*- test-case-name: tests.wire.test_framing -*-
"""Tests of `tunnelsvc.wire.framing`."""

import json
import struct
from typing import Any

from attrs import fields
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError
from tunnelsvc.wire.framing import MAX_BODY_BYTES, MessageReader, encode, from_json, to_json
from tunnelsvc.wire.messages import (
    TYPES,
    DetectBehavior,
    Login,
    LoginResp,
    Message,
    NatHoleResp,
    NewProxy,
    Ping,
    Pong,
    Port,
    PortsRange,
    ReqWorkConn,
    StartWorkConn,
    TextMap,
    Texts,
    UDPAddress,
    UDPPacket,
)

STEADY = settings(derandomize=True, deadline=None)
EMPTY_PING = bytes.fromhex("6800000000000000027b7d")


def frame(kind: int | str, body: bytes) -> bytes:
    byte = ord(kind) if isinstance(kind, str) else kind
    return struct.pack(">Bq", byte, len(body)) + body


def read_all(reader: MessageReader) -> list[Message]:
    return list(iter(reader.next_message, None))


# Lone surrogates can't be written; that has a test of its own.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ADDRESSES = st.builds(UDPAddress, ip=TEXTS, port=st.integers(0, 65535), zone=TEXTS)
RANGES = st.builds(PortsRange, from_=st.integers(0, 65535), to=st.integers(0, 65535))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    Port: st.integers(0, 65535),
    Texts: st.lists(TEXTS, max_size=4).map(tuple),
    TextMap: st.dictionaries(TEXTS, TEXTS, max_size=4),
    UDPAddress | None: st.none() | ADDRESSES,
    DetectBehavior | None: st.none()
    | st.builds(
        DetectBehavior, role=TEXTS, candidate_ports=st.lists(RANGES, max_size=3).map(tuple)
    ),
}


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    return st.builds(kind, **{a.name: VALUES[a.type] for a in fields(kind)})


MESSAGES = st.sampled_from(list(TYPES.values())).flatmap(messages_of)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


class EncodeTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """An empty message has an empty object, as the real programs send it."""
        self.assertEqual(encode(Ping()), EMPTY_PING)
        self.assertEqual(encode(ReqWorkConn()), b"r" + bytes(7) + b"\x02{}")

    def test_compact(self) -> None:
        """There are no blanks, and no fields that are zero."""
        body = to_json(Login(version="0.70.1", metas={"a": "b"}, pool_count=1))
        self.assertEqual(body, b'{"version":"0.70.1","metas":{"a":"b"},"pool_count":1}')

    def test_all_kinds_of_values(self) -> None:
        """Flags, lists, texts outside ASCII and objects are written as Go reads them."""
        proxy = NewProxy(use_encryption=True, locations=("", "/日本"), remote_port=-1)
        body = '{"use_encryption":true,"remote_port":-1,"locations":["","/日本"]}'
        self.assertEqual(to_json(proxy), body.encode())
        packet = UDPPacket(c="aGk=", r=UDPAddress(ip="::1", port=53))
        self.assertEqual(to_json(packet), b'{"c":"aGk=","r":{"IP":"::1","Port":53}}')
        answer = NatHoleResp(detect_behavior=DetectBehavior(candidate_ports=(PortsRange(from_=1),)))
        self.assertEqual(to_json(answer), b'{"detect_behavior":{"candidate_ports":[{"from":1}]}}')

    def test_largest(self) -> None:
        """The limit counts bytes of JSON: exactly so many pass, one more is our mistake."""
        spare = MAX_BODY_BYTES - len(to_json(Pong(error="x"))) + 1
        data = encode(Pong(error="x" * spare))
        self.assertEqual(len(data), 9 + MAX_BODY_BYTES)
        with self.assertRaises(LocalProtocolError) as caught:
            encode(Pong(error="x" * (spare + 1)))
        self.assertIn("Pong has 10241 bytes", str(caught.exception))
        self.assertRaises(LocalProtocolError, encode, Pong(error="é" * (spare // 2 + 1)))

    def test_integer_limits(self) -> None:
        """A number that the other end would refuse isn't sent."""
        for message in (StartWorkConn(src_port=65536), StartWorkConn(dst_port=-1)):
            self.assertRaises(LocalProtocolError, encode, message)
        self.assertRaises(LocalProtocolError, encode, Ping(timestamp=2**63))
        encode(Ping(timestamp=2**63 - 1))
        encode(StartWorkConn(src_port=65535))

    def test_no_unicode(self) -> None:
        """Half a character isn't sent, and the error doesn't show the text."""
        with self.assertRaises(LocalProtocolError) as caught:
            encode(Login(user="hunter2\ud800"))
        self.assertEqual(str(caught.exception), "Login: a text isn't Unicode")


class FromJSONTests(SynchronousTestCase):
    def refused(self, kind: type[Message], body: str | bytes, text: str) -> None:
        with self.assertRaises(RemoteProtocolError) as caught:
            from_json(kind, body.encode() if isinstance(body, str) else body)
        self.assertIn(text, str(caught.exception))

    def test_old_peer(self) -> None:
        """Peers up to 0.42 send every field, with null for empty lists and maps."""
        body = b"""{"version":"0.33.0","hostname":"","os":"linux","arch":"amd64","user":"",
            "privilege_key":"","timestamp":1600000000,"run_id":"","metas":null,"pool_count":1}"""
        self.assertEqual(
            from_json(Login, body),
            Login(version="0.33.0", os="linux", arch="amd64", timestamp=1600000000, pool_count=1),
        )

    def test_new_peer(self) -> None:
        """Fields that mean nothing to us are ignored, of whatever type they are."""
        body = b'{"client_spec":{"type":"ssh-tunnel","always_auth_pass":true},"x":[1.5,{"y":[]}]}'
        self.assertEqual(from_json(Login, body), Login())

    def test_any_case(self) -> None:
        """Names are matched whatever their case."""
        self.assertEqual(from_json(Login, b'{"Run_ID":"a"}'), Login(run_id="a"))
        packet = from_json(UDPPacket, b'{"R":{"IP":"1.2.3.4","PORT":5,"zone":""},"l":null}')
        self.assertEqual(packet, UDPPacket(r=UDPAddress(ip="1.2.3.4", port=5)))

    def test_duplicates(self) -> None:
        """The last of several values counts; null is none; a bad one is bad all the same."""
        self.assertEqual(from_json(Pong, b'{"error":"a","error":"b"}'), Pong(error="b"))
        self.assertEqual(from_json(Pong, b'{"ERROR":"a","error":"b","Error":null}').error, "b")
        self.refused(Pong, '{"error":1,"error":"b"}', "Pong.error")

    def test_null(self) -> None:
        """Null is the zero value, also for the whole message and inside lists and maps."""
        self.assertEqual(from_json(Ping, b"null"), Ping())
        self.assertEqual(from_json(NewProxy, b'{"locations":[null,"/"]}').locations, ("", "/"))
        self.assertEqual(from_json(Login, b'{"metas":{"a":null}}').metas, {"a": ""})
        behavior = from_json(NatHoleResp, b'{"detect_behavior":{"candidate_ports":[null]}}')
        self.assertEqual(behavior.detect_behavior, DetectBehavior(candidate_ports=(PortsRange(),)))

    def test_type_mismatch(self) -> None:
        """A value of another type is refused, with the field's name and without the value."""
        for kind, field, values in (
            (Login, "user", ("1", "true", "[]", "{}", "1.5")),
            (Login, "timestamp", ('"1"', "true", "false", "1e3", "100.0", "[]", "{}")),
            (NewProxy, "use_encryption", ("1", "0", '"true"', "[]")),
            (NewProxy, "locations", ('"/"', '{"a":"b"}', "[1]", "[[]]", "1")),
            (Login, "metas", ('"a"', "[]", '{"a":1}', '{"a":{}}', "1")),
            (UDPPacket, "r", ('"1.2.3.4:5"', "[]", '{"Port":"5"}', "1")),
            (NatHoleResp, "detect_behavior", ("[]", '{"candidate_ports":[1]}')),
        ):
            for value in values:
                self.refused(kind, f'{{"{field}":{value}}}', f"{kind.__name__}.{field}")
        self.refused(Login, '{"privilege_key":4711}', "Login.privilege_key: text expected, got int")

    def test_path(self) -> None:
        """The error says where inside a value the fault is."""
        self.refused(UDPPacket, '{"l":{"Port":"x"}}', "UDPPacket.l.port: integer expected, got str")

    def test_not_an_object(self) -> None:
        """A message is an object."""
        for body in ("[]", "1", '"{}"', "true"):
            self.refused(Ping, body, "Ping: object expected")

    def test_integer_limits(self) -> None:
        """Numbers are 64 bits wide, ports 16."""
        self.assertEqual(from_json(Ping, b'{"timestamp":-9223372036854775808}').timestamp, -(2**63))
        self.refused(Ping, '{"timestamp":9223372036854775808}', "Ping.timestamp: -9223")
        self.assertEqual(from_json(StartWorkConn, b'{"src_port":65535}').src_port, 65535)
        for port in (-1, 65536):
            self.refused(StartWorkConn, f'{{"dst_port":{port}}}', "dst_port: 0 to 65535 expected")
        self.refused(Ping, '{"timestamp":%s}' % ("9" * 9000), "Ping: not JSON")

    def test_not_json(self) -> None:
        """What is no JSON is refused: cut, followed by more, with NaN, in another encoding."""
        for body in (
            *(b"", b" ", b"{", b'{"a":1', b"{}{}", b"{} x", b"{'a':1}", b'{"a":1,}'),
            *(b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":"\x00"}', b"{1:2}"),
            *(b'{"a":"\xff"}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), "{}".encode("utf-32")),
            b'{"error":"\xed\xa0\x80"}',
        ):
            self.refused(Pong, body, "Pong: not JSON")

    def test_nested_deeply(self) -> None:
        """As many brackets as fit into a message are an error of the peer's, nothing worse.

        Which one depends on how deep the interpreter lets its JSON parser go.
        """
        for opening in (b"[", b'{"a":'):
            body = b'{"x":' + opening * ((MAX_BODY_BYTES - 5) // len(opening))
            self.refused(Pong, body, "Pong: n")

    def test_nested_in_a_field(self) -> None:
        """Deep values in known fields are refused as well."""
        depth = MAX_BODY_BYTES // 2 - 10
        body = '{"locations":' + "[" * depth + "]" * depth + "}"
        self.refused(NewProxy, body, "NewProxy")

    def test_half_characters(self) -> None:
        """A lone surrogate becomes the replacement character, as it does in Go; pairs stay."""
        pong = from_json(Pong, rb'{"error":"a\ud800b\udc00 \ud83d\ude00"}')
        self.assertEqual(pong.error, "a\ufffdb\ufffd \U0001f600")
        self.assertEqual(from_json(Login, rb'{"metas":{"\ud800":"x"}}').metas, {"\ufffd": "x"})

    @STEADY
    @given(st.sampled_from(list(TYPES.values())), st.binary(max_size=100))
    def test_any_bytes(self, kind: type[Message], body: bytes) -> None:
        """Any bytes are a message or an error of the peer's, never anything else."""
        try:
            message = from_json(kind, body)
        except RemoteProtocolError:
            return
        self.assertIs(type(message), kind)

    @STEADY
    @given(st.data())
    def test_any_json(self, data: st.DataObject) -> None:
        """Any values for the known names give a message that can be written again, or an error."""
        kind = data.draw(st.sampled_from(list(TYPES.values())))
        names = [a.metadata.get("json", a.name) for a in fields(kind)] or ["x"]
        members = data.draw(st.dictionaries(st.sampled_from(names), JSON_VALUES))
        try:
            message = from_json(kind, json.dumps(members).encode())
        except RemoteProtocolError:
            return
        self.assertEqual(from_json(kind, to_json(message)), message)


class MessageReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader = MessageReader()

    def refused(self, data: bytes, text: str) -> None:
        self.reader = MessageReader()
        self.reader.feed(data)
        for _ in range(2):
            with self.assertRaises(RemoteProtocolError) as caught:
                self.reader.next_message()
            self.assertIn(text, str(caught.exception))

    def test_byte_by_byte(self) -> None:
        """A message is there with its last byte."""
        data = encode(Login(user="me"))
        for byte in data[:-1]:
            self.reader.feed(bytes([byte]))
            self.assertIsNone(self.reader.next_message())
        self.reader.feed(data[-1:])
        self.assertEqual(self.reader.next_message(), Login(user="me"))
        self.assertIsNone(self.reader.next_message())

    def test_unread(self) -> None:
        """Bytes behind the last message are for whoever reads on."""
        self.reader.feed(encode(StartWorkConn(proxy_name="web")) + b"GET / ")
        self.reader.feed(b"HTTP/1.1")
        self.assertEqual(self.reader.next_message(), StartWorkConn(proxy_name="web"))
        self.assertEqual(self.reader.take_unread(), b"GET / HTTP/1.1")
        self.assertEqual(self.reader.take_unread(), b"")
        self.assertIsNone(self.reader.next_message())

    def test_unread_messages(self) -> None:
        """Messages that nobody took are unread bytes too."""
        data = encode(LoginResp(run_id="a")) + encode(Ping())
        self.reader.feed(data)
        self.assertEqual(self.reader.take_unread(), data)

    def test_unknown_type(self) -> None:
        """The type is judged before anything else comes."""
        for byte in set(range(256)) - set(TYPES):
            self.refused(bytes([byte]), f"0x{byte:02x} is no message type")

    def test_length(self) -> None:
        """The length is judged before the body comes."""
        for length in (0, -1, MAX_BODY_BYTES + 1, 2**63 - 1, -(2**63)):
            self.refused(struct.pack(">Bq", ord("h"), length), f"message length {length},")

    def test_length_after_type(self) -> None:
        """An incomplete length is waited for, even if it can only be too large."""
        self.reader.feed(b"h" + b"\xff" * 7)
        self.assertIsNone(self.reader.next_message())
        self.reader.feed(b"\xff")
        self.assertRaises(RemoteProtocolError, self.reader.next_message)

    def test_largest(self) -> None:
        """A body of exactly the limit is read."""
        self.reader.feed(frame("h", b"{}".ljust(MAX_BODY_BYTES)))
        self.assertEqual(self.reader.next_message(), Ping())

    def test_bad_body(self) -> None:
        """A bad body is an error, after the messages before it."""
        self.refused(frame("h", b"[]"), "Ping: object expected")
        self.reader = MessageReader()
        self.reader.feed(encode(Ping()) + frame("h", b"{"))
        self.assertEqual(self.reader.next_message(), Ping())
        self.assertRaises(RemoteProtocolError, self.reader.next_message)

    def test_large_feed(self) -> None:
        """A hundred thousand messages in one feed are read, and nothing of them is kept."""
        self.reader.feed(EMPTY_PING * 100_000 + b"h")
        self.assertEqual(len(read_all(self.reader)), 100_000)
        self.assertEqual(self.reader.take_unread(), b"h")

    @STEADY
    @given(st.lists(MESSAGES, max_size=5), st.integers(1, 200), st.binary(max_size=8))
    def test_any_split(self, sent: list[Message], step: int, tail: bytes) -> None:
        """Every message comes back equal, however the bytes are split; what follows is kept."""
        data = b"".join(map(encode, sent))
        received: list[Message] = []
        for start in range(0, len(data), step):
            self.reader.feed(data[start : start + step])
            received += read_all(self.reader)
        self.reader.feed(tail)
        self.assertEqual(received, sent)
        self.assertEqual(self.reader.take_unread(), tail)

    @STEADY
    @given(st.sampled_from(sorted(TYPES)), st.binary(max_size=60))
    def test_any_bytes(self, first: int, rest: bytes) -> None:
        """Any bytes give messages, a wait, or an error of the peer's."""
        reader = MessageReader()
        reader.feed(bytes([first]) + rest)
        try:
            read_all(reader)
        except RemoteProtocolError:
            return
        self.assertLessEqual(len(reader.take_unread()), len(rest) + 1)
