"""The metadata group as an application of the engine: a voter's copy of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metadata.quorum.image_holder import ImageHolder
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import RecoveredGroup
from raftlog.engine import Engine, Group
from raftlog.engine.group import SnapshotSink
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
        self._snapshot_bytes = snapshot_bytes
        self._unsaved_bytes = 0
        self._pending: tuple[SnapshotMeta, bytes] | None = None
        """A snapshot that the log has not been cut for yet."""
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
                self._unsaved_bytes += len(entry.payload)
            applied = entries[-1].index
        self._wake()
        if self._pending is not None and self._all_passed(self._pending[0]):
            self._compact(*self._pending)
        if self._snapshot_due(applied):
            self._take_snapshot()

    def _snapshot_due(self, applied: int) -> bool:
        saved = self.log.snapshot() if self._pending is None else self._pending[0]
        unsaved = applied - saved.position.index
        return unsaved >= SNAPSHOT_ENTRIES or self._unsaved_bytes >= self._snapshot_bytes

    def _take_snapshot(self) -> None:
        """Save the state as of now; the log below goes when nobody is likely to need it.

        That is when all followers that the leader hears have it, or when the next snapshot is
        due: a follower that is a little behind gets entries, one that is away gets a snapshot.
        """
        if self._pending is not None:
            self._compact(*self._pending)
        position = self.image.position
        meta = SnapshotMeta(position, self.group.node.configuration_at(position.index))
        self._pending = (meta, self.snapshot())
        self._unsaved_bytes = 0

    def _all_passed(self, meta: SnapshotMeta) -> bool:
        return self.group.node.slowest_live_match >= meta.position.index

    def _compact(self, meta: SnapshotMeta, data: bytes) -> None:
        self._pending = None
        self.log.compact(meta, data)
        self.group.node.snapshot_taken(meta)

    def appended(self, entries: Sequence[Entry]) -> None:
        """Nothing here depends on uncommitted entries."""

    def truncated(self, first: int) -> None:
        """Nothing here depends on uncommitted entries."""

    def offline(self, reason: str) -> None:
        """A broker without metadata is of no use to anybody."""
        self.on_offline(reason)

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """Part of the newest snapshot."""
        data = self.log.snapshot_bytes()
        part = data[cursor : cursor + max_bytes]
        return self.log.snapshot(), part, cursor + len(part) >= len(data)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        """Collect a snapshot of the leader's."""
        return _ImageSink(self, meta)

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        """Replace log and state; used by the sink."""
        delta = self._machine.install(data)
        self.log.install(meta, data)
        self._unsaved_bytes = 0
        self._pending = None
        if delta:
            self._tell(delta)
        self._wake()


SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024


class _ImageSink:
    """Holds a snapshot's bytes until they are complete."""

    def __init__(self, app: MetadataApplication, meta: SnapshotMeta) -> None:
        self._app = app
        self._meta = meta
        self._data = bytearray()

    def write(self, cursor: int, data: bytes) -> None:
        """Append; what was sent twice is overwritten with the same bytes."""
        if cursor > len(self._data) or cursor + len(data) > SNAPSHOT_BYTES_MAX:
            raise ValueError(f"snapshot chunk at {cursor} does not follow {len(self._data)}")
        self._data[cursor : cursor + len(data)] = data

    def install(self) -> None:
        """Durably replace the log."""
        self._app.install(self._meta, bytes(self._data))
