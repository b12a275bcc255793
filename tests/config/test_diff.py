# -*- test-case-name: tests.config.test_diff -*-
"""Tests of `tunnelsvc.config.diff`."""

from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import attrs
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import proxies
from tunnelsvc.config.diff import AT_LOGIN, LIVE, RESTART, compare, compare_lists
from tunnelsvc.config.fields import leaves
from tunnelsvc.config.plugins import Socks5Config
from tunnelsvc.config.proxies import (
    HealthCheckConfig,
    HTTPProxyConfig,
    HTTPSProxyConfig,
    STCPProxyConfig,
    TCPProxyConfig,
    UDPProxyConfig,
    VisitorConfig,
)
from tunnelsvc.config.schema import ClientConfig, LogConfig, TLSConfig

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
TEXTS = st.sampled_from(["", "x", "y"])
NUMBERS = st.integers(0, 3)
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: NUMBERS,
    float: st.sampled_from([0.0, 1.0, 2.5]),
    bool: st.booleans(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Give values of a field of that type."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if attrs.has(hint):
        return anything(hint)
    if get_origin(hint) is tuple:
        inner = [each for each in get_args(hint) if each is not Ellipsis]
        if Ellipsis in get_args(hint):
            return st.lists(values_of(inner[0]), max_size=2).map(tuple)
        return st.tuples(*map(values_of, inner))
    return st.dictionaries(TEXTS, TEXTS, max_size=2)  # all mappings are of texts


def anything(kind: type, but: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Give instances of a class of the schema, whose every field may be anything."""
    hints = get_type_hints(kind, localns=vars(proxies))
    fields = [each.name for each in attrs.fields(kind) if each.name not in but]
    return st.builds(kind, **{name: values_of(hints[name]) for name in fields})


def _named(*kinds: type) -> st.SearchStrategy[Any]:
    return st.one_of([anything(kind, but=("plugin", "health_check")) for kind in kinds])


def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Give things with names of their own, in any order."""
    lists = st.lists(st.tuples(NAMES, each), max_size=6, unique_by=lambda pair: pair[0])
    return lists.map(lambda pairs: tuple(evolve(thing, name=name) for name, thing in pairs))


PROXIES = many(
    st.one_of(
        _named(TCPProxyConfig, UDPProxyConfig, HTTPProxyConfig, HTTPSProxyConfig, STCPProxyConfig),
        st.builds(
            TCPProxyConfig,
            name=NAMES,
            health_check=st.none() | anything(HealthCheckConfig),
            plugin=st.none() | anything(Socks5Config),
        ),
    )
)
VISITORS = many(_named(VisitorConfig))
COMMONS = anything(ClientConfig, but=("proxies", "visitors"))
CONFIGS = st.builds(
    lambda common, proxies, visitors: evolve(common, proxies=proxies, visitors=visitors),
    COMMONS,
    PROXIES,
    VISITORS,
)
MANY: Callable[[Any], Any] = settings(derandomize=True, deadline=None, max_examples=150)

A = TCPProxyConfig(name="a", local_port=1, remote_port=6001)
B = TCPProxyConfig(name="b", local_port=2, remote_port=6002)
C = TCPProxyConfig(name="c", local_port=3, remote_port=6003)


class AnyTwoTests(SynchronousTestCase):
    """What holds for any two configurations."""

    @MANY
    @given(CONFIGS, CONFIGS)
    def test_diff_then_apply_is_the_second(self, old: ClientConfig, new: ClientConfig) -> None:
        self.assertEqual(compare(old, new).apply(old), new)

    @MANY
    @given(CONFIGS, PROXIES, VISITORS, st.data())
    def test_changes_one_by_one(
        self, old: ClientConfig, proxies: Any, visitors: Any, data: st.DataObject
    ) -> None:
        """Also where most is the same."""
        kept = data.draw(st.lists(st.sampled_from(old.proxies or (A,)), unique_by=lambda p: p.name))
        names = {each.name for each in kept}
        new = evolve(
            old,
            proxies=(*kept, *(each for each in proxies if each.name not in names)),
            visitors=visitors,
        )
        diff = compare(old, new)
        self.assertEqual(diff.apply(old), new)
        self.assertEqual(diff.in_effect(old), new)
        same = {each.name for each in old.proxies if each in new.proxies}
        self.assertEqual(set(diff.proxies.unchanged), same)
        self.assertFalse(same.intersection(diff.proxies.removed))

    @MANY
    @given(CONFIGS, CONFIGS)
    def test_what_is_in_effect(self, old: ClientConfig, new: ClientConfig) -> None:
        """All but what needs a restart; and that is said again each time."""
        effect = compare(old, new).in_effect(old)
        self.assertEqual((effect.proxies, effect.visitors), (new.proxies, new.visitors))
        again = compare(effect, new)
        self.assertFalse(again.proxies.removed or again.proxies.added)
        self.assertLessEqual(set(again.common), RESTART)
        self.assertEqual(again.remarks(), [each for each in again.remarks() if "restart" in each])
        self.assertEqual(bool(again.common), bool(again.remarks()))
        self.assertEqual(again.in_effect(effect), effect)

    @MANY
    @given(CONFIGS)
    def test_the_same(self, config: ClientConfig) -> None:
        diff = compare(config, config)
        self.assertTrue(diff.is_empty)
        self.assertEqual(diff.remarks(), [])


class ChangesTests(SynchronousTestCase):
    """Which proxy is concerned by what."""

    def test_lists(self) -> None:
        changed = evolve(B, local_port=9)
        changes = compare_lists((A, B), (C, changed, A))
        self.assertEqual(changes.removed, ("b",))
        self.assertEqual(changes.added, (C, changed))
        self.assertEqual(changes.unchanged, ("a",))
        self.assertEqual(changes.gone, ())
        self.assertEqual(compare_lists((A, B), (A,)).gone, ("b",))

    def test_another_order_is_no_change(self) -> None:
        diff = compare(ClientConfig(proxies=(A, B)), ClientConfig(proxies=(B, A)))
        self.assertTrue(diff.is_empty)
        self.assertEqual(diff.apply(ClientConfig(proxies=(A, B))).proxies, (B, A))

    def test_full_equality(self) -> None:
        """Whatever differs, even what the server isn't told."""
        for other in (
            evolve(A, local_port=9),
            evolve(A, metas={"x": "y"}),
            evolve(A, health_check=HealthCheckConfig(type="tcp")),
            HTTPProxyConfig(name="a", local_port=1),
        ):
            changes = compare_lists((A,), (other,))
            self.assertEqual((changes.removed, changes.added), (("a",), (other,)))


class RemarksTests(SynchronousTestCase):
    """What is said of [common]."""

    def remarks(self, **changes: Any) -> list[str]:
        return compare(ClientConfig(), ClientConfig(**changes)).remarks()

    def test_at_once(self) -> None:
        for changes in ({"start": ("a",)}, {"log": LogConfig(level="debug")}, {"path": "x"}):
            self.assertEqual(self.remarks(**changes), [])

    def test_from_the_next_login_on(self) -> None:
        self.assertEqual(
            self.remarks(pool_count=5, heartbeat_interval_seconds=7.0),
            [
                "pool_count changed: holds from the next login on",
                "heartbeat_interval changed: holds from the next login on",
            ],
        )

    def test_after_a_restart(self) -> None:
        """By the file's names, without values: there are secrets among them."""
        self.assertEqual(
            self.remarks(
                server_addr="a", servers=(("a", 7000), ("b", 7000)), token="hunter2",
                tls=TLSConfig(enable=False), log=LogConfig(disable_color=True),
                tcp_mux=False, tcp_mux_chosen=True,
            ),
            [
                f"{key} changed: needs a restart"
                for key in (
                    "server_addr", "token", "tcp_mux", "tls_enable", "disable_log_color"
                )
            ],
        )  # fmt: skip

    def test_each_field_is_in_one_set(self) -> None:
        """A new field is in none: whoever adds it has to think about this."""
        names = [name for name, _ in leaves(ClientConfig(), but=("proxies", "visitors"))]
        self.assertEqual(sorted(names), sorted([*LIVE, *AT_LOGIN, *RESTART]))
