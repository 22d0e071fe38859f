"""A topic deleted while the files of its partitions are being synced in the background."""

from __future__ import annotations

import pytest

from partitions.replicas.creation import PARTITIONS_DIRECTORY
from partitions.testing import SimCluster
from tests.partitions.storage.kit import batch


@pytest.mark.parametrize("after_us", [0, 100, 400, 1000, 5000])
def test_deleting_a_topic_during_a_background_sync_leaves_nothing_behind(after_us: int) -> None:
    cluster = SimCluster(1, 3)
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("kept", 1, 3)
        await client.create_topic("gone", 2, 3)
        for number in range(10):
            await client.produce("kept", 0, batch(-1, -1))
            await client.produce("gone", number % 2, batch(-1, -1))
        for broker in cluster.running():
            for replica in broker.broker.manager.replicas.values():
                broker.broker.engine.checkpoint(replica.group_handle)
        await cluster.sleep(after_us)
        await client.delete_topic("gone")
        await client.produce("kept", 0, batch(-1, -1))
        await cluster.sleep(1_000_000)
        for broker in cluster.running():
            names = broker.disk.listdir(PARTITIONS_DIRECTORY)
            assert [name.split("-")[1] for name in names] == ["kept"]

    cluster.run(work())
    for broker in cluster.brokers.values():
        assert broker.running and broker.failure is None
        broker.crash()
    cluster.start()
    assert cluster.run(client.list_offsets("kept", 0)) == 11
