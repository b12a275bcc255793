# -*- test-case-name: tests.test_layout -*-
"""Rules for the source that no tool checks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tunnelsvc"

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400

TEST_CASE_NAME = re.compile(r"# -\*- test-case-name: (tests(?:\.\w+)+) -\*-\n")

# Where somebody's machine or person would show. Web addresses of examples are what stays allowed.
PERSONAL = re.compile(
    r"/(?:home|Users)/\w|/root/|/work/|/tmp/\w|[\w.]+@(?!example\b)[\w-]+\.(?:com|org|net|io|dev)\b"
)


def modules(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)


def sources() -> Iterator[Path]:
    """Give every text that goes out."""
    folders = ("tunnelsvc", "twisted", "tests", "conf", "docs", "examples", "changelog.d")
    for folder in (*folders, "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in {".pyc", ".cache"}:
                yield path
    yield from (ROOT / name for name in ("README.md", "setup.cfg", "pyproject.toml", "tox.ini"))


def anchors(document: Path) -> set[str]:
    """Give the names of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


class LayoutTests(SynchronousTestCase):
    """Each looks at all modules, and names those that break the rule."""

    def setUp(self) -> None:
        if not (ROOT / "setup.cfg").exists():
            raise SkipTest("the tests run outside of the repository")

    def test_something_is_looked_at(self) -> None:
        self.assertIn(PACKAGE / "server" / "proxies" / "base.py", list(modules(PACKAGE)))
        self.assertIn(ROOT / "README.md", list(sources()))

    def test_each_module_names_its_tests(self) -> None:
        wrong = []
        for path in modules(PACKAGE):
            text = path.read_text(encoding="utf-8")
            if not re.search(r"^(async def|def|class) ", text, re.MULTILINE):
                continue
            named = TEST_CASE_NAME.match(text)
            tests = ROOT.joinpath(*named[1].split(".")) if named else None
            if tests is None or not (tests.is_dir() or tests.with_suffix(".py").is_file()):
                wrong.append(str(path.relative_to(ROOT)))
        self.assertEqual(wrong, [])

    def test_modules_are_short(self) -> None:
        lengths = {path: len(path.read_text("utf-8").splitlines()) for path in modules(PACKAGE)}
        long = [f"{path.name}: {n}" for path, n in lengths.items() if n > MAX_MODULE_LINES]
        self.assertEqual(long, [])

    def test_functions_are_short(self) -> None:
        long = [
            f"{path.name}: {node.name}"
            for path in modules(PACKAGE)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
        ]
        self.assertEqual(long, [])

    def test_conversations_are_machines(self) -> None:
        """No attribute says which state a conversation is in; Automat knows."""
        asked = [
            path.name
            for path in modules(PACKAGE / "control")
            if re.search(r"self\.\w*state\b\s*(==|!=|=|is|in)", path.read_text(encoding="utf-8"))
        ]
        self.assertEqual(asked, [])

    def test_ci_does_what_the_readme_says(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        commands = re.findall(r"```sh\n(python3 -m venv \.venv && .*/tox)\n```", readme)
        script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
        self.assertEqual(commands, script.splitlines()[-1:])

    def test_nothing_personal(self) -> None:
        found = [
            f"{path.relative_to(ROOT)}: {match[0]}"
            for path in sources()
            if path != Path(__file__)
            for match in PERSONAL.finditer(path.read_text(encoding="utf-8", errors="replace"))
        ]
        self.assertEqual(found, [])

    def test_docs_link_to_what_is_there(self) -> None:
        """Other documents, and headings in them, by the names that web sites make of those."""
        documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        broken = []
        for document in documents:
            for link in re.findall(r"\]\(([^):]+)\)", document.read_text(encoding="utf-8")):
                name, _, heading = link.partition("#")
                target = document.parent / name if name else document
                if not target.is_file() or (heading and heading not in anchors(target)):
                    broken.append(f"{document.name}: {link}")
        self.assertEqual(broken, [])

    def test_pages_that_others_name(self) -> None:
        """In files that users read, and in what programs say."""
        wrong = [
            f"{path.relative_to(ROOT)}: {name}"
            for path in sources()
            for name in re.findall(r"docs/[\w-]+\.md", path.read_text("utf-8", errors="replace"))
            if not (ROOT / name).is_file()
        ]
        self.assertEqual(wrong, [])

    def test_docs_name_what_is_there(self) -> None:
        flow = (ROOT / "docs" / "flow.md").read_text(encoding="utf-8")
        named = set(re.findall(r"`([\w/]+\.py)`", flow))
        self.assertGreater(len(named), 20)
        self.assertEqual([name for name in named if not (PACKAGE / name).is_file()], [])

    def test_docs_name_all_that_is_there(self) -> None:
        """Each module, or the folder that it is in."""
        flow = (ROOT / "docs" / "flow.md").read_text(encoding="utf-8")
        folders = {name for name in re.findall(r"`([\w/]+)/`", flow) if (PACKAGE / name).is_dir()}
        missing = [
            str(path.relative_to(PACKAGE))
            for path in modules(PACKAGE)
            if path.name not in {"__init__.py", "__main__.py"}
            and f"`{path.relative_to(PACKAGE)}`" not in flow
            and not folders.intersection(map(str, path.relative_to(PACKAGE).parents))
        ]
        self.assertEqual(missing, [])
