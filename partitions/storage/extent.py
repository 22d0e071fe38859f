"""How far one segment can be believed: its sidecar replayed, its batches counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from partitions.records import crc_matches
from partitions.records.header import BatchHeader
from partitions.storage import sidecar
from partitions.storage.segment import Place, Segment
from partitions.storage.sidecar import Points, Record, Seal, Start, Term, Truncate, ZeroEntry
from raftlog.errors import CorruptLog


class Replayed(NamedTuple):
    """What a sidecar says of its segment beyond what went into the Segment."""

    seal: Seal | None
    terms: dict[int, tuple[int, int]]
    """Index -> (term, offset) of entries that may start a term."""


def replay(segment: Segment, strict: int) -> Replayed:
    """Take in the sidecar up to its first invalid byte; CorruptLog if that is below `strict`."""
    data = segment.sidecar.pread(segment.sidecar.size(), 0)
    end = len(sidecar.MAGIC) if data.startswith(sidecar.MAGIC) else 0
    seal: Seal | None = None
    terms: dict[int, tuple[int, int]] = {}
    for after, record in sidecar.decode(data, segment.salt, end):
        if not _take(segment, record, terms):
            break
        if isinstance(record, Seal | Truncate):
            seal = record if isinstance(record, Seal) else None
        end = after
    if end < strict:
        raise CorruptLog(
            f"{segment.raft_path} at byte {end}: damaged, and durable up to byte {strict}. This "
            "replica must not vote"
        )
    segment.side_size = end
    segment.points_saved = len(segment.points)
    return Replayed(seal, terms)


def _take(segment: Segment, record: Record, terms: dict[int, tuple[int, int]]) -> bool:
    """False for a record that cannot be right here."""
    match record:
        case ZeroEntry():
            segment.zeros[record.index] = record
            terms[record.index] = (record.term, record.base)
        case Term(index, term, offset):
            terms[index] = (term, offset)
        case Points(columns):
            try:
                segment.points.extend(columns)
            except ValueError:
                return False
        case Truncate(first, _, _):
            drop_from(segment, first)
            _drop(terms, first)
        case Start():
            return record == segment.start
        case Seal():
            pass
    return True


def drop_from(segment: Segment, first: int) -> bool:
    """Forget what the sidecar said of entries from `first` on; was there anything?"""
    before = len(segment.points) + len(segment.zeros)
    segment.points.cut(max(0, first - segment.first_index))
    _drop(segment.zeros, first)
    return before != len(segment.points) + len(segment.zeros)


def _drop(by_index: dict[int, ZeroEntry] | dict[int, tuple[int, int]], first: int) -> None:
    for index in [index for index in by_index if index >= first]:
        del by_index[index]


def settle(segment: Segment, said: Replayed, upto: int | None, interval: int) -> bool:
    """Find the segment's end: entry `upto`, or as far as it is well-formed.

    May end earlier than `upto`; that is the caller's to judge. True when the sidecar claims
    more than that end, so that it must be contradicted before anything is appended.
    """
    file_size = segment.file.size() if segment.files.fs.exists(segment.log_path) else 0
    seal = said.seal
    claims = seal is not None
    if seal is not None and is_sealed(segment, said, upto):
        segment.last_index, segment.end_offset = seal.last_index, seal.end_offset
        segment.size, segment.max_timestamp = seal.size, seal.max_timestamp
    else:
        if upto is not None:
            claims |= drop_from(segment, upto + 1)
        walk(segment, upto, file_size, interval)
        claims |= drop_from(segment, segment.last_index + 1)
        _drop(said.terms, segment.last_index + 1)
    segment.points_saved = min(segment.points_saved, len(segment.points))
    segment.next_point = segment.last_point + interval
    segment.reset_tail(segment.last_index + 1, Place(segment.size, segment.end_offset))
    first = next(_batches(segment, 0, segment.size), None)
    segment.first_timestamp = first[1].max_timestamp if first else -1
    return claims


def is_sealed(segment: Segment, said: Replayed, upto: int | None) -> bool:
    """Is the segment complete, ending with entry `upto` (if given)?"""
    seal = said.seal
    if seal is None or upto not in (None, seal.last_index):
        return False
    exists = segment.files.fs.exists(segment.log_path)
    return (segment.file.size() if exists else 0) >= seal.size


def walk(segment: Segment, upto: int | None, file_size: int, interval: int) -> None:
    """Count entries from the last point of the index on; extends the index."""
    point = segment.points.point(len(segment.points) - 1)
    position, offset = point.position, segment.base + point.offset
    index, latest = segment.first_index + point.index, point.max_before
    next_point = segment.last_point + interval
    batches = _batches(segment, position, file_size)
    while upto is None or index <= upto:
        zero = segment.zeros.get(index)
        if zero is None:
            found = next(batches, None)
            if found is None or found[1].base_offset != offset:
                break
            header = found[1]
            if (upto is None or index == upto) and not _intact(segment, position, header):
                break  # nothing that follows says whether it ends where it claims
            if position >= next_point:
                segment.points.add(
                    index - segment.first_index, offset - segment.base, position, latest
                )
                next_point = position + interval
            position += header.size
            offset = header.next_offset
            latest = max(latest, header.max_timestamp)
        elif zero.position != position or zero.base != offset:
            break
        index += 1
    segment.last_index, segment.max_timestamp = index - 1, latest
    segment.size, segment.end_offset = position, offset


def _intact(segment: Segment, position: int, header: BatchHeader) -> bool:
    return crc_matches(segment.file.pread(header.size, position), header)


def _batches(segment: Segment, position: int, end: int) -> Iterator[tuple[int, BatchHeader]]:
    try:
        yield from segment.headers(position, end)
    except CorruptLog:
        return
