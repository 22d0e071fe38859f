"""Errors of a partition's log that are the asker's fault. A bad disk is raftlog's CorruptLog."""

from __future__ import annotations

from partitions.errors import ErrorCode, KafkaError


class OffsetOutOfRange(KafkaError):
    """The offset asked for is below the log start or beyond the end."""

    def __init__(self, offset: int, low: int, high: int) -> None:
        super().__init__(
            ErrorCode.OFFSET_OUT_OF_RANGE, f"offset {offset} is outside of {low}..{high}"
        )


class OutOfOrderSequence(KafkaError):
    """A batch does not follow its producer's last one: something before it is missing."""

    def __init__(self, text: str) -> None:
        super().__init__(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, text)


class InvalidProducerEpoch(KafkaError):
    """A newer incarnation of the producer has written: this one is fenced."""

    def __init__(self, text: str) -> None:
        super().__init__(ErrorCode.INVALID_PRODUCER_EPOCH, text)
