"""The metadata group as an application of the engine: a voter's copy of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metadata.quorum.image_holder import ImageHolder
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import RecoveredGroup
from raftlog.engine import Engine, Group
from raftlog.engine.group import SnapshotSink
from raftlog.engine.snapshots import Received, Snapshots
from raftlog.seams import FileSystem
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    HardState,
    ReplicaId,
    SnapshotMeta,
)

METADATA_DIRECTORY = "metadata"

SNAPSHOT_ENTRIES = 5_000
"""Entries applied since the last snapshot that make a new one worth its write."""
SNAPSHOT_BYTES = 20 * 1024 * 1024
"""The same in bytes of entries (metadata.log.max.record.bytes.between.snapshots)."""
_READ_BYTES = 1024 * 1024


def open_log(
    fs: FileSystem, known: RecoveredGroup | None, voters: tuple[ReplicaId, ...]
) -> SegmentLog:
    """The metadata group's log at its checkpoint, before the replay; founded when there is none."""
    if known is not None and (known.checkpoint is not None or known.trusted):
        return SegmentLog.open(fs, METADATA_DIRECTORY, known.checkpoint, known.trusted)
    if fs.exists(METADATA_DIRECTORY):
        fs.rmtree(METADATA_DIRECTORY)
    founding = SnapshotMeta(ZERO_POSITION, Configuration(voters))
    return SegmentLog.create(fs, METADATA_DIRECTORY, founding)


class MetadataApplication(ImageHolder):
    """Applies committed entries, tells watchers what changed, takes and installs snapshots."""

    def __init__(self, log: SegmentLog, snapshot_bytes: int = SNAPSHOT_BYTES) -> None:
        """`log` is open; the state starts at its snapshot and follows the commit index.

        A snapshot is taken after `snapshot_bytes` of entries, or SNAPSHOT_ENTRIES of them.
        """
        super().__init__()
        self.log = log
        self._snapshots = Snapshots(
            log,
            lambda: self.group.node,
            self.snapshot,
            max_entries=SNAPSHOT_ENTRIES,
            max_bytes=snapshot_bytes,
        )
        self.on_offline: Callable[[str], None] = lambda reason: None
        """Hears that this copy cannot be trusted: without metadata a broker must end."""
        self.group: Group
        data = log.snapshot_bytes()
        if data:
            self._machine.install(data)

    def start(self, engine: Engine, group_id: int, hard_state: HardState) -> Group:
        """Join the engine; call once the watchers are in place."""
        timing = engine.timing._replace(eager_commit=True)
        self.group = engine.add_group(group_id, self.log, self, hard_state, timing)
        return self.group

    # --- engine.Application

    def committed(self, index: int, offset: int) -> None:
        """Apply everything up to `index`."""
        applied = self.image.position.index
        while applied < index:
            entries = self.log.read(applied + 1, index + 1, _READ_BYTES)
            for entry in entries:
                self._apply(entry)
                self._snapshots.applied(len(entry.payload))
            applied = entries[-1].index
        self._wake()
        self._snapshots.look(applied)

    def appended(self, entries: Sequence[Entry]) -> None:
        """Nothing here depends on uncommitted entries."""

    def truncated(self, first: int) -> None:
        """Nothing here depends on uncommitted entries."""

    def offline(self, reason: str) -> None:
        """A broker without metadata is of no use to anybody."""
        self.on_offline(reason)

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """Part of the newest snapshot."""
        return self._snapshots.read(cursor, max_bytes)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        """Collect a snapshot of the leader's."""
        return Received(meta, self.install)

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        """Replace log and state; used by the sink."""
        delta = self._machine.install(data)
        self._snapshots.install(meta, data)
        if delta:
            self._tell(delta)
        self._wake()
