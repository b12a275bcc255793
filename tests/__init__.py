"""Tests. Properties are tried with the same examples each time, however slow the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    # Of what makes examples; how long they take is told by nothing but the machine's load.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")
