"""A voter whose write-ahead log was taken away must not vote as if it were new."""

from __future__ import annotations

import pytest

from partitions.testing.cluster import SimCluster
from raftlog.errors import CorruptLog


def test_a_voter_without_its_log_refuses_to_start() -> None:
    cluster = SimCluster(1)
    cluster.start()
    cluster.run(cluster.client().create_topic("kept", 1, 3))
    broker = cluster.brokers[1]
    broker.kill()
    broker.disk.rmtree("wal")
    with pytest.raises(CorruptLog, match="has voted before"):
        broker.start()


def test_a_voter_that_fell_before_its_first_round_was_durable_starts_as_new() -> None:
    cluster = SimCluster(2)
    for broker in cluster.brokers.values():
        broker.start()
        broker.crash()
    cluster.start()
    cluster.run(cluster.client().create_topic("made", 1, 3))
