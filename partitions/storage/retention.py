"""What a log may drop by age and size (Kafka's `retention.ms` and `retention.bytes`).

This only proposes. The log start moves when the group has committed the trim.
"""

from __future__ import annotations

from collections.abc import Sequence

from partitions.storage.config import LogConfig
from partitions.storage.segment import Segment


def retention_target(
    segments: Sequence[Segment],
    config: LogConfig,
    log_start: int,
    now_ms: int,
    high_watermark: int,
) -> int | None:
    """The log start that the limits ask for, None when they ask for nothing new.

    Whole segments, oldest first, and only what is committed. The newest segment goes by age
    only. A segment without timestamps does not age.
    """
    excess = sum(segment.size for segment in segments) - config.retention_bytes
    target = log_start
    for segment in segments:
        if segment.end_offset > high_watermark or not segment.size:
            break
        newest = segment is segments[-1]
        too_much = config.retention_bytes >= 0 and excess >= segment.size and not newest
        if not too_much and not _too_old(segment, config, now_ms):
            break
        excess -= segment.size
        target = segment.end_offset
    return target if target > log_start else None


def _too_old(segment: Segment, config: LogConfig, now_ms: int) -> bool:
    if config.retention_ms < 0 or segment.max_timestamp < 0:
        return False
    return segment.max_timestamp < now_ms - config.retention_ms
