# -*- test-case-name: tests.admin.history.test_rows -*-
"""Rows of the database to values and back.

SQLite keeps whatever it was given, in any column, and its file may have been edited or damaged. So
each value is looked at; what can't be is zero or empty, and a row that says nothing then is left
out.
"""

import json
import math
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from tunnelsvc.metrics.events import GROUPS, Event
from tunnelsvc.metrics.events import MOST_CHARACTERS as MOST_OF_EVENT
from tunnelsvc.metrics.journal import ProxyRecord
from tunnelsvc.metrics.traffic import Past, Traffic

MOST_CHARACTERS: Final = 500
"""Of a text. A proxy with a longer name isn't saved; its traffic is in the server's sum."""
MOST_BYTES: Final = 1 << 60
"""Of traffic: nothing moves so much, and the sum of a few still is a number of SQLite's."""
MOST_ID: Final = (1 << 63) - 1
"""Of SQLite's numbers."""
MOST_RULES: Final = 1 << 20
"""Characters of the rules as JSON."""


def day_text(day: int) -> str:
    """Write an ordinal of a day (1 to 3652059) as ``2026-11-25``."""
    return date.fromordinal(day).isoformat()


def day_number(value: object) -> int | None:
    """Read what `day_text` wrote; None: it's no day."""
    try:
        return date.fromisoformat(value).toordinal() if isinstance(value, str) else None
    except ValueError:
        return None


def number(value: object) -> int:
    """Read a number of bytes."""
    return value if isinstance(value, int) and 0 <= value <= MOST_BYTES else 0


def moment(value: object) -> float | None:
    """Read a time; None: it's none, or there is none."""
    if not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < MOST_BYTES else None


def text(value: object, limit: int = MOST_CHARACTERS) -> str:
    """Read a text; what exceeds the limit is cut off."""
    return value[:limit] if isinstance(value, str) else ""


def is_kept(name: str) -> bool:
    """Whether a database can have a proxy of that name: half a character can't be written."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(name) <= MOST_CHARACTERS


def writable(value: str) -> str:
    """Replace what can't be written."""
    return value.encode("utf-8", "replace").decode()


def past(days: Iterable[tuple[Any, ...]], in_bytes: object, out_bytes: object) -> Past:
    """Read rows of a day, bytes in, bytes out; and the totals."""
    found = {day_number(day): Traffic(number(up), number(down)) for day, up, down in days}
    return Past(
        {day: traffic for day, traffic in found.items() if day is not None},
        Traffic(number(in_bytes), number(out_bytes)),
    )


def proxy(row: tuple[Any, ...], its_past: Past) -> ProxyRecord | None:
    """Read a row of ``proxies``, as `PROXY_COLUMNS` has it; None: it has no name or type."""
    name, kind, user, client_id, remote_addr, started_at, closed_at, closed_reason = row[:8]
    if not (text(name) and text(kind)):
        return None
    return ProxyRecord(
        name=text(name),
        type=text(kind),
        user=text(user),
        client_id=text(client_id),
        remote_addr=text(remote_addr),
        started_at=moment(started_at) or 0.0,
        closed_at=moment(closed_at),
        closed_reason=text(closed_reason),
        past=its_past,
    )


PROXY_COLUMNS: Final = (
    "name, type, user, client_id, remote_addr, started_at, closed_at, closed_reason"
)


def proxy_row(record: ProxyRecord) -> tuple[Any, ...]:
    """Write a record as `PROXY_COLUMNS` has it; its name `is_kept`."""
    texts = (record.user, record.client_id, record.remote_addr, record.closed_reason)
    user, client_id, remote_addr, reason = (writable(each)[:MOST_CHARACTERS] for each in texts)
    times = (record.started_at, record.closed_at)
    return (record.name, writable(record.type), user, client_id, remote_addr, *times, reason)


EVENT_COLUMNS: Final = "id, at, kind, category, client, proxy, address, detail"
"""``category`` is the group, which is a word of SQL's."""


def event(row: tuple[Any, ...]) -> Event | None:
    """Read a row of ``events``, as `EVENT_COLUMNS` has it; None: it has no id, time or group."""
    number_, at, kind, group = row[0], moment(row[1]), text(row[2]), text(row[3])
    if not isinstance(number_, int) or number_ <= 0 or at is None or group not in GROUPS:
        return None
    client, proxy_name, address, detail = (text(each, MOST_OF_EVENT) for each in row[4:8])
    return Event(number_, at, kind, group, client, proxy_name, address, detail)


def event_row(event: Event) -> tuple[Any, ...]:
    """Write an event as `EVENT_COLUMNS` has it."""
    texts = (event.client, event.proxy, event.address, event.detail)
    return (event.id, event.at, event.kind, event.group, *map(writable, texts))


def rules_text(rules: object) -> str:
    """Write rules, which JSON can have.

    Raises:
        ValueError: they are too many.
    """
    written = json.dumps(rules)
    if len(written) > MOST_RULES:
        raise ValueError(f"rules of {len(written)} characters; {MOST_RULES} can be saved")
    return written


def rules(value: object) -> object:
    """Read what `rules_text` wrote; None: nothing was, and what it isn't comes as it is."""
    try:
        return json.loads(value) if isinstance(value, str) and len(value) <= MOST_RULES else value
    except (ValueError, RecursionError):
        return value
