# -*- test-case-name: tests.wire.test_bandwidth -*-
"""``bandwidth_limit`` as files and messages have it: ``1MB``, ``512KB`` (protocol notes 5.6)."""

import re
from collections.abc import Mapping
from typing import Final

from tunnelsvc.units import KiB, MiB

MOST_CHARACTERS: Final = 32
"""Of a limit; what is longer comes from nobody who means one."""
UNITS: Final[Mapping[str, int]] = {"MB": MiB, "KB": KiB}
MODES: Final = ("", "client", "server")
"""Who keeps to a limit; empty: the client, as in frp before 0.47."""

# Of what Go's ParseFloat reads, all that somebody may have written for a number.
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")


def bytes_per_second(text: str) -> int:
    """Read a limit.

    Returns:
        How many bytes; 0: no limit, which is also what frp takes one of less than a byte for.

    Raises:
        ValueError: it's no limit; with the text that a real frp has for it.
    """
    text = text.strip()
    if not text:
        return 0
    unit = UNITS.get(text[-2:])
    if unit is None or len(text) > MOST_CHARACTERS:
        raise ValueError("unit not support")
    number = text[:-2]
    if not number.isascii() or _NUMBER.fullmatch(number) is None:
        raise ValueError("bandwidth limit is not a number")
    return max(0, int(float(number) * unit))
