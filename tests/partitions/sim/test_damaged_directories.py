"""A partition's directory that is removed, replaced or unreadable is that partition's affair."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from partitions.replicas.directories import sync_files
from partitions.testing import SimCluster
from partitions.testing.broker import SimBroker
from partitions.testing.workload import Consumer
from raftlog.testing.disk import VirtualDisk
from tests.partitions.kit import batch_of
from tests.partitions.sim.test_offline import (
    BATCHES,
    SECOND_US,
    TOPIC,
    fill,
    leader_of,
    segments,
    started,
)


def directory(broker: SimBroker, partition: int = 0) -> str:
    return segments(broker, partition)[0].rpartition("/")[0]


def replaced_by_a_file(disk: VirtualDisk, path: str) -> None:
    disk.rmtree(path)
    disk.open(path, create=True).close()


def replaced_by_a_directory(suffix: str, number: int) -> Callable[[VirtualDisk, str], None]:
    def replace(disk: VirtualDisk, path: str) -> None:
        name = [name for name in disk.listdir(path) if name.endswith(suffix)][number]
        disk.unlink(f"{path}/{name}")
        disk.mkdir(f"{path}/{name}")

    return replace


def offline_alone(cluster: SimCluster, broker: SimBroker) -> bool:
    assert not cluster.offline(TOPIC, 1)
    return broker.running and cluster.offline(TOPIC, 0) == {broker.node}


async def everything(cluster: SimCluster, count: int) -> None:
    """All that was acknowledged is read; what was under way when the leader went may be twice."""
    reader = Consumer(cluster.client(), TOPIC, 2)
    await reader.read_to_end()
    for values in reader.values.values():
        assert sorted({int(value[:6]) for value in values if value is not None}) == [*range(count)]


async def wait_offline(cluster: SimCluster, broker: SimBroker) -> None:
    while not offline_alone(cluster, broker):
        assert broker.failure is None
        await cluster.sleep(SECOND_US // 10)


@pytest.mark.parametrize(
    "damage",
    [
        VirtualDisk.rmtree,
        replaced_by_a_file,
        replaced_by_a_directory(".raft", 0),
        replaced_by_a_directory(".raft", -1),
        replaced_by_a_directory(".log", -1),
        replaced_by_a_directory(".log", 0),
    ],
    ids=["gone", "file", "first-sidecar", "last-sidecar", "last-segment", "first-segment"],
)
def test_at_the_start(damage: Callable[[VirtualDisk, str], None]) -> None:
    cluster, client = started(20)
    broker = leader_of(cluster)

    async def story() -> None:
        broker.broker.engine.checkpoint(cluster.replicas(TOPIC, 0)[broker.node].group_handle)
        await cluster.sleep(SECOND_US // 5)
        broker.kill()
        damage(broker.disk, directory(broker))
        broker.start()
        await fill(client, first=BATCHES)
        await everything(cluster, 2 * BATCHES)
        if cluster.leader(TOPIC, 0) is broker:
            await wait_offline(cluster, broker)
        assert broker.running
        assert broker.broker.engine.groups

    cluster.run(story())
    cluster.run(everything(cluster, 2 * BATCHES))
    name = segments(broker, 1)[0].split("/")[1]
    assert name in broker.disk.listdir("partitions")


@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("damage", [VirtualDisk.rmtree, replaced_by_a_file])
def test_under_a_running_leader(damage: Callable[[VirtualDisk, str], None], synced: bool) -> None:
    """Noticed by the next roll, or by a background sync that has names to make durable."""
    cluster, client = started(21)
    leader = leader_of(cluster)
    replica = cluster.replicas(TOPIC, 0)[leader.node]
    path = directory(leader)
    damage(leader.disk, path)

    async def story() -> None:
        if synced:
            replica.log.sync._names_dirty = True
            leader.broker.engine.checkpoint(replica.group_handle)
        else:
            await fill(client, first=BATCHES)
        await wait_offline(cluster, leader)
        if synced:
            await fill(client, first=BATCHES)
        await everything(cluster, 2 * BATCHES)
        assert path in leader.broker.manager.offline[replica.group].reason
        leader.kill()
        leader.start()
        assert offline_alone(cluster, leader)
        await everything(cluster, 2 * BATCHES)

    cluster.run(story())


def test_a_sync_job_that_found_its_directory_gone_lets_the_others_retire_the_part() -> None:
    """The write-ahead log goes on to recycle its parts, and files are not left open."""
    cluster, client = started(22)
    victim = leader_of(cluster)
    replica = cluster.replicas(TOPIC, 0)[victim.node]
    victim.disk.rmtree(directory(victim))
    replica.log.sync._names_dirty = True

    async def story() -> None:
        for number in range(40):
            await client.produce(TOPIC, 1, bytes(large(number)))
        await wait_offline(cluster, victim)
        await cluster.sleep(SECOND_US)
        parts = [name for name in victim.disk.listdir("wal") if name.endswith(".wal")]
        assert len(parts) <= 4, parts
        files = victim.broker.manager._files
        files._settle()
        assert not [path for path in files._open if path.startswith(replica.log.path)]
        other = cluster.replicas(TOPIC, 1)[victim.node].log.sync
        assert set(files._pins) == {id(file) for file in other._dirty.values()}

    cluster.run(story())


def large(number: int) -> bytes:
    return batch_of(b"%06d" % number + b"." * 200_000)


def test_a_topic_can_be_deleted_whose_directory_is_gone() -> None:
    cluster, client = started(23)
    brokers = list(cluster.running())
    brokers[0].disk.rmtree(directory(brokers[0], 0))
    replaced_by_a_file(brokers[1].disk, directory(brokers[1], 1))

    async def story() -> None:
        await client.delete_topic(TOPIC)
        await cluster.sleep(SECOND_US)
        assert [broker.failure for broker in brokers] == [None] * 3
        for broker in brokers:
            broker.kill()
            broker.start()
        await client.create_topic("another", 2, 3)
        await client.produce("another", 0, large(1))

    cluster.run(story())


def test_a_new_partition_whose_directory_cannot_be_made_is_offline_from_the_start() -> None:
    cluster, client = started(24)
    victim = next(iter(cluster.running()))
    group = victim.broker.metadata.image.next_group_id
    victim.disk.open(f"partitions/{group}-next-0", create=True).close()

    async def story() -> None:
        await client.create_topic("next", 1, 3)
        await client.produce("next", 0, large(1))
        assert victim.running
        assert cluster.offline("next", 0) == {victim.node}
        victim.kill()
        victim.start()
        assert cluster.offline("next", 0) == {victim.node}

    cluster.run(story())


@pytest.mark.parametrize("fault", ["write", "sync", "sync_directory"])
def test_a_failed_write_or_sync_still_ends_the_broker(fault: str) -> None:
    """Whatever the error, it is said of the disk, not of one directory."""
    cluster, client = started(25)
    leader = leader_of(cluster)
    replica = cluster.replicas(TOPIC, 0)[leader.node]
    replica.log.sync._names_dirty = True
    leader.disk.faults.add(fault, 1, errno.EIO)

    async def story() -> None:
        leader.broker.engine.checkpoint(replica.group_handle)
        await fill(client, first=BATCHES)
        assert not leader.running
        assert "Input/output" in (leader.failure or "")

    cluster.run(story())


def test_what_people_put_into_an_offline_directory_does_not_stop_a_start() -> None:
    """Nor what cannot be synced there: nothing was promised on it."""
    cluster, _ = started(26)
    broker = leader_of(cluster)
    cluster.replicas(TOPIC, 0)[broker.node].group_handle.take_offline("test")

    async def story() -> None:
        await cluster.sleep(SECOND_US)
        path = broker.broker.manager.offline[1].path
        broker.kill()
        broker.disk.mkdir(f"{path}/0-kept for inspection")
        broker.disk.mkdir("partitions/saved-1-words-0.old")
        broker.disk.open("partitions/notes", create=True).close()
        (segment, *_) = segments(broker, 0)
        broker.disk.open(segment).pwrite([b"not synced yet"], 0)
        broker.start()
        assert offline_alone(cluster, broker)
        assert not broker.disk._inode(segment).at_risk, "what is behind the directory is synced"
        assert {"notes", "saved-1-words-0.old"} < set(broker.disk.listdir("partitions"))
        broker.kill()
        broker.disk.fail_sync(1)
        sync_files(broker.disk, path)
        broker.start()
        assert offline_alone(cluster, broker)

    cluster.run(story())
