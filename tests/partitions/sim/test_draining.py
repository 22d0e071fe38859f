"""A broker that drains gives away all it leads, evenly, to brokers that stay."""

from __future__ import annotations

from typing import Any

import pytest

from partitions.api import ALTER_CONFIGS, ControllerReply
from partitions.errors import ErrorCode
from partitions.replicas import draining, preferred
from partitions.testing import SimCluster
from raftlog.engine import Engine, Group
from raftlog.types import ReplicaId, Role
from tests.partitions.kit import batch_of

PARTITIONS = 12
SETTING = "broker.drain.enable"
REBALANCE = "leader.imbalance.check.interval.seconds"
BATCH = batch_of(b"x")


def leaders(cluster: SimCluster, topic: str = "t", count: int = PARTITIONS) -> list[int | None]:
    found = [cluster.leader(topic, partition) for partition in range(count)]
    return [None if leader is None else leader.node for leader in found]


def leads(cluster: SimCluster, node: int) -> int:
    """Groups led, the metadata quorum's among them."""
    groups = cluster.brokers[node].broker.engine.groups.values()
    return sum(group.node.role is Role.LEADER for group in groups)


async def drain(cluster: SimCluster, node: int, on: bool = True) -> None:
    """Set it by way of another broker."""
    replies: list[ControllerReply] = []
    change = ["set", SETTING, "true"] if on else ["delete", SETTING, None]
    item = {"type": 4, "name": str(node), "changes": [change], "replace": False}
    arguments: dict[str, Any] = {"items": [item], "validate_only": False}
    asked = next(each for each in cluster.running() if each.node != node)
    asked.broker.services.call_controller(ALTER_CONFIGS, arguments, replies.append)
    while not replies:
        await cluster.sleep(10_000)
    assert replies[0].error is ErrorCode.NONE, replies
    assert all(item.error is ErrorCode.NONE for item in replies[0].items), replies


async def led(cluster: SimCluster, topic: str = "t", count: int = PARTITIONS) -> None:
    while None in leaders(cluster, topic, count):
        await cluster.sleep(20_000)


async def emptied(cluster: SimCluster, node: int) -> None:
    while leads(cluster, node) or None in leaders(cluster):
        await cluster.sleep(20_000)


def started(seed: int, nodes: int = 3, partitions: int = PARTITIONS, **settings: str) -> SimCluster:
    names = {name.replace("_", "."): value for name, value in settings.items()}
    cluster = SimCluster(seed, nodes, settings=names)
    cluster.start()

    async def work() -> None:
        if partitions:
            await cluster.client().create_topic("t", partitions, 3)
        await led(cluster, count=partitions)
        while cluster.controller() is None:
            await cluster.sleep(20_000)

    cluster.run(work())
    return cluster


