# -*- test-case-name: tests.config.test_names -*-
"""Tests of `tunnelsvc.config.names`: that nothing has been forgotten."""

import re
import tomllib
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import keys, names, notyet, plugins, values
from tunnelsvc.config.naming import Kind, Names

ROOT = Path(__file__).parents[2]

EVERYWHERE = (
    names.SERVER,
    names.CLIENT,
    names.PROXY,
    names.VISITOR,
    names.CERTIFICATE,
    names.HOOK,
)


def all_proxy_keys() -> keys.Table:
    """Give the keys of all types of proxies and of all plugins, as one table."""
    tables = [*keys.PROXIES.values(), *(kind.table for kind in plugins.PLUGINS.values())]
    return keys.Table(
        {key: found for table in tables for key, found in table.keys.items()},
        {key: found for table in tables for key, found in table.prefixes.items()},
        {key: found for table in tables for key, found in table.not_yet.items()},
    )


PAIRS = (
    (keys.SERVER, names.SERVER),
    (keys.CLIENT, names.CLIENT),
    (all_proxy_keys(), names.PROXY),
    (keys.VISITOR, names.VISITOR),
    (keys.CERTIFICATE, names.CERTIFICATE),
    (keys.HOOK, names.HOOK),
)


class CompletenessTests(SynchronousTestCase):
    """Each fails for a key that is added in one place only."""

    def test_all_keys_have_names(self) -> None:
        for table, own in PAIRS:
            known = {*table.keys, *table.prefixes} - set(names.IMPLIED)
            self.assertEqual(known - own.by_key.keys(), set())

    def test_all_names_have_keys(self) -> None:
        """If only to refuse them."""
        for table, own in PAIRS:
            for key in own.by_key:
                known = key in table.keys or key in table.prefixes
                self.assertTrue(known or notyet.off_values(table.not_yet, key) is not None, key)
            for start in own.subtrees.values():
                self.assertIsNotNone(notyet.off_values(table.not_yet, f"{start}x"), start)

    def test_kinds(self) -> None:
        """A name is a flag, a number or a text where its key takes such."""
        examples = {
            Kind.FLAG: ("true", "false"),
            Kind.NUMBER: ("30", "1"),
            Kind.SCOPE: ("true", "false"),
            Kind.PORTS: ("1-2,3", "1"),
        }
        for table, own in PAIRS:
            for key, found in table.keys.items():
                if key in names.IMPLIED or found.parse is values.not_inspected:
                    continue
                kind = own.by_key[key].kind
                flag = kind in {Kind.FLAG, Kind.SCOPE}
                self.assertEqual(flag, found.parse is values.boolean, key)
                for example in examples.get(kind, ()):
                    value = found.parse(example)
                    number = isinstance(value, int | float) and not isinstance(value, bool)
                    self.assertEqual(number, kind is Kind.NUMBER, key)

    def test_lists(self) -> None:
        """A name is a list where its key takes one, as far as it takes names of machines."""
        for table, own in PAIRS:
            for key, found in table.keys.items():
                try:
                    value = found.parse("a.example,b.example")
                except values.BadValueError:
                    continue
                name = own.by_key.get(key)
                lists = {Kind.LIST, Kind.TEXT_OR_LIST}
                is_list = name is not None and name.kind in lists
                self.assertEqual(isinstance(value, tuple), is_list, key)

    def test_paths_are_different(self) -> None:
        """But for the list of scopes, in any letters; and none is a table and a value."""
        for own in EVERYWHERE:
            paths = [each.path.lower() for each in own.by_key.values() if each.kind != Kind.SCOPE]
            paths += [path.lower() for path in own.subtrees]
            self.assertEqual(len(paths), len(set(paths)))
            for path in paths:
                inner = [other for other in paths if other.startswith(f"{path}.")]
                self.assertEqual(inner, [])

    def test_ours_are_there(self) -> None:
        for own in EVERYWHERE:
            self.assertEqual(own.ours - {each.path for each in own.by_key.values()}, set())

    def test_words(self) -> None:
        """A key has one name in messages, whatever it belongs to."""
        found: dict[str, set[str]] = {}
        for own in EVERYWHERE:
            for key, name in own.by_key.items():
                found.setdefault(key, set()).add(name.path)
        ambiguous = {key for key, paths in found.items() if len(paths) > 1}
        self.assertEqual(ambiguous & set(names.WORDS), set())


class FileTests(SynchronousTestCase):
    """What we show to people."""

    def present(self, tree: dict[str, Any], path: str) -> bool:
        *tables, key = path.split(".")
        for table in tables:
            tree = tree.get(table, {})
        return key in tree

    def missing(self, table: keys.Table, own: Names, trees: list[dict[str, Any]]) -> set[str]:
        """Say which keys that we have are in none of these tables."""
        refused = {key for key, it in table.keys.items() if it.parse is values.not_inspected}
        wanted = {*table.keys, *table.prefixes} - set(names.IMPLIED) - refused
        paths = {own.by_key[key].path for key in wanted}
        return {path for path in paths if not any(self.present(tree, path) for tree in trees)}

    def test_full_server(self) -> None:
        """conf/frps_full.toml has every key."""
        tree = tomllib.loads((ROOT / "conf" / "frps_full.toml").read_text("utf-8"))
        self.assertEqual(self.missing(keys.SERVER, names.SERVER, [tree]), set())
        found = self.missing(keys.CERTIFICATE, names.CERTIFICATE, tree["certificates"])
        self.assertEqual(found, set())
        self.assertEqual(self.missing(keys.HOOK, names.HOOK, tree["httpPlugins"]), set())

    def test_full_client(self) -> None:
        """conf/frpc_full.toml has every key, for each type of proxy and each plugin."""
        tree = tomllib.loads((ROOT / "conf" / "frpc_full.toml").read_text("utf-8"))
        self.assertEqual(self.missing(keys.CLIENT, names.CLIENT, [tree]), set())
        self.assertEqual(self.missing(keys.VISITOR, names.VISITOR, tree["visitors"]), set())
        for kind, table in keys.PROXIES.items():
            proxies = [proxy for proxy in tree["proxies"] if proxy["type"] == kind]
            found = self.missing(table, names.PROXY, proxies)
            http = {"healthCheck.httpHeaders", "plugin.type"}
            self.assertEqual(found - (set() if kind == "http" else http), set(), kind)
        for name, plugin in plugins.PLUGINS.items():
            proxies = [
                proxy for proxy in tree["proxies"]
                if proxy.get("plugin", {}).get("type") == name
            ]  # fmt: skip
            self.assertEqual(self.missing(plugin.table, names.PROXY, proxies), set())

    def test_documented(self) -> None:
        """docs/config.md has each key with its name."""
        text = (ROOT / "docs" / "config.md").read_text("utf-8")
        rows = dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|$", text, re.MULTILINE))
        for table, own in PAIRS:
            for key in {*table.keys, *table.prefixes}:
                name = own.by_key.get(key)
                shown = f"{key}…" if key.endswith("_") else key
                self.assertIn(shown, rows)
                expected = f"`{name.path}" if name else names.IMPLIED[key]
                self.assertIn(expected, rows[shown])
