# -*- test-case-name: tests.server.test_clients -*-
"""What clients may call themselves and their proxies: it goes into log lines, keys and messages."""

from typing import Final

from tunnelsvc.errors import ProxyRefused
from tunnelsvc.wire.messages import Login

MOST_RUN_ID_CHARACTERS: Final = 128
"""frp's run ids have 16; they go into log lines and keys."""
MOST_NAME_CHARACTERS: Final = 512
"""Of a proxy's name with the user before it; it is in every StartWorkConn, and those must fit."""
MOST_WHO_CHARACTERS: Final = 256
"""Of a user, and of a client's own id: together they are its key, by which it can be blocked."""


def check_name(name: str) -> None:
    """Check the name of a proxy.

    Raises:
        ProxyRefused: it can't be one.
    """
    if not name or not _is_name(name, MOST_NAME_CHARACTERS):
        raise ProxyRefused(
            f"a proxy needs a name of 1 to {MOST_NAME_CHARACTERS} printable characters"
        )


def login_error(login: Login) -> str:
    """Say why a client can't be called what it says; empty: it can, or says nothing."""
    for what, name, most in (
        ("run id", login.run_id, MOST_RUN_ID_CHARACTERS),
        ("user", login.user, MOST_WHO_CHARACTERS),
        ("client id", login.client_id, MOST_WHO_CHARACTERS),
    ):
        if not _is_name(name, most):
            return f"a {what} has at most {most} printable characters"
    return ""


def _is_name(name: str, most: int) -> bool:
    # By a dot or two browsers take away a part of a path, and so nobody could be kicked by it.
    return len(name) <= most and name.isprintable() and name not in {".", ".."}


def label(login: Login) -> str:
    """Give what a client is called in the log: its run id, and who it says it is if it does."""
    who = "/".join(filter(None, (login.user, login.client_id)))
    return f"{login.run_id} {who}" if who else login.run_id
