"""What a client may rely on when CreateTopics has answered."""

from __future__ import annotations

import pytest

from partitions.testing.cluster import SimCluster


@pytest.mark.parametrize("seed", range(3))
def test_a_created_topics_partitions_have_leaders_when_the_answer_is_there(seed: int) -> None:
    cluster = SimCluster(seed)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("new", 6, 3))
    leaders = [cluster.leader("new", partition) for partition in range(6)]
    assert all(leader is not None for leader in leaders), leaders
