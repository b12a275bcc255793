# -*- test-case-name: tests.client.plugins.test_termination -*-
"""Where users' TLS ends, in the plugins that end it."""

from collections.abc import Sequence

from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed

from tunnelsvc.client.plugins import Place
from tunnelsvc.errors import TLSError
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.renewal import CertificateFiles, RenewedCertificate
from tunnelsvc.link.tls import ConnectableReader, TLSTransport, start_tls_server


class Termination:
    """The TLS server of one plugin.

    Attributes:
        connection: makes the TLS state of a connection, for who needs to ask it for something.
    """

    def __init__(
        self, place: Place, crt_path: str, key_path: str, protocols: Sequence[bytes] = ()
    ) -> None:
        """Load the certificate.

        Args:
            place: the plugin's.
            crt_path: the certificate's file; empty, as `key_path` then is, too: make one.
            key_path: the file of its key.
            protocols: what is spoken in TLS (RFC 7301); empty: whatever it is.

        Raises:
            ConfigError: a file can't be used.
        """
        section = f"[{place.proxy.name}] plugin_"
        files = CertificateFiles(crt_path, key_path, section, ("crt_path", "key_path"))
        self._clock = place.reactor
        self.connection = RenewedCertificate(files, place.reactor, protocols)

    def start(
        self,
        user: Stream,
        unread: bytes,
        reader: ConnectableReader,
        connection: SSL.Connection | None = None,
    ) -> TLSTransport:
        """Begin TLS with a user.

        Args:
            user: where it comes from.
            unread: bytes of it that were read before.
            reader: reads what is in TLS.
            connection: of `connection`; None: a new one.
        """
        return start_tls_server(
            user, lambda: connection or self.connection(), reader, self._clock, unread
        )


async def failure_of(tls: TLSTransport) -> str:
    """Wait for the end of a handshake, and tell why it failed; empty: it didn't."""
    try:
        await tls.when_established()
    except (TLSError, ConnectionClosed) as why:
        return str(why)
    return ""
