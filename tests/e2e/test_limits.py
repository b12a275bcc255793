# -*- test-case-name: tests.e2e.test_limits -*-
"""``bandwidth_limit`` with real programs: it takes as long as it has to."""

import socket
import threading
import time
from typing import Final

from tests.e2e.services import (
    connected,
    digest_of,
    download_of,
    pattern,
    receive,
    request,
    send_all,
)
from tests.e2e.tunnel import Options, TunnelTestCase
from tests.programs import free_port
from tunnelsvc.units import MiB

RATE: Final = 1 * MiB
SIZE: Final = 2 * MiB
"""What one user gets or sends; there are two of each kind."""
LEAST_SECONDS: Final = 2 * SIZE / RATE - 1
"""The first second's bytes pass at once."""
TOLERANCE: Final = 0.85
"""Of that, for clocks that differ and what is between the programs."""
DRESSED: Final[Options] = {"use_encryption": True, "use_compression": True}


def digest_of_upload(connection: socket.socket) -> None:
    """Service: answer with the digest of what comes, which has that size."""
    connection.sendall(digest_of(iter([receive(connection, SIZE)])).encode("ascii"))


class LimitCase(TunnelTestCase):
    """Users of several proxies, each with a limit of its own, all at the same time."""

    def start(self, mode: str) -> None:
        """Start a tunnel with a proxy for each way."""
        limit: Options = {"bandwidth_limit": "1MB"}
        if mode != "client":
            limit = {**limit, "bandwidth_limit_mode": mode}
        self.ports = {name: free_port() for name in ("plain", "dressed", "upload")}
        download = self.local_service(download_of(SIZE)).port
        upload = self.local_service(digest_of_upload).port
        self.start_server()
        self.start_client(
            {
                "plain": self.tcp(download, "plain", limit),
                "dressed": self.tcp(download, "dressed", {**limit, **DRESSED}),
                "upload": self.tcp(upload, "upload", limit),
                "http": {
                    "type": "http",
                    "local_port": self.local_site("site"),
                    "custom_domains": "site.test",
                    **limit,
                },
            }
        )

    def tcp(self, local_port: int, name: str, options: Options) -> Options:
        """Give the section of a proxy."""
        return {
            "type": "tcp",
            "local_port": local_port,
            "remote_port": self.ports[name],
            **options,
        }

    def download(self, name: str) -> str:
        """Get what the service sends; return its digest."""
        with connected(self.ports[name]) as user:
            return digest_of(iter([receive(user, SIZE)]))

    def upload(self) -> str:
        """Send; return the digest of what the service got."""
        with connected(self.ports["upload"]) as user:
            send_all(user, pattern(SIZE))
            return receive(user, 64).decode("ascii")

    def ask(self) -> str:
        """Get a page of that size; return its digest."""
        return digest_of(iter([request(self.vhost_port, f"/bytes/{SIZE}", host="site.test").body]))

    def check(self, mode: str) -> None:
        """Two users of each proxy."""
        self.start(mode)
        kinds = {
            "plain": lambda: self.download("plain"),
            "dressed": lambda: self.download("dressed"),
            "upload": self.upload,
            "http": self.ask,
        }
        seen: dict[str, list[tuple[str, float]]] = {name: [] for name in kinds}
        started = time.monotonic()

        def use(name: str) -> None:
            digest = kinds[name]()
            seen[name].append((digest, time.monotonic() - started))

        threads = [
            threading.Thread(target=use, args=(name,), daemon=True) for name in 2 * list(kinds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        digest = digest_of(pattern(SIZE))
        for name, users in seen.items():
            self.assertEqual([user[0] for user in users], [digest, digest], self.show_outputs())
            seconds = users[-1][1]
            self.assertGreater(seconds / LEAST_SECONDS, TOLERANCE, f"{name} {seen}")


class LimitTests(LimitCase):
    """Our server and our client."""

    def test_client(self) -> None:
        self.check("client")

    def test_server(self) -> None:
        self.check("server")
