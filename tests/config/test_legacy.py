# -*- test-case-name: tests.config.test_legacy -*-
"""Tests of `tunnelsvc.config.legacy`."""

from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import DATA, NO_VARIABLES, STEADY, lines_of
from tunnelsvc.config.dialect import MAX_LINE_BYTES
from tunnelsvc.config.legacy import MAX_FILE_BYTES, parse, read, unquote
from tunnelsvc.config.report import Report
from tunnelsvc.errors import ConfigError

Plain = dict[str, dict[str, str]]


def parsed(
    content: str | bytes, environ: Mapping[str, str] = NO_VARIABLES
) -> tuple[Plain, tuple[str, ...]]:
    """Parse a file to plain dictionaries and what is wrong with it."""
    report = Report("f")
    data = content if isinstance(content, bytes) else content.encode()
    sections = parse(data, environ, report)
    plain = {
        name: {key: entry.value for key, entry in section.entries.items()}
        for name, section in sections.items()
    }
    return plain, lines_of(report)[0]


class ReadTests(SynchronousTestCase):
    def test_read(self) -> None:
        path = self.mktemp()
        Path(path).write_bytes(b"\xff\x00")
        self.assertEqual(read(path), b"\xff\x00")

    def test_missing(self) -> None:
        why = self.assertRaises(ConfigError, read, "not/there.ini")
        self.assertEqual(why.problems, ("not/there.ini: can't be read: No such file or directory",))

    def test_directory(self) -> None:
        path = self.mktemp()
        Path(path).mkdir()
        why = self.assertRaises(ConfigError, read, path)
        self.assertEqual(why.problems, (f"{path}: can't be read: Is a directory",))

    def test_unreadable(self) -> None:
        """An error of any kind is told: here, a link to itself, which not even root can read."""
        path = self.mktemp()
        Path(path).symlink_to(Path(path).name)
        why = self.assertRaises(ConfigError, read, path)
        self.assertIn("can't be read: ", str(why))

    def test_impossible_name(self) -> None:
        why = self.assertRaises(ConfigError, read, "a\0b")
        self.assertEqual(why.problems, ("'a\\x00b': can't be the name of a file",))

    def test_limit(self) -> None:
        """A file may be as large as the limit and no larger."""
        path = Path(self.mktemp())
        path.write_bytes(b"#" * MAX_FILE_BYTES)
        self.assertEqual(len(read(str(path))), MAX_FILE_BYTES)
        path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
        self.assertRaises(ConfigError, read, str(path))

    def test_endless(self) -> None:
        """What never ends is not read to its end."""
        why = self.assertRaises(ConfigError, read, "/dev/zero")
        self.assertEqual(
            why.problems, ("/dev/zero: larger than 1048576 bytes: not a configuration",)
        )


