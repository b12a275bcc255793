"""The public side: accepts clients and users."""

from tunnelsvc.server.service import TunnelServer

__all__ = ["TunnelServer"]
