# -*- test-case-name: tests.quick.test_names -*-
"""Host names for services whose owner asked for none: readable, and the same at each start."""

import hmac
import os
import socket
from hashlib import sha256
from pathlib import Path
from typing import Final

from tunnelsvc.config.reading import read_bytes

MACHINE_ID: Final = Path("/etc/machine-id")
"""See machine-id(5), which wants it hashed before anybody else sees something made of it."""
MOST_ID_BYTES: Final = 256

ADJECTIVES: Final = (
    "able", "agile", "amber", "ample", "apt", "azure", "balmy", "bold", "brave", "breezy", "brief",
    "bright", "brisk", "calm", "candid", "clear", "clever", "cosy", "crisp", "daring", "deep",
    "eager", "early", "easy", "fair", "fancy", "fast", "fine", "fond", "fresh", "gentle", "glad",
    "golden", "grand", "green", "happy", "hardy", "humble", "ideal", "jolly", "keen", "kind",
    "light", "lively", "loyal", "lucky", "mellow", "merry", "mild", "modest", "neat", "nimble",
    "noble", "open", "patient", "plain", "polite", "proud", "quick", "quiet", "rapid", "ready",
    "royal", "sharp", "silent", "silver", "smart", "smooth", "snug", "solid", "steady", "sunny",
    "swift", "tidy", "true", "vivid", "warm", "wise", "witty", "young",
)  # fmt: skip
NOUNS: Final = (
    "acorn", "alder", "aspen", "badger", "bay", "beaver", "beech", "birch", "bison", "brook",
    "cedar", "cliff", "cloud", "comet", "coral", "crane", "creek", "dove", "dune", "eagle", "elk",
    "elm", "falcon", "fern", "finch", "fjord", "forest", "fox", "garden", "glade", "goose", "grove",
    "harbor", "hare", "hazel", "hedge", "heron", "hill", "ibis", "island", "ivy", "jay", "lagoon",
    "lake", "larch", "lark", "lemur", "lily", "lotus", "lynx", "maple", "marten", "meadow", "mesa",
    "moon", "moose", "moss", "oak", "olive", "orca", "orchid", "osprey", "otter", "owl", "panda",
    "pebble", "pine", "plover", "pond", "poppy", "puffin", "quail", "raven", "reed", "reef",
    "ridge", "river", "robin", "rowan", "seal", "shore", "spruce", "star", "stone", "stork",
    "stream", "swan", "thrush", "tiger", "trout", "tulip", "valley", "walnut", "willow", "wren",
)  # fmt: skip
NUMBERS: Final = range(10, 100)


def identity() -> bytes:
    """Say who and where we are: the same at each start, and nobody else's."""
    try:
        machine = read_bytes(str(MACHINE_ID), MOST_ID_BYTES)
    except OSError:
        machine = b""
    return b"\0".join((machine, socket.gethostname().encode(), b"%d" % os.getuid()))


def readable_name(identity: bytes, service: str, number: int) -> str:
    """Make a name, as ``quiet-otter-27``: a label of a host name (RFC 1035 section 2.3.1).

    Args:
        identity: whose it is; can't be told from the name.
        service: which one of theirs.
        number: 0 for the name that is theirs; more for others, if somebody has that.
    """
    text = f"tunnelsvc name\0{service}\0{number}"
    rest = int.from_bytes(hmac.digest(identity, text.encode(), sha256))
    words: list[str] = []
    for choice in (ADJECTIVES, NOUNS, NUMBERS):
        rest, index = divmod(rest, len(choice))
        words.append(str(choice[index]))
    return "-".join(words)
