# -*- test-case-name: tests.server.test_rules -*-
"""Tests of `tunnelsvc.server.rules`."""

import json
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.metrics.clients import ClientStats
from tunnelsvc.server.rules import Block, Rules, who_is
from tunnelsvc.wire.messages import Login


def known(user: str = "", client_id: str = "") -> ClientStats:
    return ClientStats(
        key="k",
        run_id="r1",
        user=user,
        client_id=client_id,
        version="0.70.1",
        address="192.0.2.1",
        os="linux",
        arch="amd64",
        hostname="pc",
        wire_protocol="v1",
        first_connected_at=1.0,
        last_connected_at=1.0,
    )


LOGIN = Login(version="0.70.1", hostname="pc", run_id="r2")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
)


class RulesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rules = Rules()
        self.changes = 0
        self.rules.on_change = self.changed

    def changed(self) -> None:
        self.changes += 1

    def bars(self, *, address: str = "192.0.2.1", **fields: Any) -> bool:
        return self.rules.bar(who_is(evolve(LOGIN, **fields), address)) is not None

    def test_nothing_is_forbidden(self) -> None:
        self.assertFalse(self.bars())
        self.assertEqual(self.rules.saved(), {"blocks": [], "disabled": {}})

    def test_who_has_no_client_id_is_known_by_the_machine(self) -> None:
        self.rules.block(known("alice"), 5.0)
        self.assertTrue(self.bars(user="alice"))
        self.assertFalse(self.bars())
        self.assertFalse(self.bars(user="alice", hostname="other"))
        self.assertFalse(self.bars(user="alice", address="192.0.2.2"))
        self.assertFalse(self.bars(user="alice", client_id="pc"))

    def test_who_has_one_is_known_by_it_wherever_it_is(self) -> None:
        self.rules.block(known("alice", "pc"), 5.0)
        self.assertTrue(self.bars(user="alice", client_id="pc", hostname="x", address="::1"))
        self.assertFalse(self.bars(user="bob", client_id="pc"))
        self.assertFalse(self.bars(user="alice"))

    def test_blocked_once(self) -> None:
        block = self.rules.block(known("alice"), 5.0)
        self.assertIs(self.rules.block(known("alice"), 6.0), block)
        self.assertEqual((block.id, block.since, self.changes), (1, 5.0, 1))

    def test_allowed_again(self) -> None:
        block = self.rules.block(known(), 5.0)
        self.assertIs(self.rules.allow(block.id), block)
        self.assertFalse(self.bars())
        self.assertIsNone(self.rules.allow(block.id))
        self.assertEqual(self.changes, 2)

    def test_disabled_and_enabled(self) -> None:
        self.rules.disable("ssh", "tcp")
        self.rules.enable("ssh")
        self.rules.enable("ssh")
        self.assertEqual((self.rules.disabled, self.changes), ({}, 2))

    def test_kept_over_a_restart(self) -> None:
        self.rules.block(known("bob"), 1.0)
        block = self.rules.block(known("alice"), 5.0)
        self.rules.allow(1)
        self.rules.disable("ssh", "tcp")
        later = Rules()
        later.on_change = lambda: self.fail("this is no change")
        later.restore(json.loads(json.dumps(self.rules.saved())))
        self.assertEqual((later.blocks, later.disabled), ({2: block}, {"ssh": "tcp"}))
        later.on_change = lambda: None
        self.assertEqual(later.block(known("carol"), 6.0).id, 3)

    def test_what_is_no_rules_changes_nothing(self) -> None:
        self.rules.block(known("alice"), 5.0)
        self.rules.disable("ssh", "tcp")
        before = self.rules.saved()
        good = before["blocks"][0]
        wrongs: tuple[Any, ...] = (
            None,
            [],
            {},
            {"blocks": {}, "disabled": {}},
            {"blocks": [None], "disabled": {}},
            {"blocks": [{}], "disabled": {}},
            {"blocks": [good | {"id": "1"}], "disabled": {}},
            {"blocks": [good | {"user": 1}], "disabled": {}},
            {"blocks": [good | {"more": 1}], "disabled": {}},
            {"blocks": [], "disabled": {"ssh": 1}},
        )
        for wrong in wrongs:
            self.assertRaises(ValueError, self.rules.restore, wrong)
        self.assertEqual(self.rules.saved(), before)

    @given(JSON)
    def test_any_json(self, saved: Any) -> None:
        try:
            self.rules.restore(saved)
        except ValueError:
            self.assertEqual(self.rules.saved(), {"blocks": [], "disabled": {}})

    @given(st.lists(st.tuples(st.text(), st.text())))
    def test_whatever_they_are_called(self, names: list[tuple[str, str]]) -> None:
        rules, later = Rules(), Rules()
        for user, client_id in names:
            rules.block(known(user, client_id), 1.0)
            rules.disable(user, client_id)
        later.restore(json.loads(json.dumps(rules.saved())))
        self.assertEqual((later.blocks, later.disabled), (rules.blocks, rules.disabled))
        for user, client_id in names:
            self.assertIsInstance(
                later.bar(who_is(LOGIN, "192.0.2.1") | {"user": user, "client_id": client_id}),
                Block,
            )
