# -*- test-case-name: tests.config.test_numbers -*-
"""Numbers as frp lists them: ``6000-6006,6010``."""

import re
from typing import Final

from tunnelsvc.config.values import BadValueError, items

# Numbers that one list may have: as many as there are ports.
MAX_NUMBERS: Final = 65536

_ITEM: Final = re.compile(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?")


def parse_numbers(text: str) -> list[int]:
    """Take a list of numbers and ranges of them.

    Returns:
        At least one number; the same as often as it is in the list.

    Raises:
        BadValueError: it is something else, or too long.
    """
    numbers: list[int] = []
    for item in items(text):
        found = _ITEM.fullmatch(item)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise BadValueError("not a list of numbers and ranges such as 6000-6006,6010")
        if last - first >= MAX_NUMBERS - len(numbers):
            raise BadValueError(f"more than {MAX_NUMBERS} numbers")
        numbers.extend(range(first, last + 1))
    if not numbers:
        raise BadValueError("not a single number; a list is such as 6000-6006,6010")
    return numbers
