"""A lost majority: one copy goes on by force, the lost ones stay out, and that can be seen."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from metadata.image import MetadataImage
from partitions import recover
from partitions.recover import Report
from partitions.testing import SimBroker, SimClient, SimCluster, Stuck
from partitions.testing.workload import Consumer
from raftlog.disk import forcing
from raftlog.disk.wal import Wal
from raftlog.testing.disk import VirtualDisk
from raftlog.types import METADATA_GROUP
from tests.partitions.kit import batch_of

TOPIC = "words"
PARTITIONS = 2
SETTLED = 20
DIGITS = bytes(range(8))
PART_BYTES = 1024 * 1024


def numbered(number: int) -> bytes:
    return batch_of(b"%06d" % number)


async def fill(client: SimClient, first: int, count: int) -> None:
    for number in range(first, first + count):
        for partition in range(PARTITIONS):
            await client.produce(TOPIC, partition, numbered(number))


async def read(client: SimClient) -> list[list[int]]:
    reader = Consumer(client, TOPIC, PARTITIONS)
    await reader.read_to_end()
    return [
        [int(value) for value in reader.values[partition] if value is not None]
        for partition in range(PARTITIONS)
    ]


def epochs(cluster: SimCluster) -> list[int]:
    """The highest leader epoch of each partition that any running broker serves or served."""
    return [
        max(replica.leader_epoch for replica in cluster.replicas(TOPIC, partition).values())
        for partition in range(PARTITIONS)
    ]


async def all_lead(cluster: SimCluster, *nodes: int) -> None:
    """Until brokers `nodes` serve every partition among them."""

    def led() -> bool:
        leaders = [cluster.leader(TOPIC, partition) for partition in range(PARTITIONS)]
        return all(leader is not None and leader.node in nodes for leader in leaders)

    while not led():
        await cluster.sleep(10_000)


class Disaster:
    """Brokers 1 and 2 lost their disks after they had decided something without broker 3."""

    def __init__(self, seed: int) -> None:
        self.cluster = cluster = SimCluster(seed)
        cluster.start()
        self.epochs = [0] * PARTITIONS
        cluster.run(self._story())
        for broker in cluster.running():
            broker.crash()
        self.survivor = cluster.brokers[3]
        self.found = {node: cluster.brokers[node].lose_disk() for node in (1, 2)}

    async def _story(self) -> None:
        client = self.cluster.client()
        await client.create_topic(TOPIC, PARTITIONS, 3)
        await fill(client, 0, SETTLED)
        await self.cluster.sleep(1_000_000)
        self.cluster.cut_off(3)
        for node in (1, 2, 1, 2):  # elections of which broker 3 never hears
            await all_lead(self.cluster, 1, 2)
            await fill(client, 50, 1)
            self.cluster.brokers[node].kill()
            self.cluster.brokers[node].start()
        await all_lead(self.cluster, 1, 2)
        self.epochs = epochs(self.cluster)

    def recover(self) -> Report:
        """Force everything on broker 3, and let its power fail right after that."""
        return force_all(self.survivor.disk)


def force_all(disk: VirtualDisk) -> Report:
    here = recover.examine(disk, PART_BYTES)
    plan = recover.plan(here.properties, here.copies, (), accept_worse=False, digits=DIGITS)
    recover.force(disk, plan, 0, part_bytes=PART_BYTES, random=Random(1))
    disk.crash()
    return Report(plan.properties, here.copies, tuple([copy.group for copy in here.copies]))


async def serves_alone(disaster: Disaster) -> None:
    """Broker 3 has what it had, takes more, and has epochs that nobody saw before."""
    cluster = disaster.cluster
    client = cluster.client()
    await all_lead(cluster, 3)
    for values in await read(client):
        assert values[:SETTLED] == list(range(SETTLED))
    assert all(now > then for now, then in zip(epochs(cluster), disaster.epochs, strict=True))
    await fill(client, 100, 5)
    for values in await read(client):
        assert values[-5:] == list(range(100, 105))


def image_of(broker: SimBroker) -> MetadataImage:
    return broker.broker.metadata.image


def recovered(seed: int) -> tuple[Disaster, Report]:
    disaster = Disaster(seed)
    disaster.cluster.heal()
    report = disaster.recover()
    disaster.survivor.start()
    disaster.cluster.run(serves_alone(disaster))
    return disaster, report


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_copy_that_is_left_goes_on(seed: int) -> None:
    disaster, report = recovered(seed)
    assert [voter.node_id for voter in report.properties.voters] == [3]
    assert [replica.node for replica in report.properties.abandoned] == [1, 2]
    log = disaster.survivor.disk.open(recover.LOG_NAME)
    text = log.pread(log.size(), 0).decode()
    assert text.count("\n") == 2
    assert "forced recovery is durable" in text


def test_new_directories_join_and_the_lost_copies_are_shown_as_lost() -> None:
    disaster, report = recovered(4)
    cluster = disaster.cluster
    for node in (1, 2):
        cluster.brokers[node].format([disaster.survivor], report.properties.recovery)
        cluster.brokers[node].start()
    present = {broker.replica for broker in cluster.brokers.values()}

    async def story() -> None:
        client = cluster.client()
        while {b.replica for b in image_of(disaster.survivor).unfenced()} != present:
            await cluster.sleep(10_000)
        await client.create_topic("more", 1, 3)
        assert await client.produce("more", 0, numbered(1)) == 0
        while set(cluster.replicas("more", 0)) != {1, 2, 3}:
            await cluster.sleep(10_000)

    cluster.run(story())
    topic = image_of(disaster.survivor).topic(TOPIC)
    assert topic is not None
    services = disaster.survivor.broker.services
    for partition in topic.partitions:
        assert {replica.node for replica in partition.replicas} == {1, 2, 3}
        for replica in partition.replicas:
            assert services.is_offline(partition.group, replica) == (replica.node != 3)
    assert METADATA_GROUP not in cluster.brokers[1].broker.engine.groups


def test_the_old_disks_are_refused_when_they_come_back() -> None:
    """What they do among themselves meanwhile, nobody can prevent."""
    disaster, _ = recovered(5)
    cluster = disaster.cluster
    for node, disk in disaster.found.items():
        cluster.brokers[node].find_disk(disk)
        cluster.brokers[node].start()
    before = disaster.survivor.broker.engine.groups[METADATA_GROUP].node.term

    async def story() -> None:
        while set(disaster.survivor.mesh.refused) != {1, 2}:
            await cluster.sleep(10_000)
        await cluster.sleep(20_000_000)

    cluster.run(story())
    survivor = disaster.survivor
    assert survivor.mesh.connected() == []
    assert "left for lost" in survivor.mesh.refused[1]
    assert "STOP THIS BROKER" in cluster.brokers[1].mesh.refused[3]
    assert survivor.broker.engine.groups[METADATA_GROUP].node.term == before
    assert {r.is_leader for r in survivor.broker.manager.replicas.values()} == {True}
    for node in (1, 2):
        cluster.brokers[node].crash()
    cluster.run(serves_alone(disaster))


# --- what the tests above would notice


def force_in_the_present_term(patch: pytest.MonkeyPatch) -> None:
    """The entry is appended as the last leader might have done it."""
    patch.setattr(forcing, "TERM_JUMP", 0)


def force_in_the_next_term(patch: pytest.MonkeyPatch) -> None:
    """A term that is new here, but that the lost voters had."""
    patch.setattr(forcing, "TERM_JUMP", 1)


def force_without_durability(patch: pytest.MonkeyPatch) -> None:
    """The command says done, and the disk has nothing of it."""

    def empty(self: Wal, *claim: int) -> Callable[[], None]:
        target = self._last_round
        return lambda: self._completed.append(target)

    patch.setattr(Wal, "sync_job", empty)
    patch.setattr(Wal, "_sync_job", empty)


@pytest.mark.parametrize(
    "broken", [force_in_the_present_term, force_in_the_next_term, force_without_durability]
)
def test_a_mutant_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disaster = Disaster(1)
    disaster.cluster.heal()
    with pytest.raises((AssertionError, ValueError, Stuck)) as caught:
        with monkeypatch.context() as patch:
            broken(patch)
            disaster.recover()
        disaster.survivor.start()
        disaster.cluster.run(serves_alone(disaster), limit_us=30_000_000)
    print(f"{type(caught.value).__name__}: {caught.value}")  # for whoever asks how
