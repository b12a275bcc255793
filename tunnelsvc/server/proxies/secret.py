# -*- test-case-name: tests.server.proxies.test_secret -*-
"""``type = stcp`` and ``type = sudp``: no port, users come by visitors who know the secret.

`tunnelsvc.server.visitors` brings the visitors. To the server both types are alike: a visitor's
bytes go to the owner as they are, whatever they mean.
"""

from typing import Final

from tunnelsvc.relay import Stages, codecs
from tunnelsvc.server.proxies.base import Proxy
from tunnelsvc.wire.auth import keys_match, login_key
from tunnelsvc.wire.cfb import derive_key
from tunnelsvc.wire.datagrams import takes_codecs
from tunnelsvc.wire.dialect import Dialect
from tunnelsvc.wire.messages import NewVisitorConn
from tunnelsvc.wire.version import is_older

EVERYBODY: Final = "*"

USERS_SINCE: Final = (0, 50)
"""The first frp whose visitors say who they are, and whose owners can say who may come."""


class SecretProxy(Proxy):
    """Is found by its name; hop 1 of its users is `Proxy.accept`."""

    async def listen(self) -> str:
        """See `Proxy`; its name is all that there is to be reached by."""
        return ""

    async def unlisten(self) -> None:
        """See `Proxy`."""

    def name_taken_by(self, other: Proxy) -> str:
        """See `Proxy`."""
        if isinstance(other, SecretProxy):
            return f"custom listener for [{self.name}] is repeated"
        return super().name_taken_by(other)

    def knows(self, visit: NewVisitorConn) -> bool:
        """Whether a visitor has the secret (protocol notes 6.6)."""
        return keys_match(login_key(self.request.sk, visit.timestamp), visit.sign_key)

    def welcomes(self, user: str | None) -> bool:
        """Whether a user may visit.

        Args:
            user: of the visitor's client; None: it doesn't say who it is, as before frp 0.50. It
                then counts as the user without a name, unless the owner is as old: that one can't
                say who may come, and means everybody who has the secret.
        """
        owner = self.client.login
        if user is None and is_older(owner.version, USERS_SINCE):
            return True
        allowed = self.request.allow_users or (owner.user,)
        return EVERYBODY in allowed or (user or "") in allowed

    def visitor_codecs(self, visit: NewVisitorConn, dialect: Dialect) -> Stages:
        """Make the stages of a visitor's leg: its own choice, and a key of the secret.

        Args:
            visit: what it chose.
            dialect: in which it writes datagrams, if it doesn't put them in frames of ours.
        """
        key = derive_key(self.request.sk) if visit.use_encryption else b""
        inbound, outbound = codecs(
            key, encryption=visit.use_encryption, compression=visit.use_compression
        )
        owners = self.client.payload_dialect
        if self.request.proxy_type == "sudp" and dialect is not owners:
            # Few visitors do.
            from tunnelsvc.wire.reframe import Reframer  # noqa: PLC0415

            inbound.append(Reframer(dialect, owners, pings=False))
            outbound.insert(0, Reframer(owners, dialect, pings=True))
        return inbound, outbound

    @property
    def takes_datagram_frames(self) -> bool:
        """Whether the owner understands datagrams in frames of ours: see `wire.datagrams`."""
        return self.request.proxy_type == "sudp" and self.client.is_ours

    def _codecs(self) -> Stages:
        """See `Proxy`."""
        client = self.client
        sudp = self.request.proxy_type == "sudp"
        if sudp and not takes_codecs(client.login.version, ours=client.is_ours):
            return [], []
        return super()._codecs()
