"""Consumer groups in simulation: moments that random faults hit too rarely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from partitions.coordinators.groups.broker import GroupCoordinators
from partitions.coordinators.groups.confirming import Confirming
from partitions.coordinators.groups.coordinator import Coordinator
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.server import services
from partitions.testing import SimBroker, SimCluster
from partitions.testing.groups import GroupClient, GroupHistory, OffsetWentBack
from partitions.testing.verdict import settle

SHORT_US = 20_000
ONE_PARTITION = {"offsets.topic.num.partitions": "1"}


def client_of(cluster: SimCluster, history: GroupHistory) -> GroupClient:
    address = cluster.new_address()
    return GroupClient(cluster.world, address, list(cluster.brokers), history=history, topic="t")


async def begun(cluster: SimCluster, history: GroupHistory) -> tuple[GroupClient, SimBroker]:
    """A client that has committed offset 10, and the broker that coordinates."""
    client = client_of(cluster, history)
    await client.create_topic("t", 1, 3)
    while await client.commit({0: 10}) is not ErrorCode.NONE:
        await cluster.sleep(SHORT_US)
    await settle(cluster, CONSUMER_OFFSETS, 1)
    leader = cluster.leader(CONSUMER_OFFSETS, 0)
    assert leader is not None
    return client, leader


def hand_over(cluster: SimCluster, leader: SimBroker) -> None:
    """Have one of the others take the leadership."""
    replica = cluster.replicas(CONSUMER_OFFSETS, 0)[leader.node]
    target = next(broker for broker in cluster.running() if broker is not leader)
    replica.group_handle.node.transfer(target.replica)
    replica.group_handle.mark_dirty()


async def until_led_by_another(cluster: SimCluster, former: SimBroker) -> SimBroker:
    while True:
        leader = cluster.leader(CONSUMER_OFFSETS, 0)
        if leader is not None and leader is not former:
            return leader
        await cluster.sleep(1_000)


def deposed_without_knowing() -> None:
    """Another broker leads and acknowledges a commit; the former leader has not heard of it."""
    cluster = SimCluster(3, 3, settings=ONE_PARTITION)
    cluster.start()
    history = GroupHistory("g")

    async def work() -> None:
        client, former = await begun(cluster, history)
        hand_over(cluster, former)
        for broker in cluster.running():
            if broker is not former:
                cluster.cut_one_way(broker.node, former.node)
        leader = await until_led_by_another(cluster, former)
        other = client_of(cluster, history)
        other._coordinator = leader.node
        while await other.commit({0: 20}) is not ErrorCode.NONE:
            other._coordinator = leader.node
            await cluster.sleep(1_000)
        replica = cluster.replicas(CONSUMER_OFFSETS, 0)[former.node]
        assert replica.is_leader, "it should not know yet"
        assert client._coordinator == former.node
        assert await client.fetch_offsets([0]) is None
        cluster.heal()
        while await client.fetch_offsets([0]) != {0: 20}:
            await cluster.sleep(SHORT_US)

    cluster.run(work())


def test_a_leader_that_was_deposed_without_knowing_it_sends_nobody_back() -> None:
    deposed_without_knowing()


def test_and_would_if_it_answered_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def sure(self: Confirming, done: Callable[[ErrorCode], None]) -> None:
        self._reactor.call_soon(lambda: done(ErrorCode.NONE))

    monkeypatch.setattr(Confirming, "ask", sure)
    with pytest.raises(OffsetWentBack):
        deposed_without_knowing()


@pytest.mark.parametrize("later_us", [0, 1_000, 50_000, 150_000])
def test_the_leadership_moves_in_the_middle_of_a_join(later_us: int) -> None:
    """The member is told, and joins where the group is now, under the id that it was given."""
    cluster = SimCluster(5, 3, settings=ONE_PARTITION)
    cluster.start()
    history = GroupHistory("g")

    async def work() -> None:
        client, former = await begun(cluster, history)
        member = (await client.join("")).member_id
        assert member
        joining = cluster.spawn(client.join(member))
        await cluster.sleep(later_us)
        hand_over(cluster, former)
        leader = await until_led_by_another(cluster, former)
        interrupted = await joining
        assert interrupted.error_code == ErrorCode.NOT_COORDINATOR
        client.heed(interrupted.error_code)
        joined, member = None, ""
        while joined is None or joined.error_code:
            joined = await client.join(member)
            if joined is not None:
                client.heed(joined.error_code)
                member = joined.member_id
            await cluster.sleep(SHORT_US)
        assert client._coordinator == leader.node
        assert (joined.leader, joined.generation_id) == (member, 1)
        synced = await client.sync(member, 1, {member: b"\x00"})
        assert (synced.error_code, synced.assignment) == (0, b"\x00")
        assert await client.heartbeat(member, 1) is ErrorCode.NONE
        assert await client.fetch_offsets([0]) == {0: 10}

    cluster.run(work())


def test_what_a_sync_answered_is_known_to_the_next_leader() -> None:
    """Members of a stable group do not notice that their coordinator was killed."""
    cluster = SimCluster(6, 3, settings=ONE_PARTITION)
    cluster.start()
    history = GroupHistory("g")

    async def work() -> None:
        client, former = await begun(cluster, history)
        member = (await client.join("")).member_id
        joined = await client.join(member)
        synced = await client.sync(member, joined.generation_id, {member: b"\x00"})
        assert synced.assignment == b"\x00"
        former.kill()
        await until_led_by_another(cluster, former)
        error: ErrorCode | None = None
        while error is not ErrorCode.NONE:
            error = await client.heartbeat(member, joined.generation_id)
            assert error in (
                None,
                ErrorCode.NONE,
                ErrorCode.NOT_COORDINATOR,
                ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
            )
        assert await client.commit({0: 11}, joined.generation_id, member) is ErrorCode.NONE

    cluster.run(work())


def coordinator_on(broker: SimBroker) -> Coordinator | None:
    """The one that has loaded there, if it has."""
    try:
        return broker.broker.services.groups.find("g")
    except KafkaError:
        return None


async def until_loaded_by_another(cluster: SimCluster, former: SimBroker) -> Coordinator:
    leader = await until_led_by_another(cluster, former)
    while (coordinator := coordinator_on(leader)) is None:
        await cluster.sleep(1_000)
    return coordinator


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("voters", [(1, 2, 3), (1,)])
def test_a_coordinator_drops_offsets_in_topics_that_were_deleted_before_its_time(
    voters: tuple[int, ...], again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one voter, two of the brokers have their image and its position from it."""
    monkeypatch.setattr(GroupCoordinators, "image_changed", lambda self, delta: None)
    cluster = SimCluster(7, 3, voters=voters, settings=ONE_PARTITION)
    cluster.start()

    async def work() -> None:
        client, former = await begun(cluster, GroupHistory("g"))
        await client.create_topic("kept", 1, 3)
        await client.delete_topic("t")
        if again:
            await client.create_topic("t", 1, 3)
        coordinator = coordinator_on(former)
        if coordinator is not None:
            assert list(coordinator.offsets("g")) == [("t", 0)], "nobody has heard"
        hand_over(cluster, former)
        coordinator = await until_loaded_by_another(cluster, former)
        while coordinator.offsets("g"):
            await cluster.sleep(SHORT_US)
        assert coordinator.knows_topics

    cluster.run(work())


