# -*- test-case-name: tests.interop.test_sessions -*-
"""How long a login lasts: signed heartbeats, dead peers, and the same client again.

Every real frp below ``FRP_BIN_DIR``, in both directions; where it has wire protocol v2, in both.
"""

import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.e2e.services import connected, is_closed, serves_echo
from tests.e2e.tunnel import NO_OPTIONS, Options
from tests.interop.binaries import add_with_each
from tests.interop.relay import Network
from tests.interop.test_matrix import InteropTestCase
from tests.interop.test_wire2 import CLIENT, OWNER, SINCE, Wire2Mixin
from tests.programs import OUR_SERVER, Peer, Program, eventually

SCOPES: Final = {"authenticate_heartbeats": True, "authenticate_new_work_conns": True}
BEAT: Final = {"heartbeat_interval": 1, "heartbeat_timeout": 3}
"""Of the client, in seconds; short, so that a test needn't wait."""
STRICT: Final = {"heartbeat_timeout": 3}
"""Of the server: so long it waits for a ping."""
PINGS: Final = {"tcp_mux_keepalive_interval": 1}
"""Of our end of a multiplexed connection."""
NEVER: Final = {"heartbeat_interval": -1, "heartbeat_timeout": -1}
BEATS_SECONDS: Final = 4.5
"""Until somebody who waits for heartbeats has missed them."""

WITH_V2: Final = (
    *("heartbeats", "signed", "takeover", "takeover_without_mux"),
    *("unsigned_heartbeat", "unsigned_work_connection"),
)
"""Where the dialect of the messages may matter."""

# The first frp whose client can do without heartbeats (protocol notes 5.3).
SILENCE_SINCE: Final = (0, 39)

# The first frps that listen to heartbeat_timeout of the file with tcp_mux (protocol notes 5.3).
STRICT_WITH_MUX_SINCE: Final = (0, 58)
NO_TIMEOUT_WITH_MUX_SINCE: Final = (0, 39)


# The frps that may hang up on an unsigned heartbeat before its answer is out.
SAYS_LITTLE: Final = ((0, 33), (0, 52))


class SessionCase(Wire2Mixin, InteropTestCase):
    """A real frp and our other half, which stay together or don't."""

    speakers = frozenset()

    def logins(self) -> int:
        """How often the client has logged in."""
        return len(self.client.lines("login to server success"))

    def start(self, server: Options, client: Options) -> None:
        """Start both, with an echo service."""
        self.server = self.start_server(server)
        self.client = self.start_client(self.echo_proxy(), client)
        self.assertTrue(serves_echo(self.tcp_port), self.show_outputs())

    def check_stays(self) -> None:
        """Nobody missed anything."""
        time.sleep(BEATS_SECONDS)
        self.assertEqual(self.logins(), 1, self.show_outputs())
        self.assertTrue(serves_echo(self.tcp_port), self.show_outputs())

    def check_heartbeats(self, *, mux: bool) -> None:
        """Pings and pongs keep both ends content, also when each waits for them."""
        self.start({**STRICT, "tcp_mux": mux}, {**BEAT, "tcp_mux": mux})
        self.check_stays()

    def check_signed(self) -> None:
        """What is signed with the token is accepted."""
        self.start({**STRICT, **SCOPES}, {**BEAT, **SCOPES})
        self.check_stays()

    def check_signed_for_nobody(self) -> None:
        """A server that doesn't ask for signatures doesn't mind them."""
        self.start(STRICT, {**BEAT, **SCOPES})
        self.check_stays()

    def check_unsigned_heartbeat(self) -> None:
        """One that does refuses pings without. Not every frps gets out why, before it hangs up."""
        self.start_server({"authenticate_heartbeats": True})
        config = self.write_config(CLIENT, self.client_sections(self.echo_proxy(), BEAT))
        self.client = self.run_program((*self.client_peer.command, "-c", str(config)))
        self.client.wait_until(lambda: self.logins() > 1, "logged in again")
        if not SAYS_LITTLE[0] <= self.server_peer.version < SAYS_LITTLE[1]:
            self.client.wait_for("token in heartbeat doesn't match token from configuration")

    def check_unsigned_work_connection(self) -> None:
        """Likewise for work connections: users aren't served, and the client says why."""
        self.server = self.start_server(
            {"authenticate_new_work_conns": True, "user_conn_timeout": 2}
        )
        self.client = self.start_client(self.echo_proxy(), {"pool_count": 1})
        self.client.wait_for("token in NewWorkConn doesn't match token from configuration")
        with connected(self.tcp_port) as user:
            self.assertTrue(is_closed(user), self.show_outputs())

    def check_silence(self, *, mux: bool) -> None:
        """A client that sends no heartbeats stays, where the server waits for none."""
        self.start({"heartbeat_timeout": -1, "tcp_mux": mux}, {**NEVER, "tcp_mux": mux})
        self.check_stays()

    def check_silence_is_noticed(self, *, mux: bool) -> None:
        """It doesn't where the server waits for them."""
        self.start({**STRICT, "tcp_mux": mux}, {**NEVER, "tcp_mux": mux})
        self.client.wait_until(lambda: self.logins() > 1, "dropped, and logged in again")

    def check_stopped_server(self, *, mux: bool) -> None:
        """The client notices a server that isn't there any more, and comes back when it is."""
        self.start({"tcp_mux": mux}, {"tcp_mux": mux, **(PINGS if mux else BEAT)})
        self.hold(self.server)
        self.client.wait_for("trying again")
        self.resume(self.server)
        self.client.wait_until(lambda: self.logins() > 1, "logged in again")
        eventually(lambda: serves_echo(self.tcp_port), "served again")

    def check_stopped_client(self, *, mux: bool) -> None:
        """The server notices a client that isn't there any more, and takes it back."""
        server, client = (PINGS, NO_OPTIONS) if mux else (STRICT, BEAT)
        self.start({**server, "tcp_mux": mux}, {**client, "tcp_mux": mux})
        self.hold(self.client)
        self.server.wait_for("client exit success")
        self.resume(self.client)
        self.client.wait_until(lambda: self.logins() > 1, "logged in again")
        eventually(lambda: serves_echo(self.tcp_port), "served again")

    def hold(self, program: Program) -> None:
        """Stop a program as a debugger would: its connections stay, and it does nothing."""
        program.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.resume, program)

    def resume(self, program: Program) -> None:
        """Let it go on."""
        program.process.send_signal(signal.SIGCONT)

    def check_takeover(self, *, mux: bool) -> None:
        """A client that comes back before the server has missed it has its ports at once."""
        options = {"tcp_mux": mux}
        self.server = self.start_server(options)
        network = Network(self.bind_port)
        self.addCleanup(network.close)
        self.client = self.start_client(self.echo_proxy(), {**options, "server_port": network.port})
        self.assertTrue(serves_echo(self.tcp_port), self.show_outputs())
        network.fail()
        self.client.wait_for("[echo] start proxy success", times=2)
        # The first user may get a connection that the client had just opened, and gave up.
        eventually(lambda: serves_echo(self.tcp_port), "served again")
        self.assertNotIn("already used", self.show_outputs())


