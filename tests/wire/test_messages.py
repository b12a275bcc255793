# -*- test-case-name: tests.wire.test_messages -*-
"""Tests of `tunnelsvc.wire.messages`."""

from collections.abc import Mapping

from attrs import fields
from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.wire import messages
from tunnelsvc.wire.messages import TYPES, Login, Message, NewProxy, Ping, Port, StartWorkConn

# Protocol notes 2.3.
NAMES = {
    "o": "Login",
    "1": "LoginResp",
    "p": "NewProxy",
    "2": "NewProxyResp",
    "c": "CloseProxy",
    "w": "NewWorkConn",
    "r": "ReqWorkConn",
    "s": "StartWorkConn",
    "v": "NewVisitorConn",
    "3": "NewVisitorConnResp",
    "h": "Ping",
    "4": "Pong",
    "u": "UDPPacket",
    "i": "NatHoleVisitor",
    "n": "NatHoleClient",
    "m": "NatHoleResp",
    "5": "NatHoleSid",
    "d": "NatHoleClientDetectOK",
    "6": "NatHoleReport",
}
SECRETS = {"privilege_key", "http_pwd", "sk", "sign_key", "group_key"}


class TypesTests(SynchronousTestCase):
    def test_table(self) -> None:
        """The table has every message of the protocol at its byte, and no other."""
        self.assertEqual({chr(byte): kind.__name__ for byte, kind in TYPES.items()}, NAMES)

    def test_complete(self) -> None:
        """No message is defined and left out of the table."""
        defined = {
            value
            for value in vars(messages).values()
            if isinstance(value, type) and issubclass(value, Message) and value is not Message
        }
        self.assertEqual(defined, set(TYPES.values()))

    def test_type_bytes(self) -> None:
        """A message knows its own byte."""
        for byte, kind in TYPES.items():
            self.assertEqual(kind().type_byte, byte)

    def test_fixed(self) -> None:
        """The table can't be changed."""
        self.assertNotIsInstance(TYPES, dict)
        self.assertIsInstance(TYPES, Mapping)


class ValueTests(SynchronousTestCase):
    def test_zero_defaults(self) -> None:
        """Every field has the zero value of its type, so that a missing one equals an empty one."""
        for kind in TYPES.values():
            for attribute in fields(kind):
                self.assertFalse(getattr(kind(), attribute.name), attribute)

    def test_frozen(self) -> None:
        """Messages are values: they can't be changed nor given other attributes."""
        message = Ping(timestamp=1)
        with self.assertRaises(FrozenInstanceError):
            message.timestamp = 2  # type: ignore[misc]
        self.assertFalse(hasattr(message, "__dict__"))
        self.assertEqual(message, Ping(timestamp=1))
        self.assertNotEqual(message, Ping(timestamp=2))

    def test_secrets_masked(self) -> None:
        """No secret of any message shows in its text; that there is one does."""
        masked = 0
        for kind in TYPES.values():
            for attribute in fields(kind):
                if attribute.name in SECRETS:
                    shown = repr(kind(**{attribute.name: "hunter2"}))
                    self.assertNotIn("hunter2", shown)
                    self.assertIn(f"{attribute.name}='***'", shown)
                    self.assertIn(f"{attribute.name}=''", repr(kind()))
                    masked += 1
        self.assertEqual(masked, 8)

    def test_rest_shown(self) -> None:
        """What isn't secret shows."""
        self.assertIn("'ssh'", repr(NewProxy(proxy_name="ssh")))
        self.assertIn("'0.70.1'", repr(Login(version="0.70.1")))

    def test_ports(self) -> None:
        """The ports of StartWorkConn are the two fields with a range of their own."""
        ports = [
            (kind, attribute.name)
            for kind in TYPES.values()
            for attribute in fields(kind)
            if attribute.type == Port
        ]
        self.assertEqual(ports, [(StartWorkConn, "src_port"), (StartWorkConn, "dst_port")])
