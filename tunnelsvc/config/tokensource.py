# -*- test-case-name: tests.config.test_tokensource -*-
"""``auth.tokenSource``: the token is in a file of its own."""

from typing import Any, Final

from tunnelsvc.config.reading import read_bytes
from tunnelsvc.config.values import BadValueError
from tunnelsvc.units import KiB

TOKEN_SOURCE: Final = "auth.tokenSource"  # noqa: S105 - where it is, not what it is

MAX_TOKEN_BYTES: Final = 64 * KiB


def read_token(source: dict[str, Any]) -> str:
    """Read the token, without blanks around it.

    Args:
        source: ``{type = "file", file.path = "…"}``. The name is relative to the directory in which
            the program runs, as frp has it.

    Raises:
        BadValueError: it can't be read, or is to be had in another way.
    """
    members = {key.lower(): value for key, value in source.items()}
    kind = members.pop("type", None)
    if kind == "exec":
        # frp's words, for those who look for them.
        raise BadValueError(
            'unsafe feature "TokenSourceExec" is not enabled: no other program is run for the token'
        )
    file = members.pop("file", None)
    if kind != "file" or members or not isinstance(file, dict) or set(file) != {"path"}:
        raise BadValueError('must be type = "file" and file.path = "…"')
    path = file["path"]
    if not isinstance(path, str) or not path:
        raise BadValueError("file.path must be the name of a file")
    return _read(path)


def _read(path: str) -> str:
    try:
        content = read_bytes(path, MAX_TOKEN_BYTES + 1)
        token = content.decode().strip()
    except OSError as why:
        raise BadValueError(f"{path} can't be read: {why.strerror or why}") from None
    except ValueError:
        raise BadValueError(f"{path!r} can't be read: not a file of text") from None
    if not token or len(content) > MAX_TOKEN_BYTES or len(token.splitlines()) > 1:
        raise BadValueError(f"{path} must hold the token, in one line, and nothing else")
    return token
