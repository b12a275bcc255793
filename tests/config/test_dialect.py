# -*- test-case-name: tests.config.test_dialect -*-
"""Tests of `tunnelsvc.config.dialect`, through files."""

from hypothesis import given
from hypothesis import strategies as st

from tests.config.files import STEADY, ConfigTestCase
from tests.config.test_legacy import parsed
from tunnelsvc.config.dialect import MAX_DEPTH, MAX_LINE_BYTES, joined
from tunnelsvc.config.legacy import parse
from tunnelsvc.config.report import Report


class ContinuationTests(ConfigTestCase):
    def assertParsed(self, text: str, **expected: str) -> None:
        self.assertEqual(parsed(f"[a]\n{text}"), ({"a": expected}, ()))

    def test_goes_on(self) -> None:
        """In a line that would be an error."""
        self.assertParsed("x = 1,\\\n   2,\\\n3\ny = 4\n", x="1,2,3", y="4")
        self.assertParsed("x = 1 \\\r\n 2\r\n", x="1 2")

    def test_literal(self) -> None:
        """Where the next line is one by itself, the backslash is a character of the value."""
        self.assertParsed("x = C:\\dir\\\ny = 1\n", x="C:\\dir\\", y="1")
        for following in ("", "\n", "# c\n", "; c\n", "  # c\n"):
            self.assertParsed(f"x = p\\\n{following}", x="p\\")
        self.assertEqual(parsed("[a]\nx = p\\\n[b]\n")[0], {"a": {"x": "p\\"}, "b": {}})

    def test_nothing_to_go_on(self) -> None:
        """Neither comments nor what isn't a key go on."""
        _, problems = parsed("[a]\n# x = 1\\\nsome text\n")
        self.assertEqual(len(problems), 1)
        _, problems = parsed("[a]\nsome\\\ntext\n")
        self.assertEqual(len(problems), 2)

    def test_line_numbers(self) -> None:
        report = Report("f")
        sections = parse(b"[a]\nx = 1\\\n2\ny = 3\n[b]", {}, report)
        lines = [entry.line for entry in sections["a"].entries.values()]
        self.assertEqual((lines, sections["b"].line), ([2, 4], 5))

    def test_limit(self) -> None:
        _, problems = parsed("[a]\nx = \\\n" + ("y" * 1000 + "\\\n") * 100 + "y\n")
        self.assertIn(f"f:2: line of more than {MAX_LINE_BYTES} bytes", problems)

    @STEADY
    @given(st.lists(st.text("ab=\\#;[] \t").map(str.encode)))
    def test_any_lines(self, lines: list[bytes]) -> None:
        """All that is written comes out, in its order, but for blanks and backslashes."""

        def essence(text: bytes) -> bytes:
            return text.translate(None, b" \t\\")

        found = list(joined(lines))
        self.assertEqual(essence(b"".join(line for _, line in found)), essence(b"".join(lines)))
        numbers = [number for number, _ in found]
        self.assertEqual(numbers, sorted(set(numbers)))


class InterpolationTests(ConfigTestCase):
    def assertValue(self, text: str, value: str) -> None:
        sections, problems = parsed(f"[a]\n{text}\n")
        self.assertEqual((sections["a"]["x"], problems), (value, ()))

    def test_keys(self) -> None:
        self.assertValue("x = a%(y)sb%(y)s\ny = 1", "a1b1")
        self.assertValue("y = %(z)s\nz = 1\nx = %(y)s", "1")
        self.assertValue("x = %(a b)s\na b = 1", "1")

    def test_literal(self) -> None:
        """What names no key of the section is what is written; passwords often have a %."""
        for value in ("50%", "%(y)s", "%(x)s", "%%(y)s", "%(y)", "%()s", "%s", "%(token)s"):
            self.assertValue(f"token = s3cret\nx = {value}", value)
        self.assertEqual(parsed("[a]\nx = %(y)s\n[b]\ny = 1\n")[0]["a"], {"x": "%(y)s"})

    def test_secrets(self) -> None:
        """A secret may go into another one, but nowhere else: messages would show it."""
        self.assertEqual(self.client("token = s3cret\nmeta_a = %(token)s\n").metas, {"a": "s3cret"})
        (problem,) = self.client_says("[common]\ntoken = s3cret\nlog_level = %(token)s\n")
        self.assertNotIn("s3cret", problem)

    def test_circle(self) -> None:
        _, problems = parsed("[a]\nx = %(y)s\ny = %(x)s\n")
        self.assertEqual(len(problems), 2)
        self.assertIn(f"%(…)s within one another more than {MAX_DEPTH} times", problems[0])

    def test_limit(self) -> None:
        """Values within values don't become long without end."""
        lines = "".join(f"k{n} = {f'%(k{n + 1})s' * 10}\n" for n in range(MAX_DEPTH))
        _, problems = parsed(f"[a]\n{lines}k{MAX_DEPTH} = 0123456789\n")
        self.assertIn(f"becomes longer than {MAX_LINE_BYTES} characters", problems[0])

    @STEADY
    @given(st.lists(st.tuples(st.sampled_from("xyz"), st.text("%()sxyz")), max_size=4))
    def test_any_values(self, entries: list[tuple[str, str]]) -> None:
        text = "".join(f"{key} = {value}\n" for key, value in dict(entries).items())
        parsed(f"[a]\n{text}")


