"""Settings of the broker that reach replicas and the metadata log."""

from __future__ import annotations

from metadata.quorum.application import MetadataApplication
from partitions.testing import SimCluster
from tests.partitions.storage.kit import batch


def test_the_expiration_of_producers_reaches_every_log_also_after_a_change() -> None:
    cluster = SimCluster(1, 1, settings={"producer.id.expiration.ms": "12345"})
    cluster.start()

    client = cluster.client()
    cluster.run(client.create_topic("t", 2, 1, {"retention.ms": "1000"}))
    cluster.brokers[1].kill()
    cluster.brokers[1].start()
    cluster.run(client.list_offsets("t", 1))
    for number in range(2):
        log = cluster.replicas("t", number)[1].log
        assert (log.config.producer_expiration_ms, log.config.retention_ms) == (12345, 1000)


def snapshots(cluster: SimCluster) -> list[int]:
    """Index of each broker's metadata snapshot."""
    found = []
    for broker in cluster.running():
        app = broker.broker.metadata
        assert isinstance(app, MetadataApplication)
        found.append(app.log.snapshot().position.index)
    return found


def test_the_metadata_log_is_replaced_by_a_snapshot_after_so_many_bytes() -> None:
    name = "metadata.log.max.record.bytes.between.snapshots"
    cluster = SimCluster(2, 3, settings={name: "2000"})
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("first", 3, 3)
        for number in range(30):  # followers cut their logs at every second snapshot
            await client.create_topic(f"topic-{number}", 3, 3)
        await client.produce("first", 0, batch(-1, -1))

    cluster.run(work())
    first = snapshots(cluster)
    assert min(first) > 0
    for broker in cluster.running():
        broker.crash()
    cluster.start()

    async def again() -> None:
        assert await client.list_offsets("first", 0) == 1
        await client.create_topic("last", 1, 3)
        await client.produce("last", 0, batch(-1, -1))

    cluster.run(again())
    assert all(len(b.broker.metadata.image.topics) == 32 for b in cluster.running())
