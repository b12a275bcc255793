"""Tests in several processes: what is run together, and what becomes of its outcome."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.parallel import INTERRUPTED
from tests.programs import PATIENCE, ProcessStatus, Program, ProgramTestCase, eventually

ROOT: Final = Path(__file__).parents[1]

PASSES: Final = """
from twisted.trial.unittest import SynchronousTestCase
class Tests(SynchronousTestCase):
    def test_it(self):
        self.assertTrue(True)
"""
GOOD: Final = """
    def test_good(self):
        pass
"""
FAILS: Final = PASSES.replace("assertTrue", "assertFalse")
WAITS: Final = """
import os, pathlib, time
from twisted.trial.unittest import SynchronousTestCase
class Tests(SynchronousTestCase):
    def test_it(self):
        self.addCleanup(pathlib.Path("cleaned").touch)
        pathlib.Path("pid.new").write_text(str(os.getpid()))
        os.rename("pid.new", "pid")
        time.sleep(600)
"""


class ParallelTests(ProgramTestCase):
    """A package ``sample`` that is run as our own tests are."""

    def check_outputs(self) -> None:
        """Tracebacks of tests are what is expected here."""

    def write(self, **modules: str) -> None:
        """Write test modules: two underscores in a name are the dot of a package."""
        for name, text in modules.items():
            path = self.directory.joinpath("sample", *name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name("__init__.py").touch()
            path.write_text(text, encoding="utf-8")
        (self.directory / "sample" / "__init__.py").touch()

    def start(self, *arguments: str) -> Program:
        """Start the runner; its own coverage data, and that of its processes, is nobody's."""
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COVERAGE_FILE": str(self.directory / "coverage" / "data"),
        }
        command = (sys.executable, "-m", "tests.parallel", "--temp-directory", "tmp", *arguments)
        return self.run_program(command, environ=environ)

    def check(self, status: int, *arguments: str) -> str:
        """Run it to its end; return what it printed."""
        program = self.start(*arguments)
        self.assertEqual(program.wait(2 * PATIENCE), status, program.excerpt())
        return program.output()

    def parts(self, *names: str, directory: Path | None = None) -> list[tuple[str, ...]]:
        """Find what would be run together, from a directory, of itself the sample's."""
        code = (
            "import sys, tests.parallel as p; print(*(' '.join(part.names) "
            "for part in p.find_parts(sys.argv[1:])), sep='\\n')"
        )
        found = subprocess.run(
            (sys.executable, "-c", code, *names),
            capture_output=True,
            check=True,
            cwd=directory or self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        return [tuple(line.split()) for line in found.stdout.splitlines()]

    def test_parts(self) -> None:
        """Packages are run together, but for slow ones; long modules come first."""
        self.write(
            test_a=PASSES, support=PASSES, sub__test_b=PASSES, sub__test_c=PASSES,
            e2e__test_d=PASSES, e2e__test_e=PASSES * 9,
        )  # fmt: skip
        self.assertEqual(
            self.parts("sample"),
            [
                ("sample.e2e.test_e",),
                ("sample.sub.test_b", "sample.sub.test_c"),
                ("sample.test_a",),
                ("sample.e2e.test_d",),
            ],
        )
        method = "sample.sub.test_b.Tests.test_it"
        self.assertEqual(self.parts("sample.test_a", method), [("sample.test_a",), (method,)])

    def test_nothing_is_left_out(self) -> None:
        """Of our own tests, each module is in one part."""
        names = sorted(name for part in self.parts("tests", directory=ROOT) for name in part)
        paths = ROOT.joinpath("tests").rglob("test_*.py")
        modules = (path.relative_to(ROOT).with_suffix("") for path in paths)
        self.assertEqual(names, sorted(".".join(module.parts) for module in modules))

    def test_passed(self) -> None:
        self.write(test_a=PASSES, sub__test_b=PASSES)
        said = self.check(0, "sample")
        self.assertIn("Ran 2 tests in 2 processes", said)
        self.assertNotIn("FAILED", said)
        self.assertNotIn("test_it", said)

    def test_measured(self) -> None:
        """Each process leaves data, but those that have the program beside them."""
        self.write(test_a=PASSES, sub__test_b=PASSES, e2e__test_c=PASSES)
        (self.directory / ".coveragerc").write_text("[run]\nparallel = True\n", encoding="ascii")
        said = self.check(0, "sample")
        self.assertIn("Ran 3 tests in 3 processes", said)
        self.assertEqual(len(list((self.directory / "coverage").glob("data.*"))), 2)

    def test_reported(self) -> None:
        """Of some of the tests nobody expects that they run all of the program."""
        self.write(test_a=PASSES, sub__test_b=PASSES)
        run = "[run]\nparallel = True\nsource = sample\n"
        (self.directory / ".coveragerc").write_text(run, encoding="ascii")
        (self.directory / "sample" / "unused.py").write_text("x = 1\n" * 100, encoding="ascii")
        self.assertIn("TOTAL", self.check(0, "--report", "sample"))

    def test_failed(self) -> None:
        """All are run, and what failed is shown."""
        self.write(test_a=PASSES, sub__test_b=FAILS + GOOD, other__test_c=PASSES)
        said = self.check(1, "sample")
        self.assertIn("Ran 4 tests in 3 processes", said)
        self.assertIn("self.assertFalse(True)", said)
        self.assertNotIn("[OK]", said)
        self.assertEqual(said.splitlines()[-1], "FAILED: sample.sub, exit status 1")

    def test_one(self) -> None:
        """Trial says what it always says."""
        self.write(test_a=FAILS)
        self.assertIn("[FAIL]", self.check(1, "sample.test_a.Tests.test_it"))

    def test_what_is_not_there(self) -> None:
        self.write(test_a=PASSES)
        self.assertIn("FAILED: sample.test_nope", self.check(1, "sample", "sample.test_nope"))

    def test_options(self) -> None:
        """What isn't ours is trial's."""
        self.write(test_a=PASSES)
        self.assertIn("secs)", self.check(0, "--reporter=timing", "sample.test_a"))

    def check_interrupted(self, number: signal.Signals, *names: str) -> None:
        """Everything ends; what has begun cleans up, what hasn't is left alone."""
        self.write(test_a=WAITS, sub__test_b=PASSES)
        program = self.start("--jobs", "1", *names)
        found = eventually(lambda: list((self.directory / "tmp").rglob("pid")), "a test running")
        worker = ProcessStatus(int(found[0].read_text(encoding="ascii")))
        program.process.send_signal(number)
        self.assertEqual(program.wait(), INTERRUPTED, program.excerpt())
        self.assertFalse(worker.is_running())
        self.assertTrue(found[0].with_name("cleaned").exists())
        self.assertNotIn("sample.sub", program.output())

    def test_interrupted(self) -> None:
        self.check_interrupted(signal.SIGINT, "sample")

    def test_terminated(self) -> None:
        self.check_interrupted(signal.SIGTERM, "sample")

    def test_one_interrupted(self) -> None:
        self.check_interrupted(signal.SIGINT, "sample.test_a")
