"""The Raft side of a partition's log: entries in segments; a raftlog `GroupLog`.

Segments follow each other without a gap. Only the last one grows. Names and contracts of the
methods are raftlog.storage's; what consumers and operators ask is in `log`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from partitions.records import BatchHeader, parse_header
from partitions.storage.config import SPAN_MAX, LogConfig
from partitions.storage.files import FileCache
from partitions.storage.manifest import (
    ProducerSnapshot,
    encode_producers,
)
from partitions.storage.producers import ProducerTable
from partitions.storage.recovery import Loaded, create_log, load_log, producers_at
from partitions.storage.segment import Segment, plausible
from partitions.storage.sidecar import (
    Points,
    Record,
    Seal,
    Start,
    Term,
    Truncate,
    ZeroEntry,
    encode,
)
from partitions.storage.syncing import SyncState, encode_detail
from partitions.storage.terms import TermRun
from raftlog.core import decode_configuration, encode_configuration
from raftlog.errors import Compacted, CorruptLog
from raftlog.seams import FileSystem
from raftlog.storage import Checkpoint
from raftlog.types import (
    Buffer,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    SnapshotMeta,
)

POINTS_PER_RECORD = 64
_DATA = EntryKind.DATA


class SegmentedLog:
    """Base of PartitionLog."""

    def __init__(self, files: FileCache, path: str, config: LogConfig, loaded: Loaded) -> None:
        """For `create` and `open`."""
        self.path = path
        self.config = config
        self.files = files
        self.sync = SyncState(files, path)
        self._adopt(loaded)

    def _adopt(self, loaded: Loaded) -> None:
        self.superseded = loaded.superseded
        """The checkpoint given to `open` was of a log that a snapshot has replaced since: the
        write-ahead log's records of this group up to that replacement mean nothing here."""
        self._birth = loaded.birth
        self._meta = loaded.meta
        self._segments = loaded.segments
        self._runs = loaded.runs
        self.log_start_offset = loaded.log_start
        self.producers: ProducerTable = loaded.producers
        self._garbage: list[Segment] = []
        self._manifest: bytes | None = None
        self._unsaved_bytes = self._segments[-1].size
        for segment in loaded.unsynced:
            self.sync.touch(segment.raft_path)
            if segment.size:
                self.sync.touch(segment.log_path)
        self._configurations = [
            (index, decode_configuration(zero.payload))
            for segment in self._segments
            for index, zero in sorted(segment.zeros.items())
            if zero.kind is EntryKind.CONFIG
        ]

    @classmethod
    def create(
        cls,
        fs: FileSystem,
        path: str,
        config: LogConfig,
        snapshot: SnapshotMeta,
        *,
        files: FileCache | None = None,
    ) -> Self:
        """An empty log above `snapshot`; whatever is at `path` is removed.

        Nothing is synced: until the first `sync_job` has run (it also syncs the directory and
        its parent) the write-ahead log must be able to create the log again.
        """
        files = files or FileCache(fs)
        return cls(files, path, config, create_log(files, path, config, snapshot))

    @classmethod
    def open(
        cls,
        fs: FileSystem,
        path: str,
        config: LogConfig,
        checkpoint: Checkpoint | None,
        trusted_index: int | None,
        *,
        files: FileCache | None = None,
    ) -> Self:
        """The log as far as it is known to be durable; the rest is cut off.

        It ends at min(checkpoint, trusted_index), without a checkpoint at `trusted_index`, but
        never below where it begins: the position of a snapshot installed since may be higher.
        Whoever replays the write-ahead log skips entries at or below `last()`, and entries
        above `last() + 1`, which a later truncation voids. `trusted_index` None is for reading
        a stopped broker's files: everything that is well-formed is taken, CRCs of batches
        checked behind the last point of the index. Raises CorruptLog naming the file.
        """
        files = files or FileCache(fs)
        return cls(files, path, config, load_log(files, path, config, checkpoint, trusted_index))

    # --- LogReader

    def snapshot(self) -> SnapshotMeta:
        """What lies below the first segment."""
        return self._meta

    def last(self) -> LogPosition:
        """The last entry."""
        active = self._segments[-1]
        return LogPosition(active.last_index, self._runs.last_term, active.end_offset)

    def term(self, index: int) -> int:
        """See LogReader."""
        if index != self._meta.position.index:
            self._check(index)
        return self._runs.term(index)

    def end_offset(self, index: int) -> int:
        """See LogReader; costs no read for the last thousand entries."""
        if index == self._meta.position.index:
            return self._meta.position.offset
        self._check(index)
        return self._segment_of(index).locate(index + 1).offset

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """See LogReader."""
        if low >= high:
            return []
        self._check(low)
        self._check(high - 1)
        out: list[Entry] = []
        while low < high:
            segment = self._segment_of(low)
            stop = min(high, segment.last_index + 1)
            more = segment.read_from(low, stop, max_bytes)
            self._check_terms(segment, more)
            size = sum(len(entry.payload) for entry in more)
            if out and size > max_bytes:
                return out
            out += more
            max_bytes -= size
            if more[-1].index + 1 < stop:
                return out
            low = stop
        return out

    def _check_terms(self, segment: Segment, entries: Sequence[Entry]) -> None:
        """A batch's leader epoch lies outside its CRC: compare it with what the sidecars say."""
        term = self._runs.term(entries[0].index)
        if term == self._runs.term(entries[-1].index):
            wrong = [entry.index for entry in entries if entry.term != term]
        else:
            wrong = [entry.index for entry in entries if entry.term != self._runs.term(entry.index)]
        if wrong:
            raise segment.entry_corrupt(wrong[0], "the leader epoch is not its entry's term")

    def configurations(self) -> list[tuple[int, Configuration]]:
        """See LogReader."""
        return list(self._configurations)

    def _check(self, index: int) -> None:
        if index <= self._meta.position.index:
            raise Compacted(f"{self.path}: entry {index} lies at or below the snapshot")
        if index > self._segments[-1].last_index:
            raise IndexError(f"{self.path}: entry {index} is beyond the end")

    def _segment_of(self, index: int) -> Segment:
        for segment in reversed(self._segments):
            if index >= segment.first_index:
                return segment
        raise Compacted(f"{self.path}: entry {index} lies at or below the snapshot")

    # --- append

    def append(self, entries: Sequence[Entry]) -> None:
        """See GroupLog: one write to the segment and at most one to the sidecar.

        Raises CorruptLog when an entry does not continue the log or its batch contradicts it:
        this replica has diverged and must go offline. ValueError for a gap in the indices.
        """
        data: list[Buffer] = []
        side: list[Record] = []
        active = self._segments[-1]
        written = active.size
        for entry in entries:
            if entry.index != active.last_index + 1:
                raise ValueError(f"{self.path}: {entry.index} follows {active.last_index}")
            if entry.base != active.end_offset:
                raise self._diverged(entry, f"the next offset is {active.end_offset}")
            if entry.kind is _DATA:
                header = self._checked_header(entry)
                if self._must_roll(active, entry, header):
                    self._write(active, written, data, side)
                    active, data, side, written = self._roll(), [], [], 0
                if entry.term != self._runs.last_term:
                    side.append(self._new_term(entry))
                self._grow(active, entry, header)
                data.append(entry.payload)
            else:
                side.append(self._zero(active, entry))
        self._write(active, written, data, side)

    def _checked_header(self, entry: Entry) -> BatchHeader:
        if len(entry.payload) < 61:
            raise self._diverged(entry, "its payload is too short for a batch")
        header = parse_header(entry.payload)
        if (
            header.base_offset != entry.base
            or header.last_offset_delta + 1 != entry.span
            or header.leader_epoch != entry.term
            or header.length + 12 != len(entry.payload)
            or not plausible(header)
        ):
            raise self._diverged(entry, "its batch header says otherwise, or is no batch")
        return header

    def _diverged(self, entry: Entry, text: str) -> CorruptLog:
        return CorruptLog(
            f"{self.path}: entry {entry.index} (term {entry.term}, offset {entry.base}, span "
            f"{entry.span}) cannot be appended: {text}. This replica differs from its leader"
        )

    def _must_roll(self, active: Segment, entry: Entry, header: BatchHeader) -> bool:
        config = self.config
        return active.size > 0 and (
            active.size + len(entry.payload) > config.segment_bytes
            or entry.base + entry.span - active.base > SPAN_MAX
            or entry.index - active.first_index > SPAN_MAX
            or header.max_timestamp - active.first_timestamp > config.segment_ms >= 0
        )

    def _new_term(self, entry: Entry) -> Term:
        self.producers.forget_unwritten()
        self._runs.append(TermRun(entry.index, entry.term, entry.base))
        return Term(entry.index, entry.term, entry.base)

    def _grow(self, active: Segment, entry: Entry, header: BatchHeader) -> None:
        active.note_batch(entry.index, header, self.config.index_interval_bytes)
        self.producers.appended(header, entry.base)

    def _zero(self, active: Segment, entry: Entry) -> ZeroEntry:
        index, term, kind, base, _, payload = entry
        if term != self._runs.last_term:
            self._new_term(entry)
        zero = ZeroEntry(index, term, EntryKind(kind), base, active.size, bytes(payload))
        if kind is EntryKind.CONFIG:
            self._configurations.append((index, decode_configuration(zero.payload)))
        active.zeros[index] = zero
        active.extend(active.size, base)
        return zero

    def _write(
        self, active: Segment, position: int, data: list[Buffer], side: list[Record]
    ) -> None:
        if data:
            self._unsaved_bytes += active.size - position
            self.sync.write(active.log_path, data, position)
        if len(active.points) - active.points_saved >= POINTS_PER_RECORD:
            side.append(Points(active.points.encode(active.points_saved)))
            active.points_saved = len(active.points)
        if side:
            self._write_sidecar(active, side)

    def _write_sidecar(self, segment: Segment, records: Sequence[Record]) -> None:
        frames = [encode(record, segment.salt) for record in records]
        self.sync.write(segment.raft_path, frames, segment.side_size)
        segment.side_size += sum(map(len, frames))

    def _roll(self) -> Segment:
        """Seal the active segment and open the next; both are synced by the next sync job."""
        old = self._segments[-1]
        records: list[Record] = []
        if len(old.points) > old.points_saved:
            records.append(Points(old.points.encode(old.points_saved)))
            old.points_saved = len(old.points)
        records.append(Seal(old.last_index, old.end_offset, old.size, old.max_timestamp))
        self._write_sidecar(old, records)
        last = self.last()
        configuration = encode_configuration(self._configuration_at(last.index))
        start = Start(self._birth, last.offset, last.index, last.term, configuration)
        new = Segment(self.files, self.path, start)
        new.next_point = self.config.index_interval_bytes
        clock, states = self.producers.written()
        table = encode_producers(ProducerSnapshot(last.offset, clock, states))
        self.sync.create(f"{new.path}.producers", [table])
        new.side_size = self.sync.create(new.raft_path, new.opening())
        self._segments.append(new)
        return new

    def _configuration_at(self, index: int) -> Configuration:
        for at, configuration in reversed(self._configurations):
            if at <= index:
                return configuration
        return self._meta.configuration

    # --- truncate

    def truncate(self, first: int) -> None:
        """See GroupLog. Beyond the end it only takes back what was proposed, never written.

        A cut below the last checkpoint must be durable in the write-ahead log before this.
        """
        if first <= self._meta.position.index:
            raise ValueError(f"{self.path}: cannot cut at {first}, at or below the snapshot")
        self.producers.forget_unwritten()
        if first > self._segments[-1].last_index:
            return
        while self._segments[-1].first_index >= first and len(self._segments) > 1:
            self.sync.remove(self._segments.pop())
        active = self._segments[-1]
        if first <= active.last_index:
            place = active.locate(first)
            self.sync.cut(active.log_path, place.position, active.size)
            active.cut(first, place)
            active.next_point = active.last_point + self.config.index_interval_bytes
        place = active.locate(first)
        self._write_sidecar(active, [Truncate(first, place.offset, place.position)])
        self._runs.cut(first)
        while self._configurations and self._configurations[-1][0] >= first:
            self._configurations.pop()
        if not self.producers.truncate(place.offset):
            snapshot = self._producers_at(place.offset)
            self.producers.restore(*snapshot)

    def _producers_at(self, offset: int) -> ProducerSnapshot:
        return producers_at(
            self.files, self.path, self.config, [*self._garbage, *self._segments], offset
        )

    # --- durability

    def checkpoint(self) -> Checkpoint:
        """See GroupLog."""
        active = self._segments[-1]
        detail = encode_detail(self._birth, active.base, active.size, active.side_size)
        return Checkpoint(self.last(), detail)

    def close(self) -> None:
        """Release files; nothing is synced. The directory may be removed afterwards.

        Waits for a sync job that is changing names in the directory.
        """
        self.sync.close()
        for segment in [*self._garbage, *self._segments]:
            self.sync.forget(segment)
