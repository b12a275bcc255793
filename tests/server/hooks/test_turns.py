# -*- test-case-name: tests.server.hooks.test_turns -*-
"""Tests of `tunnelsvc.server.hooks.turns`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.server.hooks.turns import LineFullError, Turns


class TurnsTests(SynchronousTestCase):
    """What runs, and when."""

    def setUp(self) -> None:
        self.turns = Turns(3)
        self.running: dict[str, Deferred[str]] = {}
        self.began: list[str] = []
        self.addCleanup(self.end_all)

    def end_all(self) -> None:
        """Leave nobody waiting: who is garbage ends when it is collected, and lets the next run.

        That may be in the middle of another test, and the next one garbage that has ended already.
        """
        while self.running:
            self.end(next(iter(self.running)))

    def run_in(self, line: str, name: str, width: int = 1, most: int = 10) -> Deferred[str]:
        def call() -> Deferred[str]:
            self.began.append(name)
            self.running[name] = Deferred()
            return self.running[name]

        return ensureDeferred(self.turns.run(line, width, most, call))

    def end(self, name: str) -> None:
        self.running.pop(name).callback(name)

    def test_one_after_the_other(self) -> None:
        done = [self.run_in("a", f"a{n}") for n in range(3)]
        self.assertEqual(self.began, ["a0"])
        self.end("a0")
        self.assertEqual(self.successResultOf(done[0]), "a0")
        self.assertEqual(self.began, ["a0", "a1"])
        self.running.pop("a1").errback(ZeroDivisionError())
        self.failureResultOf(done[1], ZeroDivisionError)
        self.end("a2")
        self.assertEqual(self.successResultOf(done[2]), "a2")
        self.assertEqual(self.turns._lines, {})

    def test_lines_take_turns(self) -> None:
        """Who has many waits for itself."""
        for n in range(9):
            self.run_in("many", f"m{n}", width=3)
        self.run_in("few", "f0")
        self.run_in("other", "o0")
        self.assertEqual(self.began, ["m0", "m1", "m2"])
        self.end("m0")
        self.end("m1")
        self.end("m2")
        self.assertEqual(self.began[3:], ["f0", "o0", "m3"])
        self.end("f0")
        self.assertEqual(self.began[6:], ["m4"])

    def test_full(self) -> None:
        self.run_in("a", "a0", most=1)
        waiting = self.run_in("a", "a1", most=1)
        self.failureResultOf(self.run_in("a", "a2", most=1), LineFullError)
        self.run_in("b", "b0", most=1)
        self.assertNoResult(waiting)
        self.assertEqual(self.began, ["a0", "b0"])

    def test_full_before_it_began(self) -> None:
        """A line that has nothing running, and may have none waiting, leaves nothing behind."""
        for n in range(3):
            self.run_in(f"line{n}", f"x{n}")
        self.failureResultOf(self.run_in("a", "a0", most=0), LineFullError)
        self.assertNotIn("a", self.turns._lines)

    def test_cancelled(self) -> None:
        """Waiting or running, it makes room."""
        first = self.run_in("a", "a0")
        second = self.run_in("a", "a1")
        third = self.run_in("a", "a2")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.began, ["a0", "a2"])
        self.end("a2")
        self.successResultOf(third)
        self.assertEqual((self.turns._lines, self.turns._due), ({}, {}))

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["go", "end", "cancel"]))))
    def test_invariants(self, steps: list[tuple[str, str]]) -> None:
        """Never too many at once, each line in order, nobody forgotten."""
        self.setUp()
        results: dict[str, Deferred[str]] = {}
        for n, (line, step) in enumerate(steps):
            mine = [name for name in self.running if name.startswith(line)]
            if step == "go":
                results[f"{line}{n}"] = self.run_in(line, f"{line}{n}", 2, 100)
                results[f"{line}{n}"].addErrback(lambda _: "cancelled")
            elif step == "end" and mine:
                self.end(mine[0])
            elif step == "cancel":
                waiting = [name for name in results if name.startswith(line)]
                for name in waiting[:1]:
                    self.running.pop(name, None)
                    results.pop(name).cancel()
            self.assertLessEqual(len(self.running), 3)
            for each in "abc":
                began = [int(name[1:]) for name in self.began if name[0] == each]
                self.assertEqual(began, sorted(began))
        self.end_all()
        for result in results.values():
            self.successResultOf(result)
        self.assertEqual((self.turns._lines, self.turns._free), ({}, 3))