def behind_the_former_coordinator() -> None:
    """A broker comes to coordinate before it hears of a topic that the former one knew."""
    cluster = SimCluster(8, 3, voters=(1,), settings=ONE_PARTITION)
    cluster.start()

    async def work() -> None:
        client, former = await begun(cluster, GroupHistory("g"))
        behind = next(b for b in cluster.running() if b is not former and b.node != 1)
        observer: Any = behind.broker.metadata
        ask, observer._ask = observer._ask, lambda: None
        await client.create_topic("told", 1, 3)  # by the answer that it waits for
        await client.create_topic("new", 1, 3)
        assert behind.broker.metadata.image.topic("new") is None
        client._topic = "new"
        while await client.commit({0: 5}) is not ErrorCode.NONE:
            await cluster.sleep(SHORT_US)
        replica = cluster.replicas(CONSUMER_OFFSETS, 0)[former.node]
        replica.group_handle.node.transfer(behind.replica)
        replica.group_handle.mark_dirty()
        coordinator = await until_loaded_by_another(cluster, former)
        assert coordinator is coordinator_on(behind)
        await cluster.sleep(1_000_000)
        observer._ask = ask
        observer._ask()
        while not coordinator.knows_topics:
            await cluster.sleep(SHORT_US)
        await cluster.sleep(1_000_000)
        assert sorted(coordinator.offsets("g")) == [("new", 0), ("t", 0)]

    cluster.run(work())


def test_a_coordinator_whose_image_is_behind_drops_no_offsets() -> None:
    behind_the_former_coordinator()


def test_and_would_if_it_went_by_that_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(client: Any, app: Any, on_done: Callable[[bool], None]) -> None:
        on_done(True)

    monkeypatch.setattr(services, "catch_up", at_once)
    with pytest.raises(AssertionError):
        behind_the_former_coordinator()
