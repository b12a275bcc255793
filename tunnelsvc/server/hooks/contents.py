# -*- test-case-name: tests.server.hooks.test_contents -*-
"""What server plugins are asked, and what they answer: JSON, as frp has it (reference 1.12).

A question is ``{"version": "0.1.0", "op": "Login", "content": {...}}``. frp 0.33 sends every field
of a content, later ones only those that aren't empty; we send all, which both kinds of plugins
understand. Fields of ours that frp doesn't have stay here.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from attrs import evolve, field, fields, frozen

from tunnelsvc.errors import RemoteProtocolError
from tunnelsvc.units import KiB
from tunnelsvc.wire.framing import from_json
from tunnelsvc.wire.messages import NO_TEXTS, Login, Message, NewProxy, TextMap

VERSION: Final = "0.1.0"
"""Of the questions; frp's."""
MOST_ANSWER_BYTES: Final = 256 * KiB
"""Of an answer. A content with its escapes has six times the 10 KiB of a message at most."""
MOST_REASON_CHARACTERS: Final = 1_000
"""Of a refusal, which goes into a message of 10 KiB."""

_OURS: Final[Mapping[type[Message], frozenset[str]]] = {
    Login: frozenset({"tunnelsvc"}),
    NewProxy: frozenset({"one_user_per_work_conn"}),
}
"""Fields that no plugin sees, by the kind of message."""
_DECIDED: Final[Mapping[type[Message], frozenset[str]]] = {
    Login: frozenset({"privilege_key", "timestamp"})
}
"""Fields that no plugin changes: they were found good before it was asked."""

M = TypeVar("M", bound=Message)


@frozen(kw_only=True)
class UserInfo(Message):
    """Whose client something is about: ``user`` in all contents but that of Login."""

    user: str = ""
    metas: TextMap = field(default=NO_TEXTS, repr=False)
    run_id: str = ""
    client_id: str = ""
    """What the client calls itself for good, an addition of ours: run ids change."""

    @classmethod
    def of(cls, login: Login) -> "UserInfo":
        """Give that of a client."""
        return cls(
            user=login.user, metas=login.metas, run_id=login.run_id, client_id=login.client_id
        )


@frozen(kw_only=True)
class NewUserConn(Message):
    """Content of the question about a user's connection; no message on the wire."""

    proxy_name: str = ""
    proxy_type: str = ""
    remote_addr: str = ""
    """The user's, with the port."""


@frozen(kw_only=True)
class _Verdict(Message):
    reject: bool = False
    reject_reason: str = ""
    unchange: bool = False


@frozen
class Answer:
    """What a plugin says.

    Attributes:
        reject: whether it refuses.
        reason: then why; may be empty.
        unchange: whether the content stays as it is.
        content: what takes its place otherwise; None: the answer has none.
    """

    reject: bool
    reason: str
    unchange: bool
    content: Mapping[str, Any] | None = field(repr=False)


def question(op: str, about: Mapping[str, Any], message: Message) -> bytes:
    """Make the body of a request.

    Args:
        op: what it is about, one of `tunnelsvc.config.values.HOOK_OPS`.
        about: what a content has besides the fields of a message.
        message: that message.
    """
    content = {**about, **_content(message)}
    return json.dumps({"version": VERSION, "op": op, "content": content}).encode()


def about(user: UserInfo) -> Mapping[str, Any]:
    """Give what all contents have but that of Login."""
    return {"user": _content(user)}


def _content(message: Message) -> dict[str, Any]:
    hidden = _OURS.get(type(message), frozenset())
    return {
        each.name: _plain(getattr(message, each.name))
        for each in fields(type(message))
        if each.name not in hidden
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def read_answer(body: bytes) -> Answer:
    """Read the body of a response. The caller limits its length.

    Raises:
        RemoteProtocolError: it isn't what it should be.
    """
    verdict = from_json(_Verdict, body)
    content = None
    for name, value in (json.loads(body) or {}).items():
        if name.lower() == "content":  # as Go matches names
            content = value
    if content is not None and not isinstance(content, dict):
        raise RemoteProtocolError("content: object expected")
    return Answer(verdict.reject, verdict.reject_reason, verdict.unchange, content)


def replaced(message: M, content: Mapping[str, Any]) -> M:
    """Put a plugin's content into the place of a message.

    All of it: what the content leaves out has its zero value from now on, as with frp. Only what
    isn't a plugin's to say stays.

    Raises:
        RemoteProtocolError: a value has not the type of its field.
    """
    kind = type(message)
    kept = _OURS.get(kind, frozenset()) | _DECIDED.get(kind, frozenset())
    new = from_json(kind, json.dumps(content).encode())
    return evolve(new, **{name: getattr(message, name) for name in kept})
