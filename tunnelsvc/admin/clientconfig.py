# -*- test-case-name: tests.admin.test_clientconfig -*-
"""The client's file: shown, checked, compared, exchanged.

Who needs no password sees marks for the secrets of the file, and may leave them where they are
(`tunnelsvc.admin.hidden`). So the file's text here is always the one with marks, for who gets them.
"""

import difflib
import os
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from twisted.web import http

from tunnelsvc.admin import configfile
from tunnelsvc.admin.clientview import ClientView
from tunnelsvc.admin.hidden import Hider
from tunnelsvc.admin.routing import APIError
from tunnelsvc.config import Loaded, legacy
from tunnelsvc.config.diff import Changes, Diff, N, compare
from tunnelsvc.config.schema import ClientConfig
from tunnelsvc.errors import ConfigError

Shape = dict[str, Any]

ETAG_CHARACTERS: Final = 32
MOST_DIFFED_LINES: Final = 5_000
"""difflib takes a second for files of this length that have nothing in common."""
NO_FILE: Final = "this client has no configuration file"


class ConfigText:
    """The file of a client, as its page has it."""

    def __init__(self, client: ClientView, hider: Hider | None) -> None:
        """Begin.

        Args:
            client: whose file it is.
            hider: hides its secrets; None: they are shown.
        """
        self._client = client
        self._hider = hider

    def shape(self) -> Shape:
        """Give the file.

        Raises:
            APIError: there is none, or it can't be read.
        """
        content = self._content()
        return {
            "text": self._shown(content),
            "path": self._client.path,
            "etag": _etag(content),
            "hidden": self._hider is not None,
        }

    def check(self, text: str) -> Shape:
        """Say what is wrong with a text, and what it would change.

        Raises:
            APIError: there is no file.
        """
        content = self._content()
        return self._checked(text, content)

    def put(self, text: str, etag: str) -> tuple[Shape, bool]:
        """Make a text the file, if it is right, and the file is still the one that was shown.

        Returns:
            As `check`, and whether it was written.

        Raises:
            APIError: there is no file, it has changed, or it can't be written.
        """
        content = self._content()
        if etag != _etag(content):
            raise APIError(http.CONFLICT, "the file has changed meanwhile: load it again")
        shape = self._checked(text, content)
        if shape["problems"]:
            return shape, False
        new = self._put_back(text, content).encode()
        try:
            configfile.replace(self._client.path, new, self._client.load)
        except ConfigError as why:
            return shape | {"problems": list(why.problems)}, False
        except OSError as why:
            raise configfile.not_written(self._client.path, why) from None
        return shape | {"etag": _etag(new)}, True

    def _content(self) -> bytes:
        if not self._client.path:
            raise APIError(http.NOT_FOUND, NO_FILE)
        try:
            return legacy.read(self._client.path)
        except ConfigError as why:
            raise APIError(http.NOT_FOUND, str(why)) from None

    def _shown(self, content: bytes) -> str:
        text = _text(content, self._client.path)
        return self._hider.hide(text) if self._hider is not None else text

    def _put_back(self, text: str, content: bytes) -> str:
        if self._hider is None:
            return text
        return self._hider.put_back(text, _text(content, self._client.path))

    def _checked(self, text: str, content: bytes) -> Shape:
        diff = _unified(self._shown(content), text)
        nothing: Shape = {"added": [], "removed": [], "changed": []}
        shape: Shape = {
            "problems": [],
            "warnings": [],
            "diff": diff,
            "changes": nothing,
            "remarks": [],
        }
        try:
            loaded = self._load(self._put_back(text, content))
        except ConfigError as why:
            return shape | {"problems": list(why.problems)}
        found = compare(self._client.config, loaded.config)
        return shape | {
            "warnings": list(loaded.warnings),
            "changes": _changes(found),
            "remarks": found.remarks(),
        }

    def _load(self, text: str) -> Loaded[ClientConfig]:
        """Read a text as if it were the file; messages name the file."""
        path = Path(self._client.path)
        # Readable for nobody else. By its name its format is known, perhaps.
        try:
            with TemporaryDirectory(prefix="tunnelsvc-") as directory:
                return self._load_from(Path(directory) / path.name, text)
        except OSError as why:
            raise ConfigError([f"{path}: can't be checked: {why.strerror or why}"]) from None

    def _load_from(self, other: Path, text: str) -> Loaded[ClientConfig]:
        descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, configfile.PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            loaded = self._client.load(str(other))
        except ConfigError as why:
            named = [each.replace(str(other), self._client.path) for each in why.problems]
            raise ConfigError(named) from None
        warnings = (each.replace(str(other), self._client.path) for each in loaded.warnings)
        return Loaded(loaded.config, tuple(warnings))


def _etag(content: bytes) -> str:
    return sha256(content).hexdigest()[:ETAG_CHARACTERS]


def _text(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise APIError(http.BAD_REQUEST, f"{path}: not UTF-8 text") from None


def _unified(old: str, new: str) -> str:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if before == after:
        return ""
    if max(len(before), len(after)) > MOST_DIFFED_LINES:
        return "(too long to be compared)\n"
    lines = difflib.unified_diff(before, after, "now", "new")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _changes(diff: Diff) -> Shape:
    """Name what comes, goes and changes: proxies, and visitors."""
    shape: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    _add(shape, diff.proxies)
    _add(shape, diff.visitors)
    return shape


def _add(shape: dict[str, list[str]], changes: Changes[N]) -> None:
    for each in changes.added:
        shape["changed" if each.name in changes.removed else "added"].append(each.name)
    shape["removed"] += changes.gone
