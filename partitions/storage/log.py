"""PartitionLog: one partition's log in Kafka's layout, as a Raft group writes it (`segmented`)
and as consumers, retention and snapshots see it (here)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from partitions.storage import reading, retention
from partitions.storage.errors import OffsetOutOfRange
from partitions.storage.install import SnapshotReceiver
from partitions.storage.manifest import Manifest, encode_manifest, encode_recent
from partitions.storage.recovery import load_log, producers_at
from partitions.storage.segment import Segment
from partitions.storage.segmented import SegmentedLog
from partitions.storage.terms import end_of_epoch
from raftlog.types import Buffer, Entry, EntryKind, LogPosition, SnapshotMeta


class PartitionLog(SegmentedLog):
    """See the package."""

    # --- durability

    def sync_job(self) -> Callable[[], None]:
        """See GroupLog. Also removes, durably, the segments that trims made superfluous."""
        producers = self._recent_producers()
        if not self._garbage:
            return self.sync.job(producers=producers)
        manifest = self._manifest = self._encode_manifest(self._garbage)
        garbage, self._garbage = self._garbage, []
        return self.sync.job(manifest, garbage, producers)

    def _recent_producers(self) -> Callable[[], bytes] | None:
        """Save the table when opening the log would otherwise read many batch headers."""
        if self._unsaved_bytes < self.config.producers_save_bytes:
            return None
        self._unsaved_bytes = 0
        clock, states = self.producers.written()
        return partial(encode_recent, self.last(), clock, dict(states))

    @property
    def has_garbage(self) -> bool:
        """Are there trimmed segments on disk, which the next `sync_job` removes?"""
        return bool(self._garbage)

    # --- the log start

    def retention_target(self, now_ms: int, high_watermark: int) -> int | None:
        """The log start that age and size ask for, to be proposed as a trim; None: no change."""
        return retention.retention_target(
            self._segments, self.config, self.log_start_offset, now_ms, high_watermark
        )

    def apply_trim(self, offset: int, applied_index: int | None = None) -> None:
        """A committed trim moves the log start; never down, never beyond the end.

        Segments that lie wholly below it and at or below `applied_index` (committed entries)
        leave the log at once, and the disk with the next `sync_job`. Without `applied_index`
        only segments go that end with a data entry, which a trim implies to be committed.
        """
        end = self._segments[-1].end_offset
        self.log_start_offset = max(self.log_start_offset, min(offset, end))
        active = self._segments[-1]
        if active.size and self._superfluous(active, applied_index):
            self._roll()
        dropped = 0
        for segment in self._segments[:-1]:
            if not self._superfluous(segment, applied_index):
                break
            dropped += 1
        if dropped:
            self._drop(dropped)

    def _superfluous(self, segment: Segment, applied_index: int | None) -> bool:
        if segment.end_offset > self.log_start_offset:
            return False
        if applied_index is None:
            return segment.last_index not in segment.zeros
        return segment.last_index <= applied_index

    def _drop(self, count: int) -> None:
        last = self._segments[count - 1]
        position = LogPosition(last.last_index, self.term(last.last_index), last.end_offset)
        self._meta = SnapshotMeta(position, self._configuration_at(position.index))
        self._garbage += self._segments[:count]
        del self._segments[:count]
        self._runs.rebase(position)
        self._configurations = [at for at in self._configurations if at[0] > position.index]
        self._manifest = None

    # --- snapshots

    def manifest(self) -> bytes:
        """The snapshot at `snapshot().position`, see partitions.storage.manifest."""
        if self._manifest is None:
            self._manifest = self._encode_manifest(self._garbage)
        return self._manifest

    def _encode_manifest(self, garbage: Sequence[Segment]) -> bytes:
        offset = self._meta.position.offset
        segments = [*garbage, *self._segments]
        table = producers_at(self.files, self.path, self.config, segments, offset)
        return encode_manifest(
            Manifest(
                self._birth,
                self._meta,
                self.log_start_offset,
                self._runs.epochs(self._meta.position.index),
                table,
            )
        )

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """(what it stands for, bytes from `cursor`, whether they are the last)."""
        data = self.manifest()
        chunk = data[cursor : cursor + max_bytes]
        return self._meta, chunk, cursor + len(chunk) >= len(data)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotReceiver:
        """Receive a leader's snapshot; its `install` replaces this log, in place."""
        return SnapshotReceiver(self.sync, meta, self._installed)

    def _installed(self) -> None:
        for segment in [*self._garbage, *self._segments]:
            self.sync.remove(segment)
        self._adopt(load_log(self.files, self.path, self.config, None, 0))

    # --- what consumers ask

    @property
    def end(self) -> int:
        """The next offset to be given."""
        return self._segments[-1].end_offset

    @property
    def size_bytes(self) -> int:
        """Bytes of batches above the snapshot."""
        return sum(segment.size for segment in self._segments)

    @property
    def epoch_cache(self) -> tuple[tuple[int, int], ...]:
        """(leader epoch, start offset), both rising (KIP-101)."""
        return self._runs.epochs()

    def end_of_epoch(self, epoch: int) -> tuple[int, int] | None:
        """(largest epoch <= `epoch`, its end offset); None when undefined (KIP-101, KIP-279)."""
        found = end_of_epoch(self._runs.epochs(), epoch, self.end)
        return None if found[0] < 0 else found

    def controls(self) -> list[Entry]:
        """The CONTROL entries above the snapshot, oldest first."""
        return [
            segment.entry(zero)
            for segment in self._segments
            for _, zero in sorted(segment.zeros.items())
            if zero.kind is EntryKind.CONTROL
        ]

    def read_batches(
        self, offset: int, max_bytes: int, end_offset: int, *, at_least_one: bool = True
    ) -> Buffer:
        """Whole batches from the one that holds `offset`, all below `end_offset`.

        At most `max_bytes` (and some 2,000 batches), but with `at_least_one` the first batch
        whatever its size; empty at the end. One segment's bytes at a time. Raises
        OffsetOutOfRange; CorruptLog for a batch that is not the one that was written.
        """
        if not self.log_start_offset <= offset <= self.end:
            raise OffsetOutOfRange(offset, self.log_start_offset, self.end)
        if offset >= end_offset:
            return b""
        epochs, position = self._runs.epochs(), self._meta.position
        if not epochs or epochs[0][1] > position.offset:
            epochs = ((position.term, position.offset), *epochs)
        return reading.read_batches(
            self._segments, epochs, offset, max_bytes, end_offset, at_least_one
        )

    def offset_for_timestamp(self, timestamp_ms: int) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record at or after `timestamp_ms`.

        The one look-up that reads records. KafkaError when a batch cannot be decompressed.
        """
        return reading.find_time(self._segments, timestamp_ms, self.log_start_offset)

    def max_timestamp(self, end_offset: int | None = None) -> tuple[int, int] | None:
        """(timestamp, offset) of the first record with the largest timestamp (KIP-734).

        With `end_offset`, where some batch ends, only what lies before it counts.
        """
        end = self.end if end_offset is None else end_offset
        return reading.latest_time(self._segments, self.log_start_offset, end)
