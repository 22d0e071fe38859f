"""One segment: a `.log` file of batches, its `.raft` sidecar, and what is known of them.

A Segment is bookkeeping with read access; the log decides when it grows, is cut or is sealed.
Entries are found by walking batch headers from the nearest point of the sparse index; for the
newest entries the start of each is remembered (the tail), which serves followers that keep up
and the commit index.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from partitions.records import crc_matches
from partitions.records.header import HEADER_BYTES, MAGIC, BatchHeader, parse_header
from partitions.storage.files import FileCache
from partitions.storage.points import SparseIndex
from partitions.storage.sidecar import MAGIC as MAGIC_BYTES
from partitions.storage.sidecar import Start, ZeroEntry, encode, salt_of
from raftlog.errors import CorruptLog
from raftlog.seams import File
from raftlog.types import Entry, EntryKind

ADVICE = "It has changed since it was written: this replica must not vote"
TAIL_ENTRIES = 1024
CHUNK_BYTES = 32 * 1024
_LENGTH_BEFORE = 12


class Place(NamedTuple):
    """Where an entry starts."""

    position: int
    """Byte in the segment file."""
    offset: int


def segment_name(base: int) -> str:
    """Kafka's file name without suffix: the base offset in 20 digits."""
    return f"{base:020d}"


