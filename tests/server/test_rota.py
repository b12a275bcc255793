# -*- test-case-name: tests.server.test_rota -*-
"""Tests of `tunnelsvc.server.rota`."""

from typing import Any

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.server.rota import FAILED_SECONDS, MOST_TRIES, Group, Rota


@define(eq=False)
class Someone:
    """A member."""

    name: str


@define
class Model:
    """What a rota ought to do, said in another way: by when each had its last turn."""

    turn: int = 0
    turns: dict[str, int] = field(factory=dict)
    failing: dict[str, float] = field(factory=dict)

    def join(self, name: str) -> None:
        self.turns[name] = self._next()

    def leave(self, name: str) -> None:
        self.turns.pop(name, None)
        self.failing.pop(name, None)

    def take(self, tried: set[str], now: float) -> str | None:
        names = self.turns.keys() - tried
        good = {name for name in names if self.failing.get(name, now) <= now}
        chosen = min(good or names, key=self.turns.__getitem__, default=None)
        if chosen is not None:
            self.turns[chosen] = self._next()
        return chosen

    def fail(self, name: str, now: float) -> None:
        if name in self.turns:
            self.failing[name] = now + FAILED_SECONDS

    def _next(self) -> int:
        self.turn += 1
        return self.turn


NAMES = st.sampled_from("abcde")
STEPS = st.one_of(
    st.tuples(st.just("join"), NAMES),
    st.tuples(st.just("leave"), NAMES),
    st.tuples(st.just("fail"), NAMES),
    st.tuples(st.just("take"), st.sets(NAMES)),
    st.tuples(st.just("wait"), st.floats(0, 2 * FAILED_SECONDS)),
)


class RotaTests(SynchronousTestCase):
    """Whose turn it is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.rota: Rota[Someone] = Rota(self.clock.seconds)
        self.members = {name: Someone(name) for name in "abcde"}

    def join(self, names: str) -> None:
        for name in names:
            self.rota.join(self.members[name])

    def took(self, number: int) -> str:
        """Give so many turns; return who got them."""
        taken = [self.rota.take() for _ in range(number)]
        return "".join(member.name for member in taken if member is not None)

    def test_in_turn(self) -> None:
        self.assertIsNone(self.rota.take())
        self.join("abc")
        self.assertEqual(self.took(7), "abcabca")
        self.rota.leave(self.members["c"])
        self.join("d")
        self.assertEqual(self.took(4), "badb")
        self.assertEqual(len(self.rota), 3)

    def test_repeated(self) -> None:
        self.join("a")
        refusal = self.assertRaises(ProxyRefused, self.rota.join, Someone("a"))
        self.assertEqual(str(refusal), "group proxy repeated")

    def test_a_failed_one_is_passed_over_for_some_time(self) -> None:
        self.join("abc")
        self.rota.failed(self.members["b"])
        self.assertEqual(self.took(4), "acac")
        self.clock.advance(FAILED_SECONDS)
        self.assertEqual(self.took(3), "bac")

    def test_if_all_failed_they_are_tried(self) -> None:
        self.join("ab")
        for name in "ab":
            self.rota.failed(self.members[name])
        self.assertEqual(self.took(3), "aba")

    def test_who_comes_back_has_not_failed(self) -> None:
        """Nor does it matter what becomes of the one before, of the same name."""
        self.join("ab")
        before = self.members["a"]
        self.rota.failed(before)
        self.rota.leave(before)
        self.members["a"] = Someone("a")
        self.join("a")
        self.rota.failed(before)
        self.rota.leave(before)
        self.assertEqual(self.took(2), "ba")

    def test_turns_of_one_user(self) -> None:
        """Whoever is passed over has failed; each is asked once."""
        self.join("abc")
        turns = self.rota.turns()
        self.assertEqual([next(turns).name, next(turns).name], ["a", "b"])
        self.assertEqual(self.took(2), "cb", "a has failed, b has the user")
        self.assertEqual([member.name for member in turns], ["c"])
        self.assertIsNone(next(turns, None))

    def test_turns_end(self) -> None:
        for number in range(2 * MOST_TRIES):
            self.rota.join(Someone(str(number)))
        self.assertEqual(len(list(self.rota.turns())), MOST_TRIES)

    @settings(derandomize=True, deadline=None)
    @given(st.lists(STEPS, max_size=60))
    def test_any_order(self, steps: list[tuple[str, Any]]) -> None:
        """Joining, leaving and failing in any order: the right one is always found."""
        self.setUp()
        model = Model()
        for step, value in steps:
            now = self.clock.seconds()
            match step:
                case "join" if value not in model.turns:
                    self.members[value] = Someone(value)
                    self.join(value)
                    model.join(value)
                case "leave":
                    self.rota.leave(self.members[value])
                    model.leave(value)
                case "fail":
                    self.rota.failed(self.members[value])
                    model.fail(value, now)
                case "take":
                    taken = self.rota.take([self.members[name] for name in value])
                    expected = model.take(value, now)
                    self.assertEqual(taken.name if taken else None, expected)
                case "wait":
                    self.clock.advance(value)
            self.assertEqual(len(self.rota), len(model.turns))
            self.assertLessEqual(len(self.rota._failed), len(self.rota))


class GroupTests(SynchronousTestCase):
    """Who may join."""

    def test_the_first_sets_the_terms(self) -> None:
        group: Group[Someone] = Group(Clock().seconds)
        first, second = Someone("a"), Someone("b")
        group.join(first, "kéy", b"terms")
        for key, terms, why in (
            ("key", b"terms", "group auth failed"),
            ("\ud800", b"terms", "group auth failed"),
            ("kéy", b"other", "group params invalid"),
            ("kéy", b"", "group params invalid"),
        ):
            refusal = self.assertRaises(ProxyRefused, group.join, second, key, terms)
            self.assertEqual(str(refusal), why)
        group.join(second, "kéy", b"terms")
        group.rota.leave(first)
        self.assertRaises(ProxyRefused, group.join, first, "new", b"terms")
        group.rota.leave(second)
        group.join(first, "new", b"")
