"""The hidden side: dials the server and the local services."""

from tunnelsvc.client.service import TunnelClient

__all__ = ["TunnelClient"]
