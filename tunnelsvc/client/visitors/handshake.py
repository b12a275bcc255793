# -*- test-case-name: tests.client.visitors.test_handshake -*-
"""A visitor's logical connection: whom we visit, the server's answer, then plain bytes (notes 6.6).

For visitors of every type; what the bytes mean is between them and the owner of the proxy.
"""

from typing import Final

from twisted.internet import error

from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.control.session import Session
from tunnelsvc.errors import LocalProtocolError, RemoteProtocolError, VisitRefused
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.relay import Stages, codecs, dress
from tunnelsvc.wire.auth import login_key
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.messages import NewVisitorConn, NewVisitorConnResp

ANSWER_SECONDS: Final = 10.0
"""How long the server may take to answer (protocol notes 6.6)."""

_REMEDIES: Final = {
    "doesn't exist": "is the owner's client logged in, and server_name (server_user) right?",
    "auth failed": "sk must be the same here and in the owner's file",
    "not allowed": "the owner has to name our user in allow_users, or *",
    "no client control found": "the server has forgotten us; a new login mends that",
}
"""What to do about an answer, by what is in it."""


def target_name(config: VisitorConfig, own_user: str) -> str:
    """Return the name of the proxy on the wire: that of its owner's user is before it."""
    user = config.server_user or own_user
    return f"{user}.{config.server_name}" if user else config.server_name


async def open_visitor_connection(session: Session, config: VisitorConfig) -> tuple[Stream, bytes]:
    """Open a connection to the service that `config` names.

    Args:
        session: our login.
        config: whom to visit, with which secret and codecs.

    Returns:
        The stream, parked, on which the owner's bytes read plain, and those read already.

    Raises:
        VisitRefused: the server refused it, or there is no connection; with what to do.
    """
    stream, unread, _ = await visit(session, config)
    return stream, unread


async def visit(
    session: Session, config: VisitorConfig
) -> tuple[Stream, bytes, NewVisitorConnResp]:
    """Do the same, and return the server's answer as well."""
    messages = await _ask(session, config)
    try:
        answer = await messages.expect(ANSWER_SECONDS)
        if not isinstance(answer, NewVisitorConnResp):
            raise RemoteProtocolError(f"expected NewVisitorConnResp, got {type(answer).__name__}")
        if answer.error:
            raise VisitRefused(_with_remedy(answer.error))
        return *dress(*messages.detach(), _codecs(config)), answer
    except error.TimeoutError as why:
        raise VisitRefused(f"no answer of the server within {ANSWER_SECONDS:g} s") from why
    except (error.ConnectionClosed, RemoteProtocolError) as why:
        messages.abort()
        raise VisitRefused(f"no answer of the server: {why}") from why
    except BaseException:
        messages.abort()
        raise


async def _ask(session: Session, config: VisitorConfig) -> MessageProtocol:
    timestamp = int(session.terms.auth.now())
    first = NewVisitorConn(
        run_id=session.run_id,
        proxy_name=target_name(config, session.terms.config.user),
        sign_key=login_key(config.secret_key, timestamp),
        timestamp=timestamp,
        use_encryption=config.use_encryption,
        use_compression=config.use_compression,
    )
    try:
        return await session.open_visitor(first)
    except (error.ConnectError, error.ConnectionClosed, LocalProtocolError) as why:
        raise VisitRefused(f"no connection to the server: {why}") from why


def _codecs(config: VisitorConfig) -> Stages:
    key = derive_key(config.secret_key) if config.use_encryption else b""
    return codecs(key, encryption=config.use_encryption, compression=config.use_compression)


def _with_remedy(error: str) -> str:
    remedy = next((what for text, what in _REMEDIES.items() if text in error), "")
    return f"{error} ({remedy})" if remedy else error
