"""Record batches, short to write."""

from __future__ import annotations

from typing import Any

from partitions.records import Record, build_batch

TIME_MS = 1_000_000


def batch_of(*values: bytes, **fields: Any) -> bytes:
    """A batch of records with these values and no keys; `fields` as `build_batch` takes them."""
    records = [Record(value=value) for value in values]
    return bytes(build_batch(records, **{"base_timestamp": TIME_MS, **fields}))
