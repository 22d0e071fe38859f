"""A directory that was wiped and formatted under its old id is refused by who met it before."""

from __future__ import annotations

from partitions.testing.cluster import SimCluster
from raftlog.disk.properties import read_properties, write_properties
from tests.partitions.kit import batch_of

SECOND_US = 1_000_000


def written(seed: int) -> SimCluster:
    """Broker 3 is away when a record is acknowledged by the other two."""
    cluster = SimCluster(seed)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("early", 1, 3))
    cluster.brokers[3].kill()
    batch = batch_of(b"acknowledged")

    async def write() -> None:
        await client.create_topic("late", 1, 3)
        await client.produce("late", 0, batch)

    cluster.run(write())
    return cluster


def end_offset(cluster: SimCluster) -> int:
    return cluster.run(cluster.client().list_offsets("late", 0))


def test_its_vote_does_not_bring_back_an_older_log() -> None:
    """Found by a newcomer who followed the messages: 100 acknowledged records were gone."""
    cluster = written(1)
    wiped, old = cluster.brokers[2], cluster.brokers[3]
    wiped.kill()
    cluster.brokers[1].kill()
    wiped.wipe()
    wiped.format(list(cluster.brokers.values()))
    wiped.start()
    old.start()

    async def wait() -> None:
        await cluster.sleep(10 * SECOND_US)

    cluster.run(wait())
    assert old.broker.services.controller_id() is None
    assert wiped.broker.services.controller_id() is None
    assert "formatted again since it was met" in old.mesh.refused[2]
    assert "before it was formatted again" in wiped.mesh.refused[3]
    cluster.brokers[1].start()
    assert end_offset(cluster) == 1
    assert wiped.mesh.connected() == []


def test_under_a_new_id_it_comes_back_without_a_vote() -> None:
    cluster = written(2)
    lost = cluster.brokers[2]
    cluster.brokers[3].start()
    lost.kill()
    properties = read_properties(cluster.brokers[1].disk)
    lost.lose_disk()
    own = properties._replace(
        node_id=2, directory_id=lost.replica.directory, formatting=b"another format.."
    )
    write_properties(lost.disk, own)
    lost.start()

    async def story() -> None:
        image = cluster.brokers[1].broker.metadata
        while image.image.brokers[2].replica != lost.replica:
            await cluster.sleep(SECOND_US // 10)

    cluster.run(story())
    assert lost.mesh.connected() == [1, 3]
    assert end_offset(cluster) == 1


def test_who_was_only_stopped_is_welcome() -> None:
    cluster = written(3)
    for broker in cluster.running():
        broker.crash()
    cluster.start()
    assert end_offset(cluster) == 1
    assert not any(broker.mesh.refused for broker in cluster.running())
