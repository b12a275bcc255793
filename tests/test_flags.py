# -*- test-case-name: tests.test_flags -*-
"""Tests of `tunnelsvc.flags`, and that each flag is a key of its section."""

import contextlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.config import keys
from tunnelsvc.config.keys import Table
from tunnelsvc.config.notyet import off_values
from tunnelsvc.flags import CLIENT, FILE, PROXIES, SERVER, VISITOR, Flag, FlagOptions, spelled

SOME = (
    Flag("bind_port", "A port.", short="p"),
    Flag("tls_only", "A switch.", is_switch=True),
    Flag("allow", "A list.", short="a", is_list=True),
    Flag("metadatas", "Texts.", key="meta_", is_list=True),
)


class SomeOptions(FlagOptions):
    flags = SOME


class SpelledTests(SynchronousTestCase):
    """How flags may be written."""

    def assertSpelled(self, expected: Sequence[str], *writings: Sequence[str]) -> None:
        for args in writings:
            self.assertEqual(spelled(args, SOME), list(expected), args)

    def test_ways(self) -> None:
        self.assertSpelled(
            ["--bind-port=70"],
            ["--bind_port", "70"],
            ["--bind-port=70"],
            ["--bind_port=70"],
            ["-p", "70"],
            ["-p70"],
            ["-p=70"],
            ["-p", "1", "--bind-port", "70"],
        )

    def test_switches(self) -> None:
        self.assertSpelled(["--tls-only=true"], ["--tls_only"], ["--tls-only=true"])
        self.assertSpelled(["--tls-only=false"], ["--tls_only=false"])
        self.assertSpelled(["--tls-only=true", "tcp"], ["--tls-only", "tcp"])

    def test_lists(self) -> None:
        self.assertSpelled(["--allow=1,2,3"], ["-a", "1", "--allow=2,3"])

    def test_values_like_flags(self) -> None:
        """What follows a flag is its value, whatever it looks like."""
        self.assertSpelled(["--bind-port=--tls_only"], ["-p", "--tls_only"])
        self.assertSpelled(["--bind-port="], ["-p", ""], ["-p="])

    def test_commands(self) -> None:
        """What belongs to a command below isn't touched."""
        rest = ["tcp", "--bind_port", "1", "-p", "2"]
        self.assertSpelled(["--bind-port=70", *rest], ["-p", "70", *rest])
        self.assertSpelled(["--", "--bind_port"], ["--", "--bind_port"])

    def test_unknown(self) -> None:
        self.assertSpelled(["--what-ever=x_y", "-z"], ["--what_ever=x_y", "-z"])
        self.assertSpelled(["--bind-port"], ["-p"], ["--bind_port"])

    @given(st.lists(st.text(alphabet="-=_pa bindtls", max_size=12), max_size=6))
    def test_any_arguments(self, args: list[str]) -> None:
        """Whatever is given, it is an error or not; and spelling it twice changes nothing."""
        once = spelled(args, SOME)
        self.assertEqual(spelled(once, SOME), once)
        with contextlib.suppress(UsageError, SystemExit):
            SomeOptions().parseOptions(args)


class OptionsTests(SynchronousTestCase):
    """What becomes of them."""

    def parsed(self, *args: str) -> SomeOptions:
        options = SomeOptions()
        options.parseOptions(args)
        return options

    def test_entries(self) -> None:
        entries = self.parsed("-p", "70", "--metadatas", "a=b, c = d=e").entries(SOME)
        self.assertEqual(
            {key: entry.value for key, entry in entries.items()},
            {"bind_port": "70", "meta_a": "b", "meta_c": "d=e"},
        )
        self.assertEqual(str(entries["bind_port"]), "--bind_port = 70")

    def test_no_texts(self) -> None:
        why = self.assertRaises(UsageError, self.parsed("--metadatas=s3cret").entries, SOME)
        self.assertEqual(str(why), "--metadatas: not a list such as KEY=VALUE,KEY=VALUE")

    def test_switch(self) -> None:
        switch = SOME[1]
        for args, default, expected in (
            ((), True, True),
            ((), False, False),
            (("--tls-only",), False, True),
            (("--tls_only=false",), True, False),
        ):
            self.assertIs(self.parsed(*args).is_on(switch, default=default), expected)
        why = self.assertRaises(
            UsageError, self.parsed("--tls_only=maybe").is_on, switch, default=True
        )
        self.assertEqual(str(why), "--tls_only=maybe: neither true nor false")

    def test_help(self) -> None:
        self.assertIn("-p, --bind-port=", SomeOptions().getUsage())


class TablesTests(SynchronousTestCase):
    """That flags and keys fit."""

    def assertKnown(self, flags: Sequence[Flag], *tables: Table) -> None:
        """Each flag is a key, or begins keys, of one of the tables, perhaps one not there yet."""
        for flag in flags:
            self.assertTrue(
                any(
                    flag.key in table.keys
                    or flag.key in table.prefixes
                    or off_values(table.not_yet, flag.key) is not None
                    for table in tables
                ),
                flag.name,
            )

    def assertOnce(self, flags: Sequence[Flag]) -> None:
        for names in ([flag.name for flag in flags], [flag.short for flag in flags if flag.short]):
            self.assertEqual(len(names), len(set(names)))

    def test_server(self) -> None:
        self.assertKnown(SERVER, keys.SERVER)
        self.assertOnce((*FILE, *SERVER))

    def test_client(self) -> None:
        self.assertKnown(CLIENT, keys.CLIENT)
        name = Table({"name": keys.Key("name")})
        self.assertEqual(PROXIES.keys(), keys.PROXIES.keys())
        for kind, flags in PROXIES.items():
            visitors = (keys.VISITOR,) if kind in keys.VISITOR_TYPES else ()
            self.assertKnown(flags, name, keys.PROXIES[kind], *visitors)
            self.assertOnce((*CLIENT, *flags))
        self.assertKnown(VISITOR, name, keys.VISITOR)
        self.assertOnce((*CLIENT, *VISITOR))
