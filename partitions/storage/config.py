"""What may be set per partition log; the names are Kafka's topic settings."""

from __future__ import annotations

from dataclasses import dataclass

SEGMENT_BYTES_MAX = 2**31 - 1
"""Positions inside a segment are u32 in the index; Kafka's own limit is the same."""
SPAN_MAX = 2**31 - 1
"""Offsets and indices of one segment, relative to its first: Kafka rolls there too."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Limits of one log. -1 stands for "no limit" in the retention settings."""

    segment_bytes: int = 1 << 30
    """A batch that would take the segment beyond this opens a new one."""
    segment_ms: int = 7 * 24 * 3600 * 1000
    """Batch timestamps of one segment span at most this."""
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = -1
    index_interval_bytes: int = 4096
    """Bytes of batches per point of the sparse index."""
    max_message_bytes: int = 1_048_588
    """Checked where batches come in; a log stores what its group decided."""
    producers_max: int = 10_000
    """Idempotent producers remembered; beyond it the ones silent for longest are forgotten."""
    producer_expiration_ms: int = 24 * 3600 * 1000
    """Silence, by batch timestamps, after which a producer is forgotten."""
    producers_save_bytes: int = 4 * 1024 * 1024
    """Batches appended after which a sync also saves the producer table."""

    def __post_init__(self) -> None:
        if not 1 <= self.segment_bytes <= SEGMENT_BYTES_MAX:
            raise ValueError(f"segment_bytes must be 1..{SEGMENT_BYTES_MAX}")
        if self.index_interval_bytes < 1 or self.producers_max < 1:
            raise ValueError("index_interval_bytes and producers_max must be positive")
