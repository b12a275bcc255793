"""Two byte streams, joined, or datagrams on one. Knows nothing of frp."""

from tunnelsvc.relay.join import Closed, Meter, Reason, join
from tunnelsvc.relay.stages import Stage, Stages, codecs, dress

__all__ = ["Closed", "Meter", "Reason", "Stage", "Stages", "codecs", "dress", "join"]
