# -*- test-case-name: tests.control.test_cipher -*-
"""How a control connection is protected, after the login and for as long as it lasts."""

from tunnelsvc.link.messages import MessageProtocol
from tunnelsvc.wire.cfb import derive_key

MISSING_NEGOTIATION = "missing v2 crypto negotiation"
"""frp's text for a login in v2 that no hello came before."""


def protection_error(messages: MessageProtocol) -> str:
    """Say why a control connection can't be protected; empty: it can."""
    # Only of v2: who speaks it says so first.
    if messages.dialect.preface and messages.negotiated is None:
        return MISSING_NEGOTIATION
    return ""


def protect(messages: MessageProtocol, token: str, *, server: bool) -> None:
    """Put all that follows under a cipher, both ways (protocol notes 4.1).

    Args:
        messages: a control connection that has no `protection_error`.
        token: the secret of both ends; may be empty.
        server: whether we are the server.
    """
    if messages.negotiated is None:
        messages.encrypt(derive_key(token))
        return
    # Loaded only by who speaks v2.
    from tunnelsvc.wire.aead import ciphers  # noqa: PLC0415

    messages.protect(*ciphers(token, messages.negotiated, server=server))
