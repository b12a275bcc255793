# -*- test-case-name: tests.client.plugins.test_termination -*-
"""Where users' TLS ends, in the plugins that end it."""

from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed

from tunnelsvc.client.plugins import Place
from tunnelsvc.errors import ConfigError, TLSError
from tunnelsvc.interfaces import Stream
from tunnelsvc.link.certificates import CertificateFiles
from tunnelsvc.link.renewal import RenewedCertificate
from tunnelsvc.link.tls import ConnectableReader, TLSTransport, start_tls_server


class Termination:
    """The TLS server of one plugin."""

    def __init__(self, place: Place, crt_path: str, key_path: str, *, alpn: bytes = b"") -> None:
        """Load the certificate.

        Args:
            place: the plugin's.
            crt_path: the certificate's file; empty, as `key_path` then is, too: make one.
            key_path: the file of its key.
            alpn: the protocol that is spoken in TLS; empty: whatever it is.

        Raises:
            ConfigError: a file can't be used.
        """
        files = CertificateFiles(crt_path, key_path, "plugin_crt_path", "plugin_key_path")
        self._clock = place.reactor
        try:
            self._certificate = RenewedCertificate(files, place.reactor, alpn=alpn)
        except ConfigError as error:
            section = f"[{place.proxy.name}]"
            raise ConfigError([f"{section} {problem}" for problem in error.problems]) from error

    def connection(self) -> SSL.Connection:
        """Make the TLS state of a connection, for who needs to ask it for something."""
        return self._certificate()

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
            user, lambda: connection or self._certificate(), reader, self._clock, unread
        )


async def failure_of(tls: TLSTransport) -> str:
    """Wait for the end of a handshake, and tell why it failed; empty: it didn't."""
    try:
        await tls.when_established()
    except (TLSError, ConnectionClosed) as why:
        return str(why)
    return ""
