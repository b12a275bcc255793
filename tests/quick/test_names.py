# -*- test-case-name: tests.quick.test_names -*-
"""Tests of `tunnelsvc.quick.names`."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary, integers, text
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.quick import names
from tunnelsvc.quick.names import ADJECTIVES, NOUNS, identity, readable_name


class ReadableNameTests(SynchronousTestCase):
    """Names for who asked for none."""

    @given(binary(max_size=300), text(max_size=50), integers(0, 100))
    def test_is_a_label(self, who: bytes, service: str, number: int) -> None:
        name = readable_name(who, service, number)
        self.assertIsNotNone(re.fullmatch(r"[a-z]{2,10}-[a-z]{2,10}-[1-9][0-9]", name), name)
        self.assertEqual(name, readable_name(who, service, number))

    def test_stable(self) -> None:
        """Links that people have go on working after an update."""
        self.assertEqual(readable_name(b"me", "http 127.0.0.1 8888", 0), "smooth-comet-46")

    def test_differ(self) -> None:
        """By who, by service, by number; and rarely meet by chance."""
        made = {
            readable_name(who, service, number)
            for who in (b"me", b"you")
            for service in ("http 127.0.0.1 8888", "jupyter")
            for number in range(25)
        }
        self.assertGreater(len(made), 98)

    def test_words(self) -> None:
        for words in (ADJECTIVES, NOUNS):
            self.assertEqual(len(set(words)), len(words))
            self.assertEqual(list(words), sorted(words))


class IdentityTests(SynchronousTestCase):
    """Who we are."""

    def test_the_same(self) -> None:
        self.assertEqual(identity(), identity())

    def test_machine(self) -> None:
        file = Path(self.mktemp())
        self.patch(names, "MACHINE_ID", file)
        without = identity()
        file.write_text("0123\n", encoding="ascii")
        self.assertNotEqual(identity(), without)
