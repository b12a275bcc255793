# -*- test-case-name: tests.test_lean -*-
"""Import Twisted's core without what it tries to import, and we don't use.

A program at rest is mostly its imports, and half of Twisted's are there for others: its own TLS
(ours is `tunnelsvc.link.tlstransport`), cookies, asyncio, pickled applications. With them comes
OpenSSL twice, once the system's by ``ssl`` and ``hashlib``, once cryptography's; a program mostly
needs one of them (see `tunnelsvc.link.tls`).

Nothing is patched. Who imports a module of `DISPENSABLE` is ready to do without it, by ``except
ImportError``; while the core is imported they are told that it isn't installed. Of `POSTPONED` they
get a `StandIn`, which has what they want at once, and loads the module when anything is used.
Afterwards all can be imported as ever. Where Twisted is loaded already, under twistd for instance,
nothing changes.
"""

import sys
import typing
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

DISPENSABLE: Final = (
    "OpenSSL",  # Twisted's TLS: transports get no startTLS, the reactor no listenSSL; 1.5 MiB
    "ctypes",  # the texts of Windows' errors; 0.4 MiB
)
"""Names in `lean_imports`, with the resident memory that they would take."""

WEB_DISPENSABLE: Final = "h2"
"""HTTP/2 of twisted.web; users' sites have their own (`tunnelsvc.gateway.http2`)."""

_OPENSSL_HASHES: Final = "_hashlib"
_OWN_HASHES: Final = ("_md5", "_sha1", "_sha3", "_blake2")


class StandIn(ModuleType):
    """Imported instead of a module, which is loaded when a name is wanted that this hasn't.

    Args:
        name: of the module; it's no package.
        names: what it has, for the time being.
    """

    def __init__(self, name: str, names: Mapping[str, object]) -> None:
        super().__init__(name)
        self._lent = names
        vars(self).update(names)
        self._covered = sys.modules.get(name)
        sys.modules[name] = self

    def withdraw(self) -> None:
        """Let go of the names, so that all are the module's own, and let others import it."""
        for name in self._lent:
            vars(self).pop(name, None)
        self._step_aside()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks, and takes no for an answer
            raise AttributeError(name)
        self._step_aside()
        return getattr(import_module(self.__name__), name)

    def _step_aside(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            if self._covered is not None:
                sys.modules[self.__name__] = self._covered


def later(module: str, name: str) -> Callable[..., Any]:
    """Make a function that loads a module to call what it stands for there."""

    def call(*args: object, **keywords: object) -> object:
        return getattr(import_module(module), name)(*args, **keywords)

    return call


class _Entities(Mapping[str, str]):
    """The names of characters in HTML, loaded when somebody asks for one."""

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, str]:
        names: Mapping[str, str] = import_module("html.entities").html5
        return names


def _is_coroutine(value: object) -> bool:
    """Tell as ``asyncio.iscoroutine`` does since Python 3.12, which Twisted takes care of."""
    return isinstance(value, Coroutine)


def _type_variable(name: str, **_: object) -> object:
    """Make one without bound and default, which are for type checkers only."""
    return typing.TypeVar(name)


def _same(method: object) -> object:
    """Do what ``typing.override`` does, since Python 3.12."""
    return method


# Names and numbers as in docs.python.org, "Logging Levels".
_LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

POSTPONED: Final[Mapping[str, Mapping[str, object]]] = {
    # twisted.python.compat passes it on; urllib, http and email come with it: 1.5 MiB.
    "http.cookiejar": {},
    # html wants it for who reads HTML, and twisted.python.compat has from there how to write it:
    # 0.45 MiB.
    "html.entities": {"html5": _Entities()},
    # twisted.logger passes events on to it, and has a table of its levels: 0.3 MiB.
    "logging": {**_LEVELS, "getLevelName": {level: name for name, level in _LEVELS.items()}.get},
    # Of twisted.python.reflect and of who looks for plugins: 0.3 MiB.
    "pickle": {},
    # For who looks at source text, such as tracebacks: 0.2 MiB.
    "tokenize": {},
    # twisted.application.service has there how applications are pickled.
    "twisted.persisted.sob": {},
    # twisted.plugin looks for plugins with it, also in zip files: 0.5 MiB.
    "twisted.python.modules": {"getModule": later("twisted.python.modules", "getModule")},
    # Backports of what is for type checkers, and nothing for who runs it: 0.4 MiB.
    "typing_extensions": {
        "Concatenate": typing.Concatenate,
        "ParamSpec": typing.ParamSpec,
        "Self": typing.Self,
        "TypeAlias": typing.TypeAlias,
        "TypeVar": _type_variable,
        "TypedDict": typing.TypedDict,
        "override": _same,
    },
}
"""Modules in `lean_imports`, and what there is of them."""

FOR_DEFERREDS: Final[Mapping[str, Mapping[str, object]]] = {
    "asyncio": {
        "iscoroutine": _is_coroutine,
        # In annotations only.
        "AbstractEventLoop": later("asyncio", "AbstractEventLoop"),
        "Future": later("asyncio", "Future"),
    },
}
"""The same for ``twisted.internet.defer``, which wants these three of 2.5 MiB."""


@contextmanager
def lean_imports() -> Iterator[None]:
    """Imports in this block, as far as they are the first, do without."""
    with without(*_dispensable()), standing_in(POSTPONED):
        import_module("hmac")  # and hashlib with it
        # Another Twisted may want more of asyncio, as a package; then it gets all, below.
        with standing_in(FOR_DEFERREDS), suppress(ImportError):
            import_module("twisted.internet.defer")
        yield


@contextmanager
def standing_in(
    modules: Mapping[str, Mapping[str, object]], *, imported_too: bool = False
) -> Iterator[None]:
    """In this block a `StandIn` is imported for each of these.

    Args:
        modules: the names that each has.
        imported_too: whether also for those that are imported already, by others.
    """
    stand_ins = [
        StandIn(name, names)
        for name, names in modules.items()
        if imported_too or name not in sys.modules
    ]
    try:
        yield
    finally:
        for stand_in in stand_ins:
            stand_in.withdraw()


@contextmanager
def without(*names: str) -> Iterator[None]:
    """In this block these modules are missing, but those that are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    # What the import system takes for "not found" (docs.python.org, "The module cache").
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def import_web() -> None:
    """Import twisted.web for the pages of a program of ours, without `WEB_DISPENSABLE`."""
    with without(WEB_DISPENSABLE):
        import_module("twisted.web.server")


def forget_sources() -> None:
    """Let go of source text that tracebacks would show.

    That of files is read again if it is wanted; that of the methods which attrs has generated,
    0.4 MiB in either program, is gone.
    """
    import_module("linecache").clearcache()  # at the top it would bring tokenize along


def _dispensable() -> tuple[str, ...]:
    """Add OpenSSL's hashes, but where Python was built without its own (as for FIPS)."""
    if all(find_spec(name) for name in _OWN_HASHES):
        return (*DISPENSABLE, _OPENSSL_HASHES)
    return DISPENSABLE
