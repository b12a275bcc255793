# -*- test-case-name: tests.admin.test_static -*-
"""Tests of the pages' files as a linter has them: what is imported is there, what is there is used.

Of scripts, style sheets and their classes, and what the pages promise; texts have tests of their
own (`test_pages`, `test_clientpage`).
"""

import posixpath
import re
from importlib import resources

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc.admin.pages import SHARED, files_of

PAGES = ("server", "client")
IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"]+)";$', re.MULTILINE)
ANY_IMPORT = re.compile(r"^import\b", re.MULTILINE)
NAME = re.compile(r"(\w+)(?: as (\w+))?")
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
ANY_EXPORT = re.compile(r"^export\b", re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
CLASS = re.compile(r"\.([A-Za-z][\w-]*)")
MADE = re.compile(r"([\w-]+-|\bs)\$\{")
"""Beginnings of classes whose end is found out only when the page runs."""


def files(suffix: str) -> dict[str, str]:
    """Give the text of all files with a suffix, by ``folder/name``."""
    return {
        f"{folder}/{file.name}": file.read_text("utf-8")
        for folder in (SHARED, *PAGES)
        for file in files_of(folder)
        if file.name.endswith(suffix)
    }


def code_of(script: str) -> str:
    """Leave out comments and imports."""
    script = re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)
    return IMPORT.sub("", re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE))


def uses(text: str, name: str) -> int:
    return len(re.findall(rf"(?:(?<![\w.])|(?<=\.\.\.)){name}\b", text))


class ScriptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.scripts = files(".js")
        self.imported: dict[str, set[str]] = {name: set() for name in self.scripts}
        """By module what others import from it."""

    def imports(self, module: str) -> list[tuple[str, str, str]]:
        """List (module, what it calls it, what is imported) of a module."""
        found = []
        for names, path in IMPORT.findall(self.scripts[module]):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(module), path))
            self.assertIn(target, self.scripts, module)
            self.assertIn(target.partition("/")[0], {SHARED, module.partition("/")[0]}, module)
            found += [(target, name, own or name) for name, own in NAME.findall(names)]
            self.imported[target].add("")
        return found

    def test_all_is_looked_at(self) -> None:
        self.assertGreater(len(self.scripts), 30)
        for name, script in self.scripts.items():
            self.assertEqual(len(ANY_IMPORT.findall(script)), len(IMPORT.findall(script)), name)
            self.assertEqual(len(ANY_EXPORT.findall(script)), len(EXPORT.findall(script)), name)

    def test_imports(self) -> None:
        """What is imported is exported there, and used here; what is exported, somebody imports."""
        for module, script in self.scripts.items():
            code = code_of(script)
            for target, name, own in self.imports(module):
                self.assertIn(name, EXPORT.findall(self.scripts[target]), f"{module}: {target}")
                self.assertGreater(uses(code, own), 0, f"{module} imports {own} in vain")
                self.imported[target].add(name)
        for module, script in self.scripts.items():
            unused = set(EXPORT.findall(script)) - self.imported[module]
            self.assertEqual(unused, set(), module)

    def test_every_module_belongs_to_a_page(self) -> None:
        for module in self.scripts:
            self.imports(module)
        # A worker has its own page, so to say: who starts it names its file.
        workers = re.findall(r'new URL\("(\w+\.js)"', "".join(self.scripts.values()))
        pages = "".join([*files(".html").values(), *(f"{SHARED}/{each} " for each in workers)])
        lonely = [name for name, by in self.imported.items() if not by and name not in pages]
        self.assertEqual(lonely, [])

    def test_what_is_defined_is_used(self) -> None:
        for module, script in self.scripts.items():
            code = code_of(script)
            unused = [name for name in TOP_LEVEL.findall(code) if uses(code, name) < 2]
            self.assertEqual(unused, [], module)

    def test_one_style(self) -> None:
        """What a linter would say of blanks, and of what modern scripts don't have."""
        for name, script in self.scripts.items():
            self.assertEqual(re.findall(r"[ \t]+$|\t|\r", script, re.MULTILINE), [], name)
            self.assertEqual(re.findall(r"\bvar |[^=!]==[^=]|!=[^=]|console\.", script), [], name)
            self.assertTrue(script.endswith("\n") and not script.endswith("\n\n"), name)


