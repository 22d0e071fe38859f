"""A partition's copy that cannot be trusted goes offline; its broker and the others go on."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from partitions import wire
from partitions.errors import ErrorCode
from partitions.testing import SimCluster
from partitions.testing.broker import SimBroker
from partitions.testing.client import SimClient
from partitions.testing.workload import Consumer
from raftlog.disk.segments import Segment as MetadataSegment
from raftlog.errors import CorruptLog
from raftlog.types import METADATA_GROUP
from tests.partitions.kit import batch_of

TOPIC = "words"
SECOND_US = 1_000_000
SMALL = {"segment.bytes": "2000"}
BATCHES = 30


def numbered(number: int) -> bytes:
    return batch_of(b"%06d" % number + b"." * 200)


async def fill(client: SimClient, partitions: int = 2, first: int = 0) -> None:
    for number in range(first, first + BATCHES):
        for partition in range(partitions):
            await client.produce(TOPIC, partition, numbered(number))


def started(seed: int, **settings: str) -> tuple[SimCluster, SimClient]:
    cluster = SimCluster(seed, settings=settings)
    cluster.start()
    client = cluster.client()

    async def prepare() -> None:
        await client.create_topic(TOPIC, 2, 3, SMALL)
        await fill(client)

    cluster.run(prepare())
    return cluster, client


def segments(broker: SimBroker, partition: int, suffix: str = ".log") -> list[str]:
    (name,) = [
        name for name in broker.disk.listdir("partitions") if name.endswith(f"-{TOPIC}-{partition}")
    ]
    path = f"partitions/{name}"
    return [f"{path}/{file}" for file in broker.disk.listdir(path) if file.endswith(suffix)]


def flip(broker: SimBroker, partition: int = 0, suffix: str = ".log", number: int = 1) -> None:
    path = segments(broker, partition, suffix)[number]
    broker.disk.flip_bit(path, broker.disk.size(path) // 2)


def leader_of(cluster: SimCluster, partition: int = 0) -> SimBroker:
    leader = cluster.leader(TOPIC, partition)
    assert leader is not None
    return leader


async def everything(cluster: SimCluster, count: int = BATCHES) -> None:
    """A consumer reads all that was acknowledged."""
    reader = Consumer(cluster.client(), TOPIC, 2)
    await reader.read_to_end()
    for values in reader.values.values():
        assert [int(value[:6]) for value in values if value is not None] == list(range(count))


async def ask(cluster: SimCluster, node: int, key: wire.ApiKey, version: int, body: Any) -> Any:
    """What one broker answers, whoever leads."""
    client = cluster.client()
    connection = await client._connect(node)
    assert connection is not None
    return await connection.request(key, version, body)


async def described(cluster: SimCluster, node: int) -> Any:
    """Partition 0 as the broker's Metadata shows it."""
    m = wire.messages(wire.ApiKey.METADATA)
    wanted = m.MetadataRequestTopic(topic_id=bytes(16), name=TOPIC)
    body = m.MetadataRequest(topics=[wanted], allow_auto_topic_creation=False)
    answer = await ask(cluster, node, wire.ApiKey.METADATA, 12, body)
    return next(part for part in answer.topics[0].partitions if part.partition_index == 0)


