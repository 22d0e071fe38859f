"""A log next to a list of the same entries, and a stand-in for the write-ahead log."""

from __future__ import annotations

from random import Random

from partitions.records import Record, build_batch, parse_header
from partitions.storage import LogConfig, PartitionLog, ProducerTable
from raftlog.core import encode_configuration
from raftlog.storage import Checkpoint
from raftlog.testing.disk import VirtualDisk
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

PATH = "groups/7/orders-3"
CONFIGURATION = Configuration((ReplicaId(1, b"a" * 16), ReplicaId(2, b"b" * 16)))
CREATION = SnapshotMeta(ZERO_POSITION, CONFIGURATION)
TINY = LogConfig(
    segment_bytes=700, segment_ms=10**12, index_interval_bytes=150, producers_save_bytes=900
)


def batch(
    base: int,
    term: int,
    *,
    span: int = 1,
    value: bytes = b"v",
    timestamp: int = 1000,
    producer: tuple[int, int, int] = (-1, -1, -1),
) -> bytes:
    """A stamped batch of `span` records; producer is (id, epoch, base sequence)."""
    records = [Record(value=value, timestamp=timestamp + at) for at in range(span)]
    return bytes(
        build_batch(
            records,
            base_timestamp=timestamp,
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=producer[2],
            base_offset=base,
            leader_epoch=term,
        )
    )


def table_of(entries: list[Entry], config: LogConfig) -> ProducerTable:
    """The producer table by definition: all data entries, in order, in an empty table."""
    table = ProducerTable(config.producers_max, config.producer_expiration_ms)
    for entry in entries:
        if entry.kind is EntryKind.DATA:
            table.appended(parse_header(entry.payload), entry.base)
    return table