class InheritedTests(ConfigTestCase):
    parent = "[web]\ntype = http\nlocal_port = 80\ncustom_domains = a.example\nmeta_a = 1\n"

    def test_keys(self) -> None:
        """What a section lacks comes from the one that its name begins with, and is told."""
        text = f"[common]\n{self.parent}[web.two]\ncustom_domains = b.example\n"
        self.assertEqual(
            self.client_says(text),
            ("7: [web.two]: has type, local_port from [web], as frp has it since 0.36",),
        )
        config = self.client(text.removeprefix("[common]\n"))
        two = config.proxies[1]
        self.assertEqual((two.type, two.local_port, two.metas), ("http", 80, {}))

    def test_several(self) -> None:
        """Also from further up, the nearest first."""
        config = self.client(f"{self.parent}[web.a]\nlocal_port = 81\n[web.a.b.c]\nsubdomain = c\n")
        self.assertEqual(config.proxies[2].local_port, 81)
        self.assertEqual(config.proxies[2].type, "http")

    def test_many(self) -> None:
        """A name has no more parents than a name has characters."""
        names = [f"web{'.x' * count}" for count in range(200)]
        config = self.client(self.parent + "".join(f"[{name}]\n" for name in names[1:127]))
        self.assertEqual({proxy.local_port for proxy in config.proxies}, {80})
        problems = self.client_says(f"[common]\n{self.parent}[{names[-1]}]\n")
        self.assertEqual(len(problems), 2)

    def test_of_use(self) -> None:
        """Only what the proxy's type has: here, not the parent's domains."""
        text = f"[common]\n{self.parent}[web.ssh]\ntype = tcp\nlocal_port = 22\n"
        self.assertEqual(self.client_says(text), ())
        visitor = "role = visitor\ntype = stcp\nserver_name = x\nbind_port = 1\n"
        self.assertEqual(self.client_says(f"[common]\n{self.parent}[web.v]\n{visitor}"), ())

    def test_nothing(self) -> None:
        """Complete sections, and those without a parent, are left alone."""
        for name in ("ssh.home", "common.x", "x.web"):
            text = f"[common]\nuser = u\n{self.parent}[{name}]\nlocal_port = 22\n"
            self.assertEqual(self.client_says(text), (), name)

    def test_unknown_type(self) -> None:
        problems = self.client_says(f"[common]\n{self.parent}[web.x]\ntype = nonsense\n")
        self.assertEqual(len(problems), 1)

    def test_server(self) -> None:
        """A server's sections have nothing from one another."""
        says = self.server_says(
            "[common]\ntoken = x\n[plugin.a]\naddr = a:1\npath = /\nops = Login\n"
            "[plugin.a.b]\naddr = a:1\npath = /\n"
        )
        self.assertEqual(says, ("7: [plugin.a.b]: ops is missing",))


class LineTests(ConfigTestCase):
    """The dialect's single lines, which `tunnelsvc.config.legacy` reads."""

    def assertParsed(self, text: str, **expected: str) -> None:
        self.assertEqual(parsed(f"[a]\n{text}"), ({"a": expected}, ()))

    def test_colons(self) -> None:
        self.assertParsed("x: 1\ny : a b\nz:\n", x="1", y="a b", z="")
        self.assertParsed("x: a=b\n", **{"x: a": "b"})
        self.assertEqual(len(parsed("[a]\nx:1\nhttp://x\na b: c\n")[1]), 3)

    def test_flags(self) -> None:
        """A key that is true or false may stand alone; any other word may not."""
        self.assertParsed(
            "use_encryption\n\ttls_enable\n", use_encryption="true", tls_enable="true"
        )
        self.assertEqual(len(parsed("[a]\nlocal_port\nsecret\n")[1]), 2)

    def test_quotes(self) -> None:
        self.assertParsed("x = `a\"b`\ny = 'a'\nz = `a`b`\n", x='a"b', y="a", z="`a`b`")
