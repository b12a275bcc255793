# -*- test-case-name: tests.client.plugins.test_gateway -*-
"""The engine of the server's vhost port, as plugins have it that pass requests on."""

from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelsvc.gateway.pages import Pages
from tunnelsvc.gateway.route import Site, Target
from tunnelsvc.gateway.router import Router
from tunnelsvc.relay import join
from tunnelsvc.units import MINUTE

RESPONSE_SECONDS: Final = 10 * MINUTE
"""How long a service may take from the end of a request to the head of its response. frp waits for
ever; before an http proxy the server's ``vhost_http_timeout`` is over long before."""


def make_site(router: Router[Target], clock: IReactorTime, pages: Pages) -> Site:
    """Make what the connections of a plugin's users share.

    Args:
        router: finds where requests go.
        clock: for the time limits.
        pages: makes error responses.
    """
    return Site(
        router=router,
        clock=clock,
        response_timeout_seconds=RESPONSE_SECONDS,
        pages=pages,
        join=join,
    )
