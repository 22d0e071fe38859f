"""Leaderships go back to preferred replicas after a failure, a bounded number at a time."""

from __future__ import annotations

import pytest

from partitions.api import ALTER_CONFIGS, ControllerReply
from partitions.replicas import preferred
from partitions.testing import SimCluster
from tests.partitions.kit import batch_of

PARTITIONS = 6
ENABLED = "auto.leader.rebalance.enable"
SETTING = "leader.imbalance.check.interval.seconds"
BATCH = batch_of(b"x")


def preferred_nodes(cluster: SimCluster) -> list[int]:
    topic = cluster.running()[0].broker.metadata.image.topic("t")
    assert topic is not None
    return [partition.replicas[0].node for partition in topic.partitions]


def leaders(cluster: SimCluster) -> list[int | None]:
    found = [cluster.leader("t", partition) for partition in range(PARTITIONS)]
    return [None if leader is None else leader.node for leader in found]


async def wait_until_led(cluster: SimCluster) -> None:
    while None in leaders(cluster):
        await cluster.sleep(50_000)


async def unbalance(cluster: SimCluster) -> None:
    """Make a topic, and restart broker 1, whose partitions others then lead."""
    await cluster.client().create_topic("t", PARTITIONS, 3)
    await wait_until_led(cluster)
    assert leaders(cluster) == preferred_nodes(cluster)
    cluster.brokers[1].kill()
    await cluster.sleep(3_000_000)
    await wait_until_led(cluster)
    cluster.brokers[1].start()
    await cluster.sleep(1_500_000)
    assert 1 not in leaders(cluster)


def test_leaderships_come_back_and_no_write_is_lost() -> None:
    cluster = SimCluster(1, 3, settings={SETTING: "20"})
    cluster.start()

    async def work() -> None:
        await unbalance(cluster)
        client = cluster.client()
        written = 0
        while leaders(cluster) != preferred_nodes(cluster):
            await client.produce("t", 0, BATCH)
            written += 1
            await cluster.sleep(100_000)
        for partition in range(PARTITIONS):
            await client.produce("t", partition, BATCH)
        assert await client.list_offsets("t", 0) >= written + 1
        await cluster.sleep(25_000_000)
        assert leaders(cluster) == preferred_nodes(cluster)

    cluster.run(work())


def test_leaderships_stay_where_they_are_when_it_is_disabled() -> None:
    settings = {SETTING: "1", ENABLED: "false"}
    cluster = SimCluster(2, 3, settings=settings)
    cluster.start()

    async def work() -> None:
        await unbalance(cluster)
        await cluster.sleep(20_000_000)
        assert 1 not in leaders(cluster)

    cluster.run(work())


def test_leaderships_come_back_once_it_is_enabled_and_stay_once_it_is_not() -> None:
    cluster = SimCluster(6, 3, settings={SETTING: "1", ENABLED: "false"})
    cluster.start()

    async def switch(text: str | None) -> None:
        item = {
            "type": 4,
            "name": "",
            "changes": [["delete" if text is None else "set", ENABLED, text]],
            "replace": False,
        }
        replies: list[ControllerReply] = []
        services = cluster.brokers[2].broker.services
        arguments = {"items": [item], "validate_only": False}
        services.call_controller(ALTER_CONFIGS, arguments, replies.append)
        while not replies:
            await cluster.sleep(10_000)

    async def work() -> None:
        await unbalance(cluster)
        await switch("true")
        await cluster.sleep(10_000_000)
        assert leaders(cluster) == preferred_nodes(cluster)
        await switch(None)
        cluster.brokers[1].kill()
        await cluster.sleep(3_000_000)
        cluster.brokers[1].start()
        await cluster.sleep(20_000_000)
        assert 1 not in leaders(cluster)

    cluster.run(work())


def test_a_preferred_replica_that_is_not_connected_or_far_behind_is_left_alone() -> None:
    cluster = SimCluster(3, 3)
    cluster.start()

    async def work() -> None:
        await unbalance(cluster)
        mine = [n for n, node in enumerate(preferred_nodes(cluster)) if node == 1]
        leader = cluster.leader("t", mine[0])
        assert leader is not None
        moves = leader.broker.manager._preferred
        cluster.cut_off(1)
        await cluster.sleep(4_000_000)
        assert moves.check() == 0
        assert not any(g.node.transferring for g in leader.broker.engine.groups.values())
        cluster.heal()
        await cluster.sleep(4_000_000)
        assert moves.check() > 0

    cluster.run(work())


def test_one_check_moves_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferred, "MOVES_PER_CHECK_MAX", 1)
    cluster = SimCluster(4, 3)
    cluster.start()

    async def work() -> None:
        await unbalance(cluster)
        for broker in cluster.running():
            moves = broker.broker.manager._preferred
            before = sum(g.node.transferring for g in broker.broker.engine.groups.values())
            assert before == 0
            assert moves.check() <= 1
            assert sum(g.node.transferring for g in broker.broker.engine.groups.values()) <= 1

    cluster.run(work())
