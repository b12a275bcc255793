# -*- test-case-name: tests.client.plugins.test_tls2raw -*-
"""``plugin = tls2raw``: users' TLS ends here, what is in it goes to the local service as it is."""

from attrs import evolve

from tunnelsvc.client.local import dial_service, introduce
from tunnelsvc.client.plugins import Place
from tunnelsvc.client.plugins.termination import Termination, failure_of
from tunnelsvc.config.plugins import TLSToRawConfig
from tunnelsvc.handover import Parked
from tunnelsvc.interfaces import Stream
from tunnelsvc.relay import Closed, join
from tunnelsvc.relay.accounted import Accounted
from tunnelsvc.wire.messages import StartWorkConn


class TLSToRaw:
    """See `tunnelsvc.client.plugins.Plugin`. The service hears only of users who speak TLS."""

    def __init__(self, place: Place) -> None:
        """Load the certificate.

        Raises:
            ConfigError: a file can't be used.
        """
        config = place.proxy.plugin
        assert isinstance(config, TLSToRawConfig)
        self._place = place
        self._address = config.local_addr
        self._tls = Termination(place, config.crt_path, config.key_path)

    async def serve(
        self,
        stream: Stream,
        unread: bytes,
        start: StartWorkConn,
        *,
        far_half_closes: bool,
    ) -> Closed:
        """See `Plugin`."""
        clock = self._place.reactor
        user = Accounted(stream, unread, clock=clock, far_half_closes=far_half_closes)
        tls = self._tls.start(user, unread, Parked())
        why = await failure_of(tls)
        if why:
            return evolve(await user.closed, detail=why)
        local = await dial_service(clock, *self._address)
        self._place.connections.add(local)
        introduce(local, self._place.proxy, start)
        # Within TLS either direction ends alone, whatever the server makes of the end of TCP.
        joined = await join(local, tls, clock=clock)
        return evolve(await user.closed, reason=joined.reason, detail=joined.detail)
