"""What simulations found once, as small tests."""

from __future__ import annotations

from random import Random

import pytest

from partitions.storage import LogConfig, PartitionLog
from partitions.testing import GaveUp, SimCluster
from raftlog.testing.disk import VirtualDisk
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    ReplicaId,
    SnapshotMeta,
)
from tests.partitions.kit import batch_of

CONFIG = LogConfig()
CREATION = SnapshotMeta(ZERO_POSITION, Configuration((ReplicaId(1, b"a" * 16),)))


def leaders_snapshot() -> tuple[SnapshotMeta, bytes]:
    disk = VirtualDisk(Random(0))
    log = PartitionLog.create(disk, "leader", CONFIG, CREATION)
    batch = batch_of(b"gone", leader_epoch=1)
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


def test_preferred_leaders_are_looked_for_while_a_creation_is_not_durable_yet() -> None:
    """topics 10: a topic was created just when a broker that had restarted campaigned."""
    cluster = SimCluster(1)
    cluster.start()
    made = cluster.spawn(cluster.client().create_topic("new", 3, 3))
    met = 0
    while not made.done:
        assert cluster.reactor.step()
        for broker in cluster.running():
            manager = broker.broker.manager
            if len(manager.replicas) > len(broker.broker.engine.groups) - 1:
                met += 1
                manager.campaign_preferred()
    assert met


def test_a_fetch_that_fails_keeps_no_view_of_its_request() -> None:
    """leader 1: an error was kept with its traceback, and so with the request's bytes."""
    cluster = SimCluster(1)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("held", 1, 3))
    cluster.run(client.produce("held", 0, batch_of(b"x")))
    cluster.run(client.delete_topic("held"))
    client.patience_us = 500_000
    with pytest.raises(GaveUp, match="UNKNOWN_TOPIC"):  # a view kept is a BufferError
        cluster.run(client.fetch("held", 0, 0))
