"""Snapshots on their way between groups: sent in chunks, received, and put in place of a log."""

from __future__ import annotations

from collections.abc import Callable

from raftlog.disk.wal import Wal
from raftlog.engine.group import Group, SnapshotSink
from raftlog.errors import CorruptLog, PeerFault
from raftlog.ready import SnapshotInstall, SnapshotWanted
from raftlog.types import SnapshotMeta

SNAPSHOT_CHUNK_BYTES = 256 * 1024


class Installs:
    """The engine's part of sending and receiving snapshots."""

    def __init__(self, wal: Wal, sync_now: Callable[[], None]) -> None:
        """`sync_now` blocks until all that is staged is durable."""
        self._wal = wal
        self._sync_now = sync_now

    def send_chunk(self, group: Group, wanted: SnapshotWanted) -> None:
        """Give the core the part of the newest snapshot that a follower wants."""
        meta, data, done = group.app.read_snapshot(wanted.cursor, SNAPSHOT_CHUNK_BYTES)
        cursor = wanted.cursor
        if wanted.index not in (0, meta.position.index):
            meta, data, done = group.app.read_snapshot(0, SNAPSHOT_CHUNK_BYTES)
            cursor = 0
        group.node.snapshot_chunk(wanted.follower, meta, cursor, data, done)
        group.mark_dirty()

    def take_chunk(self, group: Group, chunk: SnapshotInstall, number: int) -> None:
        """A chunk of the leader's snapshot came with Ready `number`; the last one installs it.

        CorruptLog when it cannot be used: the core already waits for the log that it promised,
        so this copy of the group has no way on.
        """
        try:
            self._take(group, chunk, number)
        except (PeerFault, ValueError) as error:
            raise CorruptLog(
                f"group {group.id}: the snapshot that {chunk.sender} sent cannot be used: {error}"
            ) from error

    def _take(self, group: Group, chunk: SnapshotInstall, number: int) -> None:
        # A stream that begins again may be another leader's: one snapshot has different bytes on
        # different nodes, and parts of two make none.
        if group.sink is None or group.sink[0] != chunk.meta or chunk.cursor == 0:
            group.sink = (chunk.meta, group.app.receive_snapshot(chunk.meta))
        sink = group.sink[1]
        sink.write(chunk.cursor, chunk.data)
        if chunk.done:
            group.sink = None
            group.installing = number
            self._install(group, sink, chunk.meta)

    def _install(self, group: Group, sink: SnapshotSink, meta: SnapshotMeta) -> None:
        """Replace the log by a snapshot, so that a crash at any point leaves one or the other.

        What the WAL has from the snapshot's index on differs from what was committed there
        (the core would have kept it otherwise). It is cut durably first: once the files are
        replaced, recovery must not ask them for it. The term has to be durable before too:
        a snapshot of a later term than the recorded one would not open again.
        """
        index = meta.position.index
        if self._wal.last_index(group.id) >= index:
            self._wal.stage_truncate(group.id, index)
        self._sync_now()
        sink.install()
        group.truncations += 1
        self._wal.stage_reset(group.id, meta)
