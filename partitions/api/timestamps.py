"""`message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` (KIP-937), by batch.

The header says the first record's timestamp (the base) and the largest. The largest decides
what is too late. What is too early is decided by the first: only records after it that are
earlier still would tell more, and they are not looked at.
"""

from __future__ import annotations

from metadata.configs import TopicConfig
from partitions.errors import ErrorCode, KafkaError
from partitions.records import BatchHeader


def check_timestamps(header: BatchHeader, config: TopicConfig, now_ms: int) -> None:
    """Raise KafkaError(INVALID_TIMESTAMP) for a batch that the topic does not take at `now_ms`,
    by the broker's clock. A record without a timestamp (-1) is never refused."""
    if config.message_timestamp_type == "LogAppendTime":
        return
    earliest = now_ms - config.message_timestamp_before_max_ms
    latest = now_ms + config.message_timestamp_after_max_ms
    if header.max_timestamp > latest or header.base_timestamp > latest:
        raise _out_of_range(max(header.max_timestamp, header.base_timestamp), earliest, latest)
    if 0 <= header.base_timestamp < earliest:
        raise _out_of_range(header.base_timestamp, earliest, latest)


def _out_of_range(timestamp: int, earliest: int, latest: int) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_TIMESTAMP,
        f"a record's timestamp {timestamp} is out of range: the topic takes {max(earliest, 0)} to "
        f"{latest} now (message.timestamp.before.max.ms, message.timestamp.after.max.ms)",
    )