class FrpClientTests(SessionCase):
    """frpc logs in to our server."""


class FrpServerTests(SessionCase):
    """Our client logs in to frps."""


Check = Callable[[SessionCase], None]


def _checks(client: Peer, server: Peer) -> dict[str, Check]:
    version = client.version or server.version
    checks: dict[str, Check] = {
        "signed": SessionCase.check_signed,
        "signed_for_nobody": SessionCase.check_signed_for_nobody,
        "unsigned_heartbeat": SessionCase.check_unsigned_heartbeat,
        "unsigned_work_connection": SessionCase.check_unsigned_work_connection,
    }
    both: dict[str, Callable[..., None]] = {
        "heartbeats": SessionCase.check_heartbeats,
        "takeover": SessionCase.check_takeover,
    }
    if server is OUR_SERVER:
        both["stopped_client"] = SessionCase.check_stopped_client
    else:
        both["stopped_server"] = SessionCase.check_stopped_server
    if version >= SILENCE_SINCE:
        both["silence"] = SessionCase.check_silence
    for name, check in both.items():
        checks[name] = partial(check, mux=True)
        checks[f"{name}_without_mux"] = partial(check, mux=False)
    if server is OUR_SERVER or not NO_TIMEOUT_WITH_MUX_SINCE <= version < STRICT_WITH_MUX_SINCE:
        checks["silence_is_noticed"] = partial(SessionCase.check_silence_is_noticed, mux=True)
    checks["silence_is_noticed_without_mux"] = partial(
        SessionCase.check_silence_is_noticed, mux=False
    )
    if client.version and version < SILENCE_SINCE:  # it has no silence
        checks = {name: check for name, check in checks.items() if "silence" not in name}
    return checks


def _tests(client: Peer, server: Peer) -> dict[str, Check]:
    def test(case: SessionCase, check: Check, speakers: frozenset[str]) -> None:
        case.speakers = speakers
        case.use(client, server)
        check(case)

    real = client if client.version else server
    tests: dict[str, Check] = {}
    for name, check in _checks(client, server).items():
        tests[f"{real.label}_{name}"] = partial(test, check=check, speakers=frozenset())
        if real.version >= SINCE and name in WITH_V2:
            tests[f"{real.label}_v2_{name}"] = partial(test, check=check, speakers=OWNER)
    return tests


add_with_each(FrpClientTests, FrpServerTests, _tests)