@pytest.mark.parametrize("seed", range(4))
def test_a_stop_hands_everything_over_and_spreads_it(seed: int) -> None:
    cluster = started(seed)

    async def work() -> None:
        controller = cluster.controller()
        assert controller is not None
        assert leads(cluster, controller.node) == PARTITIONS // 3 + 1
        before = cluster.reactor.now_us()
        await controller.stop()
        assert cluster.reactor.now_us() - before < 500_000
        await led(cluster)
        # No election time-out was waited for, and both of the others took their share.
        assert cluster.reactor.now_us() - before < 500_000
        shares = [leads(cluster, each.node) for each in cluster.running()]
        assert sorted(shares) == [PARTITIONS // 2, PARTITIONS // 2 + 1]
        await cluster.client().produce("t", 0, BATCH)

    cluster.run(work())


def test_nothing_is_handed_to_a_broker_that_drains_too() -> None:
    cluster = started(5)

    async def work() -> None:
        await drain(cluster, 2)
        await emptied(cluster, 2)
        await cluster.brokers[1].stop()
        await led(cluster)
        assert set(leaders(cluster)) == {3}

    cluster.run(work())


@pytest.mark.parametrize("partitions", [0, PARTITIONS])
def test_all_stop_at_once(partitions: int) -> None:
    cluster = started(6, partitions=partitions)

    async def work() -> None:
        before = cluster.reactor.now_us()
        stopping = [cluster.spawn(each.stop()) for each in cluster.running()]
        for each in stopping:
            await each
        # Those that lead nothing are gone before they could take the quorum over.
        assert cluster.reactor.now_us() - before < 500_000

    cluster.run(work())


def test_a_stop_goes_to_the_next_when_a_successor_is_gone() -> None:
    cluster = started(12, partitions=0)

    async def work() -> None:
        controller = cluster.controller()
        assert controller is not None
        before = cluster.reactor.now_us()
        stopping = cluster.spawn(controller.stop())
        (led,) = controller.broker.engine.groups.values()
        while (successor := led.node.successor) is None:
            await cluster.sleep(1)
        cluster.brokers[successor.node].kill()
        await stopping
        (left,) = cluster.running()
        assert cluster.reactor.now_us() - before < 500_000
        assert leads(cluster, left.node) == 1

    cluster.run(work())


def test_a_drained_broker_gets_nothing_until_it_is_undone() -> None:
    cluster = started(7, leader_imbalance_check_interval_seconds="1")

    async def work() -> None:
        await drain(cluster, 2)
        await emptied(cluster, 2)
        # Neither the rebalance nor a new topic nor a restart gives it anything.
        await cluster.client().create_topic("u", PARTITIONS, 3)
        before = cluster.reactor.now_us()
        await led(cluster, "u")
        assert cluster.reactor.now_us() - before < 500_000
        await cluster.sleep(5_000_000)
        assert leads(cluster, 2) == 0
        cluster.brokers[2].kill()
        cluster.brokers[2].start()
        await cluster.sleep(5_000_000)
        assert leads(cluster, 2) == 0
        assert len(cluster.replicas("t", 0)) == 3

        await drain(cluster, 2, on=False)
        while leaders(cluster).count(2) != PARTITIONS // 3:
            await cluster.sleep(100_000)

    cluster.run(work())


def test_a_drained_broker_leads_when_nobody_else_can_and_lets_go_after_that() -> None:
    cluster = started(8)

    async def work() -> None:
        await cluster.client().create_topic("alone", 1, 1)
        await led(cluster, "alone", 1)
        for node in (1, 2, 3):
            await drain(cluster, node)
        await cluster.sleep(3_000_000)
        await led(cluster)
        assert leads(cluster, 1) + leads(cluster, 2) + leads(cluster, 3) == PARTITIONS + 2
        client = cluster.client()
        await client.produce("t", 0, BATCH)
        await client.produce("alone", 0, BATCH)
        await drain(cluster, 3, on=False)
        while set(leaders(cluster)) != {3}:
            await cluster.sleep(100_000)

    cluster.run(work())


def test_new_partitions_are_placed_elsewhere_while_enough_brokers_are_left() -> None:
    cluster = started(9, nodes=4)

    async def work() -> None:
        await drain(cluster, 4)
        client = cluster.client()
        await client.create_topic("three", PARTITIONS, 3)
        await client.create_topic("four", 1, 4)
        image = cluster.brokers[1].broker.metadata.image
        three, four = image.topic("three"), image.topic("four")
        assert three is not None and four is not None
        nodes = {replica.node for each in three.partitions for replica in each.replicas}
        assert nodes == {1, 2, 3}
        assert {replica.node for replica in four.partitions[0].replicas} == {1, 2, 3, 4}

    cluster.run(work())


def test_a_stop_waits_for_copies_that_are_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = started(11)
    obstacle = preferred.obstacle
    caught_up_us = cluster.reactor.now_us() + 1_000_000

    def behind(engine: Engine, group: Group, target: ReplicaId, lag_max: int) -> str | None:
        if cluster.reactor.now_us() < caught_up_us:
            return "it is 1001 entries behind"
        return obstacle(engine, group, target, lag_max)

    monkeypatch.setattr(draining, "obstacle", behind)

    async def work() -> None:
        await cluster.brokers[1].stop()
        assert caught_up_us <= cluster.reactor.now_us() < caught_up_us + 500_000
        await led(cluster)
        assert cluster.reactor.now_us() < caught_up_us + 500_000

    cluster.run(work())


def test_few_leaderships_move_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "MOVES_MAX", 2)
    cluster = started(10)
    groups = cluster.brokers[1].broker.engine.groups

    async def work() -> None:
        before = leads(cluster, 1)
        assert before > 2
        cluster.brokers[1].broker.draining.want(True)
        most = 0
        while leads(cluster, 1):
            most = max(most, sum(group.node.transferring for group in groups.values()))
            await cluster.sleep(100)
        assert most == 2

    cluster.run(work())
