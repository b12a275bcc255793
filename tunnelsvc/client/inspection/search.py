# -*- test-case-name: tests.client.inspection.test_search -*-
"""Which exchanges somebody wants to see."""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from tunnelsvc.client.inspection import Exchange, Inspector
from tunnelsvc.client.inspection.content import content_of
from tunnelsvc.client.inspection.facts import headers_of, is_secret, text_of, url_of, user_of
from tunnelsvc.units import MiB

MOST_LOOKED_THROUGH_BYTES: Final = 4 * MiB
"""Of bodies in one go, unpacked: some tens of milliseconds, in which nobody else is served."""

STATUS: Final = re.compile("[1-9](?:xx|[0-9]{2})|error")
"""``4xx``, ``404``; or ``error``: something went wrong, or it is 400 or more."""
FIRST_BAD: Final = 400


@frozen
class Filter:
    """What an exchange must have; empty: anything will do.

    Attributes:
        text: somewhere in method, URL, status, headers or bodies, in any case. Not in secrets: the
            page of results would tell them.
        proxy: name of the proxy.
        status: as `STATUS` has it.
        method: in any case.
        ids: one of these.
    """

    text: str = ""
    proxy: str = ""
    status: str = ""
    method: str = ""
    ids: frozenset[int] = frozenset()

    def fits(self, exchange: Exchange) -> bool:
        """Tell whether an exchange has all but the text."""
        return (
            (not self.ids or exchange.id in self.ids)
            and (not self.proxy or exchange.proxy == self.proxy)
            and (not self.method or text_of(exchange.method).lower() == self.method.lower())
            and (not self.status or self._fits_status(exchange))
        )

    def _fits_status(self, exchange: Exchange) -> bool:
        if self.status == "error":
            return bool(exchange.error) or exchange.status >= FIRST_BAD
        wanted = self.status.removesuffix("xx")
        return exchange.status != 0 and str(exchange.status).startswith(wanted)

    def in_head(self, exchange: Exchange) -> bool:
        """Tell whether the text is in what isn't a body."""
        needle = self.text.casefold()
        return any(needle in text.casefold() for text in _heads(exchange))

    def in_body(self, text: str) -> bool:
        """Tell whether the text is in this."""
        return self.text.casefold() in text.casefold()


def _heads(exchange: Exchange) -> Iterator[str]:
    yield f"{text_of(exchange.method)} {url_of(exchange)}"
    yield f"{exchange.status} {text_of(exchange.reason)}"
    yield exchange.error
    yield user_of(exchange)
    for half in exchange.request, exchange.response:
        for name, value in headers_of(half, reveal=True):
            yield name if is_secret(name) else f"{name}: {value}"


@frozen
class Found:
    """What a search has come to.

    Attributes:
        exchanges: newest first.
        before: where to go on, with those of a lower number; 0: there are no more.
    """

    exchanges: list[Exchange]
    before: int


def search(inspector: Inspector, wanted: Filter, before: int | None, limit: int) -> Found:
    """Look for exchanges.

    Args:
        inspector: has them.
        wanted: what they must have.
        before: only those of a lower number; None: from the newest on.
        limit: how many at most. May be fewer, as not too many bodies are looked through at a time.
    """
    found: list[Exchange] = []
    looked_through = 0
    for exchange in inspector.newest_first():
        if (before is not None and exchange.id >= before) or not wanted.fits(exchange):
            continue
        if len(found) == limit or looked_through > MOST_LOOKED_THROUGH_BYTES:
            return Found(found, exchange.id + 1)
        if not wanted.text or wanted.in_head(exchange):
            found.append(exchange)
            continue
        for half in exchange.request, exchange.response:
            text = content_of(half).text if half.body else None
            looked_through += len(half.body) + len(text or "")
            if text is not None and wanted.in_body(text):
                found.append(exchange)
                break
    return Found(found, 0)