class Segment:
    """See the module. Indices and offsets are the log's, positions are the file's bytes."""

    __slots__ = (
        "base",
        "end_offset",
        "files",
        "first_index",
        "first_timestamp",
        "last_index",
        "log_path",
        "max_timestamp",
        "next_point",
        "path",
        "points",
        "points_saved",
        "raft_path",
        "salt",
        "side_size",
        "size",
        "start",
        "zeros",
        "_tail_first",
        "_tail_offset",
        "_tail_position",
    )

    def __init__(self, files: FileCache, directory: str, start: Start) -> None:
        self.files = files
        self.start = start
        self.base = start.base
        self.first_index = start.previous_index + 1
        self.path = f"{directory}/{segment_name(start.base)}"
        self.log_path = f"{self.path}.log"
        self.raft_path = f"{self.path}.raft"
        self.salt = salt_of(start.base)
        self.points = SparseIndex()
        self.points_saved = 0
        """How many of the points are in the sidecar."""
        self.zeros: dict[int, ZeroEntry] = {}
        self.last_index = start.previous_index
        self.end_offset = start.base
        self.size = 0
        self.side_size = 0
        self.max_timestamp = -1
        self.first_timestamp = -1
        """Of the first batch (ms); what `segment_ms` counts from."""
        self.next_point = 0
        """Position from which on the next batch becomes a point of the index."""
        self.reset_tail(self.first_index, Place(0, self.base))

    def opening(self) -> list[bytes]:
        """The first bytes of the sidecar."""
        return [MAGIC_BYTES, encode(self.start, self.salt)]

    def all_paths(self) -> tuple[str, str, str]:
        """Every file that may exist of this segment."""
        return self.log_path, self.raft_path, f"{self.path}.producers"

    @property
    def last_point(self) -> int:
        """Position of the last point of the index."""
        return self.points.point(len(self.points) - 1).position

    @property
    def file(self) -> File:
        """The batches; created by the first one."""
        return self.files.get(self.log_path, create=True)

    @property
    def sidecar(self) -> File:
        """The sidecar."""
        return self.files.get(self.raft_path, create=True)

    # --- the tail

    def reset_tail(self, index: int, place: Place) -> None:
        """Remember nothing before entry `index`, which starts (or will start) at `place`."""
        self._tail_first = index
        self._tail_position = array("Q", (place.position,))
        self._tail_offset = array("Q", (place.offset,))

    def note_batch(self, index: int, header: BatchHeader, interval: int) -> None:
        """The batch of entry `index` is appended; `interval` is the index's, in bytes."""
        position = self.size
        if position >= self.next_point:
            if position:
                self.points.add(
                    index - self.first_index,
                    header.base_offset - self.base,
                    position,
                    self.max_timestamp,
                )
            self.next_point = position + interval
        if not position:
            self.first_timestamp = header.max_timestamp
        if header.max_timestamp > self.max_timestamp:
            self.max_timestamp = header.max_timestamp
        self.extend(position + header.length + _LENGTH_BEFORE, header.next_offset)

    def extend(self, position: int, offset: int) -> None:
        """The newest entry ends at `position` and `offset`."""
        self.last_index += 1
        self.size = position
        self.end_offset = offset
        self._tail_position.append(position)
        self._tail_offset.append(offset)
        if len(self._tail_offset) > 2 * TAIL_ENTRIES:
            del self._tail_position[:TAIL_ENTRIES], self._tail_offset[:TAIL_ENTRIES]
            self._tail_first += TAIL_ENTRIES

    def cut(self, first: int, place: Place) -> None:
        """Forget entry `first`, which starts at `place`, and all behind it."""
        keep = first - self._tail_first + 1
        if keep > 0:
            del self._tail_position[keep:], self._tail_offset[keep:]
        else:
            self.reset_tail(first, place)
        self.points.cut(first - self.first_index)
        self.points_saved = min(self.points_saved, len(self.points))
        for index in [index for index in self.zeros if index >= first]:
            del self.zeros[index]
        self.last_index = first - 1
        self.size, self.end_offset = place
        point = self.points.point(len(self.points) - 1)
        behind = self.headers(point.position, self.size)
        self.max_timestamp = max(
            (header.max_timestamp for _, header in behind), default=point.max_before
        )
        self.max_timestamp = max(self.max_timestamp, point.max_before)

    # --- finding

    def locate(self, index: int) -> Place:
        """Where entry `index` starts; for `last_index` + 1 the end."""
        at = index - self._tail_first
        if at >= 0:
            return Place(self._tail_position[at], self._tail_offset[at])
        if index == self.first_index:
            return Place(0, self.base)
        point = self.points.floor_index(index - self.first_index)
        at_index = self.first_index + point.index
        position, offset = point.position, self.base + point.offset
        batches = self.headers(position, self.size, offset)
        last = None
        while at_index < index:
            if at_index not in self.zeros:
                last = self.next_batch(batches, position)
                position = last[0] + last[1].size
                offset = last[1].next_offset
            at_index += 1
        if last is not None:
            self.check_batch(*last)
        return Place(position, offset)

    def check_batch(self, position: int, header: BatchHeader) -> bytes:
        """The whole batch; CorruptLog when its CRC does not fit."""
        batch = self.file.pread(header.size, position)
        if not crc_matches(batch, header):
            raise self.corrupt(position, "the batch's CRC does not match its content")
        return batch

    def next_batch(
        self, batches: Iterator[tuple[int, BatchHeader]], position: int
    ) -> tuple[int, BatchHeader]:
        """The next of `headers`, which must exist because the log has counted it."""
        found = next(batches, None)
        if found is None:
            raise self.corrupt(position, "a batch that the log has counted is missing")
        return found

    def corrupt(self, position: int, text: str) -> CorruptLog:
        """An error that says where."""
        return CorruptLog(f"{self.log_path} at byte {position}: {text}. {ADVICE}")

    def entry_corrupt(self, index: int, text: str) -> CorruptLog:
        """An error that names the entry."""
        return CorruptLog(f"{self.log_path}, entry {index}: {text}. {ADVICE}")

    def headers(
        self, position: int, end: int, offset: int = -1
    ) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of the batches from `position` to `end`, a batch boundary.

        Raises CorruptLog at bytes that cannot be a batch there, or not the next one (the first
        is at `offset`, if given). Of the last batch nothing but its own CRC says that it ends
        where it claims.
        """
        expected = offset
        while position < end:
            chunk = self.file.pread(min(CHUNK_BYTES, end - position), position)
            at = 0
            while at + HEADER_BYTES <= len(chunk):
                header = parse_header(chunk, at)
                if not plausible(header) or position + at + header.size > end:
                    raise self.corrupt(position + at, "this is not a batch")
                if header.base_offset != expected >= 0:
                    text = f"offset {header.base_offset} where {expected} was due"
                    raise self.corrupt(position + at, text)
                expected = header.next_offset
                yield position + at, header
                at += header.size
            if not at:
                raise self.corrupt(position, "the file ends inside a batch")
            position += at

    def position_of(self, offset: int) -> int:
        """Where the batch that holds `offset` starts; the end for the end offset."""
        if offset >= self.end_offset:
            return self.size
        place = self.place_before(offset)
        for position, header in self.headers(place.position, self.size, place.offset):
            if header.next_offset > offset:
                return position
        return self.size

    def place_before(self, offset: int) -> Place:
        """A batch boundary at or shortly before the batch that holds `offset`; reads nothing."""
        tail = self._tail_offset
        if tail[0] <= offset:
            at = bisect_right(tail, offset) - 1
            return Place(self._tail_position[at], tail[at])
        point = self.points.floor_offset(max(0, offset - self.base))
        return Place(point.position, self.base + point.offset)

    # --- reading entries

    def entry(self, zero: ZeroEntry) -> Entry:
        """As the group wrote it."""
        return Entry(zero.index, zero.term, zero.kind, zero.base, 0, zero.payload)

    def read_from(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1 of this segment; cut after `max_bytes`, at least one.

        Each batch is checked against its CRC and its place; the terms are for the log to check.
        """
        position, offset = self.locate(low)
        chunk = self._chunk(position, high, max_bytes)
        out: list[Entry] = []
        used = at = 0
        for index in range(low, high):
            zero = self.zeros.get(index)
            if zero is not None:
                entry = self.entry(zero)
            else:
                header = parse_header(chunk, at) if at + HEADER_BYTES <= len(chunk) else None
                if header is None or at + header.size > len(chunk):
                    if out:
                        return out
                    chunk, at = self._whole_batch(position + at), 0
                    header = parse_header(chunk)
                entry = self._data_entry(index, header, chunk[at : at + header.size], offset)
                at += header.size
                offset = header.next_offset
            used += len(entry.payload)
            if used > max_bytes and out:
                return out
            out.append(entry)
        return out

    def _chunk(self, position: int, high: int, max_bytes: int) -> bytes:
        end = self.size
        if high <= self.last_index:
            at = high - self._tail_first
            known = (
                self._tail_position[at]
                if at >= 0
                else self.points.position_at_or_after_index(high - self.first_index)
            )
            end = end if known is None else known
        length = min(end - position, max(max_bytes, 0))
        return self.file.pread(length, position) if length > 0 else b""

    def _whole_batch(self, position: int) -> bytes:
        head = self.file.pread(HEADER_BYTES, position)
        if len(head) == HEADER_BYTES:
            header = parse_header(head)
            if plausible(header) and position + header.size <= self.size:
                return self.file.pread(header.size, position)
        raise self.corrupt(position, "a batch that the log has counted is missing")

    def _data_entry(self, index: int, header: BatchHeader, payload: bytes, offset: int) -> Entry:
        if header.base_offset != offset or not plausible(header):
            raise self.entry_corrupt(index, f"it is not the batch of offset {offset}")
        if not crc_matches(payload, header):
            raise self.entry_corrupt(index, "the batch's CRC does not match its content")
        return Entry(
            index,
            header.leader_epoch,
            EntryKind.DATA,
            header.base_offset,
            header.last_offset_delta + 1,
            payload,
        )


def plausible(header: BatchHeader) -> bool:
    """Could these be the first 61 bytes of a batch?"""
    return (
        header.magic == MAGIC
        and header.length >= HEADER_BYTES - _LENGTH_BEFORE
        and header.last_offset_delta >= 0
        and header.base_offset >= 0
    )
