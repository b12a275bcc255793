"""Handshakes between OpenSSL connections, without transports."""

import contextlib
from pathlib import Path

from attrs import evolve
from hypothesis import settings
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.link.authority import Authority, write_certificates, write_key
from tunnelsvc.config.schema import TLSConfig
from tunnelsvc.errors import ConfigError
from tunnelsvc.link.certificates import (
    ConnectionFactory,
    Identity,
    client_context,
    server_context,
)

STEADY = settings(derandomize=True, deadline=None)
FLIGHTS = 4
"""More than any handshake of TLS 1.2 or 1.3 has a side."""
AUTHORITY = Authority()
STRANGER = Authority("stranger")


def move(source: SSL.Connection, target: SSL.Connection) -> None:
    """Carry what one side wants to send to the other."""
    with contextlib.suppress(SSL.WantReadError):
        target.bio_write(source.bio_read(1 << 16))


def shake(side: SSL.Connection) -> bool:
    try:
        side.do_handshake()
    except SSL.WantReadError:
        return False
    return True


def connect(server: ConnectionFactory, client: ConnectionFactory) -> tuple[SSL.Connection, ...]:
    """Run a handshake, and the first read of both sides."""
    sides = accepting, connecting = server(), client()
    done = False
    for _ in range(FLIGHTS):
        done = shake(connecting)
        move(connecting, accepting)
        done = shake(accepting) and done
        move(accepting, connecting)
    assert done
    connecting.sendall(b"ping")
    move(connecting, accepting)
    assert accepting.recv(100) == b"ping"
    accepting.sendall(b"pong")
    move(accepting, connecting)
    assert connecting.recv(100) == b"pong"
    return sides


class FilesTestCase(SynchronousTestCase):
    """Writes files and names them in a configuration."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        Path(self.directory).mkdir()

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def tls(self, identity: Identity | None = None, trusted: Authority | None = None) -> TLSConfig:
        """Write what is given and name the files."""
        config = TLSConfig()
        if identity is not None:
            chain = (identity.certificate, *identity.chain)
            certificates = write_certificates(self.path(f"{id(identity)}.crt"), *chain)
            key = write_key(self.path(f"{id(identity)}.key"), identity)
            config = evolve(config, cert_file=certificates, key_file=key)
        if trusted is not None:
            path = write_certificates(self.path(f"{id(trusted)}-ca.crt"), trusted.certificate)
            config = evolve(config, trusted_ca_file=path)
        return config

    def problems(self, config: TLSConfig) -> tuple[str, ...]:
        """Both sides have the same complaints; return them."""
        server = self.assertRaises(ConfigError, server_context, config)
        client = self.assertRaises(ConfigError, client_context, config, "server.example")
        assert isinstance(server, ConfigError)
        self.assertEqual(server.problems, client.problems)
        return server.problems
