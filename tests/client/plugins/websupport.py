"""A user of a site on streams, in memory."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource

from tests.gateway.support import TellingStream, telling_pair
from tests.streams import Recorder, pump, recorded
from tunnelsvc.client.plugins.webstream import StreamSite
from tunnelsvc.relay import Closed

MOST_TURNS = 10_000


class Visitor:
    """One user's connection to a site.

    Attributes:
        end: the user's end.
        seen: what came of it.
        closed: the account, once there is one.
    """

    closed: Closed | None = None

    def __init__(
        self, site: StreamSite, clock: Clock, unread: bytes = b"", *, half_closes: bool = True
    ) -> None:
        self.end: TellingStream
        self.end, stream = telling_pair("user")
        self._clock = clock
        self.seen: Recorder = recorded(self.end)
        site.serve(stream, unread, far_half_closes=half_closes).addCallback(self._account)

    def _account(self, closed: Closed) -> None:
        self.closed = closed

    def turn(self) -> None:
        """Let everything happen that doesn't need time."""
        for _ in range(MOST_TURNS):
            pump(self.end)
            due = [call.getTime() for call in self._clock.getDelayedCalls()]
            if not due or min(due) > self._clock.seconds():
                return
            self._clock.advance(0)
        raise AssertionError("never ends")

    def ask(self, request: bytes) -> bytes:
        """Say something; return all that came since the last time."""
        self.end.write(request)
        self.turn()
        return self.take()

    def take(self) -> bytes:
        """Return all that came since the last time."""
        received = bytes(self.seen.received)
        self.seen.received.clear()
        return received


class SiteCase(SynchronousTestCase):
    """A site of one resource."""

    def setUp(self) -> None:
        self.clock = Clock()

    def site(self, resource: IResource) -> StreamSite:
        return StreamSite(resource, self.clock)

    def visit(
        self, resource: IResource, unread: bytes = b"", *, half_closes: bool = True
    ) -> Visitor:
        """Let a user connect."""
        return Visitor(self.site(resource), self.clock, unread, half_closes=half_closes)
