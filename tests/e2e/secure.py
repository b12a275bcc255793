# -*- test-case-name: tests.e2e.test_https -*-
"""TLS at the two ends of a tunnel: certificates, web sites that have some, their users."""

import base64
import hashlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.services import NO_HEADERS, Answer, connected
from tests.link.authority import Authority, write_certificates, write_key
from tests.programs import PATIENCE


@frozen
class Files:
    """Where a certificate and its key are."""

    cert: str
    key: str

    @property
    def options(self) -> dict[str, object]:
        """The keys of a section ``[certificate.NAME]``."""
        return {"cert_file": self.cert, "key_file": self.key}


class Trust:
    """An authority, what it signs, and users who trust nobody else.

    Attributes:
        file: the authority's certificate.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = Authority("tests")
        self.file = write_certificates(str(directory / "ca.pem"), self._authority.certificate)

    def issue(self, name: str, *hosts: str) -> Files:
        """Write a certificate for hosts, over what had this name before."""
        identity = self._authority.issue(*hosts)
        base = self._directory / name
        chain = (identity.certificate, *identity.chain)
        return Files(
            write_certificates(f"{base}.crt", *chain),
            write_key(f"{base}.key", identity),
        )

    @property
    def fingerprint(self) -> str:
        """The authority's key, as Chromium takes it."""
        public = self._authority.certificate.public_key()
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(data).digest()).decode()

    @contextmanager
    def connected(self, port: int, host: str) -> Iterator[ssl.SSLSocket]:
        """Connect as a user does who wants this host and believes nobody else.

        Raises:
            ssl.SSLError: it is somebody else, or nobody.
        """
        context = ssl.create_default_context(cafile=self.file)
        context.set_alpn_protocols(["http/1.1"])
        with connected(port) as plain, context.wrap_socket(plain, server_hostname=host) as user:
            yield user

    def hosts(self, port: int, host: str) -> set[str]:
        """Give the names in the certificate that is shown for a host."""
        with self.connected(port, host) as user:
            certificate = user.getpeercert()
            assert certificate is not None
            names = certificate["subjectAltName"]
            assert isinstance(names, tuple)
            return {str(name[1]) for name in names}

    def request(self, port: int, host: str, path: str = "/") -> Answer:
        """Make one GET request by https."""
        with self.connected(port, host) as user:
            user.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            response = http.client.HTTPResponse(user)
            response.begin()
            return Answer(response.status, dict(response.getheaders()), response.read())


def server_context(files: Files) -> ssl.SSLContext:
    """Make what a service of this certificate needs, such as `tests.e2e.services.serve_site`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    return context


def _credulous() -> ssl.SSLContext:
    """Make what begins TLS with anybody, with HTTP/1.1 as ALPN."""
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made


@contextmanager
def secured(port: int, name: str) -> Iterator[ssl.SSLSocket]:
    """Connect as a user of the host called `name` does, whatever certificate he sees."""
    with connected(port) as user, _credulous().wrap_socket(user, server_hostname=name) as tls:
        yield tls


@contextmanager
def session(port: int, name: str) -> Iterator[http.client.HTTPConnection]:
    """Connect so for several requests."""
    with secured(port, name) as user:
        connection = http.client.HTTPConnection(name, timeout=PATIENCE)
        connection.sock = user
        yield connection


def ask(
    connection: http.client.HTTPConnection,
    path: str = "/",
    *,
    method: str = "GET",
    host: str = "",
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | Iterator[bytes] | None = None,
) -> Answer:
    """Make a request on a connection; `host` is another one than it was made for."""
    connection.request(method, path, body, {**({"Host": host} if host else {}), **headers})
    response = connection.getresponse()
    return Answer(response.status, dict(response.getheaders()), response.read())
