# -*- test-case-name: tests.server.test_clients -*-
"""What clients may call themselves and their proxies: it goes into log lines, keys and messages."""

from typing import Final

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.wire.messages import Login

MOST_RUN_ID_CHARACTERS: Final = 128
"""frp's run ids have 16; they go into log lines and keys."""
MOST_NAME_CHARACTERS: Final = 512
"""Of a proxy's name with the user before it; it is in every StartWorkConn, and those must fit."""


def check_name(name: str) -> None:
    """Check the name of a proxy.

    Raises:
        ProxyRefused: it can't be one.
    """
    if not 0 < len(name) <= MOST_NAME_CHARACTERS or not name.isprintable():
        raise ProxyRefused(
            f"a proxy needs a name of 1 to {MOST_NAME_CHARACTERS} printable characters"
        )


def run_id_error(run_id: str) -> str:
    """Say why a run id can't be one; empty: it can, or there is none."""
    if len(run_id) <= MOST_RUN_ID_CHARACTERS and (not run_id or run_id.isprintable()):
        return ""
    return f"a run id has at most {MOST_RUN_ID_CHARACTERS} printable characters"


def label(login: Login) -> str:
    """Give what a client is called in the log: its run id, and who it says it is if it does."""
    who = "/".join(filter(None, (login.user, login.client_id)))
    return f"{login.run_id} {who}" if who else login.run_id
