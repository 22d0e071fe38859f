"""Tests, laid out as the packages are. `tests/live` starts real brokers; the rest is in-process."""
