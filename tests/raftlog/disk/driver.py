"""A stand-in for the engine: random work on a Wal and SegmentLogs, with a model beside it.

The model keeps, for every round written, what the groups looked like when it was. After a
crash exactly one of these must come back: that of the last round recovered, which is none
before the last one reported durable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import Wal
from raftlog.storage import Checkpoint
from raftlog.testing.disk import VirtualDisk
from raftlog.types import (
    NO_HARD_STATE,
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

PART_BYTES = 6 * 1024
CONFIGURATION = Configuration((ReplicaId(1, b"a" * 16), ReplicaId(2, b"b" * 16)))
FOUNDING = SnapshotMeta(ZERO_POSITION, CONFIGURATION)


@dataclass(frozen=True)
class Model:
    """One group. `entries` follow `base`, the position of the last reset."""

    creation: bytes
    hard_state: HardState = NO_HARD_STATE
    base: LogPosition = ZERO_POSITION
    entries: tuple[Entry, ...] = ()

    @property
    def last(self) -> int:
        return self.base.index + len(self.entries)

    @property
    def end(self) -> int:
        return self.entries[-1].end if self.entries else self.base.offset

    def position(self, index: int) -> LogPosition:
        if index == self.base.index:
            return self.base
        entry = self.entries[index - self.base.index - 1]
        return LogPosition(index, entry.term, entry.end)


@dataclass
class Driver:
    disk: VirtualDisk
    random: Random
    groups: dict[int, Model] = field(default_factory=dict)
    logs: dict[int, SegmentLog] = field(default_factory=dict)
    commit: dict[int, int] = field(default_factory=dict)
    history: dict[int, dict[int, Model]] = field(default_factory=lambda: {0: {}})
    installing: dict[int, list[SnapshotMeta]] = field(default_factory=dict)
    syncs: list[tuple[Callable[[], None], int]] = field(default_factory=list)
    captured: list[tuple[int, Checkpoint, Callable[[], None], int]] = field(default_factory=list)
    reported: int = 0
    next_group: int = 1
    recycled: int = 0

    def start(self) -> None:
        """Open, check against the model, and become the recovered state."""
        self.wal, recovered = Wal.open(
            self.disk, "d/wal", part_bytes=PART_BYTES, spare_parts=2, random=self.random
        )
        last = recovered.last_round
        assert self.reported <= last <= max(self.history)
        expected = self.history[last]
        assert sorted(recovered.groups) == sorted(expected)
        self.disk.mkdir("d/groups")
        self.disk.sync_directory("d")
        self.logs = {}
        for group, known in recovered.groups.items():
            assert known.creation == expected[group].creation
            assert known.hard_state == expected[group].hard_state
            self.logs[group] = SegmentLog.open(
                self.disk, f"d/groups/{group}", known.checkpoint, known.trusted, segment_bytes=2048
            )
        opened = {group: log.last() for group, log in self.logs.items()}
        replaced = recovered.replay(opened, lambda group, run: self.logs[group].append(run))
        self.groups = dict(expected)
        for group in self.groups:
            self._check_log(group, group in replaced)
        self.history = {last: dict(self.groups)}
        self.reported = last
        self.syncs, self.captured = [], []
        # The resets staged below may be lost in the next crash, to be found necessary again.
        self.installing = {group: self.installing[group] for group in replaced}
        self.commit = {
            group: max(model.base.index, min(self.commit.get(group, 0), model.last))
            for group, model in self.groups.items()
        }
        for group in replaced:
            self.wal.stage_reset(group, self.logs[group].snapshot())
        for name in self.disk.listdir("d/groups"):
            if int(name) not in self.groups:
                self.disk.rmtree(f"d/groups/{name}")

    def _check_log(self, group: int, replaced: bool) -> None:
        log, model = self.logs[group], self.groups[group]
        meta = log.snapshot()
        if replaced:
            assert meta in self.installing[group]
            assert log.last() == meta.position
            self.groups[group] = replace(model, base=meta.position, entries=())
            return
        assert log.last() == model.position(model.last)
        first = meta.position.index
        assert first >= model.base.index
        assert meta.position == model.position(first)
        wanted = list(model.entries[first - model.base.index :])
        found: list[Entry] = []
        while len(found) < len(wanted):
            found += log.read(first + 1 + len(found), model.last + 1, 700)
        assert found == wanted
        for entry in wanted:
            assert log.term(entry.index) == entry.term
            assert log.end_offset(entry.index) == entry.end

    # Rounds

    def write(self) -> int:
        number = self.wal.last_round + 1
        # Known before the write: a crash in the middle may keep it or not.
        self.history[number] = dict(self.groups)
        written = self.wal.write_round()
        if written == 0:
            del self.history[number]
        else:
            assert written == number
        return written

    def sync(self) -> None:
        """Everything written so far, at once; older jobs are finished first."""
        while self.syncs:
            self.finish_sync()
        self.begin_sync()
        self.finish_sync()

    def begin_sync(self) -> None:
        self.syncs.append((self.wal.sync_job(), self.wal.last_round))

    def finish_sync(self) -> None:
        if not self.syncs:
            return
        job, number = self.syncs.pop(0)
        job()
        self.wal.synced(number)
        self.reported = self.wal.durable_round
        if self.reported == self.wal.last_round:
            for group, model in self.history[self.reported].items():
                if self.groups.get(group) is model:
                    low = max(self.commit.get(group, 0), model.base.index)
                    self.commit[group] = self.random.randint(low, model.last)

    # Work

    def some_group(self) -> int:
        if not self.groups or (len(self.groups) < 3 and self.random.random() < 0.2):
            return self.create()
        return self.random.choice(sorted(self.groups))

    def create(self) -> int:
        group, self.next_group = self.next_group, self.next_group + 1
        self.logs[group] = SegmentLog.create(
            self.disk, f"d/groups/{group}", FOUNDING, segment_bytes=2048
        )
        self.disk.sync_directory("d/groups")
        creation = b"group %d" % group
        self.wal.stage_create(group, creation)
        self.groups[group] = Model(creation)
        self.commit[group] = 0
        return group

    def append(self, count: int = 0) -> None:
        group = self.some_group()
        model = self.groups[group]
        random = self.random
        term = max(1, model.position(model.last).term, model.hard_state.term)
        run: list[Entry] = []
        offset = model.end
        for number in range(count or random.randint(1, 4)):
            span = random.randint(0, 3)
            size = random.choice((0, 3, 60, 500, 1500, 1500, 9000))
            payload = random.randbytes(size)
            kind = EntryKind.DATA if span else EntryKind.CONTROL
            run.append(Entry(model.last + 1 + number, term, kind, offset, span, payload))
            offset += span
        self.wal.stage_entries(group, run)
        self.groups[group] = replace(model, entries=(*model.entries, *run))
        self.write()
        self.logs[group].append(run)

    def vote(self) -> None:
        group = self.some_group()
        model = self.groups[group]
        term = model.hard_state.term + self.random.randint(1, 2)
        vote = self.random.choice((None, *CONFIGURATION.voters))
        state = HardState(term, vote)
        self.wal.stage_hard_state(group, state)
        self.groups[group] = replace(model, hard_state=state)
        if self.random.random() < 0.7:
            self.write()

    def truncate(self) -> None:
        group = self.some_group()
        model = self.groups[group]
        low = max(self.commit[group], self.logs[group].snapshot().position.index) + 1
        if low > model.last:
            return
        self.cut(group, self.random.randint(low, model.last))
        if self.random.random() < 0.8:
            self.append()

    def cut(self, group: int, first: int) -> None:
        model = self.groups[group]
        checkpoint = self.wal.checkpoint_of(group)
        self.wal.stage_truncate(group, first)
        kept = model.entries[: first - model.base.index - 1]
        self.groups[group] = replace(model, entries=kept)
        self.write()
        if checkpoint is not None and checkpoint.position.index >= first:
            self.sync()
        self.logs[group].truncate(first)

    def begin_checkpoint(self) -> None:
        group = self.some_group()
        log = self.logs[group]
        self.captured.append((group, log.checkpoint(), log.sync_job(), self.wal.stamp()))

    def finish_checkpoint(self) -> None:
        if not self.captured:
            return
        group, checkpoint, job, stamp = self.captured.pop(0)
        job()
        if group in self.groups and self.wal.stage_checkpoint(group, checkpoint, stamp):
            self.write()

    def compact(self) -> None:
        group = self.some_group()
        log = self.logs[group]
        base = log.snapshot().position.index
        if self.commit[group] > base:
            index = self.random.randint(base + 1, self.commit[group])
            position = self.groups[group].position(index)
            log.compact(SnapshotMeta(position, CONFIGURATION), b"state at %d" % index)

    def install(self) -> None:
        group = self.some_group()
        model = self.groups[group]
        index = self.random.randint(self.commit[group] + 1, max(model.last, 1) + 4)
        term = max(model.hard_state.term, model.position(model.last).term) + 1
        offset = model.position(self.commit[group]).offset + self.random.randint(0, 9)
        meta = SnapshotMeta(LogPosition(index, term, offset), CONFIGURATION)
        if model.last >= index:
            if index <= self.logs[group].snapshot().position.index:
                return
            self.cut(group, index)
            self.sync()
            model = self.groups[group]
        self.installing.setdefault(group, []).append(meta)
        self.logs[group].install(meta, b"snapshot")
        self.wal.stage_reset(group, meta)
        self.groups[group] = replace(model, base=meta.position, entries=())
        self.commit[group] = index
        self.write()
        self.sync()
        self.installing.pop(group)

    def drop(self) -> None:
        if len(self.groups) < 3:
            return
        group = self.some_group()
        self.wal.stage_drop(group)
        del self.groups[group]
        self.write()
        self.sync()
        self.logs.pop(group).close()
        self.disk.rmtree(f"d/groups/{group}")
        self.captured = [item for item in self.captured if item[0] != group]

    def recycle(self) -> None:
        """Retire the oldest part, leaving out steps at random."""
        parts = self.wal.retirable()
        if not parts:
            return
        part = parts[0]
        for group in part.dirty:
            if group in self.logs and self.random.random() < 0.95:
                log = self.logs[group]
                checkpoint, stamp = log.checkpoint(), self.wal.stamp()
                log.sync_job()()
                self.wal.stage_checkpoint(group, checkpoint, stamp)
        self.wal.carry_forward(part.sequence)
        self.write()
        if self.random.random() < 0.9:
            self.sync()
        if self.wal.durable_round >= self.wal.last_round or len(parts) > 1:
            self.recycled += self.wal.recycle(part.sequence)
        self.spare()

    def spare(self) -> None:
        job = self.wal.prepare_spare_job()
        if job is not None:
            job()

    def reopen(self) -> None:
        self.write()
        self.sync()
        self.wal.close()
        for log in self.logs.values():
            log.close()
        self.start()

    def step(self) -> None:
        actions: list[tuple[int, Callable[[], object]]] = [
            (30, self.append),
            (8, self.vote),
            (8, self.truncate),
            (12, self.begin_sync),
            (12, self.finish_sync),
            (10, self.sync),
            (6, self.begin_checkpoint),
            (6, self.finish_checkpoint),
            (8, self.recycle),
            (3, self.compact),
            (2, self.install),
            (2, self.drop),
            (2, self.spare),
            (1, self.reopen),
        ]
        weights = [weight for weight, _ in actions]
        self.random.choices([action for _, action in actions], weights)[0]()
