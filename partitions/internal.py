"""What clients may not do to the brokers' own topics."""

from __future__ import annotations

from metadata.internal import CONSUMER_OFFSETS, INTERNAL_TOPICS
from partitions.errors import ErrorCode, KafkaError

__all__ = ["CONSUMER_OFFSETS", "INTERNAL_TOPICS", "check_not_internal"]


def check_not_internal(topic: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION if `topic` is internal: clients change nothing in it.

    The code is Kafka's for appending to internal topics and for deleting records of them.
    """
    if topic in INTERNAL_TOPICS:
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"{topic} is internal, the brokers keep their state in it: clients may only read it",
        )
