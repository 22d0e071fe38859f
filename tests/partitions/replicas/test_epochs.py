"""A partition's leader epoch is a term, from the moment that the term is confirmed."""

from __future__ import annotations

from partitions.testing import SimCluster
from raftlog.ready import SoftState
from raftlog.types import Role
from tests.partitions.storage.kit import batch


def test_a_term_is_no_leader_epoch_before_it_is_confirmed() -> None:
    cluster = SimCluster(1, 3)
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("t", 1, 3)
        await client.produce("t", 0, batch(-1, -1))
        leader = cluster.leader("t", 0)
        assert leader is not None
        replicas = cluster.replicas("t", 0)
        epoch = replicas[leader.node].leader_epoch
        follower = next(replica for node, replica in replicas.items() if node != leader.node)
        me = follower.group_handle.node.me
        follower.leadership(SoftState(Role.LEADER, epoch + 1, me, False))
        assert not follower.is_leader
        assert follower.leader_epoch != epoch + 1
        follower.leadership(SoftState(Role.LEADER, epoch + 1, me, True))
        assert (follower.is_leader, follower.leader_epoch) == (True, epoch + 1)

    cluster.run(work())
