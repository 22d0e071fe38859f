"""Look-ups by time and epoch through a replica: nothing uncommitted is ever named."""

from __future__ import annotations

from partitions.replicas.interface import NO_EPOCH, TimestampedOffset
from partitions.testing import SimCluster
from raftlog.types import EntryKind
from tests.partitions.storage.kit import batch

T = 1_000_000


def test_the_latest_committed_record_is_found_behind_an_uncommitted_later_one() -> None:
    cluster = SimCluster(1, 3)
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("t", 1, 3)
        for timestamp in (T + 5, T + 9, T + 7):
            await client.produce("t", 0, batch(-1, -1, timestamp=timestamp))
        leader = cluster.leader("t", 0)
        assert leader is not None
        replica = cluster.replicas("t", 0)[leader.node]
        for other in cluster.running():
            if other is not leader:
                cluster.cut_off(other.node)
        end = replica.end_offset
        late = batch(end, replica.leader_epoch, timestamp=T + 50)
        replica.group_handle.propose(EntryKind.DATA, 1, late)
        await cluster.sleep(50_000)
        assert replica.high_watermark == end < replica.end_offset == replica.log.end
        assert replica.max_timestamp() == TimestampedOffset(T + 9, 1)
        assert replica.offset_for_timestamp(T + 10) is None

    cluster.run(work())


def test_epochs_of_offsets() -> None:
    cluster = SimCluster(2, 3)
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("t", 1, 3)
        epochs = []
        for _ in range(3):
            await client.produce("t", 0, batch(-1, -1, timestamp=T))
            leader = cluster.leader("t", 0)
            assert leader is not None
            epochs.append(cluster.replicas("t", 0)[leader.node].leader_epoch)
            leader.kill()
            await cluster.sleep(4_000_000)
            leader.start()
            await cluster.sleep(1_000_000)
        assert len(set(epochs)) == 3
        for replica in cluster.replicas("t", 0).values():
            assert [replica.epoch_at(offset) for offset in range(3)] == epochs
            assert replica.epoch_at(-1) == NO_EPOCH

    cluster.run(work())
