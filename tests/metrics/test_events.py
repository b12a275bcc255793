# -*- test-case-name: tests.metrics.test_events -*-
"""Tests of `tunnelsvc.metrics.events`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.test_traffic import NOON, Time
from tunnelsvc.metrics.events import (
    GROUPS,
    MOST_CHARACTERS,
    MOST_OTHERS,
    MOST_REFUSALS,
    MOST_REMEMBERED,
    MOST_WINDOWS,
    PLACES,
    WINDOW_SECONDS,
    Event,
    EventLog,
)

KINDS = [kind for kinds in GROUPS.values() for kind in kinds]


class EventLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.events = EventLog(self.time)

    def refuse(self, address: str = "192.0.2.1") -> None:
        self.events.add("login_refused", address=address, detail="wrong token")

    def test_empty(self) -> None:
        self.assertEqual(self.events.recent(), [])

    def test_an_event(self) -> None:
        self.events.add("login", client="alice.pc", address="192.0.2.1", detail="0.70.1")
        self.time.seconds += 1
        self.events.add("proxy_closed", client="alice.pc", proxy="ssh", detail="by its client")
        first, second = self.events.recent()
        self.assertEqual(
            first, Event(1, NOON, "login", "login", "alice.pc", "", "192.0.2.1", "0.70.1")
        )
        self.assertEqual((second.id, second.at, second.group), (2, NOON + 1, "closure"))

    def test_an_unknown_kind_is_a_bug(self) -> None:
        self.assertRaises(KeyError, self.events.add, "nonsense")

    def test_ids_go_on_after_a_restart(self) -> None:
        self.events.next_id = 1000
        self.events.add("started")
        self.assertEqual([event.id for event in self.events.recent()], [1000])
        self.assertEqual(self.events.next_id, 1001)

    def test_texts_are_bounded(self) -> None:
        long = "x" * 1000
        self.events.add("login", client=long, proxy=long, address=long, detail=long)
        (event,) = self.events.recent()
        for text in (event.client, event.proxy, event.address, event.detail):
            self.assertEqual(text, "x" * MOST_CHARACTERS)

    def test_subscribers(self) -> None:
        seen: list[str] = []
        unsubscribe = self.events.subscribe(lambda event: seen.append(event.kind))
        other = self.events.subscribe(lambda event: seen.append(event.kind.upper()))
        self.events.add("login")
        unsubscribe()
        unsubscribe()
        self.events.add("logout")
        other()
        self.events.add("started")
        self.assertEqual(seen, ["login", "LOGIN", "LOGOUT"])

    def test_who_leaves_within_an_event(self) -> None:
        """Takes nothing from those behind."""
        seen: list[str] = []
        unsubscribe = self.events.subscribe(lambda _: unsubscribe())
        self.events.subscribe(lambda event: seen.append(event.kind))
        self.events.add("login")
        self.assertEqual(seen, ["login"])

    def test_a_flood_from_one_place_is_counted(self) -> None:
        self.refuse("192.0.2.9")
        for _ in range(1000):
            self.refuse()
        self.assertEqual(len(self.events.recent()), MOST_REFUSALS + 1)
        self.refuse("192.0.2.10")
        self.assertEqual(self.events.recent()[-1].address, "192.0.2.10")
        self.time.seconds += WINDOW_SECONDS
        last = self.events.recent()[-1]
        self.assertEqual((last.kind, last.address), ("login_refused", "192.0.2.1"))
        self.assertEqual(last.detail, f"{1000 - MOST_REFUSALS} more like this within 60 s")
        self.refuse()
        self.assertEqual(self.events.recent()[-1].detail, "wrong token")

    def test_one_network_of_ipv6_is_one_place(self) -> None:
        for number in range(1000):
            self.refuse(f"2001:db8::{number:x}")
        self.assertEqual(len(self.events.recent()), MOST_REFUSALS)

    def test_a_flood_from_everywhere_is_counted(self) -> None:
        for number in range(5000):
            self.refuse(f"198.18.{number >> 8}.{number & 255}")
        self.assertEqual(len(self.events.recent()), MOST_REFUSALS * PLACES)
        self.time.seconds += WINDOW_SECONDS
        last = self.events.recent()[-1]
        self.assertEqual(last.address, "")
        self.assertEqual(last.detail, f"{5000 - MOST_REFUSALS * PLACES} more like this within 60 s")

    def test_what_counts_them_is_bounded(self) -> None:
        for number in range(MOST_WINDOWS + 100):
            self.refuse(f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")
        self.assertLessEqual(len(self.events._windows), MOST_WINDOWS + len(KINDS) * 2)
        self.time.seconds += WINDOW_SECONDS
        self.events.recent()
        self.assertEqual(self.events._windows, {})

    def test_a_flood_pushes_out_nothing_of_another_kind(self) -> None:
        self.events.add("blocked", client="mallory")
        self.events.add("login", client="alice")
        for _ in range(100):
            for number in range(200):
                self.refuse(f"198.18.0.{number}")
            self.time.seconds += WINDOW_SECONDS
        recent = self.events.recent()
        self.assertEqual([event.kind for event in recent[:2]], ["blocked", "login"])
        self.assertEqual(len(recent), MOST_REMEMBERED)

    def test_two_floods_share_the_room(self) -> None:
        """The one of what there is most makes place."""
        for _ in range(30):
            for number in range(200):
                self.refuse(f"198.18.0.{number}")
            for number in range(100):
                self.events.add("login", client=str(number), address="192.0.2.1")
            self.time.seconds += WINDOW_SECONDS
        kinds = [event.kind for event in self.events.recent()]
        self.assertEqual(len(kinds), MOST_REMEMBERED)
        self.assertEqual(kinds.count("login"), MOST_REMEMBERED // 2)

    def test_a_client_with_many_proxies(self) -> None:
        for number in range(MOST_OTHERS):
            self.events.add("proxy_opened", proxy=f"p{number}", address="192.0.2.1")
        self.assertEqual(len(self.events.recent()), MOST_OTHERS)

    def test_what_the_administrator_does_is_never_left_out(self) -> None:
        for number in range(MOST_REMEMBERED):
            self.events.add("kicked", client=str(number), address="192.0.2.1")
        self.assertEqual(len(self.events.recent()), MOST_REMEMBERED)

    @given(st.lists(st.tuples(st.sampled_from(KINDS), st.text(max_size=3), st.floats(0, 100))))
    def test_bounded_in_order_and_none_lost(self, steps: list[tuple[str, str, float]]) -> None:
        time = Time()
        events, seen = EventLog(time), [0]
        events.subscribe(lambda event: seen.append(event.id))
        for kind, address, seconds in steps:
            time.seconds += seconds
            events.add(kind, address=address)
        ids = [event.id for event in events.recent()]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertLessEqual(len(ids), MOST_REMEMBERED)
        self.assertEqual(seen, list(range(events.next_id)))
