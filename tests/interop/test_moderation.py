# -*- test-case-name: tests.interop.test_moderation -*-
"""The administrator kicks, blocks and disables what real frpcs have, each below ``FRP_BIN_DIR``."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.interop.binaries import BINARIES
from tests.moderated import ModeratedCase
from tests.programs import Peer, free_port

BLOCKED: Final = "blocked by the server's administrator"
NAMES: Final = ("alice.ssh", "alice.web", "alice.dns")
CONFIG: Final = """
[common]
server_addr = 127.0.0.1
server_port = {bind}
user = alice
tcp_mux = {mux}
tls_enable = {tls}
dial_server_timeout = 5

[ssh]
type = tcp
local_port = {echo}
remote_port = {tcp}

[web]
type = http
local_port = {site}
custom_domains = a.example

[dns]
type = udp
local_port = {udp_echo}
remote_port = {udp}
"""


class FrpcTests(ModeratedCase):
    """With the server in this process."""

    begun = 0
    """How many proxies the client has been given, those of former sessions included."""

    async def start(self, peer: Peer, *, mux: bool) -> None:
        """Start both, and wait until all is reachable."""
        self.server = self.serve(vhost_http_port=free_port())
        self.tcp, self.udp = free_port(), free_port()
        local, self.site_asked = await self.site()
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        config = directory / "frpc.ini"
        text = CONFIG.format(
            bind=self.server.ports["bind"],
            mux=str(mux).lower(),
            tls=str(mux).lower(),
            echo=await self.echo(),
            tcp=self.tcp,
            site=local,
            udp_echo=self.udp_echo(),
            udp=self.udp,
        )
        config.write_text(text, encoding="utf-8")
        self.log = directory / "frpc.log"
        with self.log.open("wb") as output:
            program = subprocess.Popen(
                [*peer.command, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        await self.back()

    async def back(self) -> None:
        """Wait until both ends have the proxies.

        A user who comes when the client has not yet heard that it has them is turned away by it.
        """
        self.begun += len(NAMES)
        for name in NAMES:
            await self.online(name)
        await self.said("start proxy success", times=self.begun)

    async def said(self, text: str, times: int = 1) -> None:
        """Wait for words of the client."""

        def there() -> bool:
            return self.log.read_text(encoding="utf-8", errors="replace").count(text) >= times

        await self.wait(there)

    async def check_kick(self, peer: Peer, *, mux: bool) -> None:
        """All that users have ends, and it comes back by itself."""
        await self.start(peer, mux=mux)
        _, user = await self.user(self.tcp)
        _, waiting = await self.ask(b"/wait")
        await self.wait(lambda: b"/wait" in self.site_asked.asked)
        before, distance = self.run_id(), self.server.round_trip_seconds(self.run_id())
        assert distance is not None
        self.assertGreater(distance, 0)
        self.assertTrue(self.server.moderation.kick(self.key()))
        await self.gone(user)
        await waiting.until(lambda: b"\r\n\r\n" in waiting.received or waiting.lost is not None)
        self.assertEqual(waiting.received[:12], b"HTTP/1.1 503")
        await self.event("logout", "kicked by the server's administrator")
        await self.back()
        self.assertEqual(self.run_id(), before)
        await self.user(self.tcp)
        self.assertEqual(await self.answer(), b"HTTP/1.1 200 OK")

    async def check_block(self, peer: Peer, *, mux: bool) -> None:
        """Its user reads why; it comes back when it may."""
        await self.start(peer, mux=mux)
        _, user = await self.user(self.tcp)
        block = self.server.moderation.block(self.key())
        assert block is not None
        await self.gone(user)
        await self.event("login_refused", BLOCKED)
        await self.said(BLOCKED)
        self.assertFalse(await self.listens(self.tcp))
        self.assertTrue(self.server.moderation.allow(block.id))
        await self.back()
        await self.user(self.tcp)

    async def check_disable(self, peer: Peer, *, mux: bool) -> None:
        """Users are sent away, and served again, while the client notices nothing."""
        await self.start(peer, mux=mux)
        moderation = self.server.moderation
        _, user = await self.user(self.tcp)
        _, waiting = await self.ask(b"/wait")
        await self.wait(lambda: b"/wait" in self.site_asked.asked)
        asking = self.udp_user(self.udp)
        await self.answered(asking)
        for name in NAMES:
            self.assertTrue(await moderation.disable(name))
        await self.gone(user)
        await waiting.until(lambda: b"\r\n\r\n" in waiting.received or waiting.lost is not None)
        self.assertEqual(waiting.received[:12], b"HTTP/1.1 503")
        self.assertFalse(await self.listens(self.tcp))
        await self.count(self.users, 0)
        for name in NAMES:
            self.assertTrue(await moderation.enable(name))
        await self.user(self.tcp)
        self.assertEqual(await self.answer(), b"HTTP/1.1 200 OK")
        asking.answers.clear()
        await self.answered(asking)
        self.assertEqual(self.kinds().count("login"), 1)


class NoFrpcTests(ModeratedCase):
    """Where there is none."""

    def test_none(self) -> None:
        if not BINARIES.clients:
            self.skipTest("FRP_BIN_DIR names no directory with real frp programs")


def _test(check: Callable[..., Any], peer: Peer, *, mux: bool) -> Callable[[FrpcTests], Any]:
    async def test(self: FrpcTests) -> None:
        await check(self, peer, mux=mux)

    return test


for _peer in BINARIES.clients:
    for _mux in (True, False):
        for _name in ("kick", "block", "disable"):
            _check = getattr(FrpcTests, f"check_{_name}")
            _way = "mux" if _mux else "direct"
            setattr(
                FrpcTests,
                f"test_{_peer.label.replace('.', '_')}_{_name}_{_way}",
                _test(_check, _peer, mux=_mux),
            )
