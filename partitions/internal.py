"""The topics that the broker keeps its own records in. Clients may read them, nothing else."""

from __future__ import annotations

from partitions.errors import ErrorCode, KafkaError

CONSUMER_OFFSETS = "__consumer_offsets"
"""Consumer groups and their committed offsets; each group's partition is its coordinator's."""

INTERNAL_TOPICS = frozenset((CONSUMER_OFFSETS, "__transaction_state"))
"""Shown as internal, and not to be written to, made, changed or deleted by clients."""


def check_not_internal(topic: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION for a topic that is the broker's own."""
    if topic in INTERNAL_TOPICS:
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is the broker's own: clients may only read"
        )
