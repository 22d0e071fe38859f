"""Snapshots of a state that is kept in memory, over a `SegmentLog`: taken, sent and received.

Shared by whoever applies a `SegmentLog` to such a state: `machine.MachineReplica`, and
applications that need more than it. Taking one and cutting the log for it are two steps: the
log stays until all followers that the leader hears have passed the snapshot, or the next one is
due. So a follower that is a little behind gets entries, one that is away gets the snapshot, and
the log holds two snapshots' worth of entries at the most. Until the cut the bytes are held in
memory; what is durable meanwhile is the snapshot before, with the log behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from raftlog.core import Node
from raftlog.disk.segment_log import SegmentLog
from raftlog.types import LogPosition, SnapshotMeta

SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024
"""A larger one is not taken from a peer."""


class Snapshots:
    """When to take one, when to cut the log for it, and what of it goes to followers."""

    def __init__(
        self,
        log: SegmentLog,
        node: Callable[[], Node],
        save: Callable[[], bytes],
        *,
        max_entries: int,
        max_bytes: int,
    ) -> None:
        """`node` is the group's, once there is something to save; `save` the state as bytes.

        A snapshot is due after so many entries, or bytes of payloads.
        """
        self._log = log
        self._node = node
        self._save = save
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._unsaved_bytes = 0
        self._pending: tuple[SnapshotMeta, bytes] | None = None
        """Taken, but the log has not been cut for it yet."""

    def applied(self, payload_bytes: int) -> None:
        """One more entry is part of the state."""
        self._unsaved_bytes += payload_bytes

    def look(self, index: int) -> None:
        """The state holds everything up to `index`: take a snapshot, cut the log, or neither."""
        if self._due(index):
            self._take(index)
        if self._pending is not None and self._all_passed(self._pending[0]):
            self._cut(*self._pending)

    def _due(self, index: int) -> bool:
        saved = self._log.snapshot() if self._pending is None else self._pending[0]
        unsaved = index - saved.position.index
        return unsaved >= self._max_entries or self._unsaved_bytes >= self._max_bytes

    def _take(self, index: int) -> None:
        position = LogPosition(index, self._log.term(index), self._log.end_offset(index))
        meta = SnapshotMeta(position, self._node().configuration_at(index))
        if self._pending is not None and not self._all_passed(meta):
            self._cut(*self._pending)
        self._pending = (meta, self._save())
        self._unsaved_bytes = 0

    def _all_passed(self, meta: SnapshotMeta) -> bool:
        return self._node().slowest_live_match >= meta.position.index

    def _cut(self, meta: SnapshotMeta, data: bytes) -> None:
        self._pending = None
        self._log.compact(meta, data)
        self._node().snapshot_taken(meta)

    def read(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """See `Application.read_snapshot`. Reads no more than that, but checks the whole twice.

        Once before a transfer, and once before its last chunk leaves: what changed on the disk in
        between is then not what a follower installs. CorruptLog.
        """
        if cursor == 0:
            self._log.check_snapshot()
        meta, data, done = self._log.read_snapshot(cursor, max_bytes)
        if done and cursor:
            self._log.check_snapshot()
        return meta, data, done

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        """Durably replace the log by what the state already is."""
        self._log.install(meta, data)
        self._pending = None
        self._unsaved_bytes = 0


class Received:
    """A `SnapshotSink` that holds the bytes until they are complete."""

    def __init__(self, meta: SnapshotMeta, install: Callable[[SnapshotMeta, bytes], None]) -> None:
        """`install` replaces state and log, durably; ValueError for bytes that it cannot read."""
        self._meta = meta
        self._install = install
        self._data = bytearray()

    def write(self, cursor: int, data: bytes) -> None:
        """Append; what was sent twice is overwritten with the same bytes. ValueError for a gap."""
        if cursor > len(self._data) or cursor + len(data) > SNAPSHOT_BYTES_MAX:
            raise ValueError(f"snapshot chunk at {cursor} does not follow {len(self._data)}")
        self._data[cursor : cursor + len(data)] = data

    def install(self) -> None:
        """Durably replace state and log."""
        self._install(self._meta, bytes(self._data))
