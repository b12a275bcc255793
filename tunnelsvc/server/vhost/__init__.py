"""HTTP requests of users: routed by host and path, one by one, and passed on as they come.

`protocol` reads requests off a user's connection, `exchange` carries one to its service and the
response back, `pool` keeps connections to a service, `rewrite` has the headers.
"""

from tunnelsvc.server.vhost.factory import VhostFactory
from tunnelsvc.server.vhost.pool import BackendPool
from tunnelsvc.server.vhost.route import Route
from tunnelsvc.server.vhost.router import Router
from tunnelsvc.server.vhost.rules import Rules, make_rules

__all__ = ["BackendPool", "Route", "Router", "Rules", "VhostFactory", "make_rules"]
