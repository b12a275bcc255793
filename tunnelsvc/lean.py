# -*- test-case-name: tests.test_lean -*-
"""Import Twisted's core without what it tries to import, and we don't use.

A program at rest is mostly its imports, and half of Twisted's are there for others: its own TLS
(ours is `tunnelsvc.link.tlstransport`), cookies, nearly all of asyncio. With them comes OpenSSL
twice, once the system's by ``ssl`` and ``hashlib``, once cryptography's; a program mostly needs
one of them (see `tunnelsvc.link.tls`).

Nothing is patched. Who imports a module of `DISPENSABLE` is ready to do without it, by ``except
ImportError``; while the core is imported they are told that it isn't installed. Afterwards all can
be imported as ever. Where Twisted is loaded already, under twistd for instance, nothing changes.
"""

import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

DISPENSABLE: Final = (
    "OpenSSL",  # Twisted's TLS: transports get no startTLS, the reactor no listenSSL; 1.5 MiB
    "bz2",  # of zipfile and shutil, by which Twisted looks for plugins; with lzma 0.3 MiB
    "ctypes",  # the texts of Windows' errors; 0.4 MiB
    "lzma",
    "ssl",  # of asyncio; 4 MiB
)
"""Names in `lean_imports`, with the resident memory that they would take."""

IN_PART: Final = "asyncio"
"""A package of which Twisted wants three names; the rest is 1.7 MiB."""

_PARTS: Final = {"coroutines": "iscoroutine", "events": "AbstractEventLoop", "futures": "Future"}
"""The modules that have them."""

POSTPONED: Final = "http.cookiejar"
"""``twisted.python.compat`` passes it on to whoever asks; ``urllib``, ``http`` and ``email`` come
with it."""

ENTITIES: Final = "html.entities"
"""Of these ``html`` wants one dictionary, 0.45 MiB, for who reads HTML; ``twisted.python.compat``
passes on how to write it."""

WEB_DISPENSABLE: Final = "h2"
"""HTTP/2 of twisted.web; users' sites have their own (`tunnelsvc.gateway.http2`)."""

_OPENSSL_HASHES: Final = "_hashlib"
_OWN_HASHES: Final = ("_md5", "_sha1", "_sha3", "_blake2")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Imports in this block, as far as they are the first, do without `DISPENSABLE`."""
    with without(*_dispensable()), _in_part(IN_PART, _PARTS):
        _postpone(POSTPONED)
        _import_html()
        import_module("hmac")  # and hashlib with it
        yield


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


@contextmanager
def _in_part(name: str, parts: Mapping[str, str]) -> Iterator[None]:
    """In this block a package has some names only; who wants more gets all of it.

    Args:
        name: of the package.
        parts: which name there is, by the module that has it.
    """
    if name in sys.modules:
        yield
        return
    spec, loader = _found(find_spec(name))
    package = sys.modules[name] = module_from_spec(spec)

    def wanted(missing: str) -> object:
        if find_spec(f"{name}.{missing}") is not None:  # the import system loads it
            raise AttributeError(missing)
        vars(package).pop("__getattr__")
        loader.exec_module(package)
        return getattr(package, missing)

    try:
        with suppress(ImportError, AttributeError):  # a newer Python has them elsewhere
            for child, part in parts.items():
                setattr(package, part, getattr(import_module(f"{name}.{child}"), part))
        vars(package)["__getattr__"] = wanted
        yield
    finally:
        if vars(package).pop("__getattr__", None):
            del sys.modules[name]
            sys.meta_path.insert(0, _Completing(name))


class _Completing:
    """Finds and loads a package, some of whose modules are loaded already.

    A module is an attribute of its package only where the import system loads it into that, and
    the package counts on it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loader: Loader

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        if fullname != self._name:
            return None
        spec, self._loader = _found(PathFinder.find_spec(fullname, path, target))
        spec.loader = cast("Loader", self)
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """See ``importlib.abc.Loader``."""

    def exec_module(self, module: ModuleType) -> None:
        """See ``importlib.abc.Loader``; done once."""
        sys.meta_path.remove(self)
        for name in list(sys.modules):
            package, _, child = name.rpartition(".")
            if package == self._name:
                setattr(module, child, sys.modules[name])
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)


def import_web() -> None:
    """Import twisted.web for the pages of a program of ours, without `WEB_DISPENSABLE`."""
    with without(WEB_DISPENSABLE):
        import_module("twisted.web.server")


def forget_sources() -> None:
    """Let go of source text that tracebacks would show.

    That of files is read again if it is wanted; that of the methods which attrs has generated,
    0.4 MiB in either program, is gone.
    """
    linecache.clearcache()


def _dispensable() -> tuple[str, ...]:
    """Add OpenSSL's hashes, but where Python was built without its own (as for FIPS)."""
    if all(find_spec(name) for name in _OWN_HASHES):
        return (*DISPENSABLE, _OPENSSL_HASHES)
    return DISPENSABLE


def _postpone(name: str) -> None:
    """Let a module of a package be loaded when one of its attributes is used."""
    if name in sys.modules:  # perhaps postponed already, and looking at it would load it
        return
    spec, loader = _found(find_spec(name))
    spec.loader = loader = LazyLoader(loader)
    sys.modules[name] = module = module_from_spec(spec)
    loader.exec_module(module)
    package, _, child = name.rpartition(".")
    setattr(import_module(package), child, module)


class _Entities(Mapping[str, str]):
    """The names of characters in HTML, loaded when somebody asks for one."""

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, str]:
        names: Mapping[str, str] = import_module(ENTITIES).html5
        return names


def _import_html() -> None:
    """Import ``html`` with `_Entities`, for itself only."""
    if ENTITIES in sys.modules:
        return
    entities = ModuleType(ENTITIES)
    vars(entities)["html5"] = _Entities()
    sys.modules[ENTITIES] = entities
    try:
        import_module("html")
    finally:
        del sys.modules[ENTITIES]


def _found(spec: ModuleSpec | None) -> tuple[ModuleSpec, "Loader"]:
    assert spec is not None and spec.loader is not None, "part of Python's own library"
    return spec, spec.loader
