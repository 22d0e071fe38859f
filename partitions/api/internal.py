"""What clients may not do to the brokers' own topics (`metadata.internal`)."""

from __future__ import annotations

from metadata.internal import is_internal
from partitions.errors import ErrorCode, KafkaError


def refuse_internal(topic: str, doing: str) -> None:
    """Raise INVALID_TOPIC_EXCEPTION if `topic` is internal; `doing` ends "clients cannot ...".

    The code is Kafka's for appending to internal topics and for deleting records of them.
    """
    if is_internal(topic):
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"{topic} is internal, the brokers keep their state in it: clients cannot {doing}",
        )
