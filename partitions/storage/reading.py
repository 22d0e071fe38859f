"""The consumers' side of a log: batches by offset, offsets by time. Nothing here writes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from struct import Struct

from crc32c import crc32c

from partitions.records import iter_records
from partitions.records.header import ATTRIBUTES_AT, HEADER_BYTES, LENGTH_PREFIX_BYTES, MAGIC
from partitions.storage.segment import Place, Segment
from raftlog.types import Buffer

_SKIP_BYTES = 8192
"""Read beyond the bytes asked for, when the first batch's position is only known roughly."""
_BATCHES_MAX = 2048
"""In one answer: each takes half a microsecond to check, and the loop waits meanwhile."""
_FOREVER = 1 << 63
_FIELDS = Struct(">qiibIxxi").unpack_from
"""Of a batch's header: base offset, length, leader epoch, magic, CRC, last offset delta."""
_LENGTH_MIN = HEADER_BYTES - LENGTH_PREFIX_BYTES
_start_of = itemgetter(1)


def segment_at(segments: Sequence[Segment], offset: int) -> Segment:
    """The segment that holds `offset`, or the last one."""
    if offset >= segments[-1].base:
        return segments[-1]
    return segments[max(0, bisect_right(segments, offset, key=lambda s: s.base) - 1)]


def read_batches(
    segments: Sequence[Segment],
    epochs: Sequence[tuple[int, int]],
    offset: int,
    max_bytes: int,
    end_offset: int,
    at_least_one: bool,
) -> Buffer:
    """Whole batches of one segment, from the one that holds `offset`, to `end_offset` at most.

    Every batch is checked: a consumer must not be given what was never written. At most
    _BATCHES_MAX of them, however small they are.
    """
    segment = segment_at(segments, offset)
    if offset >= segment.end_offset:
        return b""
    stop = segment.position_of(end_offset)
    place = segment.place_before(offset)
    wanted = max(max_bytes, HEADER_BYTES) + _SKIP_BYTES
    while place.position < stop:
        wanted = min(stop - place.position, wanted)
        data = segment.file.pread(wanted, place.position)
        start, end, missing, due = _extent(segment, data, place, offset, max_bytes, epochs)
        if 0 <= start < end:
            return data if end - start == len(data) else memoryview(data)[start:end]
        if start == end and missing > max_bytes and not at_least_one:
            return b""
        place = Place(place.position + end, due)
        if len(data) < wanted or place.position + max(missing, HEADER_BYTES) > stop:
            raise segment.corrupt(place.position, "the file ends inside a batch")
        if start == end:
            max_bytes = max(max_bytes, missing)
        wanted = max(wanted, max_bytes, missing)
    raise segment.corrupt(stop, f"offset {offset} should be before")


def _extent(
    segment: Segment,
    data: bytes,
    place: Place,
    offset: int,
    max_bytes: int,
    epochs: Sequence[tuple[int, int]],
) -> tuple[int, int, int, int]:
    """(start, end, size of the batch at the end that is not in, its offset): places in `data`.

    `data` lies at `place`, where a batch starts. Start is where the batch that holds `offset`
    begins, -1 when it is not reached; end where the last batch ends that was checked, is
    whole and is within `max_bytes` of the start. The base offset and the leader epoch lie in
    front of what the CRC covers, so they are compared with what is due.
    """
    at, due, start, limit, size = 0, place.offset, -1, _FOREVER, len(data)
    epoch, until = _epoch_at(epochs, due)
    view = memoryview(data)
    for _ in range(_BATCHES_MAX):
        if at + HEADER_BYTES > size:
            break
        base, length, term, magic, crc, delta = _FIELDS(data, at)
        if base != due or magic != MAGIC or length < _LENGTH_MIN or delta < 0:
            raise segment.corrupt(place.position + at, f"this is not the batch of offset {due}")
        if base >= until:
            epoch, until = _epoch_at(epochs, base)
        if term != epoch:
            raise segment.corrupt(place.position + at, f"leader epoch {term} where {epoch} was")
        after = at + length + LENGTH_PREFIX_BYTES
        if start < 0 and base + delta >= offset:
            start, limit = at, at + max_bytes
        if after > size or after > limit:
            return start, at, after - at, due
        if crc32c(view[at + ATTRIBUTES_AT : after]) != crc:
            raise segment.corrupt(place.position + at, "the batch's CRC does not match its content")
        due, at = base + delta + 1, after
    return start, at, 0, due


def _epoch_at(epochs: Sequence[tuple[int, int]], offset: int) -> tuple[int, int]:
    """(leader epoch of the batch at `offset`, offset at which the next epoch starts)."""
    at = bisect_right(epochs, offset, key=_start_of)
    return epochs[max(0, at - 1)][0], epochs[at][1] if at < len(epochs) else _FOREVER


def find_time(segments: Sequence[Segment], timestamp_ms: int, low: int) -> tuple[int, int] | None:
    """(timestamp, offset) of the first record at or above offset `low` that is so late.

    Records are looked at in batches whose header promises one, in order: usually in one batch.
    """
    for segment in segments:
        if segment.max_timestamp < timestamp_ms or segment.end_offset <= low:
            continue
        point = segment.points.block_of_time(timestamp_ms)
        begin = segment.base + point.offset
        for position, header in segment.headers(point.position, segment.size, begin):
            if header.max_timestamp < timestamp_ms or header.next_offset <= low:
                continue
            found = _find_record(segment.check_batch(position, header), timestamp_ms, low)
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
    start, latest = segment.place_before(low).position, -1
    if segment.base >= low:
        point = segment.points.floor_offset(high - segment.base)
        start, latest = point.position, point.max_before
    for position, header in segment.headers(start, segment.size):
        if header.next_offset > high:
            break
        if header.base_offset >= low:
            latest = max(latest, header.max_timestamp)
        elif header.next_offset > low:
            batch = segment.check_batch(position, header)
            latest = max([latest, *(r.timestamp for r in iter_records(batch) if r.offset >= low)])
    return latest
