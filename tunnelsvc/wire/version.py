# -*- test-case-name: tests.wire.test_version -*-
"""frp's versions, as the two ends tell them at login."""

import re
from typing import Final

Version = tuple[int, int]

_VERSION: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.")


def is_older(version: str, than: Version) -> bool:
    """Whether a peer is too old for something.

    Args:
        version: as the peer says it; of one that can't be read all is expected.
        than: the first that has it, without the third number.
    """
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) < than
