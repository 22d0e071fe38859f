"""A GroupLog in memory: for tests and simulations of what sits above a log.

It keeps every rule of the protocol (and asserts them): entries follow without a gap in index
and offset, terms never fall, nothing at or below the snapshot is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftlog.core.membership import configuration_from_disk
from raftlog.errors import Compacted
from raftlog.storage import Checkpoint
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    SnapshotMeta,
)


class MemoryLog:
    """One group's log; `compact` and `install` are what a host does around snapshots."""

    def __init__(self, start: SnapshotMeta | Configuration, entries: Sequence[Entry] = ()) -> None:
        if isinstance(start, Configuration):
            start = SnapshotMeta(ZERO_POSITION, start)
        self._start = start
        self._entries: list[Entry] = []
        self.append(entries)

    def snapshot(self) -> SnapshotMeta:
        """What lies below the log."""
        return self._start

    def last(self) -> LogPosition:
        """The last entry's position, the snapshot's when there is none."""
        if not self._entries:
            return self._start.position
        entry = self._entries[-1]
        return LogPosition(entry.index, entry.term, entry.end)

    def term(self, index: int) -> int:
        """Term of `index`: Compacted below the snapshot, IndexError after the end."""
        position = self._start.position
        return position.term if index == position.index else self._at(index).term

    def end_offset(self, index: int) -> int:
        """Offset after `index`; same range as `term`."""
        position = self._start.position
        return position.offset if index == position.index else self._at(index).end

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1, cut after `max_bytes` of payload but at least one."""
        result = [self._at(low)]
        size = len(result[0].payload)
        for index in range(low + 1, high):
            entry = self._at(index)
            size += len(entry.payload)
            if size > max_bytes:
                break
            result.append(entry)
        return result

    def configurations(self) -> list[tuple[int, Configuration]]:
        """The CONFIG entries, oldest first."""
        return [
            (entry.index, configuration_from_disk(entry.index, entry.payload))
            for entry in self._entries
            if entry.kind is EntryKind.CONFIG
        ]

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that follow `last()`."""
        for entry in entries:
            last = self.last()
            assert entry.index == last.index + 1, f"entry {entry.index} after {last}"
            assert entry.term >= last.term, f"term {entry.term} after {last}"
            assert entry.base == last.offset, f"offset {entry.base} after {last}"
            self._entries.append(entry)

    def truncate(self, first: int) -> None:
        """Delete `first` and what follows."""
        keep = first - 1 - self._start.position.index
        assert keep >= 0, f"cut at {first} below the snapshot {self._start.position}"
        del self._entries[keep:]

    def compact(self, meta: SnapshotMeta) -> None:
        """A snapshot was taken at `meta.position`: forget the entries up to it."""
        assert self.term(meta.position.index) == meta.position.term, "snapshot is not of this log"
        del self._entries[: meta.position.index - self._start.position.index]
        self._start = meta

    def install(self, meta: SnapshotMeta) -> None:
        """A leader's snapshot replaces everything."""
        self._entries.clear()
        self._start = meta

    def checkpoint(self) -> Checkpoint:
        """The present end."""
        return Checkpoint(self.last(), b"")

    def sync_job(self) -> Callable[[], None]:
        """Nothing to do: memory has no disk."""
        return lambda: None

    def close(self) -> None:
        """Nothing to release."""

    def _at(self, index: int) -> Entry:
        position = index - self._start.position.index - 1
        if position < 0:
            raise Compacted(f"entry {index} is below the snapshot {self._start.position}")
        return self._entries[position]
