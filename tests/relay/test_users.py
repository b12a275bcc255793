# -*- test-case-name: tests.relay.test_users -*-
"""Tests of `tunnelsvc.relay.users`."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.relay.users import Users
from tunnelsvc.wire.messages import UDPAddress


def user(number: int) -> UDPAddress:
    return UDPAddress(ip="192.0.2.7", port=number)


class UsersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.gone: list[str] = []
        self.users: Users[str] = Users(
            self.clock, most=3, idle_seconds=30.0, on_gone=self.gone.append
        )

    def test_idle(self) -> None:
        """Each goes when he, and nobody else, has been silent for so long."""
        self.users.add(user(1), "one")
        self.clock.advance(20)
        self.users.add(user(2), "two")
        self.clock.advance(9)
        self.assertEqual(self.gone, [])
        self.clock.advance(1)
        self.assertEqual(self.gone, ["one"])
        self.assertIsNone(self.users.find(user(1)))
        self.clock.advance(20)
        self.assertEqual(self.gone, ["one", "two"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_sign_of_life(self) -> None:
        self.users.add(user(1), "one")
        self.users.add(user(2), "two")
        for _ in range(4):
            self.clock.advance(20)
            self.assertEqual(self.users.find(user(1)), "one")
        self.assertEqual(self.gone, ["two"])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(30)
        self.assertEqual(self.gone, ["two", "one"])

    def test_too_many(self) -> None:
        """Who was silent for longest goes."""
        for number in (1, 2, 3):
            self.users.add(user(number), str(number))
        self.users.find(user(1))
        self.users.add(user(4), "4")
        self.assertEqual(self.gone, ["2"])
        self.assertEqual(len(self.users), 3)

    def test_clear(self) -> None:
        self.users.add(user(1), "one")
        self.users.clear()
        self.users.clear()
        self.assertEqual(self.gone, ["one"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.users.add(user(1), "again")
        self.clock.advance(30)
        self.assertEqual(self.gone, ["one", "again"])
