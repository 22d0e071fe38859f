"""What simulations found once, as small tests."""

from __future__ import annotations

from random import Random

from partitions.records import Record, build_batch
from partitions.storage import LogConfig, PartitionLog
from raftlog.testing.disk import VirtualDisk
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    ReplicaId,
    SnapshotMeta,
)

CONFIG = LogConfig()
CREATION = SnapshotMeta(ZERO_POSITION, Configuration((ReplicaId(1, b"a" * 16),)))


def leaders_snapshot() -> tuple[SnapshotMeta, bytes]:
    disk = VirtualDisk(Random(0))
    log = PartitionLog.create(disk, "leader", CONFIG, CREATION)
    batch = bytes(build_batch([Record(value=b"gone")], base_timestamp=1000, leader_epoch=1))
    log.append([Entry(1, 1, EntryKind.NOOP, 0, 0, b""), Entry(2, 1, EntryKind.DATA, 0, 1, batch)])
    log.apply_trim(1, 2)
    meta, data, done = log.read_snapshot(0, 1 << 20)
    assert done and meta.position.index == 2
    return meta, data


def test_a_snapshot_installed_into_a_log_just_made_survives_power_loss() -> None:
    """behind 134: the log's directory had never been synced by name when it was installed."""
    meta, data = leaders_snapshot()
    for seed in range(20):
        disk = VirtualDisk(Random(seed))
        disk.mkdir("partitions")
        disk.sync_directory("")
        log = PartitionLog.create(disk, "partitions/1", CONFIG, CREATION)
        sink = log.receive_snapshot(meta)
        sink.write(0, data)
        sink.install()
        disk.crash()
        found = PartitionLog.open(disk, "partitions/1", CONFIG, None, meta.position.index)
        assert found.snapshot() == meta
