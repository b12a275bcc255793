# -*- test-case-name: tests.interop.test_formats -*-
"""What we write as TOML, before every real frp below ``FRP_BIN_DIR`` that has all of our keys."""

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.binaries import BINARIES, add_tests
from tests.programs import PATIENCE, Peer
from tunnelsvc.config import names
from tunnelsvc.config.convert import convert

EXAMPLES: Final = Path(__file__).parents[2] / "conf"

# TOML is read since 0.52; this version knows all the keys of our files.
KNOWS_ALL: Final = (0, 70)


class VerifyTests(SynchronousTestCase):
    """``frps verify`` and ``frpc verify``."""

    def check(self, peer: Peer, toml: str) -> None:
        """The real program takes the file for a good one."""
        path = Path(self.mktemp())
        path.write_text(toml, encoding="utf-8")
        answer = subprocess.run(
            [*peer.command, "verify", "-c", str(path)],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        self.assertIn("syntax is ok", answer.stdout, answer.stdout + answer.stderr)
        self.assertEqual(answer.returncode, 0)

    def check_server(self, peer: Peer) -> None:
        """All keys of a server but our own; those of empty TLS, which frp refuses."""
        text, _ = convert(str(EXAMPLES / "frps_full.ini"), "server")
        self.check(peer, without_ours(text, names.SERVER.ours))

    def check_client(self, peer: Peer) -> None:
        text, _ = convert(str(EXAMPLES / "frpc_full.ini"), "client")
        self.check(peer, without_ours(text, names.CLIENT.ours | names.PROXY.ours))

    def check_ranges(self, peer: Peer) -> None:
        """Ranges as templates."""
        path = Path(self.mktemp())
        path.write_text(
            "[common]\nserver_addr = {{ .Envs.PATH }}\n[range:x]\ntype = udp\n"
            "local_port = 6000-6003,6010\nremote_port = 7000-7003,7010\n"
            'meta_a = a "b" \\ c {{ .Envs.PATH }}\n'
        )
        self.check(peer, convert(str(path), "client")[0])

    def check_range_is_ours(self, peer: Peer) -> None:
        """What we refuse of templates, frp refuses as well: an error, no other meaning."""
        path = Path(self.mktemp())
        path.write_text('{{ range parseNumberRangePair "1-2" "3" }}{{ end }}')
        answer = subprocess.run(
            [*peer.command, "verify", "-c", str(path)],
            capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        self.assertEqual(answer.returncode, 1)


def without_ours(toml: str, paths: frozenset[str]) -> str:
    """Leave out what frp knows nothing of."""
    text = re.sub(r"\[\[certificates\]\]\n(?:.+\n)*", "", toml)
    ours = tuple(f"{path} = " for path in paths)
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(ours))


def tests() -> dict[str, Callable[[VerifyTests], None]]:
    """Give the tests that make each check with each program that knows all of our files."""
    client_checks = ("check_client", "check_ranges", "check_range_is_ours")
    pairs = [(peer, check) for peer in BINARIES.clients for check in client_checks]
    pairs += [(peer, "check_server") for peer in BINARIES.servers]
    return {
        f"{peer.label}_{check.removeprefix('check_')}": partial(call, check=check, peer=peer)
        for peer, check in pairs
        if peer.version >= KNOWS_ALL
    }


def call(case: VerifyTests, check: str, peer: Peer) -> None:
    """Make a check."""
    getattr(case, check)(peer)


add_tests(VerifyTests, tests())
