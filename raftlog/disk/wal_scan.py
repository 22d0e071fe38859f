"""Reading rounds back: verified once at recovery, and again in order for the replay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from crc32c import crc32c

from raftlog.disk.wal_format import (
    PART_HEADER_BYTES,
    ROUND_HEADER_BYTES,
    ROW,
    ROW_BYTES,
    RoundHeader,
    decode_round_header,
    round_headers,
)
from raftlog.disk.wal_state import Part
from raftlog.seams import File

CHUNK_BYTES: Final = 1 << 20
"""Read at once: bounds recovery's memory, one record's payload excepted."""


class Row(NamedTuple):
    """A record's row, and where its payload lies in the file."""

    kind: int
    entry_kind: int
    flags: int
    length: int
    group: int
    index: int  # type: ignore[assignment]  # hides tuple.index
    term: int
    base: int
    extra: int
    position: int


class Round(NamedTuple):
    """A round found in a part."""

    header: RoundHeader
    position: int
    table: bytes

    @property
    def end(self) -> int:
        """Position after the round."""
        return self.position + ROUND_HEADER_BYTES + self.header.body_bytes

    def rows(self) -> Iterator[Row]:
        """The records in order."""
        at = self.position + ROUND_HEADER_BYTES + len(self.table)
        for fields in ROW.iter_unpack(self.table):
            yield Row._make((*fields, at))
            at += fields[3]


def read_round(part: Part, position: int, size: int, *, verify: bool = True) -> Round | None:
    """The round at `position` of a file of `size` bytes, or None when none is valid there."""
    header = decode_round_header(part.epoch, part.file.pread(ROUND_HEADER_BYTES, position))
    if header is None or header.body_bytes > size - position - ROUND_HEADER_BYTES:
        return None
    table = part.file.pread(header.records * ROW_BYTES, position + ROUND_HEADER_BYTES)
    if len(table) != header.records * ROW_BYTES:
        return None
    found = Round(header, position, table)
    if verify and not _body_is_valid(part, found):
        return None
    return found


def _body_is_valid(part: Part, found: Round) -> bool:
    payload_bytes = found.header.body_bytes - len(found.table)
    if sum(fields[3] for fields in ROW.iter_unpack(found.table)) != payload_bytes:
        return False
    crc = crc32c(found.table, part.salt)
    for chunk in chunks(part.file, found.end - payload_bytes, found.end):
        crc = crc32c(chunk, crc)
    return crc == found.header.body_crc


def chunks(file: File, start: int, end: int) -> Iterator[bytes]:
    """The bytes start..end-1, at most CHUNK_BYTES at once; ends early at the end of the file."""
    while start < end:
        data = file.pread(min(CHUNK_BYTES, end - start), start)
        if not data:
            return
        yield data
        start += len(data)


def rounds_of(part: Part) -> Iterator[Round]:
    """All rounds of a part that recovery has verified."""
    position = PART_HEADER_BYTES
    while position < part.end:
        found = read_round(part, position, part.end, verify=False)
        if found is None:
            raise OSError(f"{part.name} changed at byte {position} since it was verified")
        yield found
        position = found.end


def proves_durable(part: Part, position: int, size: int, number: int) -> int | None:
    """Where, from `position` on, a round header says that round `number` was durable.

    A header alone is proof enough: this process wrote it, after a sync had returned.
    """
    tail = b""
    at = position
    for chunk in chunks(part.file, position, size):
        data = tail + chunk
        for found, header in round_headers(part.epoch, data):
            if header.durable >= number:
                return at - len(tail) + found
        at += len(chunk)
        tail = data[-(ROUND_HEADER_BYTES - 1) :]
    return None
