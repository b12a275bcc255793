# -*- test-case-name: tests.config.test_report -*-
"""Tests of `tunnelsvc.config.report`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import STEADY, lines_of
from tunnelsvc.config.report import (
    MAX_LINES,
    MAX_SHOWN_CHARACTERS,
    Entry,
    Report,
    Section,
    is_secret,
    nearest,
)
from tunnelsvc.errors import ConfigError

PORT = Entry("ssh", "local_port", "99999", 12)


class SecretTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Keys that hold secrets, in any kind of section, are known as such."""
        for key in (
            "token",
            "dashboard_pwd",
            "admin_pwd",
            "http_pwd",
            "oidc_client_secret",
            "sk",
            "group_key",
            "plugin_http_passwd",
            "plugin_passwd",
            "http_proxy",
            "meta_token",
            "header_Authorization",
            "response_header_Set-Cookie",
            "plugin_header_X",
        ):
            self.assertTrue(is_secret(key), key)

    def test_others(self) -> None:
        """Keys whose values help to find the mistake are not."""
        for key in (
            "bind_port",
            "tls_key_file",
            "host_header_rewrite",
            "authentication_method",
            "custom_domains",
            "protocol",
            "dashboard_user",
        ):
            self.assertFalse(is_secret(key), key)

    def test_masked(self) -> None:
        """A secret's entry shows that there is one; an empty one that there is none."""
        self.assertEqual(str(Entry("common", "token", "abc", 1)), "[common] token = ***")
        self.assertEqual(str(Entry("common", "token", "", 1)), "[common] token = ")

    @STEADY
    @given(st.text(st.characters(categories=["L", "N"]), min_size=20))
    def test_never_in_repr(self, value: str) -> None:
        """No entry's repr has its value, and no secret entry's string."""
        entry = Entry("common", "token", value, 1)
        self.assertNotIn(value, repr(entry))
        self.assertNotIn(value, str(entry))


class EntryTests(SynchronousTestCase):
    def test_shown(self) -> None:
        self.assertEqual(str(PORT), "[ssh] local_port = 99999")
        self.assertEqual(PORT.place, "[ssh] local_port")

    def test_shortened(self) -> None:
        """No part of a message is longer than it helps."""
        long = "x" * (MAX_SHOWN_CHARACTERS + 1)
        cut = "x" * MAX_SHOWN_CHARACTERS + "…"
        self.assertEqual(str(Entry(long, long, long, 1)), f"[{cut}] {cut} = {cut}")
        self.assertEqual(Section(long, 1).place, f"[{cut}]")

    def test_exactly_long_enough(self) -> None:
        fits = "x" * MAX_SHOWN_CHARACTERS
        self.assertEqual(Section(fits, 1).place, f"[{fits}]")

    def test_find(self) -> None:
        """A section points to the first entry that it has, or to itself."""
        section = Section("ssh", 1, {"local_port": PORT})
        self.assertIs(section.find("local_port"), PORT)
        self.assertIs(section.find("type", "local_port"), PORT)
        self.assertIs(section.find("type"), section)


class NearestTests(SynchronousTestCase):
    def test_found(self) -> None:
        """Slips of the finger are recognised."""
        known = ("bind_port", "bind_addr", "type", "token", "dashboard_pwd")
        for wrong, right in {
            "bindport": "bind_port",
            "bind_prot": "bind_port",
            "tokne": "token",
            "typ": "type",
            "dashboard_passwd": "dashboard_pwd",
        }.items():
            self.assertEqual(nearest(wrong, known), right)

    def test_not_found(self) -> None:
        """What resembles nothing is not explained."""
        self.assertIsNone(nearest("colour", ("bind_port", "type")))
        self.assertIsNone(nearest("x", ()))


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.report = Report("frpc.ini")

    def test_nothing(self) -> None:
        self.assertEqual(self.report.finish(), ())

    def test_places(self) -> None:
        """A line says as exactly as possible where it belongs."""
        self.report.problem("not a port", PORT)
        self.report.problem("empty", Section("ssh", 3))
        self.report.problem("no text", 7)
        self.report.problem("no file")
        problems, _ = lines_of(self.report)
        self.assertEqual(
            problems,
            (
                "frpc.ini:12: [ssh] local_port = 99999: not a port",
                "frpc.ini:3: [ssh]: empty",
                "frpc.ini:7: no text",
                "frpc.ini: no file",
            ),
        )

    def test_warnings(self) -> None:
        """Warnings are returned, and show no values: a misspelt key may have a secret one."""
        self.report.warn("unknown", Entry("common", "tokne", "s3cret", 2))
        self.report.warn("nothing to do")
        self.assertEqual(
            self.report.finish(), ("frpc.ini:2: [common] tokne: unknown", "frpc.ini: nothing to do")
        )

    def test_problems_first(self) -> None:
        """With problems, nobody needs the warnings."""
        self.report.warn("unknown")
        self.report.problem("wrong")
        why = self.assertRaises(ConfigError, self.report.finish)
        self.assertEqual(why.problems, ("frpc.ini: wrong",))

    def test_once_an_entry(self) -> None:
        """What follows from a wrong entry isn't told again; another entry's problem is."""
        self.report.problem("not a port", PORT)
        self.report.problem("already the bind_port", PORT)
        self.report.problem("wrong", Entry("ssh", "type", "x", 13))
        problems, _ = lines_of(self.report)
        self.assertEqual(len(problems), 2)
        self.assertNotIn("bind_port", problems[0])

    def test_fail(self) -> None:
        """The last problem comes after those before it."""
        self.report.problem("first", 1)
        why = self.assertRaises(ConfigError, self.report.fail, "last")
        self.assertEqual(why.problems, ("frpc.ini:1: first", "frpc.ini: last"))

    def test_limit(self) -> None:
        """So many lines are told, and how many there would be."""
        for number in range(MAX_LINES + 2):
            self.report.problem("wrong", number)
        problems, _ = lines_of(self.report)
        self.assertEqual(len(problems), MAX_LINES + 1)
        self.assertEqual(problems[-2:], ("frpc.ini:49: wrong", "frpc.ini: and 2 more"))

    def test_at_the_limit(self) -> None:
        for number in range(MAX_LINES):
            self.report.warn("odd", number)
        self.assertEqual(self.report.finish()[-1], "frpc.ini:49: odd")
