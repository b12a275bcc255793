# -*- test-case-name: tests.client.test_registration -*-
"""How a proxy is, in frp's words (reference 1.10).

Its last one, "closed", is nobody's to see: what is taken back for good isn't shown any more.
"""

from typing import Final

from attrs import frozen

from tunnelsvc.config.proxies import ProxyConfig, VisitorConfig

NEW: Final = "new"
"""Not announced yet: there is no session, or its health check hasn't succeeded."""
WAIT_START: Final = "wait start"
"""Announced; the server hasn't answered."""
START_ERROR: Final = "start error"
"""The server refused it; it will be announced again."""
RUNNING: Final = "running"
CHECK_FAILED: Final = "check failed"
"""Withdrawn because of its health check."""


@frozen
class ProxyStatus:
    """One proxy at this moment.

    Attributes:
        config: what the file says of it.
        phase: one of the words above.
        error: of the server, or why it can't be announced; empty: none.
        remote_addr: where the server put it, as it said (``:6000``, ``a.example:8080``).
        server_addr: of the server that said so.
        dial_error: why the latest user didn't reach the local service; empty: he did.
        https_addr: where an http proxy is by https, as the server has a certificate for it.
        check_error: why its health check keeps it from being announced; empty: it doesn't.
    """

    config: ProxyConfig
    phase: str = NEW
    error: str = ""
    remote_addr: str = ""
    server_addr: str = ""
    dial_error: str = ""
    check_error: str = ""
    https_addr: str = ""


@frozen
class LinkStatus:
    """The session with the server at this moment.

    Attributes:
        server: the one that is used or tried, with its port.
        since: when the session began, Unix seconds; None: there is none.
        run_id: what the server knows us by; empty: likewise.
        error: why there is none; empty: there is, or nothing has gone wrong yet.
    """

    server: str
    since: float | None = None
    run_id: str = ""
    error: str = ""


@frozen
class VisitorStatus:
    """One visitor at this moment.

    Attributes:
        config: what the file says of it.
        port: where its users come in; None: nowhere.
        error: why that is so, or why the latest user wasn't let in; empty: all is as it should be.
    """

    config: VisitorConfig
    port: int | None = None
    error: str = ""
