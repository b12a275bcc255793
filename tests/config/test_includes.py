# -*- test-case-name: tests.config.test_includes -*-
"""Tests of `tunnelsvc.config.includes`, and of files that include others."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.files import NO_VARIABLES, STEADY, ConfigTestCase
from tunnelsvc.config import files as configfiles
from tunnelsvc.config import includes, load_client
from tunnelsvc.config.includes import IncludeError, files
from tunnelsvc.errors import ConfigError


class FilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        for name in ("b.ini", "a.ini", "c.toml", ".x.ini", "[d].ini", "a\\b.ini"):
            (self.directory / name).touch()
        (self.directory / "e.ini").mkdir()

    def found(self, pattern: str) -> list[str]:
        return [Path(path).name for path in files(f"{self.directory}/{pattern}")]

    def test_patterns(self) -> None:
        """As Go's filepath.Match has them: a dot at the beginning is nothing special."""
        for pattern, names in {
            "*.ini": [".x.ini", "[d].ini", "a.ini", "a\\b.ini", "b.ini"],
            "?.ini": ["a.ini", "b.ini"],
            "[a-b].ini": ["a.ini", "b.ini"],
            "[^a].ini": ["b.ini"],
            "[!a].ini": ["a.ini"],
            "\\[d\\].ini": ["[d].ini"],
            "a\\\\b.ini": ["a\\b.ini"],
            "c.toml": ["c.toml"],
            "C.toml": [],
            "e.ini": [],
            "": [],
        }.items():
            self.assertEqual(self.found(pattern), names, pattern)

    def test_relative(self) -> None:
        """Below where the program runs."""
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.directory)
        self.assertEqual(list(files("a.*")), ["a.ini"])
        self.assertEqual(list(files("./a.*")), ["a.ini"])

    def test_no_directory(self) -> None:
        for pattern in ("not/there/*.ini", f"{self.directory}/a.ini/*"):
            why = self.assertRaises(IncludeError, list, files(pattern))
            self.assertEqual(str(why), f"include: directory of {pattern} not exist")

    def test_no_pipe(self) -> None:
        """What may never end isn't meant by a pattern; a link to nothing is an error, later."""
        os.mkfifo(self.directory / "z.fifo")
        (self.directory / "z.link").symlink_to("nothing")
        self.assertEqual(self.found("z.*"), ["z.link"])

    def test_unreadable(self) -> None:
        link = self.directory / "circle"
        link.symlink_to("circle")
        for directory in (link, "a\0b"):
            why = self.assertRaises(IncludeError, list, files(f"{directory}/*"))
            self.assertIn("can't be read", str(why))

    def test_no_pattern(self) -> None:
        for pattern in ("[a", "[]", "a\\", "[a\\]]", "[^]"):
            self.assertRaises(IncludeError, self.found, pattern)

    @STEADY
    @given(st.text("ab*?[]^!-\\.", max_size=30))
    def test_any_pattern(self, pattern: str) -> None:
        try:
            self.found(pattern)
        except IncludeError as why:
            self.assertIn("include: ", str(why))

    def test_soon(self) -> None:
        """Many stars take no long time."""
        (self.directory / ("a" * 200)).touch()
        self.assertEqual(self.found("*a" * 50 + "b"), [])


PROXY = "[{0}]\ntype = tcp\nlocal_port = 22\nremote_port = 6000\n"
TABLE = '[[proxies]]\nname = "{0}"\ntype = "tcp"\nlocalPort = 22\nremotePort = 6000\n'
VISITOR = '[[visitors]]\nname = "v"\ntype = "stcp"\nserverName = "x"\nbindPort = 1\n'


