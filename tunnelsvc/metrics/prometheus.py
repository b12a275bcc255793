# -*- test-case-name: tests.metrics.test_prometheus -*-
"""The counters in Prometheus' text format, under frp's names (reference 1.11).

frp's two counters lack the suffix ``_total``, and ``prometheus_client`` can't write a counter
without it. So the six families of frp are written here, and those of the process, the interpreter
and the reactor by the library.
"""

from collections.abc import Iterable
from typing import ClassVar, Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from tunnelsvc.metrics.counters import ServerStats

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LAG_BUCKETS_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""From a reactor with nothing to do to one that users complain about."""

_FRPS: Final = "frp_server"
_OWN: Final = "tunnelsvc_server"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[dict[str, str], int]
"""Labels, value."""


class Exporter:
    """Answers a scrape.

    Attributes:
        content_type: of the answer.
    """

    content_type: ClassVar[str] = CONTENT_TYPE

    def __init__(self, stats: ServerStats) -> None:
        self._stats = stats
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._lag = Histogram(
            "tunnelsvc_reactor_lag_seconds",
            "How late the reactor ran a call that was due",
            buckets=LAG_BUCKETS_SECONDS,
            registry=self._registry,
        )

    def observe_lag(self, seconds: float) -> None:
        """Note how late the reactor ran a call."""
        self._lag.observe(seconds)

    def text(self) -> bytes:
        """Write everything, in `content_type`."""
        own = "".join([*server_families(self._stats), *own_families(self._stats)])
        return own.encode("utf-8", "replace") + generate_latest(self._registry)


def server_families(stats: ServerStats) -> Iterable[str]:
    """Write frp's six families in its order, each ending with a newline."""
    proxies = stats.proxies()
    both = [{"name": proxy.name, "type": proxy.type} for proxy in proxies]
    totals = [proxy.counted() for proxy in proxies]
    types = sorted(stats.proxies_by_type().items())
    yield _family(
        "client_counts", "gauge", "The current client counts of frps", [({}, stats.online_clients)]
    )
    yield _family(
        "connection_counts",
        "gauge",
        "The current connection counts",
        zip(both, (proxy.connections for proxy in proxies), strict=True),
    )
    yield _family(
        "proxy_counts",
        "gauge",
        "The current proxy counts",
        [({"type": kind}, count) for kind, count in types],
    )
    yield _family(
        "proxy_counts_detailed",
        "gauge",
        "The current number of proxies grouped by type and name",
        zip(both, (int(proxy.online) for proxy in proxies), strict=True),
    )
    yield _family(
        "traffic_in",
        "counter",
        "The total in traffic",
        zip(both, (total.in_bytes for total in totals), strict=True),
    )
    yield _family(
        "traffic_out",
        "counter",
        "The total out traffic",
        zip(both, (total.out_bytes for total in totals), strict=True),
    )


def own_families(stats: ServerStats) -> Iterable[str]:
    """Write who is who, to be joined with frp's families by ``name`` and ``type``."""
    clients = [client for client in stats.clients() if client.online]
    yield _family(
        "client_info",
        "gauge",
        "A client that is logged in",
        [
            (
                {
                    "user": each.user,
                    "client_id": each.shown_id,
                    "version": each.version,
                    "address": each.address,
                    "hostname": each.hostname,
                },
                1,
            )
            for each in clients
        ],
        prefix=_OWN,
    )
    proxies = [proxy for proxy in stats.proxies() if proxy.online]
    yield _family(
        "proxy_info",
        "gauge",
        "A proxy that users can reach",
        [
            (
                {
                    "name": each.name,
                    "type": each.type,
                    "user": each.user,
                    "client_id": each.client_id,
                },
                1,
            )
            for each in proxies
        ],
        prefix=_OWN,
    )


def _family(name: str, kind: str, text: str, samples: Iterable[Sample], prefix: str = _FRPS) -> str:
    full = f"{prefix}_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
    lines += [f"{full}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"
