"""Where a group's log lives. The core only reads through `LogReader`; hosts write `GroupLog`.

Durability is not the GroupLog's job: entries are durable in the shared write-ahead log
first. A GroupLog writes its own files at once and without fsync; `sync` makes them durable
before the part of the write-ahead log that covers them is recycled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from raftlog.types import Configuration, Entry, LogPosition, SnapshotMeta


class LogReader(Protocol):
    """Read access to entries the host has been given (Ready.entries of an earlier Ready)."""

    def snapshot(self) -> SnapshotMeta:
        """What lies below the log; for a new group position zero and its first configuration."""

    def last(self) -> LogPosition:
        """The last entry's position (the snapshot's when the log is empty)."""

    def term(self, index: int) -> int:
        """Term of `index`, snapshot.index <= index <= last.index; else Compacted / IndexError."""

    def end_offset(self, index: int) -> int:
        """Offset after entry `index`; same range as `term`."""

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1, in order, cut after `max_bytes` of payload but at least one.

        Raises Compacted when `low` <= snapshot.index.
        """

    def configurations(self) -> list[tuple[int, Configuration]]:
        """The CONFIG entries in the log, (index, configuration), oldest first."""


class Checkpoint(NamedTuple):
    """Up to where a GroupLog's own files are durable; kept in the write-ahead log."""

    position: LogPosition
    detail: bytes
    """The GroupLog's own, opaque here (for a partition: segment base and byte position)."""


class GroupLog(LogReader, Protocol):
    """A group's log on disk. Errors: OSError from the disk, CorruptLog."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries that follow `last()`; readable when this returns, not durable."""

    def truncate(self, first: int) -> None:
        """Delete `first` and everything after it; never below the snapshot."""

    def checkpoint(self) -> Checkpoint:
        """The present end, to be recorded once `sync_job` of the same moment has run."""

    def sync_job(self) -> Callable[[], None]:
        """A job for the storage thread that makes durable all that was appended so far.

        An OSError of it ends the process. CorruptLog ends the group alone: its directory is
        not there any more.
        """

    def close(self) -> None:
        """Release files."""
