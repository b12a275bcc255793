# -*- test-case-name: tests.test_lean -*-
"""Import Twisted's core without what it tries to import, and we don't use.

A program at rest is mostly its imports, and half of Twisted's are there for others: its own TLS
(ours is `tunnelsvc.link.tlstransport`), cookies, asyncio's TLS. With them comes OpenSSL twice, once
the system's by ``ssl`` and ``hashlib``, once cryptography's, which is the one that we use.

Nothing is patched. Who imports a module of `DISPENSABLE` is ready to do without it, by ``except
ImportError``; while the core is imported they are told that it isn't installed. Afterwards all can
be imported as ever. Where Twisted is loaded already, under twistd for instance, nothing changes.
"""

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import LazyLoader, find_spec, module_from_spec
from typing import Final

DISPENSABLE: Final = (
    "OpenSSL",  # Twisted's TLS: transports get no startTLS, the reactor no listenSSL
    "ssl",  # of asyncio, of which Twisted wants three names
)
"""Names in `lean_imports`; each saves more than 1 MiB of resident memory."""

POSTPONED: Final = "http.cookiejar"
"""``twisted.python.compat`` passes it on to whoever asks; ``urllib``, ``http`` and ``email`` come
with it."""

WEB_DISPENSABLE: Final = "h2"
"""HTTP/2 of twisted.web; users' sites have their own (`tunnelsvc.gateway.http2`)."""

_OPENSSL_HASHES: Final = "_hashlib"
_OWN_HASHES: Final = ("_md5", "_sha1", "_sha3", "_blake2")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Imports in this block, as far as they are the first, do without `DISPENSABLE`."""
    with _hidden(*_dispensable()):
        _postpone(POSTPONED)
        import_module("hmac")  # and hashlib with it
        yield


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
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
    with _hidden(WEB_DISPENSABLE):
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
    spec = find_spec(name)
    assert spec is not None and spec.loader is not None, name
    spec.loader = loader = LazyLoader(spec.loader)
    sys.modules[name] = module = module_from_spec(spec)
    loader.exec_module(module)
    package, _, child = name.rpartition(".")
    setattr(import_module(package), child, module)
