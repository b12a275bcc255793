# -*- test-case-name: tests.control.test_auth -*-
"""Who may log in: the token method (protocol notes 3.3 and 3.4)."""

from collections.abc import Callable

from attrs import evolve, field, frozen

from tunnelsvc.wire.auth import keys_match, login_key
from tunnelsvc.wire.messages import Login, NewWorkConn, Ping


@frozen(kw_only=True)
class TokenAuth:
    """Signs and checks messages with a shared token.

    Attributes:
        token: the secret; may be empty.
        heartbeats: whether pings are signed and checked.
        new_work_conns: whether work connections are.
        now: gives Unix seconds.
    """

    token: str = field(repr=lambda _: "'***'")
    heartbeats: bool = False
    new_work_conns: bool = False
    now: Callable[[], float]

    def sign_login(self, login: Login) -> Login:
        """Return `login` with its key."""
        timestamp = int(self.now())
        key = login_key(self.token, timestamp)
        return evolve(login, timestamp=timestamp, privilege_key=key)

    def ping(self) -> Ping:
        """Make a ping, signed if the scope is on."""
        if not self.heartbeats:
            return Ping()
        timestamp = int(self.now())
        return Ping(timestamp=timestamp, privilege_key=login_key(self.token, timestamp))

    def new_work_conn(self, run_id: str) -> NewWorkConn:
        """Make the first message of a work connection, signed if the scope is on."""
        if not self.new_work_conns:
            return NewWorkConn(run_id=run_id)
        timestamp = int(self.now())
        key = login_key(self.token, timestamp)
        return NewWorkConn(run_id=run_id, timestamp=timestamp, privilege_key=key)

    def login_error(self, login: Login) -> str:
        """Say why `login` is refused; empty: it isn't."""
        return self._error("login", login.privilege_key, login.timestamp)

    def ping_error(self, ping: Ping) -> str:
        """Likewise for a ping."""
        if not self.heartbeats:
            return ""
        return self._error("heartbeat", ping.privilege_key, ping.timestamp)

    def new_work_conn_error(self, message: NewWorkConn) -> str:
        """Likewise for a work connection."""
        if not self.new_work_conns:
            return ""
        return self._error("NewWorkConn", message.privilege_key, message.timestamp)

    def _error(self, where: str, given: str, timestamp: int) -> str:
        if keys_match(login_key(self.token, timestamp), given):
            return ""
        return f"token in {where} doesn't match token from configuration"
