# -*- test-case-name: tests.admin.test_pages -*-
"""For tests of the pages' files."""

from collections.abc import Callable
from importlib import resources

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.support import Answer
from tunnelsvc.admin.pages import INDEX, TYPES, files_of


def text_of(folder: str, name: str) -> str:
    """Read a file of a page."""
    return (resources.files("tunnelsvc.admin") / "static" / folder / name).read_text("utf-8")


def scripts(folder: str) -> dict[str, str]:
    """Read all scripts of a page, by name."""
    return {
        file.name: file.read_text("utf-8") for file in files_of(folder) if file.name.endswith(".js")
    }


def check_files(test: SynchronousTestCase, ask: Callable[[str], Answer], folder: str) -> set[str]:
    """Have each file but the page itself served with its type; return their suffixes."""
    seen = set()
    for file in files_of(folder):
        if file.name == INDEX:
            continue
        answer = ask(f"/static/{folder}/{file.name}")
        suffix = "." + file.name.rpartition(".")[2]
        test.assertEqual((answer.status, answer.headers["Content-Type"]), (200, TYPES[suffix]))
        test.assertEqual(answer.body, file.read_bytes())
        seen.add(suffix)
    return seen