class PromiseTests(SynchronousTestCase):
    """The pages keep the promises that their policy makes the browser enforce."""

    FOLDERS = (SHARED, *PAGES, "login")

    def texts(self) -> dict[str, str]:
        return {
            f"{folder}/{file.name}": file.read_text("utf-8")
            for folder in self.FOLDERS
            for file in files_of(folder)
        }

    def pages(self) -> dict[str, str]:
        found = {name: text for name, text in self.texts().items() if name.endswith(".html")}
        self.assertEqual(len(found), len((*PAGES, "login")))
        return found

    def test_no_inline_code_and_no_inline_style(self) -> None:
        for name, page in self.pages().items():
            self.assertEqual(re.findall(r"<script(?![^>]*\bsrc=)", page), [], name)
            self.assertEqual(re.findall(r"<style|\bstyle=|\bon\w+=|javascript:", page), [], name)

    def test_every_link_is_a_file_of_ours(self) -> None:
        known = {f"static/{name}" for name in self.texts()}
        # `LoginFiles` has a copy of it, and what can't run scripts is told where to read on.
        known |= {"static/login/icon.svg", "api/status"}
        for name, page in self.pages().items():
            links = re.findall(r'(?:src|href)="([^"#]+)"', page)
            self.assertGreater(len(links), 2)
            for link in links:
                where = link.removeprefix("${root}") if "$" in link else f"static/{link}"
                self.assertIn(posixpath.normpath(where), known, name)

    def test_no_other_host(self) -> None:
        for name, text in self.texts().items():
            found = set(re.findall(r"(?:https?:)?//[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", text))
            # The name of SVG's elements, which nobody asks for.
            self.assertEqual(found - {"http://www.w3.org"}, set(), name)

    def test_nothing_from_the_network_becomes_markup(self) -> None:
        pattern = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        for name, text in self.texts().items():
            if name.endswith(".js"):
                self.assertEqual(re.findall(pattern, text), [], name)


class StyleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sheets = {
            name: re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
            for name, text in files(".css").items()
        }

    def said_on(self, folder: str) -> str:
        """Give all that can name a class on a page; of a folder that is shared, on any."""
        folders = {SHARED, *(PAGES if folder == SHARED else (folder,))}
        return "".join(
            text
            for name, text in {**files(".js"), **files(".html")}.items()
            if name.partition("/")[0] in folders
        )

    def test_no_class_is_left(self) -> None:
        for name, sheet in self.sheets.items():
            said = self.said_on(name.partition("/")[0])
            made = tuple(set(MADE.findall(said)))
            classes = set(CLASS.findall(re.sub(r"\{[^{}]*\}", "{}", sheet)))
            self.assertGreater(len(classes), 20)
            unused = [
                each
                for each in sorted(classes)
                if not each.startswith(made) and not re.search(rf"(?<![\w-]){each}(?![\w-])", said)
            ]
            self.assertEqual(unused, [], name)

    def test_tokens(self) -> None:
        """All are defined, and used."""
        everything = "".join(self.sheets.values()) + "".join(files(".js").values())
        defined = set(re.findall(r"(--[\w-]+)(?=\s*:|\",)", everything))
        used = set(re.findall(r"var\((--[\w-]+)", everything))
        self.assertEqual(defined, used)

    def test_colours_are_tokens(self) -> None:
        """Pages choose no colours of their own: light and dark are in one place."""
        for folder in PAGES:
            for name, sheet in self.sheets.items():
                if name.startswith(folder):
                    self.assertEqual(re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", sheet), [], name)

    def test_sheets_are_linked(self) -> None:
        pages = "".join(files(".html").values())
        self.assertEqual([name for name in self.sheets if name not in pages], [])

    def test_no_folder_is_forgotten(self) -> None:
        static = resources.files("tunnelsvc.admin") / "static"
        folders = {each.name for each in static.iterdir()}
        self.assertEqual(folders, {SHARED, *PAGES, "login"})
