"""The `.raft` file beside a segment: an append-only journal of what its batches do not say.

It starts with 8 bytes of magic and version. Then records follow, each with a CRC that is
salted with the segment's base offset, so that a record of another segment is never taken for
one of this one:

    START     once, first: the log's birth, where the segment begins, the configuration there
    ZERO      an entry that spans no offsets, with its place between the batches
    TERM      the data entry at this index has another term than the entry before it
    POINTS    columns of the sparse index
    TRUNCATE  entries from this index on are void, and so is what was said of them here
    SEAL      the segment is complete; where it ends

A cut of the log appends TRUNCATE instead of cutting the sidecar: bytes once synced never
change, and a byte that is wrong among them is rot, not a torn write.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from crc32c import crc32c

from raftlog.types import EntryKind

MAGIC = b"QRaft\x00\x00\x01"
RECORD_BYTES_MAX = 128 * 1024 * 1024
"""Bounds one record; a zero-span entry's body is far smaller."""

_FRAME = Struct("<IIB")
_START = Struct("<QQQII")
_ZERO = Struct("<QIBQI")
_TERM = Struct("<QIQ")
_TRUNCATE = Struct("<QQI")
_SEAL = Struct("<QQIq")

START, ZERO, TERM, POINTS, TRUNCATE, SEAL = range(1, 7)


class Start(NamedTuple):
    """Where a segment begins."""

    birth: tuple[int, int]
    """Index and term at which the log that it belongs to was created or installed."""
    base: int
    previous_index: int
    previous_term: int
    configuration: bytes
    """The configuration in force there, encoded."""


class ZeroEntry(NamedTuple):
    """An entry that spans no offsets."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    term: int
    kind: EntryKind
    base: int
    position: int
    """Byte position in the segment of the batch that follows it."""
    payload: bytes


class Term(NamedTuple):
    """A data entry that starts a term."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    term: int
    offset: int


class Points(NamedTuple):
    """Encoded columns, see `points.SparseIndex`."""

    columns: bytes


class Truncate(NamedTuple):
    """Entries from `first` on are void."""

    first: int
    offset: int
    position: int


class Seal(NamedTuple):
    """The end of a complete segment."""

    last_index: int
    end_offset: int
    size: int
    max_timestamp: int


Record = Start | ZeroEntry | Term | Points | Truncate | Seal


def salt_of(base: int) -> int:
    """What the CRCs of the segment with this base offset start from."""
    return int(crc32c(base.to_bytes(8, "little")))


def encode(record: Record, salt: int) -> bytes:
    """One record, framed."""
    kind, body = _body(record)
    crc = crc32c(body, crc32c(_FRAME.pack(0, len(body), kind)[4:], salt))
    return _FRAME.pack(crc, len(body), kind) + body


def _body(record: Record) -> tuple[int, bytes]:
    match record:
        case ZeroEntry(index, term, kind, base, position, payload):
            return ZERO, _ZERO.pack(index, term, kind, base, position) + bytes(payload)
        case Term():
            return TERM, _TERM.pack(*record)
        case Points(columns):
            return POINTS, columns
        case Truncate():
            return TRUNCATE, _TRUNCATE.pack(*record)
        case Seal():
            return SEAL, _SEAL.pack(*record)
        case Start(birth, base, index, term, configuration):
            return START, _START.pack(base, index, birth[0], term, birth[1]) + configuration


def decode(data: bytes, salt: int, position: int) -> Iterator[tuple[int, Record]]:
    """(end position, record) from `position` on, up to the first bytes that are not a record.

    Memory is bounded by `data`; what a record says is not checked against other records.
    """
    size = len(data)
    while position + _FRAME.size <= size:
        crc, length, kind = _FRAME.unpack_from(data, position)
        body_at = position + _FRAME.size
        if length > RECORD_BYTES_MAX or body_at + length > size:
            return
        body = data[body_at : body_at + length]
        if crc32c(body, crc32c(data[position + 4 : body_at], salt)) != crc:
            return
        record = _record(kind, body)
        if record is None:
            return
        position = body_at + length
        yield position, record


def _record(kind: int, body: bytes) -> Record | None:
    try:
        if kind == ZERO:
            index, term, entry_kind, base, position = _ZERO.unpack_from(body)
            payload = body[_ZERO.size :]
            return ZeroEntry(index, term, EntryKind(entry_kind), base, position, payload)
        if kind == TERM:
            return Term(*_TERM.unpack(body))
        if kind == POINTS:
            return Points(body)
        if kind == TRUNCATE:
            return Truncate(*_TRUNCATE.unpack(body))
        if kind == SEAL:
            return Seal(*_SEAL.unpack(body))
        if kind == START:
            base, index, birth_index, term, birth_term = _START.unpack_from(body)
            birth = (birth_index, birth_term)
            return Start(birth, base, index, term, body[_START.size :])
    except (StructError, ValueError):
        return None
    return None
