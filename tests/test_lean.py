# -*- test-case-name: tests.test_lean -*-
"""Tests of `tunnelsvc.lean`. What it is for, `tests.test_imports` looks at."""

import http
import linecache
import subprocess
import sys
from importlib import import_module
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc import lean
from tunnelsvc.lean import forget_sources, lean_imports

ABSENT = "tests.data_of_nobody"


class LeanImportsTests(SynchronousTestCase):
    """In a process that has imported everything already."""

    def setUp(self) -> None:
        self.patch(lean, "DISPENSABLE", (*lean.DISPENSABLE, "bz2"))

    def hide(self, name: str) -> None:
        """Let a module be not imported yet, until the test is over."""
        module = sys.modules.pop(name, None)

        def restore() -> None:
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module

        self.addCleanup(restore)

    def test_dispensable_in_the_block_only(self) -> None:
        self.hide("bz2")
        with lean_imports(), self.assertRaises(ImportError):
            import_module("bz2")
        self.assertIsInstance(import_module("bz2"), ModuleType)

    def test_ended_by_an_error(self) -> None:
        self.hide("bz2")
        with self.assertRaises(ZeroDivisionError), lean_imports():
            raise ZeroDivisionError
        self.assertNotIn("bz2", sys.modules)

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
