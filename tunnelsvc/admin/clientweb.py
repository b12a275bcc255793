# -*- test-case-name: tests.admin.test_clientapi -*-
"""Requests to the client's site: a configuration file may come with one."""

from typing import Final

from tunnelsvc.admin.web import DashboardRequest
from tunnelsvc.config.legacy import MAX_FILE_BYTES

MOST_BODY_BYTES: Final = MAX_FILE_BYTES
MOST_DROPPED_BYTES: Final = 4 * MOST_BODY_BYTES


class AdminRequest(DashboardRequest):
    """A request whose body may be as long as a configuration file."""

    most_body_bytes = MOST_BODY_BYTES
    most_dropped_bytes = MOST_DROPPED_BYTES
