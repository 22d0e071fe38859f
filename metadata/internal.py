"""Topics that belong to the brokers themselves.

Coordinators keep their state in them and make them when they are first needed, with a number of
partitions that decides who is responsible for what. So clients may read and describe them, and
change settings that cost no record; whatever would change what is in them is refused.
"""

from __future__ import annotations

CONSUMER_OFFSETS = "__consumer_offsets"
"""Consumer groups and their committed offsets."""

INTERNAL_TOPICS = frozenset({CONSUMER_OFFSETS, "__transaction_state", "__share_group_state"})
"""Kafka's names."""

KEPT_CONFIGS = frozenset(
    {
        "cleanup.policy",
        "message.timestamp.type",
        "retention.bytes",
        "retention.ms",
    }
)
"""Settings of an internal topic that stay as its coordinator set them."""


def is_internal(topic: str) -> bool:
    """Is this a topic of the brokers' own?"""
    return topic in INTERNAL_TOPICS