class SyntaxTests(SynchronousTestCase):
    def assertParsed(self, content: str | bytes, expected: Plain) -> None:
        self.assertEqual(parsed(content), (expected, ()))

    def assertRefused(self, content: str | bytes, *problems: str) -> None:
        self.assertEqual(parsed(content)[1], problems)

    def test_empty(self) -> None:
        for content in ("", "\n\n", "# nothing\n", b"\xef\xbb\xbf"):
            self.assertParsed(content, {})

    def test_sections(self) -> None:
        """Sections and keys stay in the file's order."""
        sections, _ = parsed("[b]\nz=1\ny=2\n[a]\n[c]\n")
        self.assertEqual(list(sections), ["b", "a", "c"])
        self.assertEqual(list(sections["b"]), ["z", "y"])

    def test_indented(self) -> None:
        """Indentation means nothing: no line continues another."""
        text = (
            "\t[common]\n\t\tbind_port = 7000\n\t\tbind_addr = ::\n  [x]\nlocal_port=\n    # no\n"
        )
        expected = {"common": {"bind_port": "7000", "bind_addr": "::"}, "x": {"local_port": ""}}
        self.assertParsed(text, expected)

    def test_comments(self) -> None:
        """Whole lines are comments, and nothing else is."""
        text = "[a]\n;x = 1\n  # y = 2\nz = 3 # three ; 4\n#[b]\nk#l = 5\n"
        self.assertParsed(text, {"a": {"z": "3 # three ; 4", "k#l": "5"}})

    def test_after_heading(self) -> None:
        """A comment may follow a heading."""
        self.assertParsed("[ a ] ; first\n[b]# [c]\n", {"a": {}, "b": {}})

    def test_equals(self) -> None:
        """The first ``=`` divides; blanks around key and value are nothing."""
        text = "[a]\nx=y=z\n  k  k\t=  v  v \t\nurl = http://h:1/?a=b\na:b = c\n"
        self.assertParsed(
            text, {"a": {"x": "y=z", "k  k": "v  v", "url": "http://h:1/?a=b", "a:b": "c"}}
        )

    def test_case(self) -> None:
        self.assertParsed("[a]\nx=1\nX=2\n[A]\n", {"a": {"x": "1", "X": "2"}, "A": {}})

    def test_literal(self) -> None:
        """What looks like Go's ini.v1, but can't be (see `tests.config.test_dialect`), isn't."""
        self.assertParsed(
            "[a]\nx = %(w)s\ny = \\\nz = `1\n", {"a": {"x": "%(w)s", "y": "\\", "z": "`1"}}
        )

    def test_line_ends(self) -> None:
        """Lines end as on Unix or Windows, the last one with or without."""
        self.assertParsed("[a]\r\nx = 1\r\n\r\ny = 2", {"a": {"x": "1", "y": "2"}})

    def test_byte_order_mark(self) -> None:
        self.assertParsed(b"\xef\xbb\xbf[a]\nx = 1\n", {"a": {"x": "1"}})

    def test_chinese(self) -> None:
        """UTF-8, with the blanks of Chinese keyboards at the ends."""
        self.assertParsed("[网站]\n\u3000type\u3000=\u3000http\u3000\n", {"网站": {"type": "http"}})

    def test_seed(self) -> None:
        """The tutorial's files, to the letter."""
        sections, problems = parsed((DATA / "frpc.ini").read_bytes())
        self.assertEqual(problems, ())
        self.assertEqual(list(sections), ["common", "ssh", "web1", "web2"])
        self.assertEqual(sections["web2"]["custom_domains"], "site2.example.com")
        sections, problems = parsed((DATA / "frps.ini").read_bytes())
        self.assertEqual(sections["common"]["vhost_http_port"], "8080")
        self.assertEqual(sections["common"]["dashboard_pwd"], "admin")

    def test_other_encoding(self) -> None:
        """Lines in another encoding are told; comments may be in any."""
        gbk = "端口".encode("gbk")
        content = b"[a]\n; " + gbk + b"\n \t# " + gbk + b"\nuser = " + gbk + b"\nx = \xff\n"
        self.assertRefused(
            content,
            "f:4: not UTF-8; save the file in that encoding",
            "f:5: not UTF-8; save the file in that encoding",
        )

    def test_no_equals(self) -> None:
        """Such a line's text isn't shown: it may be a token."""
        what = 'neither "key = value" nor [section] nor a comment (# or ;)'
        self.assertRefused("[a]\ntoken s3cret\n  s3cret\n", f"f:2: {what}", f"f:3: {what}")

    def test_no_key(self) -> None:
        self.assertRefused("[a]\n= 7000\n", 'f:2: nothing before the "="')

    def test_outside(self) -> None:
        self.assertRefused(
            "bind_port = 7000\n[common]\n",
            "f:1: a key before the first section; [common] goes first",
        )

    def test_bad_headings(self) -> None:
        """A heading that can't be used takes the keys that follow it away."""
        for heading in ("[b", "[]", "[ \t]", "[b] x = 1", "[[b]]", "[b]]", "[b]x"):
            sections, problems = parsed(f"[a]\nx = 1\n{heading}\ny = 2\n")
            self.assertEqual(problems, ("f:3: not a section's heading, which is [name]",), heading)
            self.assertEqual(sections, {"a": {"x": "1"}})

    def test_duplicate_section(self) -> None:
        """The second of two names both lines; its keys don't get into the first."""
        sections, problems = parsed("[a]\nx = 1\n[b]\n[ a ]\nx = 2\n")
        self.assertEqual(problems, ("f:4: [a]: the section was already in line 1",))
        self.assertEqual(sections["a"], {"x": "1"})

    def test_duplicate_key(self) -> None:
        """So does a key, whose value isn't shown: it may be a misspelt key of a secret."""
        self.assertRefused(
            "[a]\ntokne = s3cret\n\ntokne = s3cre\n",
            "f:4: [a] tokne: the key was already in line 2",
        )

    def test_repeated_entry(self) -> None:
        """The same key with the same value says nothing new; whoever wrote it should know."""
        report = Report("f")
        sections = parse(b'[a]\ntokne = s3cret\ntokne = "s3cret"\nx = 1\n', {}, report)
        self.assertEqual(
            {key: entry.value for key, entry in sections["a"].entries.items()},
            {"tokne": "s3cret", "x": "1"},
        )
        self.assertEqual(
            report.finish(),
            ("f:3: [a] tokne: the key was already in line 2, with the same value",),
        )

    def test_control_characters(self) -> None:
        for character, name in {"\0": "U+0000", "\x1b": "U+001B", "\x85": "U+0085"}.items():
            self.assertRefused(
                f"[a]\nx = 1{character}2\n",
                f"f:2: [a] x: holds the character {name}, which is no text",
            )
        self.assertParsed("[a]\nx = 1\t2\n# \0\n", {"a": {"x": "1\t2"}})

    def test_long_lines(self) -> None:
        """A line may be as long as the limit; a longer one, even a comment, is refused."""
        fits = b"x = " + b"1" * (MAX_LINE_BYTES - 4)
        sections, problems = parsed(b"[a]\n" + fits)
        self.assertEqual((len(sections["a"]["x"]), problems), (MAX_LINE_BYTES - 4, ()))
        for longer in (fits + b"1", b"#" * (MAX_LINE_BYTES + 1)):
            self.assertRefused(b"[a]\n" + longer, "f:2: line of more than 65536 bytes")


class UnquoteTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """One pair around everything goes, as in ini.v1; anything else is part of the value."""
        for value, bare in {
            '"a b"': "a b",
            "'a'": "a",
            '""': "",
            '"it\'s"': "it's",
            '"': '"',
            "'a\"": "'a\"",
            '"a" "b"': '"a" "b"',
            "\"'a'\"": "'a'",
            "a": "a",
            "": "",
            '" a "': " a ",
        }.items():
            self.assertEqual(unquote(value), bare)


class VariableTests(SynchronousTestCase):
    environ: Mapping[str, str] = {
        "NAME": "web",
        "TOKEN": " 'ab=c#d' ",
        "TWO": "1\ny = 2",
        "BYTES": "\udcff",
    }

    def test_everywhere(self) -> None:
        """Variables stand for text of the file, so blanks and quotes count as there."""
        text = "[{{ .Envs.NAME }}]\n{{ .Envs.NAME }}_x = {{ .Envs.TOKEN }}\n"
        self.assertEqual(parsed(text, self.environ), ({"web": {"web_x": "ab=c#d"}}, ()))

    def test_comments(self) -> None:
        """Comments are left alone."""
        self.assertEqual(parsed("# {{ .Envs.GONE }} {{ end\n"), ({}, ()))

    def test_no_lines(self) -> None:
        """A variable can't bring lines of its own, nor bytes that are no text."""
        for name, character in {"TWO": "U+000A", "BYTES": "U+DCFF"}.items():
            sections, problems = parsed(f"[a]\nx = {{{{ .Envs.{name} }}}}\n", self.environ)
            self.assertEqual(
                problems, (f"f:2: [a] x: holds the character {character}, which is no text",)
            )
            self.assertEqual(sections, {"a": {}})

    def test_problems(self) -> None:
        """They say where, as far as that can be known."""
        unset = "the environment variable GONE is not set"
        text = (
            "x = {{ .Envs.GONE }}\n[{{ .Envs.GONE }}]\n[a]\n"
            "x = {{ .Envs.GONE }}\n{{ .Envs.GONE }} = 1\n{{ .Envs.GONE }}\n"
        )
        places = ("1: ", "2: ", "4: [a] x: ", "5: ", "6: ")
        self.assertEqual(parsed(text)[1], tuple(f"f:{place}{unset}" for place in places))


# Plain words: what can't be taken for something else, whatever it stands next to.
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
TABLES = st.dictionaries(WORDS, st.dictionaries(WORDS, WORDS, max_size=5), max_size=5)
BLANKS = st.text(st.sampled_from(" \t"), max_size=3)
NOISE = st.sampled_from(["", " ", "# x = 1", ";[x]", "\t; 端口", "\r"])
ENDS = st.sampled_from(["\n", "\r\n"])


class PropertyTests(SynchronousTestCase):
    @STEADY
    @given(TABLES, st.data())
    def test_round_trip(self, table: Plain, data: st.DataObject) -> None:
        """Whatever is written, with any blanks and comments between, is read."""
        end = data.draw(ENDS)
        lines = []
        for name, entries in table.items():
            lines += [data.draw(NOISE), f"{data.draw(BLANKS)}[{data.draw(BLANKS)}{name}]"]
            for key, value in entries.items():
                blank = data.draw(BLANKS)
                lines.append(f"{blank}{key}{blank}={blank}{value}{blank}")
        self.assertEqual(parsed(end.join(lines)), (table, ()))

    @STEADY
    @given(st.binary())
    def test_any_bytes(self, content: bytes) -> None:
        """Nothing that a file may hold raises, and problems name lines that there are."""
        _, problems = parsed(content)
        lines = content.count(b"\n") + 1
        for problem in problems[:1]:
            self.assertIn(int(problem.split(":")[1]), range(1, lines + 1))

    @STEADY
    @given(st.text(st.sampled_from('[]={}#;"\n\t a\0é.'), max_size=200))
    def test_any_text(self, content: str) -> None:
        """Nor does anything that resembles a configuration; each problem is one line."""
        _, problems = parsed(content)
        for problem in problems:
            self.assertNotIn("\n", problem)
