# -*- test-case-name: tests.admin.test_clientapi -*-
"""Requests to the client's site: unlike the dashboard's they may have bodies, of limited length."""

from typing import Any, Final

from twisted.web.resource import IResource

from tunnelsvc.admin.web import DashboardRequest, DashboardSite
from tunnelsvc.config.legacy import MAX_FILE_BYTES

MOST_BODY_BYTES: Final = MAX_FILE_BYTES
MOST_DROPPED_BYTES: Final = 4 * MOST_BODY_BYTES
"""What is read of a body that is too long, so that who sends it gets to see the answer."""


class AdminRequest(DashboardRequest):
    """A request whose body is kept, up to the length of a configuration file.

    Attributes:
        too_long: whether the body is longer, and so dropped.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.too_long = False
        self._pieces: list[bytes] = []
        self._received = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted.web's name
        """Keep a piece of the body."""
        self._received += len(data)
        if self._received <= MOST_BODY_BYTES:
            self._pieces.append(data)
            return
        self.too_long = True
        self._pieces.clear()
        if self._received > MOST_DROPPED_BYTES and self.channel is not None:
            self.channel.loseConnection()

    def body(self) -> bytes:
        """Return what came with the request."""
        return b"".join(self._pieces)


class AdminSite(DashboardSite):
    """The client's site."""

    def __init__(self, resource: IResource, reactor: Any) -> None:
        super().__init__(resource, reactor)
        self.requestFactory = AdminRequest
