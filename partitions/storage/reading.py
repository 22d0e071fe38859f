"""The consumers' side of a log: batches by offset, offsets by time. Nothing here writes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from partitions.records import iter_records
from partitions.records.header import HEADER_BYTES, parse_header
from partitions.storage.segment import Segment, plausible
from raftlog.types import Buffer

_SKIP_BYTES = 8192
"""Read beyond the bytes asked for, when the first batch's position is only known roughly."""


def segment_at(segments: Sequence[Segment], offset: int) -> Segment:
    """The segment that holds `offset`, or the last one."""
    if offset >= segments[-1].base:
        return segments[-1]
    return segments[max(0, bisect_right(segments, offset, key=lambda s: s.base) - 1)]


def read_batches(
    segments: Sequence[Segment], offset: int, max_bytes: int, end_offset: int, at_least_one: bool
) -> Buffer:
    """Whole batches of one segment, from the one that holds `offset`, to `end_offset` at most."""
    segment = segment_at(segments, offset)
    if offset >= segment.end_offset:
        return b""
    stop = segment.position_of(end_offset)
    low = segment.position_before(offset)
    wanted = min(stop - low, max(max_bytes, HEADER_BYTES) + _SKIP_BYTES)
    if wanted <= 0:
        return b""
    data = segment.file.pread(wanted, low)
    start, first_bytes = _skip_to(segment, data, low, offset)
    if first_bytes > max_bytes:
        if not at_least_one or start >= stop:
            return b""
        return segment.file.pread(first_bytes, start)
    end = stop if stop - start <= max_bytes else _fit(segment, start, max_bytes, end_offset)
    if end > low + len(data):
        return segment.file.pread(end - start, start)
    if start == low and end == low + len(data):
        return data
    return memoryview(data)[start - low : end - low]


def _skip_to(segment: Segment, data: bytes, low: int, offset: int) -> tuple[int, int]:
    """(position, size) of the batch that holds `offset`, at or after `low`."""
    at = 0
    while at + HEADER_BYTES <= len(data):
        header = parse_header(data, at)
        if not plausible(header):
            raise segment.corrupt(low + at, "this is not a batch")
        if header.next_offset > offset:
            return low + at, header.size
        at += header.size
    for position, header in segment.headers(low + at, segment.size):
        if header.next_offset > offset:
            return position, header.size
    raise segment.corrupt(low + at, f"offset {offset} should be here")


def _fit(segment: Segment, start: int, max_bytes: int, end_offset: int) -> int:
    """The last batch boundary at most `max_bytes` behind `start`."""
    limit = start + max_bytes
    end = max(start, segment.last_position(end_offset, limit))
    for position, header in segment.headers(end, segment.size):
        end = position
        if position + header.size > limit or header.next_offset > end_offset:
            return end
    return segment.size


def find_time(segments: Sequence[Segment], timestamp_ms: int, low: int) -> tuple[int, int] | None:
    """(timestamp, offset) of the first record at or above offset `low` that is so late.

    Records are looked at in batches whose header promises one, in order: usually in one batch.
    """
    for segment in segments:
        if segment.max_timestamp < timestamp_ms or segment.end_offset <= low:
            continue
        start = segment.points.block_of_time(timestamp_ms).position
        for position, header in segment.headers(start, segment.size):
            if header.max_timestamp < timestamp_ms or header.next_offset <= low:
                continue
            found = _find_record(segment.file.pread(header.size, position), timestamp_ms, low)
            if found is not None:
                return found
    return None


def _find_record(batch: Buffer, timestamp_ms: int, low: int) -> tuple[int, int] | None:
    for record in iter_records(batch):
        if record.timestamp >= timestamp_ms and record.offset >= low:
            return record.timestamp, record.offset
    return None


def latest_time(segments: Sequence[Segment], low: int, high: int) -> tuple[int, int] | None:
    """(timestamp, offset) of the first of the latest records at offsets `low` to `high` - 1.

    `high` is where a batch starts, or the end. Reads headers of at most two segments.
    """
    latest = max([_latest_in(segment, low, high) for segment in segments], default=-1)
    return find_time(segments, latest, low) if latest >= 0 else None


def _latest_in(segment: Segment, low: int, high: int) -> int:
    """The largest timestamp at offsets `low` to `high` - 1; -1 when there is none."""
    if segment.base >= high or segment.end_offset <= low:
        return -1
    if segment.base >= low and segment.end_offset <= high:
        return segment.max_timestamp
    start, latest = segment.position_before(low), -1
    if segment.base >= low:
        point = segment.points.floor_offset(high - segment.base)
        start, latest = point.position, point.max_before
    for position, header in segment.headers(start, segment.size):
        if header.next_offset > high:
            break
        if header.base_offset >= low:
            latest = max(latest, header.max_timestamp)
        elif header.next_offset > low:
            batch = segment.file.pread(header.size, position)
            latest = max([latest, *(r.timestamp for r in iter_records(batch) if r.offset >= low)])
    return latest
