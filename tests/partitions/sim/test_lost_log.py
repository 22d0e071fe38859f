"""A broker whose write-ahead log was taken away must not vote as if it were new."""

from __future__ import annotations

import pytest

from partitions.testing.cluster import SimCluster
from raftlog.errors import CorruptLog


@pytest.mark.parametrize("node", [1, 4], ids=["voter", "observer"])
def test_a_broker_without_its_log_refuses_to_start(node: int) -> None:
    cluster = SimCluster(1, nodes=4, voters=(1, 2, 3))
    cluster.start()
    cluster.run(cluster.client().create_topic("kept", 4, 3))
    broker = cluster.brokers[node]
    assert broker.broker.manager.replicas
    broker.kill()
    broker.disk.rmtree("wal")
    with pytest.raises(CorruptLog, match="gone or empty"):
        broker.start()


def test_a_voter_that_fell_before_its_first_round_was_durable_starts_as_new() -> None:
    cluster = SimCluster(2)
    for broker in cluster.brokers.values():
        broker.start()
        broker.crash()
    cluster.start()
    cluster.run(cluster.client().create_topic("made", 1, 3))