class IncludedTests(ConfigTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def add(self, name: str, text: str) -> str:
        """Write a file that is included."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def heads(self) -> list[str]:
        """Give beginnings of files that include all that is there."""
        pattern = f"{self.directory}/*"
        return [f"[common]\nincludes = {pattern}\n", f'includes = ["{pattern}"]\n']

    def names(self, text: str) -> list[str]:
        config = load_client(self.write(text), NO_VARIABLES).config
        names = [proxy.name for proxy in config.proxies]
        return names + [visitor.name for visitor in config.visitors]

    def says(self, text: str) -> tuple[str, ...]:
        """Load a file; return its problems, or its warnings, of whichever file."""
        try:
            return load_client(self.write(text), NO_VARIABLES).warnings
        except ConfigError as why:
            return why.problems

    def test_all_formats(self) -> None:
        """Behind the file's own, by name of file; either kind of file includes either."""
        self.add("1.ini", PROXY.format("one"))
        self.add("2.toml", TABLE.format("two") + VISITOR)
        self.add("3", "proxies:\n- {name: three, type: udp, localPort: 1}\n")
        self.add("4.json", '{"proxies": [{"name": "four", "type": "tcp", "localPort": 1}]}')
        self.add("5", "# nothing\n")
        names = ["zero", "one", "two", "three", "four", "v"]
        own = (PROXY, TABLE)
        for head, proxy in zip(self.heads(), own, strict=True):
            self.assertEqual(self.names(head + proxy.format("zero")), names)

    def test_ini_names(self) -> None:
        """A proxy of an INI file may be called like a table of TOML."""
        self.add("1", PROXY.format("log"))
        self.assertEqual(self.names(self.heads()[0]), ["log"])

    def test_ranges(self) -> None:
        self.add("1", "[range:x]\nlocal_port = 1-2\nremote_port = 1-2\n")
        self.add("2", '{{ range $v := parseNumberRange "3-4" }}\n' +
                 TABLE.format("y-{{ $v }}") + "{{ end }}")  # fmt: skip
        for head in self.heads():
            self.assertEqual(self.names(head), ["x_0", "x_1", "y-3", "y-4"])

    def test_start(self) -> None:
        """What is to be started may be in any of the files."""
        self.add("1", PROXY.format("a") + PROXY.format("b"))
        self.assertEqual(self.names(f"{self.heads()[0]}start = b\n"), ["b"])

    def test_rest_is_ignored(self) -> None:
        path = self.add("1", f"[common]\nuser = x\n{PROXY.format('a')}")
        other = self.add("2", f'user = "x"\nincludes = ["nowhere/*"]\n{TABLE.format("b")}')
        what = "ignored: an included file is there for proxies and visitors"
        for head in self.heads():
            self.assertEqual(
                self.says(head),
                (
                    f"{path}:1: [common]: {what}",
                    f"{other}: user: {what}",
                    f"{other}: includes: {what}",
                ),
            )

    def test_problems_name_the_file(self) -> None:
        first = self.add("1", PROXY.format("a").replace("22", "x"))
        second = self.add("2", TABLE.format("b").replace("22", '"22"'))
        what = "must be a whole number, without quotes"
        for head in self.heads():
            self.assertEqual(
                self.says(head),
                (
                    f'{second}: [proxies.b] localPort = "22": {what}',
                    f"{first}:3: [a] local_port = x: not a port number (1 to 65535)",
                ),
            )

    def test_syntax(self) -> None:
        path = self.add("1", "a = \n")
        for head in self.heads():
            self.assertEqual(self.says(head), (f"{path}:1: not TOML: Invalid value (column 5)",))

    def test_strict(self) -> None:
        path = self.add("1", f"{TABLE.format('a')}localport = 1\nlocalprt = 2\n")
        problems = self.says(self.heads()[0])
        self.assertEqual(
            problems,
            (
                f"{path}: [proxies.a] localPort: the key is there twice",
                f"{path}: [proxies.a] localprt: unknown key; did you mean localPort?",
            ),
        )

    def test_duplicates(self) -> None:
        path = self.add("1", PROXY.format("a"))
        other = self.add("2", TABLE.format("a"))
        what = f"proxy name [a] is duplicated: it is in {path} already"
        for head in self.heads():
            self.assertEqual(self.says(head), (f"{other}: [proxies.a]: {what}",))

    def test_nothing_there(self) -> None:
        head = f"[common]\nincludes = {self.directory}/*.ini, {self.directory}/x/*.ini\n"
        directory = f"include: directory of {self.directory}/x/*.ini not exist"
        (problem,) = self.says(head)
        self.assertTrue(problem.endswith(f": {directory}"), problem)
        first, *_ = self.says(f"[common]\nincludes = {self.directory}/*.ini\n")
        self.assertTrue(first.endswith(f": there is no file {self.directory}/*.ini"), first)

    def test_once(self) -> None:
        """A file that two patterns name is read once."""
        self.add("1", PROXY.format("a"))
        pattern = f"{self.directory}/*"
        self.assertEqual(self.names(f"[common]\nincludes = {pattern},{pattern}\n"), ["a"])

    def test_limits(self) -> None:
        self.add("1", PROXY.format("a"))
        self.add("2", PROXY.format("b"))
        self.patch(includes, "MAX_FILES", 1)
        (problem,) = self.says(self.heads()[0])
        self.assertTrue(problem.endswith("includes more than 1 files"), problem)
        self.patch(includes, "MAX_FILES", 2)
        self.patch(configfiles, "MAX_NUMBERS", 1)
        self.assertIn("more than 1 proxies and visitors", self.says(self.heads()[0])[0])
        self.patch(configfiles, "MAX_INCLUDED_BYTES", 99)
        self.assertIn("includes more than 99 bytes", self.says(self.heads()[0])[0])
