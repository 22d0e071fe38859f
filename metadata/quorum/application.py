"""The metadata group as an application of the engine: every broker's copy of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from metadata.image import ImageDelta, MetadataImage
from metadata.machine import MetadataMachine
from raftlog.disk.segment_log import SegmentLog
from raftlog.engine import Engine, Group
from raftlog.engine.group import SnapshotSink
from raftlog.ready import SoftState
from raftlog.types import Entry, HardState, SnapshotMeta

SNAPSHOT_ENTRIES = 5_000
"""Entries applied since the last snapshot that make a new one worth its write."""
_READ_BYTES = 1024 * 1024

Watcher = Callable[[MetadataImage, ImageDelta], None]


class MetadataApplication:
    """Applies committed entries, tells watchers what changed, takes and installs snapshots."""

    def __init__(self, log: SegmentLog) -> None:
        """`log` is open; the state starts at its snapshot and follows the commit index."""
        self.log = log
        self._machine = MetadataMachine()
        self._watchers: list[Watcher] = []
        self._leadership_watchers: list[Callable[[SoftState], None]] = []
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._waits = 0
        self.state: SoftState | None = None
        self.group: Group
        data = log.snapshot_bytes()
        if data:
            self._machine.install(data)

    @property
    def image(self) -> MetadataImage:
        """The newest committed image this broker knows."""
        return self._machine.image

    def start(self, engine: Engine, group_id: int, hard_state: HardState) -> Group:
        """Join the engine; call once the watchers are in place."""
        timing = engine.timing._replace(eager_commit=True)
        self.group = engine.add_group(group_id, self.log, self, hard_state, timing)
        return self.group

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher(image, delta)` after every committed entry that changed something."""
        self._watchers.append(watcher)

    def watch_leadership(self, watcher: Callable[[SoftState], None]) -> None:
        """Call `watcher` when the controller changes or is confirmed."""
        self._leadership_watchers.append(watcher)

    def when_applied(self, index: int, callback: Callable[[], None]) -> None:
        """Call back once the image covers `index`; at once if it does."""
        if self.image.position.index >= index:
            callback()
            return
        self._waits += 1
        heappush(self._waiting, (index, self._waits, callback))

    # --- engine.Application

    def committed(self, index: int, offset: int) -> None:
        """Apply everything up to `index`."""
        applied = self.image.position.index
        while applied < index:
            entries = self.log.read(applied + 1, index + 1, _READ_BYTES)
            for entry in entries:
                delta = self._machine.apply(entry)
                if delta:
                    self._tell(delta)
            applied = entries[-1].index
        self._wake()
        if applied - self.log.snapshot().position.index >= SNAPSHOT_ENTRIES:
            self._take_snapshot()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.image.position.index:
            heappop(self._waiting)[2]()

    def _tell(self, delta: ImageDelta) -> None:
        for watcher in self._watchers:
            watcher(self.image, delta)

    def _take_snapshot(self) -> None:
        position = self.image.position
        meta = SnapshotMeta(position, self.group.node.configuration)
        self.log.compact(meta, self._machine.snapshot())
        self.group.node.snapshot_taken(meta)

    def leadership(self, state: SoftState) -> None:
        """Pass on who is the controller."""
        self.state = state
        for watcher in self._leadership_watchers:
            watcher(state)

    def appended(self, entries: Sequence[Entry]) -> None:
        """Nothing here depends on uncommitted entries."""

    def truncated(self, first: int) -> None:
        """Nothing here depends on uncommitted entries."""

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
