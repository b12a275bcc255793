# -*- test-case-name: tests.interop.test_matrix -*-
"""Which combinations of settings the interop tests try, and what each writes into the files."""

from collections.abc import Mapping
from typing import Final

from attrs import fields, frozen

from tests.programs import Peer

# The first frp whose client can leave out, and whose server can do without, the byte 0x17 before
# TLS (protocol notes 1.3).
PLAIN_TLS_SINCE: Final = (0, 38)

# The first frp with certificate files and ``tls_server_name`` (protocol notes 1.4).
CERTIFICATES_SINCE: Final = (0, 36)


@frozen
class Case:
    """One combination; every field is a switch."""

    tls: bool
    mux: bool
    encryption: bool
    compression: bool
    token: bool
    pool: bool
    plain_first_byte: bool

    @property
    def label(self) -> str:
        """The switches that are on, as part of a method's name."""
        names = [field.name for field in fields(Case) if getattr(self, field.name)]
        return "_".join(names) or "nothing"

    @property
    def common(self) -> Mapping[str, object]:
        """Keys that both programs must agree on."""
        return {"tcp_mux": self.mux, "token": "s3cret" if self.token else ""}

    def client_options(self, client: Peer, server: Peer) -> Mapping[str, object]:
        """``[common]`` of the client."""
        options = {**self.common, "tls_enable": self.tls, "pool_count": 5 if self.pool else 0}
        known = all(peer.version >= PLAIN_TLS_SINCE for peer in (client, server) if peer.version)
        if known:
            options["disable_custom_tls_first_byte"] = self.plain_first_byte
        return options

    @property
    def proxy_options(self) -> Mapping[str, object]:
        """Keys of every proxy."""
        return {"use_encryption": self.encryption, "use_compression": self.compression}


# Six rows hold each pair of values of each two columns (a test checks it), where all combinations
# would be 128: the columns are different choices of three rows out of the last five.
_ROWS: Final = (
    "0 0 0 0 0 0 0",
    "0 0 0 0 1 1 1",
    "0 1 1 1 0 0 0",
    "1 0 1 1 0 1 1",
    "1 1 0 1 1 0 1",
    "1 1 1 0 1 1 0",
)

CASES: Final = tuple(Case(*(switch == "1" for switch in row.split())) for row in _ROWS)
