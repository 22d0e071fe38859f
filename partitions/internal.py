"""The topics that the broker keeps its own records in. Clients may read them, nothing else."""

from __future__ import annotations

CONSUMER_OFFSETS = "__consumer_offsets"
"""Consumer groups and their committed offsets; each group's partition is its coordinator's."""

INTERNAL_TOPICS = frozenset((CONSUMER_OFFSETS, "__transaction_state"))
"""Shown as internal, and not to be written to, made, changed or deleted by clients."""
