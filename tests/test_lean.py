# -*- test-case-name: tests.test_lean -*-
"""Tests of `tunnelsvc.lean`. What it is for, `tests.test_imports` looks at."""

import linecache
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from tunnelsvc import lean
from tunnelsvc.lean import StandIn, forget_sources, lean_imports, standing_in

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

    def test_deferreds_with_another_twisted(self) -> None:
        """It wants what a stand-in can't be, a package: it's left alone, and gets all of it."""
        self.hide(ABSENT)
        self.patch(lean, "FOR_DEFERREDS", {ABSENT: {}})
        self.patch(lean, "import_module", Mock(side_effect=self.importing))
        with lean_imports():
            self.assertNotIn(ABSENT, sys.modules)

    def importing(self, name: str) -> ModuleType:
        """As a Twisted that imports a module of what stands for a package."""
        return import_module(f"{ABSENT}.part" if name == "twisted.internet.defer" else name)


class StandInTests(HidingTestCase):
    """Those of a module, ``quopri``, that isn't loaded."""

    NAME = "quopri"

    def setUp(self) -> None:
        self.hide(self.NAME)

    def test_given_names(self) -> None:
        with standing_in({self.NAME: {"one": 1}}):
            self.assertEqual(import_module(self.NAME).one, 1)
            self.assertIsInstance(sys.modules[self.NAME], StandIn)
        self.assertNotIn(self.NAME, sys.modules)

    def test_others_in_the_block(self) -> None:
        """They load it, and it stays."""
        with standing_in({self.NAME: {}}):
            stand_in = sys.modules[self.NAME]
            self.assertEqual(stand_in.ESCAPE, b"=")
            loaded = sys.modules[self.NAME]
            self.assertIsNot(loaded, stand_in)
        self.assertIs(import_module(self.NAME), loaded)

    def test_afterwards(self) -> None:
        """All are the module's own, also those that were given; nothing is loaded before."""
        with standing_in({self.NAME: {"ESCAPE": b"+"}}):
            stand_in = import_module(self.NAME)
        self.assertNotIn(self.NAME, sys.modules)
        self.assertEqual(stand_in.ESCAPE, b"=")
        self.assertIs(stand_in.encode, import_module(self.NAME).encode)

    def test_no_such_name(self) -> None:
        with standing_in({self.NAME: {}}):
            stand_in = import_module(self.NAME)
        with self.assertRaisesRegex(AttributeError, "quopri.*nothing_like_it"):
            _ = stand_in.nothing_like_it

    def test_no_package(self) -> None:
        with standing_in({self.NAME: {}}), self.assertRaises(ModuleNotFoundError):
            import_module(f"{self.NAME}.part")

    def test_imported_already(self) -> None:
        module = import_module(self.NAME)
        with standing_in({self.NAME: {}}):
            self.assertIs(import_module(self.NAME), module)
        self.assertIs(sys.modules[self.NAME], module)

    def test_before_an_imported_one(self) -> None:
        """Which is what the other names are of, and is imported again afterwards."""
        module = import_module(self.NAME)
        vars(module)["mark"] = object()
        with standing_in({self.NAME: {"ESCAPE": b"+"}}, imported_too=True):
            stand_in = import_module(self.NAME)
            self.assertEqual(stand_in.ESCAPE, b"+")
            self.assertIs(sys.modules[self.NAME], stand_in)
            self.assertIs(stand_in.mark, vars(module)["mark"])
        self.assertEqual(stand_in.ESCAPE, b"=")
        self.assertIs(sys.modules[self.NAME], module)

    def test_ended_by_an_error(self) -> None:
        with self.assertRaises(ZeroDivisionError), standing_in({self.NAME: {}}):
            raise ZeroDivisionError
        self.assertNotIn(self.NAME, sys.modules)


