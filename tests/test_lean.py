# -*- test-case-name: tests.test_lean -*-
"""Tests of `tunnelsvc.lean`. What it is for, `tests.test_imports` looks at."""

import http
import linecache
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc import lean
from tunnelsvc.lean import forget_sources, lean_imports

ABSENT = "tests.data_of_nobody"


class HidingTestCase(SynchronousTestCase):
    """Hides modules."""

    def hide(self, name: str) -> None:
        """Let a module be not imported yet, until the test is over."""
        module = sys.modules.pop(name, None)

        def restore() -> None:
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module

        self.addCleanup(restore)


class LeanImportsTests(HidingTestCase):
    """In a process that has imported everything already."""

    def setUp(self) -> None:
        self.patch(lean, "DISPENSABLE", (*lean.DISPENSABLE, "chunk"))

    def test_dispensable_in_the_block_only(self) -> None:
        self.hide("chunk")
        with lean_imports(), self.assertRaises(ImportError):
            import_module("chunk")
        self.assertIsInstance(import_module("chunk"), ModuleType)

    def test_ended_by_an_error(self) -> None:
        self.hide("chunk")
        with self.assertRaises(ZeroDivisionError), lean_imports():
            raise ZeroDivisionError
        self.assertNotIn("chunk", sys.modules)

    def test_what_is_imported_stays(self) -> None:
        before = {name: sys.modules.get(name) for name in lean.DISPENSABLE}
        with lean_imports():
            for name, module in before.items():
                if module is not None:
                    self.assertIs(sys.modules[name], module)
        self.assertEqual({name: sys.modules.get(name) for name in before}, before)

    def test_python_without_hashes_of_its_own(self) -> None:
        self.assertIn("_hashlib", lean._dispensable())
        self.patch(lean, "_OWN_HASHES", ("_md5", ABSENT.replace(".", "_")))
        self.assertNotIn("_hashlib", lean._dispensable())

    def test_postponed(self) -> None:
        """Neither the block loads it, nor the next one, nor passing it on: using it does."""
        self.hide(lean.POSTPONED)
        self.patch(http, "cookiejar", None)
        with lean_imports():
            cookiejar = vars(http)["cookiejar"]
        with lean_imports():
            pass
        self.assertNotIn("CookieJar", object.__getattribute__(cookiejar, "__dict__"))
        self.assertEqual(cookiejar.CookieJar.__name__, "CookieJar")

    def test_not_postponed_when_imported(self) -> None:
        cookiejar = import_module(lean.POSTPONED)
        with lean_imports():
            self.assertIs(sys.modules[lean.POSTPONED], cookiejar)


