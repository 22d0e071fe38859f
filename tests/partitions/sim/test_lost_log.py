"""A broker whose write-ahead log was taken away must not vote as if it were new."""

from __future__ import annotations

import pytest

from partitions.testing.cluster import SimCluster
from raftlog.errors import CorruptLog
from raftlog.testing.disk import PowerCut


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


@pytest.mark.parametrize(
    ("node", "lost"), [(1, "neither"), (1, "metadata"), (1, "partitions"), (4, "neither")]
)
def test_a_log_removed_with_its_mark_is_missed_by_what_it_belonged_to(node: int, lost: str) -> None:
    cluster = SimCluster(3, nodes=4, voters=(1, 2, 3))
    cluster.start()
    cluster.run(cluster.client().create_topic("kept", 4, 3))
    broker = cluster.brokers[node]
    broker.kill()
    broker.disk.rmtree("wal")
    broker.disk.unlink("wal.used")
    if lost != "neither":
        broker.disk.rmtree(lost)
    before = {
        name: broker.disk.listdir(name)
        for name in ("metadata", "partitions")
        if broker.disk.exists(name)
    }
    with pytest.raises(CorruptLog, match="holds no round, but") as caught:
        broker.start()
    assert ("partitions" if lost != "partitions" else "metadata") in str(caught.value)
    with pytest.raises(CorruptLog, match="holds no round, but"):
        broker.process = None
        broker.start()
    after = {name: broker.disk.listdir(name) for name in before}
    assert after == before, "nothing is removed"


@pytest.mark.parametrize("power", [False, True], ids=["kill", "crash"])
@pytest.mark.parametrize("node", [1, 4], ids=["voter", "observer"])
def test_a_first_run_that_ends_anywhere_can_be_followed_by_another(node: int, power: bool) -> None:
    """Whatever a process does before its first round is durable must not look like a lost log."""
    ends = 0
    for call in range(1, 60):
        cluster = SimCluster(4, nodes=4, voters=(1, 2, 3))
        broker = cluster.brokers[node]
        for other in cluster.brokers.values():
            if other is not broker:
                other.start()
        broker.disk.cut_at_call = broker.disk.calls + call
        try:
            broker.start()
            cluster.run(cluster.client().create_topic("new", 4, 3))
        except PowerCut:
            ends += 1
        if broker.process is not None:
            (broker.crash if power else broker.kill)()
        broker.start()
        cluster.run(cluster.client().create_topic("after", 1, 3))
    assert ends > 20