class Modelled:
    """A PartitionLog driven together with the entries it must hold."""

    def __init__(self, disk: VirtualDisk, config: LogConfig = TINY) -> None:
        self.disk = disk
        self.config = config
        disk.mkdir("groups/7")
        disk.sync_directory("groups")
        disk.sync_directory("")
        self.log = PartitionLog.create(disk, PATH, config, CREATION)
        self.entries: list[Entry] = []
        self.floor = ZERO_POSITION
        self.checkpoint: Checkpoint | None = None
        self.trusted = 0
        self.committed = 0
        self.term = 1
        self.sequences: dict[int, int] = {}

    @property
    def last(self) -> LogPosition:
        """As the log must say."""
        if not self.entries:
            return self.floor
        entry = self.entries[-1]
        return LogPosition(entry.index, entry.term, entry.end)

    def make(
        self,
        kind: EntryKind = EntryKind.DATA,
        *,
        after: Entry | None = None,
        span: int = 1,
        size: int = 1,
        timestamp: int = 1000,
        producer: tuple[int, int, int] = (-1, -1, -1),
    ) -> Entry:
        """The entry that follows `after` (default: the last)."""
        position = self.last
        if after is not None:
            position = LogPosition(after.index, after.term, after.end)
        index, base = position.index + 1, position.offset
        if kind is EntryKind.DATA:
            payload = batch(
                base,
                self.term,
                span=span,
                value=b"v" * size,
                timestamp=timestamp,
                producer=producer,
            )
            return Entry(index, self.term, kind, base, span, payload)
        payload = b"control %d" % index
        if kind is EntryKind.CONFIG:
            voters = (*CONFIGURATION.voters, ReplicaId(index, b"c" * 16))
            payload = encode_configuration(Configuration(voters))
        elif kind is EntryKind.NOOP:
            payload = b""
        return Entry(index, self.term, kind, base, 0, payload)

    def append(self, *entries: Entry) -> None:
        """To both."""
        self.log.append(entries)
        self.entries += entries

    def truncate(self, first: int) -> None:
        """From both; the write-ahead log has made it durable."""
        self.trusted = min(self.trusted, first - 1)
        self.log.truncate(first)
        self.entries = [entry for entry in self.entries if entry.index < first]

    def save(self) -> None:
        """Sync, then record a checkpoint."""
        checkpoint = self.log.checkpoint()
        self.log.sync_job()()
        self.checkpoint, self.trusted = checkpoint, checkpoint.position.index

    def crash(self, *, kill: bool = False) -> None:
        """Lose what is not synced, open at the checkpoint, replay the rest."""
        if kill:
            self.disk.kill()
        else:
            self.disk.crash()
        self.reopen()

    def reopen(self) -> None:
        """Open as after a stop, and replay."""
        if self.checkpoint is None:
            self.disk.mkdir("groups/7")
            self.log = PartitionLog.create(self.disk, PATH, self.config, CREATION)
        else:
            self.log = PartitionLog.open(
                self.disk, PATH, self.config, self.checkpoint, self.trusted
            )
        reached = self.log.last().index
        self.log.append([entry for entry in self.entries if entry.index > reached])

    def check(self) -> None:
        """All that can be asked of the log agrees with the list."""
        log, floor = self.log, self.log.snapshot().position
        entries = [entry for entry in self.entries if entry.index > floor.index]
        assert log.last() == self.last
        assert log.read(floor.index + 1, self.last.index + 1, 1 << 30) == entries
        for entry in entries:
            assert log.term(entry.index) == entry.term
            assert log.end_offset(entry.index) == entry.end
            assert log.read(entry.index, entry.index + 1, 0) == [entry]
        configs = [entry.index for entry in entries if entry.kind is EntryKind.CONFIG]
        assert [index for index, _ in log.configurations()] == configs
        assert log.producers.written() == table_of(self.entries, self.config).written()
        self.check_batches(entries)

    def check_batches(self, entries: list[Entry]) -> None:
        """Reading from any offset gives the batches of one segment from there on."""
        data = [entry for entry in entries if entry.kind is EntryKind.DATA]
        for at, entry in enumerate(data):
            if entry.base < self.log.log_start_offset:
                continue
            for offset in {entry.base, entry.end - 1}:
                got = bytes(self.log.read_batches(offset, 400, self.last.offset))
                rest = b"".join(follower.payload for follower in data[at : at + 12])
                assert got
                assert rest.startswith(got)
                assert len(got) <= 400 or got == entry.payload
                assert entry.payload == got[: len(entry.payload)]


def random_step(model: Modelled, random: Random) -> None:
    """One of the things that happen to a log."""
    action = random.randrange(12)
    if action < 6:
        append_some(model, random, random.randint(1, 6))
    elif action < 7:
        model.term += 1
        model.append(model.make(EntryKind.NOOP))
    elif action < 8:
        model.append(model.make(random.choice((EntryKind.CONFIG, EntryKind.CONTROL))))
    elif action < 9:
        low = max(model.log.snapshot().position.index, model.committed)
        if model.last.index > low:
            model.truncate(random.randint(low + 1, model.last.index))
            model.term += 1
    elif action < 10:
        model.save()
    elif action < 11:
        model.crash(kill=random.random() < 0.5)
    else:
        offset = random.randint(model.log.log_start_offset, model.last.offset)
        model.committed = model.last.index
        model.log.apply_trim(offset, model.committed)


def append_some(model: Modelled, random: Random, count: int) -> None:
    """A few data entries in one call."""
    made: list[Entry] = []
    for _ in range(count):
        producer = (-1, -1, -1)
        span = random.randint(1, 3)
        if random.random() < 0.5:
            who = random.randint(1, 3)
            sequence = model.sequences.get(who, 0)
            producer = (who, 0, sequence)
            model.sequences[who] = (sequence + span) & 0x7FFF_FFFF
        made.append(
            model.make(
                after=made[-1] if made else None,
                span=span,
                size=random.choice((1, 10, 60, 300)),
                timestamp=random.randint(1, 5000),
                producer=producer,
            )
        )
    model.append(*made)
