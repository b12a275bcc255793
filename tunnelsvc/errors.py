# -*- test-case-name: tests.config.test_report -*-
"""Every exception that the package raises on purpose, in one tree."""

from collections.abc import Sequence


class TunnelError(Exception):
    """Base of all errors that the package raises on purpose."""


class ProtocolError(TunnelError):
    """A rule of a wire protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We asked a codec for something that its protocol forbids: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """The peer sent bytes that its protocol forbids. Only codecs raise it."""


class TLSError(TunnelError):
    """TLS ended in an error: a refused certificate, a failed handshake, a forged record."""


class ConfigError(TunnelError):
    """A configuration can't be used.

    Attributes:
        problems: one line each, naming file, section, key, value and what would be right.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class LoginRefused(TunnelError):
    """The server refused a login. The text is the one that the peer's user sees."""


class LoginFailed(TunnelError):
    """A client gave up: its first login was refused, or the server isn't there."""


class ProxyRefused(TunnelError):
    """The server refused a proxy. The text is the one that the peer's user sees."""


class VisitRefused(TunnelError):
    """A visitor can't come in. The text is the one that the visitor's user sees."""


class ProxyRemoved(TunnelError):
    """The client's configuration was exchanged for one without the proxy."""


class HookRefused(TunnelError):
    """A server plugin said no, or can't be asked. The text is the one that the peer's user sees."""


class WorkConnectionUnavailable(TunnelError):
    """The client gave no work connection in time, or went away."""


class LocalServiceUnavailable(TunnelError):
    """The service behind the client does not accept connections."""