async def errors(cluster: SimCluster, node: int) -> list[ErrorCode]:
    """What the broker says to Produce, Fetch and ListOffsets of partition 0."""
    m = wire.messages(wire.ApiKey.PRODUCE)
    part = m.PartitionProduceData(index=0, records=numbered(0))
    topic = m.TopicProduceData(name=TOPIC, partition_data=[part])
    body = m.ProduceRequest(acks=-1, timeout=1000, topic_data=[topic])
    produced = await ask(cluster, node, wire.ApiKey.PRODUCE, 9, body)
    m = wire.messages(wire.ApiKey.FETCH)
    part = m.FetchPartition(
        partition=0,
        fetch_offset=0,
        partition_max_bytes=1000,
        current_leader_epoch=-1,
        last_fetched_epoch=-1,
    )
    wanted = m.FetchTopic(topic=TOPIC, partitions=[part])
    body = m.FetchRequest(max_wait=0, min_bytes=1, max_bytes=1000, topics=[wanted])
    fetched = await ask(cluster, node, wire.ApiKey.FETCH, 12, body)
    m = wire.messages(wire.ApiKey.LIST_OFFSETS)
    part = m.ListOffsetsPartition(partition_index=0, current_leader_epoch=-1, timestamp=-1)
    body = m.ListOffsetsRequest(
        replica_id=-1, topics=[m.ListOffsetsTopic(name=TOPIC, partitions=[part])]
    )
    listed = await ask(cluster, node, wire.ApiKey.LIST_OFFSETS, 7, body)
    return [
        ErrorCode(produced.responses[0].partition_responses[0].error_code),
        ErrorCode(fetched.responses[0].partitions[0].error_code),
        ErrorCode(listed.topics[0].partitions[0].error_code),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_consumers_read_everything_from_the_next_leader(seed: int) -> None:
    cluster, client = started(seed)
    leader = leader_of(cluster)
    flip(leader)
    with structlog.testing.capture_logs() as logs:
        cluster.run(everything(cluster))
    assert cluster.offline(TOPIC, 0) == {leader.node}
    assert not cluster.offline(TOPIC, 1)
    assert leader_of(cluster) is not leader
    assert leader.running
    (line,) = [line for line in logs if line["event"] == "partition offline on this broker"]
    assert (line["log_level"], line["topic"], line["partition"]) == ("error", TOPIC, 0)
    assert line["directory"].startswith("/virtual/partitions/"), "which broker's it is"
    assert "CRC" in line["reason"]
    assert ".log at byte" in line["reason"]
    assert leader.broker.engine.statistics().offline == 1
    cluster.run(fill(client, first=BATCHES))
    cluster.run(everything(cluster, 2 * BATCHES))


def test_what_cannot_be_read_is_one_partitions_affair() -> None:
    """EIO from a segment: the medium is bad there, and nowhere else as far as is known."""
    cluster, client = started(4)
    leader = leader_of(cluster)
    leader.disk.make_unreadable(segments(leader, 0)[1])
    cluster.run(everything(cluster))
    assert leader_of(cluster) is not leader
    assert leader.running
    assert leader.broker.engine.statistics().offline == 1
    cluster.run(fill(client, first=BATCHES))
    cluster.run(everything(cluster, 2 * BATCHES))


def test_a_follower_that_is_behind_is_not_caught_up_from_bad_bytes() -> None:
    cluster, client = started(5)
    leader = leader_of(cluster)
    behind = next(broker for broker in cluster.running() if broker is not leader)
    behind.kill()

    async def story() -> None:
        await fill(client, first=BATCHES)
        await cluster.sleep(SECOND_US)
        first = len(segments(leader, 0)) // 2 + 2  # what the one that is away has not got
        flip(leader, number=first)
        behind.start()
        while cluster.offline(TOPIC, 0) != {leader.node}:
            await cluster.sleep(50_000)
        await cluster.sleep(2 * SECOND_US)
        await everything(cluster, 2 * BATCHES)
        replicas = cluster.replicas(TOPIC, 0)
        assert replicas[behind.node].log.last() == leader_of_log(cluster)

    cluster.run(story())


def leader_of_log(cluster: SimCluster) -> object:
    return cluster.replicas(TOPIC, 0)[leader_of(cluster).node].log.last()


def test_metadata_shows_it_and_the_broker_says_storage_error() -> None:
    cluster, _ = started(6)
    leader = leader_of(cluster)
    replica = cluster.replicas(TOPIC, 0)[leader.node]

    async def story() -> None:
        assert (await described(cluster, leader.node)).offline_replicas == []
        replica.group_handle.take_offline("test")
        while cluster.leader(TOPIC, 0) is None:
            await cluster.sleep(10_000)
        await cluster.sleep(SECOND_US // 10)
        for broker in cluster.running():
            shown = await described(cluster, broker.node)
            assert shown.offline_replicas == [leader.node]
            assert leader.node not in shown.isr_nodes
            assert len(shown.isr_nodes) == 2
            assert shown.leader_id == leader_of(cluster).node
        assert await errors(cluster, leader.node) == [ErrorCode.KAFKA_STORAGE_ERROR] * 3

    cluster.run(story())


def test_it_stays_offline_after_a_restart_and_goes_with_its_topic() -> None:
    cluster, client = started(7)
    leader = leader_of(cluster)
    flip(leader)
    cluster.run(everything(cluster))
    assert cluster.offline(TOPIC, 0) == {leader.node}
    leader.kill()
    leader.start()
    cluster.run(fill(client, first=BATCHES))
    assert cluster.offline(TOPIC, 0) == {leader.node}
    cluster.run(everything(cluster, 2 * BATCHES))

    async def delete() -> None:
        assert segments(leader, 0)
        await client.delete_topic(TOPIC)
        while leader.disk.listdir("partitions"):
            await cluster.sleep(50_000)

    cluster.run(delete())
    assert not leader.broker.manager.offline
    leader.kill()
    leader.start()
    assert not leader.broker.manager.offline


@pytest.mark.parametrize("end", ["kill", "crash", "stop"])
@pytest.mark.parametrize("suffix", [".log", ".raft"])
def test_damage_done_while_a_broker_is_down_is_one_partitions_affair(suffix: str, end: str) -> None:
    cluster, client = started(8)
    broker = leader_of(cluster)

    async def story() -> None:
        broker.broker.engine.checkpoint(cluster.replicas(TOPIC, 0)[broker.node].group_handle)
        await cluster.sleep(SECOND_US // 5)
        if end == "stop":
            await broker.stop()
        else:
            (broker.kill if end == "kill" else broker.crash)()
        flip(broker, suffix=suffix)
        broker.start()
        at_once = cluster.offline(TOPIC, 0) == {broker.node}
        assert at_once is (suffix == ".raft"), "the sidecar is read as a whole at the start"
        await fill(client, first=BATCHES)
        assert TOPIC in {replica.topic for replica in broker.broker.manager.replicas.values()}
        if cluster.leader(TOPIC, 0) is not broker:  # have it serve, so that it reads
            return
        await everything(cluster, 2 * BATCHES)
        assert cluster.offline(TOPIC, 0) == {broker.node}

    cluster.run(story())
    cluster.run(everything(cluster, 2 * BATCHES))


def test_a_preferred_replica_that_is_offline_is_not_given_the_leadership() -> None:
    cluster, client = started(9, **{"leader.imbalance.check.interval.seconds": "1"})
    leader = leader_of(cluster)
    cluster.replicas(TOPIC, 0)[leader.node].group_handle.take_offline("test")

    async def story() -> None:
        await cluster.sleep(5 * SECOND_US)
        for number in range(20):
            before = cluster.reactor.now_us()
            await client.produce(TOPIC, 0, numbered(number))
            assert cluster.reactor.now_us() - before < 300_000, "no transfer stops the writes"
            await cluster.sleep(SECOND_US // 5)

    cluster.run(story())


def test_with_all_copies_offline_there_is_no_leader_to_name() -> None:
    cluster, _ = started(10)
    for replica in cluster.replicas(TOPIC, 0).values():
        replica.group_handle.take_offline("test")

    async def story() -> None:
        await cluster.sleep(SECOND_US)
        shown = await described(cluster, 1)
        assert shown.error_code == ErrorCode.LEADER_NOT_AVAILABLE
        assert shown.leader_id == -1
        assert shown.offline_replicas == shown.replica_nodes

    cluster.run(story())


def test_a_broker_whose_copy_of_the_metadata_is_damaged_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, client = started(11)
    victim = next(b for b in cluster.running() if b is not cluster.controller())
    group = victim.broker.engine.groups[METADATA_GROUP]

    def rotten(self: MetadataSegment, low: int, high: int, max_bytes: int) -> Any:
        raise CorruptLog("entry 7 changed on disk since it was written")

    group.log._tail.clear()  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(type(group.log), "read", rotten)
        cluster.spawn(client.create_topic("another", 1, 3))
        assert cluster.reactor.run_until(
            lambda: not victim.running, limit_us=cluster.reactor.now_us() + 10 * SECOND_US
        )
    assert victim.failure is not None
    assert "metadata cannot be trusted: entry 7" in victim.failure
