"""A store on the real write-ahead log and the real SegmentLog, over a virtual disk.

The same rounds that `ModelStore` only remembers are written through `raftlog.disk`, with parts
and segments so small that rolling, checkpoints, recycling and torn tails happen all the time.
After every crash what recovery finds is compared with the model: it must be exactly what was
durable plus some whole number of the rounds in flight.

Order kept here, as a host must: a term is durable before a snapshot that mentions it; a cut
below the group's checkpoint, or of a log that reaches an arriving snapshot, is durable in the
write-ahead log before the group's files change; a snapshot is durable before the write-ahead
log says so.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from random import Random

from raftlog.core.membership import encode_configuration
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import Recovered, Wal
from raftlog.errors import DiskFailed
from raftlog.storage import LogReader
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.history import Violation
from raftlog.testing.store import Image, Round
from raftlog.types import Entry, SnapshotMeta

GROUP = 1
WAL = "wal"
FILES = "group"
SEGMENT_BYTES = 2048
SPACE_LEFT_BYTES = (0, 300, 3000, 30_000)
KEPT_FREE_BYTES = 2048


class WalStore:
    """Implements `raftlog.testing.store.Store`."""

    def __init__(self, meta: SnapshotMeta, random: Random, probes: Counter[str]) -> None:
        self.disk = VirtualDisk(random)
        self.visible = Image(meta)
        self.durable = Image(meta)
        self._probes = probes
        self._random = random
        self._part_bytes = random.choice((4096, 16_384, 65_536))
        self._in_flight: deque[Round] = deque()
        """Written or about to be, and not known to be durable; oldest first."""
        self._number = 0
        self._job: Callable[[], None] = _nothing
        self._target = 0
        self._covered = 0
        self.rotten = self._rot_due = False
        self._recycled_before = 0
        """The active part when old parts were last looked at."""
        self._wal, _ = self._open_wal()
        self._log = SegmentLog.create(self.disk, FILES, meta, segment_bytes=SEGMENT_BYTES)
        self.disk.sync_directory("")
        self._wal.stage_create(GROUP, encode_configuration(meta.configuration))
        self._write_and_sync()

    @property
    def reader(self) -> LogReader:
        """What the core reads."""
        return self._log

    # -------------------------------------------------------------------------------- writing

    def write(self, change: Round) -> None:
        """Write one round; it is visible at once, except that a local snapshot cuts no log."""
        try:
            if change.install is not None:
                self._install(change, change.install)
                change = change._replace(hard_state=None)
            elif change.truncate_from:
                change = self._truncate(change)
            self._stage(change)
            self._in_flight.append(change)
            self._wal.write_round()
            if change.compact is None:
                self.visible.apply(change)
            if change.truncate_from:
                self._log.truncate(change.truncate_from)
            self._log.append(change.entries)
        except OSError as error:
            raise _final(error) from error

    def _stage(self, change: Round) -> None:
        wal = self._wal
        if change.truncate_from:
            wal.stage_truncate(GROUP, change.truncate_from)
        if change.entries:
            wal.stage_entries(GROUP, change.entries)
        if change.hard_state is not None:
            wal.stage_hard_state(GROUP, change.hard_state)

    def _truncate(self, change: Round) -> Round:
        """Cut first and durably what the checkpoint covers; the rest of the round."""
        checkpoint = self._wal.checkpoint_of(GROUP)
        if checkpoint is None or change.truncate_from > checkpoint.position.index:
            return change
        self._probes["cut below the checkpoint"] += 1
        self._write_ahead(Round(0, truncate_from=change.truncate_from))
        self._log.truncate(change.truncate_from)
        return change._replace(truncate_from=0)

    def _install(self, change: Round, install: tuple[SnapshotMeta, bytes]) -> None:
        meta, data = install
        index = meta.position.index
        cut = index if self.visible.last_index >= index else 0
        if cut:
            self._probes["snapshot over a log that reaches it"] += 1
        self._write_ahead(Round(0, truncate_from=cut, hard_state=change.hard_state))
        self._log.install(meta, data)
        self._wal.stage_reset(GROUP, meta)

    def _write_ahead(self, change: Round) -> None:
        """Make `change` durable now, and with it everything in flight."""
        self._stage(change)
        self._in_flight.append(change)
        self.visible.apply(change)
        self._write_and_sync()
        self._settle(len(self._in_flight))

    def begin_sync(self) -> None:
        """Note what the sync that is about to run covers."""
        self._job = self._wal.sync_job()
        self._target = self._wal.last_round
        self._covered = len(self._in_flight)

    def sync(self) -> int:
        """Make the noted rounds durable; the largest Ready number among them."""
        try:
            self._job()
            if self._target > self._wal.durable_round:
                self._wal.synced(self._target)
            self._settle(self._covered)
            self._covered = 0
            number, self._number = self._number, 0
            self._recycle()
        except OSError as error:
            raise _final(error) from error
        return number

    def _settle(self, count: int) -> None:
        """The oldest `count` rounds in flight are durable."""
        for _ in range(count):
            change = self._in_flight.popleft()
            if change.compact is not None:
                self._compact(*change.compact)
            self.durable.apply(change)
            if change.number > self._number:
                self._number = change.number
        self._covered = max(0, self._covered - count)

    def _compact(self, meta: SnapshotMeta, data: bytes) -> None:
        if meta.position.index > self._log.snapshot().position.index:
            self._log.compact(meta, data)

    def _write_and_sync(self) -> None:
        self._wal.write_round()
        self._wal.sync_job()()
        self._wal.synced(self._wal.last_round)

    def _recycle(self) -> None:
        """Have the group's files take over what old parts hold, and reuse those."""
        if self._in_flight or self._wal.active_sequence == self._recycled_before:
            return
        self._recycled_before = self._wal.active_sequence
        for part in self._wal.retirable()[:-1]:
            self._probes["log part recycled"] += 1
            if part.dirty:
                checkpoint, stamp = self._log.checkpoint(), self._wal.stamp()
                self._log.sync_job()()
                self._wal.stage_checkpoint(GROUP, checkpoint, stamp)
            self._wal.carry_forward(part.sequence)
            self._write_and_sync()
            self._wal.recycle(part.sequence)
        job = self._wal.prepare_spare_job()
        if job is not None:
            job()
            if self._wal.statistics().spare_failed:
                self._probes["no spare for lack of space"] += 1

    # --------------------------------------------------------------------------------- faults

    def crash(self, random: Random) -> None:
        """Power loss, or one time in three only the end of the process."""
        if self.disk.capacity_bytes is not None and not self.disk.free_bytes():
            self._probes["ended for lack of space"] += 1
        if self._rot_due or random.random() < 0.33:
            self.disk.kill()
            self._probes["process killed, page cache kept"] += 1
        else:
            self.disk.crash()

    def cut_power_in(self, calls: int) -> None:
        """Have the power fail in the disk call that many from now."""
        self.disk.cut_at_call = self.disk.calls + calls

    def fail_disk(self, random: Random) -> None:
        """Have a sync or a write fail soon: final for the process, whatever a retry says."""
        if random.random() < 0.7:
            self.disk.fail_sync(random.randint(1, 3))
        else:
            self.disk.fail_write(random.randint(1, 3))

    def fill_disk(self, random: Random) -> None:
        """Leave no space, or a little: what grows a file beyond it fails, often half-way."""
        self.disk.capacity_bytes = self.disk.root.used_bytes() + random.choice(SPACE_LEFT_BYTES)

    def empty_disk(self) -> None:
        """There is space again."""
        self.disk.capacity_bytes = None

    @property
    def full(self) -> bool:
        """Less space is left than a careful host keeps; it may still run out of it."""
        disk = self.disk
        return disk.capacity_bytes is not None and disk.free_bytes() < KEPT_FREE_BYTES

    def rot(self) -> None:
        """Have a bit of some file changed while the process is down, at the next start.

        The process ends without a loss of power: what only a torn write could have done, too,
        is then known not to be one (see `raftlog.disk`).
        """
        self._rot_due = True

    def _change_a_bit(self) -> None:
        self._rot_due, self.rotten = False, True
        files = [
            f"{folder}/{name}" for folder in (WAL, FILES) for name in self.disk.listdir(folder)
        ]
        path = self._random.choice([path for path in files if self.disk.size(path)])
        position = self._random.randrange(self.disk.size(path))
        self.disk.flip_bit(path, position, self._random.randrange(8))
        self._probes["a bit changed on disk"] += 1

    def repair(self) -> None:
        """Take back every failure that has not happened yet, and make space."""
        self._rot_due = False
        self.empty_disk()
        self.disk.cut_at_call = None
        self.disk.faults.pending.clear()

    # ------------------------------------------------------------------------------- recovery

    def _open_wal(self) -> tuple[Wal, Recovered]:
        return Wal.open(self.disk, WAL, part_bytes=self._part_bytes, random=self._random)

    def recover(self) -> Image:
        """Open everything again and compare what it holds with what it must hold."""
        if self._rot_due:
            self._change_a_bit()
        try:
            wal, recovered = self._open_wal()
            if recovered.cut:
                self._probes["torn tail"] += 1
            if GROUP not in recovered.groups:
                raise Violation("what was durable is recovered", "found no trace of the group")
            group = recovered.groups[GROUP]
            log = SegmentLog.open(
                self.disk, FILES, group.checkpoint, group.trusted, segment_bytes=SEGMENT_BYTES
            )

            def deliver(_: int, entries: list[Entry]) -> None:
                log.append(entries)

            replaced = recovered.replay({GROUP: log.last()}, deliver)
            image = _read(log)
            image.hard_state = group.hard_state
            self._verify(image)
            self._wal, self._log = wal, log
            if replaced:
                self._probes["snapshot newer than the log"] += 1
                wal.stage_reset(GROUP, image.meta)
            self._write_and_sync()
        except OSError as error:
            raise _final(error) from error
        self._number = self._covered = 0
        self.visible = image
        return image

    def _verify(self, image: Image) -> None:
        """What is found is what was durable and then some whole rounds, in order."""
        candidate = self.durable.copy()
        for lost in range(len(self._in_flight), -1, -1):
            if _same(image, _under_snapshot_of(image, candidate)):
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


def _read(log: SegmentLog) -> Image:
    """Everything that `log` holds."""
    image = Image(log.snapshot())
    image.data = log.snapshot_bytes()
    first, last = image.meta.position.index + 1, log.last().index
    image.entries = log.read(first, last + 1, 1 << 40)
    return image


def _under_snapshot_of(found: Image, candidate: Image) -> Image:
    """`candidate` as it looks under the snapshot that was found."""
    position = found.meta.position
    image = candidate.copy()
    if candidate.term_at(position.index) == position.term:
        image.apply(Round(0, compact=(found.meta, found.data)))
    elif position.index > candidate.meta.position.index:
        image.apply(Round(0, install=(found.meta, found.data)))
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


def _final(error: OSError) -> DiskFailed:
    """What the group's files raise ends the process, as an error of the log does."""
    return DiskFailed(f"{FILES}: {error}")


def _nothing() -> None:
    """No sync has begun."""
