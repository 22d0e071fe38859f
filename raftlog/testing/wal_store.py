"""A store on the real write-ahead log over a virtual disk, and the proof that it keeps its word.

The same rounds that `ModelStore` only remembers are written through `raftlog.disk.wal`, with
parts so small that rolling, checkpoints, recycling and torn tails happen all the time. After
every crash what recovery finds is compared with the model: it must be exactly what was durable
plus some whole number of the rounds in flight. The group's own files are a model (`_files`):
they hold what their last sync covered, which is all that the log may rely on.

Order kept here, as a host must: a term is durable before a snapshot that mentions it; a log
that reaches an arriving snapshot is cut, durably, before the snapshot replaces it; the
snapshot is durable before the write-ahead log says so.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from random import Random

from raftlog.core.membership import encode_configuration
from raftlog.disk.wal import Wal
from raftlog.errors import CorruptLog
from raftlog.storage import Checkpoint
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.history import Violation
from raftlog.testing.store import Image, Round
from raftlog.types import Entry, SnapshotMeta

GROUP = 1
DIRECTORY = "wal"


class WalStore:
    """Implements `raftlog.testing.store.Store`."""

    def __init__(self, meta: SnapshotMeta, random: Random, probes: Counter[str]) -> None:
        self.disk = VirtualDisk(random)
        self.visible = Image(meta)
        self.durable = Image(meta)
        self._files = Image(meta)
        self._probes = probes
        self._random = random
        self._part_bytes = random.choice((4096, 16_384, 65_536))
        self._in_flight: deque[Round] = deque()
        """Written or about to be, and not known to be durable; oldest first."""
        self._number = 0
        self._job: Callable[[], None] = _nothing
        self._target = 0
        self._covered = 0
        self._wal, _ = Wal.open(self.disk, DIRECTORY, part_bytes=self._part_bytes, random=random)
        self._wal.stage_create(GROUP, encode_configuration(meta.configuration))
        self._write_and_sync()

    # -------------------------------------------------------------------------------- writing

    def write(self, change: Round) -> None:
        """Write one round; it is visible at once, except that a local snapshot cuts no log."""
        wal = self._wal
        if change.install is not None:
            self._install(change, change.install)
            change = change._replace(hard_state=None)
        if change.truncate_from:
            wal.stage_truncate(GROUP, change.truncate_from)
        if change.entries:
            wal.stage_entries(GROUP, change.entries)
        if change.hard_state is not None:
            wal.stage_hard_state(GROUP, change.hard_state)
        if change.compact is None:
            self.visible.apply(change)
        self._in_flight.append(change)
        wal.write_round()

    def _install(self, change: Round, install: tuple[SnapshotMeta, bytes]) -> None:
        meta, data = install
        index = meta.position.index
        before = Round(0, hard_state=change.hard_state)
        if self.visible.last_index >= index:
            before = before._replace(truncate_from=index)
            self._wal.stage_truncate(GROUP, index)
        if change.hard_state is not None:
            self._wal.stage_hard_state(GROUP, change.hard_state)
        self.visible.apply(before)
        self._in_flight.append(before)
        self._write_and_sync()
        self._settle(len(self._in_flight))
        self._files = Image(meta)
        self._files.data = data
        self._wal.stage_reset(GROUP, meta)

    def begin_sync(self) -> None:
        """Note what the sync that is about to run covers."""
        self._job = self._wal.sync_job()
        self._target = self._wal.last_round
        self._covered = len(self._in_flight)

    def sync(self) -> int:
        """Make the noted rounds durable; the largest Ready number among them."""
        self._job()
        if self._target > self._wal.durable_round:
            self._wal.synced(self._target)
        self._settle(self._covered)
        self._covered = 0
        number, self._number = self._number, 0
        self._recycle()
        return number

    def _settle(self, count: int) -> None:
        """The oldest `count` rounds in flight are durable."""
        for _ in range(count):
            change = self._in_flight.popleft()
            self.durable.apply(change)
            self._number = max(self._number, change.number)
            if change.compact is not None:
                self._files.apply(change)
        self._covered = max(0, self._covered - count)

    def _write_and_sync(self) -> None:
        self._wal.write_round()
        self._wal.sync_job()()
        self._wal.synced(self._wal.last_round)

    def _recycle(self) -> None:
        """Have the group's files take over what old parts hold, and reuse those."""
        if self._in_flight:
            return
        for part in self._wal.retirable()[:-1]:
            self._probes["log part recycled"] += 1
            if part.dirty:
                first = self._files.meta.position.index
                self._files.entries = [e for e in self.visible.entries if e.index > first]
                self._wal.stage_checkpoint(GROUP, Checkpoint(self._files.last(), b""))
            self._wal.carry_forward(part.sequence)
            self._write_and_sync()
            self._wal.recycle(part.sequence)
        job = self._wal.prepare_spare_job()
        if job is not None:
            job()

    # ------------------------------------------------------------------------------- recovery

    def crash(self, random: Random) -> None:
        """Power loss, or one time in three only the end of the process."""
        if random.random() < 0.33:
            self.disk.kill()
            self._probes["process killed, page cache kept"] += 1
        else:
            self.disk.crash()

    def cut_power_in(self, calls: int) -> None:
        """Have the power fail in the disk call that many from now."""
        self.disk.cut_at_call = self.disk.calls + calls

    def repair(self) -> None:
        """Take back every failure that has not happened yet."""
        self.disk.cut_at_call = None
        self.disk.faults.pending.clear()

    def fail_disk(self, random: Random) -> None:
        """Have a sync or a write fail soon: final for the process, whatever a retry says."""
        if random.random() < 0.7:
            self.disk.fail_sync(random.randint(1, 3))
        else:
            self.disk.fail_write(random.randint(1, 3))

    def recover(self) -> Image:
        """Open the log again and compare what it holds with what it must hold."""
        wal, recovered = Wal.open(
            self.disk, DIRECTORY, part_bytes=self._part_bytes, random=self._random
        )
        group = recovered.groups[GROUP]
        files = self._files
        del files.entries[max(0, group.trusted - files.meta.position.index) :]
        if files.last_index < group.trusted:
            raise CorruptLog(f"files end at {files.last_index}, trusted is {group.trusted}")
        image = files.copy()
        image.hard_state = group.hard_state

        def deliver(_: int, entries: list[Entry]) -> None:
            image.append(entries)

        replaced = recovered.replay({GROUP: image.last()}, deliver)
        self._wal = wal
        self._verify(image)
        if replaced:
            self._probes["snapshot newer than the log"] += 1
            wal.stage_reset(GROUP, image.meta)
        self._write_and_sync()
        self._number = self._covered = 0
        self.visible = image
        return image

    def _verify(self, image: Image) -> None:
        """What is found is what was durable and then some whole rounds, in order."""
        candidate = self.durable.copy()
        for lost in range(len(self._in_flight), -1, -1):
            if _same(image, self._with_snapshot(candidate)):
                self._probes["rounds lost in a crash"] += lost
                self._in_flight.clear()
                self.durable = image.copy()
                return
            if lost:
                # A local snapshot is not in the log: whether it happened, the files say.
                candidate.apply(self._in_flight.popleft()._replace(compact=None))
        raise Violation(
            "what was durable is recovered",
            f"found {_brief(image)}; durable was {_brief(self.durable)}",
        )

    def _with_snapshot(self, candidate: Image) -> Image:
        """`candidate` as it looks under the snapshot that the group's files hold."""
        meta = self._files.meta
        image = candidate.copy()
        if candidate.term_at(meta.position.index) == meta.position.term:
            image.apply(Round(0, compact=(meta, self._files.data)))
        elif meta.position.index > candidate.meta.position.index:
            image.apply(Round(0, install=(meta, self._files.data)))
        return image


def _same(one: Image, other: Image) -> bool:
    return (
        one.hard_state == other.hard_state
        and one.meta == other.meta
        and one.data == other.data
        and one.entries == other.entries
    )


def _brief(image: Image) -> str:
    return f"{image.hard_state} snapshot {image.meta.position} last {image.last()}"


def _nothing() -> None:
    """No sync has begun."""