class PostponedTests(SynchronousTestCase):
    """What the modules are for works after all, in a process that hasn't got them."""

    def run_script(self, script: str, *absent: str) -> None:
        """Run it in a process of its own where Twisted's core, and not these are imported."""
        before = f"import tunnelsvc.cli, sys\nassert not set({absent!r}) & set(sys.modules)\n"
        ended = subprocess.run(
            [sys.executable, "-c", before + script],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_deferreds_in_asyncio(self) -> None:
        self.run_script(
            "import asyncio\n"
            "from twisted.internet.defer import Deferred, ensureDeferred, succeed\n"
            "async def three():\n"
            "    return 1 + await succeed(2)\n"
            "async def main():\n"
            "    future = ensureDeferred(three()).asFuture(asyncio.get_running_loop())\n"
            "    assert isinstance(future, asyncio.Future) and await future == 3\n"
            "    loop = asyncio.get_running_loop(); done = loop.create_future()\n"
            "    there = Deferred.fromFuture(done); done.set_result(4)\n"
            "    assert await there.asFuture(loop) == 4\n"
            "asyncio.run(asyncio.wait_for(main(), 30))\n",
            "asyncio",
        )

    def test_coroutines(self) -> None:
        """Only those, and Twisted's generators are seen to by itself."""
        self.run_script(
            "from twisted.internet.defer import ensureDeferred, inlineCallbacks, succeed\n"
            "@inlineCallbacks\n"
            "def two():\n"
            "    return 1 + (yield succeed(1))\n"
            "async def coroutine():\n"
            "    return await two()\n"
            "def generator():\n"
            "    return (yield from succeed(2).__await__())\n"
            "results = []\n"
            "for one in coroutine(), generator():\n"
            "    ensureDeferred(one).addCallback(results.append)\n"
            "assert results == [2, 2], results\n"
            "try: ensureDeferred(2)\n"
            "except Exception as why: assert 'coroutine' in str(why)\n"
            "else: raise AssertionError('it took a number')\n"
            "assert 'asyncio' not in sys.modules\n"
        )

    def test_plugins(self) -> None:
        self.run_script(
            "from twisted.application.service import IServiceMaker\n"
            "from twisted.plugin import getPlugins\n"
            "names = [maker.tapname for maker in getPlugins(IServiceMaker)]\n"
            "assert 'tunnel-client' in names, names\n",
            "pickle",
            "twisted.python.modules",
            "zipfile",
        )

    def test_pickled_application(self) -> None:
        self.run_script(
            "import os, tempfile\n"
            "from twisted.application.service import Application, loadApplication\n"
            "from twisted.persisted.sob import IPersistable\n"
            "application = Application('tried')\n"
            "path = os.path.join(tempfile.mkdtemp(dir='.'), 'tried.tap')\n"
            "IPersistable(application).save(filename=path)\n"
            "assert loadApplication(path, 'pickle') is not None\n",
            "pickle",
            "twisted.persisted.styles",
        )

    def test_logging(self) -> None:
        """Events get there with their levels, which Twisted has as Python has them."""
        self.run_script(
            "from twisted.logger import LogLevel, STDLibLogObserver, Logger\n"
            "from twisted.logger._stdlib import fromStdlibLogLevelMapping as levels\n"
            "lines = []\n"
            "assert 'logging' not in sys.modules\n"
            "Logger(observer=STDLibLogObserver('tried')).error('it broke')\n"
            "import logging\n"
            "for name in 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL':\n"
            "    number = getattr(logging, name)\n"
            "    assert levels[number] is levels[logging.getLevelName(number)]\n"
            "class Keep(logging.Handler):\n"
            "    def emit(self, record): lines.append((record.levelno, record.getMessage()))\n"
            "logging.getLogger('tried').addHandler(Keep())\n"
            "Logger(observer=STDLibLogObserver('tried')).warn('it bends')\n"
            "assert lines == [(logging.WARNING, 'it bends')], lines\n",
            "logging",
        )

    def test_tracebacks(self) -> None:
        """They show the line, which is found by the file's encoding."""
        path = Path(self.mktemp())
        path.write_bytes(b"# coding: latin-1\n1 / 0  # \xe9\n")
        self.run_script(
            "import linecache\n"
            f"assert linecache.getline({str(path)!r}, 2) == '1 / 0  # \\xe9\\n'\n"
            "assert 'tokenize' in sys.modules\n",
            "tokenize",
        )

    def test_types(self) -> None:
        """Others get what they expect, and Twisted's are as good as that."""
        self.run_script(
            "from twisted.internet.protocol import ClientFactory, Protocol\n"
            "assert ClientFactory[Protocol].__origin__ is ClientFactory\n"
            "from typing_extensions import TypeVar, override\n"
            "assert TypeVar('T', default=int).__default__ is int\n"
            "@override\n"
            "def method(): pass\n"
            "assert method.__override__\n",
            "typing_extensions",
        )

    def test_entities(self) -> None:
        """HTML, for who reads it after all; who writes it needs none."""
        self.run_script(
            "import html\n"
            "assert html.escape('<') == '&lt;'; assert 'html.entities' not in sys.modules\n"
            "assert html.unescape('&eacute;&notit;&xyzzy;') == '\\xe9\\xacit;&xyzzy;'\n"
            "import html.entities; assert html.entities.html5['amp;'] == '&'\n"
            "assert dict(html._html5) == html.entities.html5\n"
            "assert len(html._html5) == len(html.entities.html5)\n",
            "html.entities",
        )

    def test_cookies(self) -> None:
        self.run_script(
            "from twisted.python.compat import cookielib\n"
            "import http.cookiejar\n"
            "assert cookielib.CookieJar is http.cookiejar.CookieJar\n",
            "http.cookiejar",
        )


class EntitiesTests(HidingTestCase):
    """HTML, for who reads it after all."""

    NAME = "html.entities"

    def test_for_html_only(self) -> None:
        """Which it is made for; who imports it finds the real one."""
        entities = import_module(self.NAME)
        for name in ("html", self.NAME):
            self.hide(name)
        with lean_imports():
            import_module("html")
        self.assertNotIn(self.NAME, sys.modules)
        names = vars(sys.modules["html"])["_html5"]
        self.assertIsInstance(names, lean._Entities)
        self.assertEqual((dict(names), len(names)), (entities.html5, len(entities.html5)))


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
