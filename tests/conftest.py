"""Settings shared by all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code; a slow build server is not a failing property.
settings.register_profile(
    "quorate", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quorate")
