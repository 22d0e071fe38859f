"""The append-only files of a SegmentLog, and where in them each entry lies."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from raftlog.disk.segment_format import (
    FRAME_BYTES,
    PAYLOAD_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Frame,
    decode_frame,
    encode_frame,
    encode_segment_header,
    entry_of,
    frame_is_valid,
    segment_header_is_valid,
)
from raftlog.errors import CorruptLog
from raftlog.seams import File, FileSystem
from raftlog.types import Buffer, Entry

SUFFIX: Final = ".seg"
CHUNK_BYTES: Final = 1 << 20


class Segment:
    """One file. Entry `first + i` lies at byte `positions[i]` and ends at offset `ends[i]`."""

    __slots__ = ("changes", "end", "ends", "file", "first", "path", "positions", "synced")

    def __init__(self, fs: FileSystem, directory: str, first: int, *, create: bool) -> None:
        self.first = first
        self.path = f"{directory}/{first:020d}{SUFFIX}"
        self.file: File = fs.open(self.path, create=create)
        self.positions = array("Q")
        self.ends = array("Q")
        self.end = SEGMENT_HEADER_BYTES
        self.changes = 1
        """Counts what changed the file; `synced` of them are durable. One that is found may
        have been cut by a process that was killed before it synced the cut."""
        self.synced = 0

    @property
    def last(self) -> int:
        """Index of the last entry; `first - 1` when there is none."""
        return self.first + len(self.positions) - 1

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries in one call; readable when this returns, not durable."""
        vectors: list[Buffer] = []
        start = at = self.end
        if not self.positions:
            vectors.append(encode_segment_header(self.first))
            start = 0
        positions = []
        ends = []
        for entry in entries:
            vectors.append(encode_frame(entry))
            vectors.append(entry.payload)
            positions.append(at)
            ends.append(entry.base + entry.span)
            at += FRAME_BYTES + len(entry.payload)
        self.file.pwrite(vectors, start)
        self.positions.extend(positions)
        self.ends.extend(ends)
        self.end = at
        self.changes += 1

    def truncate(self, first: int) -> None:
        """Cut off entry `first` and everything after it."""
        keep = first - self.first
        self.end = self.positions[keep]
        del self.positions[keep:]
        del self.ends[keep:]
        self.file.truncate(self.end)
        self.changes += 1

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1 that are here, within `max_bytes` of frames but at least one."""
        start = self.positions[low - self.first]
        stop = low + 1
        end = self._end_of(low)
        while stop < high and stop <= self.last and self._end_of(stop) - start <= max_bytes:
            end = self._end_of(stop)
            stop += 1
        data = self.file.pread(end - start, start)
        entries = []
        at = 0
        for index in range(low, stop):
            frame = decode_frame(data, at)
            at += FRAME_BYTES
            payload = data[at : at + frame.length] if frame is not None else b""
            if frame is None or frame.index != index or not frame_is_valid(frame, payload):
                raise CorruptLog(f"{self.path}: entry {index} changed on disk since it was written")
            entries.append(entry_of(frame, payload))
            at += frame.length
        return entries

    def _end_of(self, index: int) -> int:
        place = index - self.first + 1
        return self.positions[place] if place < len(self.positions) else self.end

    def load(self, last: int) -> Iterator[Entry]:
        """Scan the file up to entry `last`, yield its entries and cut off what follows.

        A file that ends, or is damaged, before `last` is left as it is.
        """
        size = self.file.size()
        if not segment_header_is_valid(self.file.pread(SEGMENT_HEADER_BYTES, 0), self.first):
            raise CorruptLog(f"{self.path}: it does not begin as segment {self.first} should")
        while self.last < last:
            frame = decode_frame(self.file.pread(FRAME_BYTES, self.end))
            if frame is None or frame.index != self.last + 1:
                break
            entry = self._load_entry(frame, size)
            if entry is None:
                break
            self.positions.append(self.end)
            self.ends.append(frame.end)
            self.end += FRAME_BYTES + frame.length
            yield entry
        if size > self.end and self.last >= last:
            self.file.truncate(self.end)
            self.changes += 1

    def _load_entry(self, frame: Frame, size: int) -> Entry | None:
        length = frame.length
        if length > min(PAYLOAD_BYTES_MAX, size - self.end - FRAME_BYTES):
            return None
        payload = self.file.pread(length, self.end + FRAME_BYTES)
        return entry_of(frame, payload) if frame_is_valid(frame, payload) else None


def list_segments(fs: FileSystem, directory: str) -> list[int]:
    """First indices of the segment files, rising."""
    stems = [n.removesuffix(SUFFIX) for n in fs.listdir(directory) if n.endswith(SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdigit() and len(stem) == 20)


def segment_path(directory: str, first: int) -> str:
    """Path of the segment that begins with entry `first`."""
    return f"{directory}/{first:020d}{SUFFIX}"
