"""A login in memory, and the server that has it, as visitors see them."""

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.control.fakes import FakeServer, terms
from tunnelsvc.client.visitors.sessions import Sessions
from tunnelsvc.config.proxies import VisitorConfig
from tunnelsvc.control.session import Session, log_in
from tunnelsvc.wire.messages import LoginResp, Message, NewVisitorConn, NewVisitorConnResp


def visitor_config(**changes: Any) -> VisitorConfig:
    """Make a configuration."""
    fields = {
        "name": "there",
        "type": "stcp",
        "server_name": "ssh",
        "secret_key": "sesame",
        "bind_port": 9000,
    }
    return VisitorConfig(**{**fields, **changes})


class VisitCase(SynchronousTestCase):
    """A client that is logged in; what its visitors say is for the test to answer."""

    server_is_ours = True

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.sessions = Sessions(self.clock)
        self.connect()

    def connect(self, **options: Any) -> None:
        """Log in, to a new server."""
        self.server = FakeServer(self.clock)
        ours = "1" if self.server_is_ours else ""
        self.server.answer = lambda _: LoginResp(run_id="r1", tunnelsvc=ours)
        login = terms(self.clock, self, **options)
        entered: Deferred[Session] = ensureDeferred(log_in(self.server.connect, login, ""))
        self.server.pump()
        self.session = self.successResultOf(entered)

    def message_received(self, message: Message) -> None:
        """See `SessionOwner`."""

    def work_connection_wanted(self, session: Session) -> None:
        """See `SessionOwner`."""

    def asked(self) -> NewVisitorConn:
        """Return what the server heard last."""
        self.server.pump()
        asked = self.server.heard[-1]
        assert isinstance(asked, NewVisitorConn)
        return asked

    def answer(self, error: str = "") -> None:
        """Answer that as a server does."""
        self.asked()
        self.server.work[-1].send(NewVisitorConnResp(proxy_name="ssh", error=error))
        self.server.pump()