class InPartTests(SynchronousTestCase):
    """A package of which some names are wanted: here ``one`` of ``first``."""

    PACKAGE = "package_in_part"

    def setUp(self) -> None:
        files = {
            "__init__": "from .first import *\nfrom .second import *\nall = first.one + second.two",
            "first": "one = 1",
            "second": "from . import first\ntwo = 2 * first.one",
        }
        directory = Path(self.mktemp())
        (directory / self.PACKAGE).mkdir(parents=True)
        for name, content in files.items():
            path = directory / self.PACKAGE / f"{name}.py"
            path.write_text(content, encoding="utf-8")
        self.patch(sys, "path", [str(directory), *sys.path])
        self.patch(sys, "meta_path", list(sys.meta_path))
        self.addCleanup(self.forget)

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith(self.PACKAGE)]:
            del sys.modules[name]

    def in_part(self) -> ModuleType:
        """Import it in part; return what there is of it in the block."""
        with lean._in_part(self.PACKAGE, {"first": "one"}):
            return import_module(self.PACKAGE)

    def test_those_names_only(self) -> None:
        package = self.in_part()
        self.assertEqual(package.one, 1)
        self.assertNotIn("all", vars(package))
        self.assertNotIn(self.PACKAGE, sys.modules)
        self.assertNotIn(f"{self.PACKAGE}.second", sys.modules)

    def test_more_is_wanted(self) -> None:
        """A newer Twisted may want other names."""
        finders = list(sys.meta_path)
        with lean._in_part(self.PACKAGE, {"first": "one"}):
            package = import_module(self.PACKAGE)
            self.assertEqual(package.all, 3)
        self.assertIs(import_module(self.PACKAGE), package)
        self.assertEqual(sys.meta_path, finders)

    def test_not_where_it_was(self) -> None:
        for parts in {"first": "absent"}, {"absent": "one"}:
            with lean._in_part(self.PACKAGE, parts):
                self.assertEqual(import_module(self.PACKAGE).one, 1)
            self.forget()

    def test_a_module_is_wanted(self) -> None:
        with lean._in_part(self.PACKAGE, {"first": "one"}):
            second = import_module(f"{self.PACKAGE}.second")
        self.assertIs(import_module(self.PACKAGE).second, second)

    def test_all_of_it_later(self) -> None:
        """Whoever was given a part has the same objects, and nothing of the way is left."""
        finders = list(sys.meta_path)
        first = self.in_part().first
        package = import_module(self.PACKAGE)
        self.assertEqual(package.all, 3)
        self.assertIs(package.first, first)
        self.assertIs(import_module(f"{self.PACKAGE}.first"), first)
        self.assertEqual(sys.meta_path, finders)
        assert package.__spec__ is not None
        self.assertIs(package.__spec__.loader, package.__loader__)
        self.assertNotIsInstance(package.__loader__, lean._Completing)

    def test_a_module_of_it_later(self) -> None:
        self.in_part()
        second = import_module(f"{self.PACKAGE}.second")
        self.assertEqual(second.two, 2)
        self.assertEqual(sys.modules[self.PACKAGE].all, 3)

    def test_looked_for_only(self) -> None:
        """Who asks where it is doesn't use up what completes it."""
        self.in_part()
        self.assertIsNotNone(find_spec(self.PACKAGE))
        self.assertIsNone(find_spec(ABSENT.replace(".", "_")))
        self.assertEqual(import_module(self.PACKAGE).all, 3)

    def test_imported_already(self) -> None:
        package = import_module(self.PACKAGE)
        self.assertIs(self.in_part(), package)
        self.assertIs(sys.modules[self.PACKAGE], package)

    def test_asyncio(self) -> None:
        """The one that it is for works afterwards, and Twisted's part belongs to it."""
        script = (
            "import tunnelsvc.cli, sys; assert 'asyncio.tasks' not in sys.modules\n"
            "from twisted.internet.defer import Future\n"
            "import asyncio; assert Future is asyncio.Future\n"
            "asyncio.run(asyncio.wait_for(asyncio.sleep(0), 9))\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class EntitiesTests(HidingTestCase):
    """HTML, for who reads it after all."""

    def test_found_when_wanted(self) -> None:
        script = (
            "import tunnelsvc.cli, sys, html; assert 'html.entities' not in sys.modules\n"
            "assert html.escape('<') == '&lt;'; assert 'html.entities' not in sys.modules\n"
            "assert html.unescape('&eacute;&notit;&xyzzy;') == '\\xe9\\xacit;&xyzzy;'\n"
            "import html.entities; assert html.entities.html5['amp;'] == '&'\n"
            "assert dict(html._html5) == html.entities.html5\n"
            "assert len(html._html5) == len(html.entities.html5)\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

    def test_for_html_only(self) -> None:
        """Which it is made for; who imports it finds the real one."""
        entities = import_module(lean.ENTITIES)
        for name in ("html", lean.ENTITIES):
            self.hide(name)
        lean._import_html()
        self.assertNotIn(lean.ENTITIES, sys.modules)
        names = vars(sys.modules["html"])["_html5"]
        self.assertIsInstance(names, lean._Entities)
        self.assertEqual((dict(names), len(names)), (entities.html5, len(entities.html5)))

    def test_there_already(self) -> None:
        entities = import_module(lean.ENTITIES)
        lean._import_html()
        self.assertIs(sys.modules[lean.ENTITIES], entities)


class WebTests(SynchronousTestCase):
    """twisted.web, as users of the programs have it."""

    def test_without_http2(self) -> None:
        """It works without; and our own is there for who wants it."""
        script = (
            "from tunnelsvc.lean import import_web; import_web()\n"
            "from twisted.web.http import H2_ENABLED; assert not H2_ENABLED\n"
            "import h2.connection\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class SourcesTests(SynchronousTestCase):
    def test_forgotten(self) -> None:
        """What attrs made is gone; what is in files is found again."""
        linecache.cache["<attrs generated x>"] = (1, None, ["x"], "<attrs generated x>")
        forget_sources()
        self.assertNotIn("<attrs generated x>", linecache.cache)
        self.assertIn("test_lean", linecache.getline(__file__, 1))
