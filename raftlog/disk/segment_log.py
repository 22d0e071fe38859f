"""SegmentLog: the generic `raftlog.storage.GroupLog`, one directory per group.

For the metadata group and for embedders; partitions have their own. The directory holds
append-only segments of framed entries and one `snapshot` file, replaced atomically. Nothing
but the snapshot is synced when written: entries are durable in the write-ahead log until
`sync_job` has run and the checkpoint taken before it is recorded there.

Costs per entry in memory: 16 bytes (position and end offset), until `compact`; and the newest
entries themselves, some TAIL_BYTES of them, so that replicating them reads no file.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from raftlog.core.membership import configuration_from_disk
from raftlog.disk.segment_tail import Tail
from raftlog.disk.segments import Segment, list_segments, segment_path
from raftlog.disk.snapshot_file import (
    check_snapshot,
    read_snapshot,
    read_snapshot_part,
    write_snapshot,
)
from raftlog.errors import Compacted, CorruptLog, DiskFailed
from raftlog.seams import FileSystem
from raftlog.storage import Checkpoint
from raftlog.types import Configuration, Entry, EntryKind, LogPosition, SnapshotMeta

SEGMENT_BYTES: Final = 16 * 1024 * 1024
_DETAIL: Final = struct.Struct("<QQ")


class SegmentLog:
    """See the module. Use `create` or `open`. Errors: OSError from the disk, CorruptLog."""

    def __init__(self, fs: FileSystem, path: str, meta: SnapshotMeta, segment_bytes: int) -> None:
        self._fs = fs
        self._path = path
        self._segment_bytes = segment_bytes
        self._meta = meta
        self._segments: list[Segment] = []
        self._renames = self._renames_synced = 0
        """Files made and removed; and how many of that are durable."""
        self._failed: OSError | None = None
        self._last = meta.position
        self._terms: list[tuple[int, int]] = []
        """(first index, term) of each run of equal terms in the log, rising."""
        self._configurations: list[tuple[int, Configuration]] = []
        self._tail = Tail()
        self._jobs: list[object] = []
        """One token per sync job that has not ended; storage threads remove theirs."""
        self._removed: list[Segment] = []
        """Unlinked, but perhaps being synced: closed when no job runs."""

    @classmethod
    def create(
        cls,
        fs: FileSystem,
        path: str,
        meta: SnapshotMeta,
        data: bytes = b"",
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> SegmentLog:
        """A new log that begins after `meta.position`; durable when this returns.

        The caller syncs the parent directory. An unfinished directory of the same name is
        replaced: a group exists from its CREATE record in the write-ahead log on.
        """
        if fs.exists(path):
            fs.rmtree(path)
        fs.mkdir(path)
        write_snapshot(fs, path, meta, data)
        return cls(fs, path, meta, segment_bytes)

    @classmethod
    def open(
        cls,
        fs: FileSystem,
        path: str,
        checkpoint: Checkpoint | None,
        trusted: int,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> SegmentLog:
        """The log up to `trusted` (RecoveredGroup.trusted), or its snapshot if that is newer.

        Everything beyond is cut off: the write-ahead log has it. Raises CorruptLog when the
        files do not reach `trusted`.
        """
        # A process that was killed may have renamed the snapshot without syncing the directory:
        # what is built on it from here on must not outlive it.
        if not fs.exists(f"{path}/snapshot"):
            raise CorruptLog(f"{path}: the log's directory or its snapshot file is missing")
        fs.sync_directory(path)
        meta, _ = read_snapshot(fs, path)
        log = cls(fs, path, meta, segment_bytes)
        log._load(trusted)
        last = log._last
        recorded = checkpoint.position if checkpoint is not None else last
        if recorded.index == trusted == last.index and recorded != last:
            raise CorruptLog(f"{path}: its files end at {last}, its checkpoint says {recorded}")
        return log

    @staticmethod
    def has_entries(fs: FileSystem, path: str) -> bool:
        """Was anything ever appended to the log at `path`, if there is one? Raises CorruptLog."""
        if not fs.exists(f"{path}/snapshot"):
            return fs.exists(path) and bool(list_segments(fs, path))
        return bool(list_segments(fs, path)) or read_snapshot(fs, path)[0].position.index > 0

    def _load(self, trusted: int) -> None:
        base = self._meta.position.index
        firsts = list_segments(self._fs, self._path)
        usable = [first for first in firsts if first <= trusted] if trusted > base else []
        if usable:
            usable = usable[max(0, bisect_right(usable, base + 1) - 1) :]
        ends = [following - 1 for following in usable[1:]] + [trusted]
        for first, end in zip(usable, ends, strict=False):
            expected = self._segments[-1].last + 1 if self._segments else min(first, base + 1)
            if first != expected:
                raise CorruptLog(
                    f"{self._path}: entries {expected}..{first - 1} are missing between segments"
                )
            segment = Segment(self._fs, self._path, first, create=False)
            self._segments.append(segment)
            # A cut that was never synced may be undone by a crash: what the next segment begins
            # with is newer than what this one still holds.
            self._note(self._checked(segment, end))
        if self._last.index < trusted:
            raise CorruptLog(
                f"{self._path}: its files end at entry {self._last.index}, but up to {trusted} "
                "they had been durable; this replica must not vote: restore them, or format the "
                "data directory anew under a new id"
            )
        for first in firsts:
            if first not in usable:
                self._fs.unlink(segment_path(self._path, first))
                self._renames += 1

    def _checked(self, segment: Segment, last: int) -> Iterator[Entry]:
        for entry in segment.load(last):
            if entry.index <= self._meta.position.index:
                continue
            if entry.base != self._last.offset:
                raise CorruptLog(
                    f"{segment.path}: entry {entry.index} begins at offset {entry.base}, the one "
                    f"before it ends at {self._last.offset}"
                )
            yield entry

    # LogReader ------------------------------------------------------------------------

    def snapshot(self) -> SnapshotMeta:
        """What lies below the log."""
        return self._meta

    def last(self) -> LogPosition:
        """The last entry's position; the snapshot's when the log is empty."""
        return self._last

    def term(self, index: int) -> int:
        """Term of `index`, which is at least the snapshot's."""
        self._check(index)
        if index == self._meta.position.index:
            return self._meta.position.term
        run = bisect_right(self._terms, index, key=_first_of) - 1
        return self._terms[run][1]

    def end_offset(self, index: int) -> int:
        """Offset after entry `index`, which is at least the snapshot's."""
        self._check(index)
        if index == self._meta.position.index:
            return self._meta.position.offset
        segment = self._segment_of(index)
        return segment.ends[index - segment.first]

    def _check(self, index: int) -> None:
        if index < self._meta.position.index:
            raise Compacted(f"{self._path}: entry {index} lies below the snapshot")
        if index > self._last.index:
            raise IndexError(f"{self._path}: entry {index} is after the last, {self._last.index}")

    def _segment_of(self, index: int) -> Segment:
        return self._segments[bisect_right(self._segments, index, key=_first_index) - 1]

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1 up to `max_bytes` of payload, at least one; [] when none is asked."""
        if low <= self._meta.position.index:
            raise Compacted(f"{self._path}: entry {low} is part of the snapshot")
        high = min(high, self._last.index + 1)
        if low >= high:
            return []
        if self._tail.reaches(low):
            return _within(self._tail.read(low, high), max_bytes)
        entries: list[Entry] = []
        room = max_bytes
        while low < high and (room > 0 or not entries):
            found = self._segment_of(low).read(low, high, room)
            entries += found
            room -= sum(len(entry.payload) for entry in found)
            low += len(found)
        return _within(entries, max_bytes)

    def configurations(self) -> list[tuple[int, Configuration]]:
        """The CONFIG entries of the log, oldest first."""
        return list(self._configurations)

    # GroupLog -------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries that follow `last()`; ValueError when they do not."""
        if not entries:
            return
        expected, offset = self._last.index + 1, self._last.offset
        for entry in entries:
            if entry.index != expected or entry.base != offset:
                raise ValueError(
                    f"{self._path}: entry {entry.index} with offset {entry.base} does not follow; "
                    f"{expected} with offset {offset} is next"
                )
            expected += 1
            offset += entry.span
        segments = self._segments
        if not segments or segments[-1].end >= self._segment_bytes:
            segments.append(Segment(self._fs, self._path, entries[0].index, create=True))
            self._renames += 1
        segments[-1].append(entries)
        self._note(entries)

    def _note(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if not self._terms or self._terms[-1][1] != entry.term:
                self._terms.append((entry.index, entry.term))
            if entry.kind is EntryKind.CONFIG:
                found = configuration_from_disk(entry.index, entry.payload)
                self._configurations.append((entry.index, found))
            self._tail.append(entry)
            self._last = LogPosition(entry.index, entry.term, entry.end)

    def truncate(self, first: int) -> None:
        """Delete `first` and everything after it; ValueError below the snapshot."""
        base = self._meta.position.index
        if first <= base:
            raise ValueError(f"{self._path}: cannot cut at {first}, the snapshot is at {base}")
        if first > self._last.index:
            return
        term, offset = self.term(first - 1), self.end_offset(first - 1)
        while self._segments and self._segments[-1].first >= first:
            self._remove(self._segments.pop())
        if self._segments and self._segments[-1].last >= first:
            self._segments[-1].truncate(first)
        self._last = LogPosition(first - 1, term, offset)
        while self._terms and self._terms[-1][0] >= first:
            self._terms.pop()
        while self._configurations and self._configurations[-1][0] >= first:
            self._configurations.pop()
        self._tail.cut_from(first)

    def _remove(self, segment: Segment) -> None:
        self._fs.unlink(segment.path)
        self._renames += 1
        self._removed.append(segment)
        self._close_removed()

    def _close_removed(self) -> None:
        while self._removed and not self._jobs:
            self._removed.pop().file.close()

    def checkpoint(self) -> Checkpoint:
        """The present end; record it once a sync job made now, or later, has run."""
        segment = self._segments[-1] if self._segments else None
        detail = _DETAIL.pack(segment.first, segment.end) if segment else b""
        return Checkpoint(self._last, detail)

    def sync_job(self) -> Callable[[], None]:
        """A blocking job that makes all that was appended, cut and removed so far durable.

        To be run at most once, on any thread; the log may be used meanwhile, but not closed.
        After a failed sync every later job fails with DiskFailed: a retry would prove nothing.
        """
        self._close_removed()
        pending = [(part, part.changes) for part in self._segments if part.changes > part.synced]
        renames = self._renames
        token = object()
        self._jobs.append(token)

        def work() -> None:
            if self._failed is not None:
                raise DiskFailed(f"{self._path}: an earlier sync failed: {self._failed}")
            try:
                self._sync(pending, renames)
            except OSError as error:
                self._failed = error
                raise
            finally:
                self._jobs.remove(token)

        return work

    def _sync(self, pending: list[tuple[Segment, int]], renames: int) -> None:
        for segment, changes in pending:
            segment.file.sync()
            segment.synced = max(segment.synced, changes)
        if renames > self._renames_synced:
            self._fs.sync_directory(self._path)
            self._renames_synced = max(self._renames_synced, renames)

    def close(self) -> None:
        """Release files."""
        for segment in (*self._segments, *self._removed):
            segment.file.close()
        self._segments.clear()
        self._removed.clear()

    # Snapshots ------------------------------------------------------------------------

    def snapshot_bytes(self) -> bytes:
        """The application's bytes of the newest saved snapshot, checked."""
        return read_snapshot(self._fs, self._path)[1]

    def check_snapshot(self) -> None:
        """Read the newest saved snapshot's file once, in pieces; CorruptLog if it has changed."""
        check_snapshot(self._fs, self._path)

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """The application's bytes from `cursor` on, unchecked, and whether they are the last.

        For one that `check_snapshot` has seen. CorruptLog when its length is not what it was.
        """
        part, done = read_snapshot_part(self._fs, self._path, cursor, max_bytes)
        return self._meta, part, done

    def compact(self, meta: SnapshotMeta, data: bytes) -> None:
        """Replace the snapshot file, durably (this blocks), then drop the log up to `meta`."""
        index = meta.position.index
        if not self._meta.position.index <= index <= self._last.index:
            raise ValueError(f"{self._path}: {index} is not within the log")
        if (self.term(index), self.end_offset(index)) != meta.position[1:]:
            raise ValueError(f"{self._path}: {meta.position} is not a position of the log")
        write_snapshot(self._fs, self._path, meta, data)
        term = self.term(index + 1) if index < self._last.index else None
        while self._segments and self._segments[0].last <= index:
            self._remove(self._segments.pop(0))
        self._meta = meta
        later = [run for run in self._terms if run[0] > index + 1]
        self._terms = later if term is None else [(index + 1, term), *later]
        self._configurations = [item for item in self._configurations if item[0] > index]
        self._tail.drop_up_to(index)

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        """Replace the whole log by a snapshot: durable, and the log empty, on return.

        A crash leaves either the old log or the snapshot alone (once its index is above
        `trusted`; see `Wal.stage_reset` for what has to come first).
        """
        write_snapshot(self._fs, self._path, meta, data)
        while self._segments:
            self._remove(self._segments.pop(0))
        self._meta = meta
        self._last = meta.position
        self._terms.clear()
        self._configurations.clear()
        self._tail.clear()


def _first_of(run: tuple[int, int]) -> int:
    return run[0]


def _first_index(segment: Segment) -> int:
    return segment.first


def _within(entries: list[Entry], max_bytes: int) -> list[Entry]:
    taken = 0
    for count, entry in enumerate(entries):
        taken += len(entry.payload)
        if taken > max_bytes and count:
            return entries[:count]
    return entries
