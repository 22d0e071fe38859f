"""Descriptions and elections on whole brokers: what is asked of one comes from whoever knows it."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.errors import ErrorCode
from partitions.records import Record, build_batch
from partitions.testing import SimCluster
from partitions.testing.broker import SimBroker
from raftlog.types import METADATA_GROUP
from tests.partitions.sim.test_observers import all_alive, caught_up
from tests.partitions.sim.test_offline import (
    SECOND_US,
    TOPIC,
    ask,
    fill,
    leader_of,
    numbered,
    segments,
    started,
)

MANUAL = {"auto.leader.rebalance.enable": "false"}
QUORUM, LOG_DIRS, ELECT, PRODUCERS = (
    wire.ApiKey.DESCRIBE_QUORUM,
    wire.ApiKey.DESCRIBE_LOG_DIRS,
    wire.ApiKey.ELECT_LEADERS,
    wire.ApiKey.DESCRIBE_PRODUCERS,
)


async def quorum(cluster: SimCluster, node: int) -> Any:
    """The quorum as broker `node` tells it."""
    m = wire.messages(QUORUM)
    part = m.RequestPartitionData(partition_index=0)
    topic = m.RequestTopicData(topic_name="__cluster_metadata", partitions=[part])
    answer = await ask(cluster, node, QUORUM, 2, m.DescribeQuorumRequest(topics=[topic]))
    assert answer.error_code == 0, answer
    return answer


def by_node(members: Any) -> dict[int, Any]:
    return {member.replica_id: member for member in members}


def test_every_broker_describes_the_quorum_as_its_leader_sees_it() -> None:
    cluster = SimCluster(1, 5, voters=(2, 3, 4))
    cluster.start()

    async def story() -> None:
        await all_alive(cluster)
        await caught_up(cluster)
        await cluster.sleep(3 * SECOND_US)
        controller = cluster.controller()
        assert controller is not None
        node = controller.broker.engine.groups[METADATA_GROUP].node
        for asked in cluster.brokers:
            answer = await quorum(cluster, asked)
            ((part,),) = [topic.partitions for topic in answer.topics]
            assert (part.leader_id, part.leader_epoch) == (controller.node, node.term)
            assert part.high_watermark == node.commit
            voters, observers = by_node(part.current_voters), by_node(part.observers)
            assert set(voters) == {2, 3, 4}
            assert set(observers) == {1, 5}
            for member in (*voters.values(), *observers.values()):
                replica = cluster.brokers[member.replica_id].replica
                assert member.replica_directory_id == replica.directory
                assert member.log_end_offset == node.last_index
                now_ms = controller.broker.services.reactor.wall_ms()
                assert now_ms - 2_000 <= member.last_fetch_timestamp <= now_ms
                assert member.last_caught_up_timestamp == member.last_fetch_timestamp
            assert {each.node_id for each in answer.nodes} == {2, 3, 4}
            assert all(each.listeners[0].port for each in answer.nodes)

    cluster.run(story())


def test_a_voter_that_is_away_is_shown_with_its_lag_and_when_it_was_heard() -> None:
    cluster = SimCluster(2)
    cluster.start()
    client = cluster.client()

    async def story() -> None:
        await all_alive(cluster)
        await caught_up(cluster)
        await cluster.sleep(SECOND_US)
        controller = cluster.controller()
        assert controller is not None
        away = next(broker for broker in cluster.running() if broker is not controller)
        before_ms = controller.broker.services.reactor.wall_ms()
        away.kill()
        await cluster.sleep(4 * SECOND_US)
        await client.create_topic(TOPIC, 3, 2)
        ((part,),) = [t.partitions for t in (await quorum(cluster, controller.node)).topics]
        member = by_node(part.current_voters)[away.node]
        assert 0 < member.log_end_offset < part.high_watermark
        assert member.last_caught_up_timestamp == -1
        assert abs(member.last_fetch_timestamp - before_ms) < 1_000

    cluster.run(story())


def test_without_a_majority_the_question_is_answered_with_an_error() -> None:
    cluster = SimCluster(3)
    cluster.start()

    async def story() -> Any:
        await all_alive(cluster)
        cluster.brokers[1].kill()
        cluster.brokers[2].kill()
        await cluster.sleep(4 * SECOND_US)
        m = wire.messages(QUORUM)
        part = m.RequestPartitionData(partition_index=0)
        topic = m.RequestTopicData(topic_name="__cluster_metadata", partitions=[part])
        return await ask(cluster, 3, QUORUM, 2, m.DescribeQuorumRequest(topics=[topic]))

    answer = cluster.run(story())
    assert answer.error_code == ErrorCode.NOT_CONTROLLER
    assert "majority" in answer.error_message
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NOT_CONTROLLER


async def log_dir(cluster: SimCluster, node: int) -> tuple[Any, dict[int, Any]]:
    """(the one result, partitions of TOPIC by number)"""
    body = wire.messages(LOG_DIRS).DescribeLogDirsRequest(topics=None)
    answer = await ask(cluster, node, LOG_DIRS, 4, body)
    (result,) = answer.results
    topics = {topic.name: topic.partitions for topic in result.topics}
    return result, {part.partition_index: part for part in topics.get(TOPIC, ())}


def test_log_dirs_show_what_each_copy_takes_an_offline_one_too() -> None:
    cluster, _ = started(7)
    leader = leader_of(cluster)
    replica = cluster.replicas(TOPIC, 0)[leader.node]

    async def story() -> None:
        await cluster.sleep(SECOND_US)
        for broker in cluster.running():
            result, parts = await log_dir(cluster, broker.node)
            assert (result.error_code, result.log_dir) == (0, "/virtual")
            assert result.total_bytes == broker.disk.total_bytes()
            assert 0 < result.usable_bytes <= result.total_bytes
            sizes = {n: sum(map(broker.disk.size, segments(broker, n))) for n in (0, 1)}
            assert {n: part.partition_size for n, part in parts.items()} == sizes
            assert min(sizes.values()) > 1000
            assert all(part.offset_lag == 0 for part in parts.values())
        replica.group_handle.take_offline("test")
        await cluster.sleep(SECOND_US)
        result, parts = await log_dir(cluster, leader.node)
        assert result.error_code == 0, "the directory is fine"
        assert parts[0].offset_lag == -1
        assert parts[0].partition_size == sum(map(leader.disk.size, segments(leader, 0)))
        size = parts[0].partition_size
        leader.kill()
        leader.start()
        _, parts = await log_dir(cluster, leader.node)
        assert (parts[0].offset_lag, parts[0].partition_size) == (-1, size), "found so at the start"
        leader.kill()
        leader.disk.rmtree(segments(leader, 0)[0].rpartition("/")[0])
        leader.start()
        _, parts = await log_dir(cluster, leader.node)
        assert (parts[0].partition_size, parts[1].offset_lag) == (0, 0)

    cluster.run(story())


# --- elections


async def elect(cluster: SimCluster, node: int, *partitions: int, kind: int = 0) -> dict[int, Any]:
    """Results by partition; no `partitions`: for all."""
    m = wire.messages(ELECT)
    named = [m.TopicPartitions(topic=TOPIC, partitions=list(partitions))]
    body = m.ElectLeadersRequest(
        election_type=kind, topic_partitions=named if partitions else None, timeout=10_000
    )
    answer = await ask(cluster, node, ELECT, 2, body)
    assert answer.error_code == 0
    return {
        part.partition_id: part
        for topic in answer.replica_election_results
        for part in topic.partition_result
    }


def preferred(cluster: SimCluster, partition: int) -> SimBroker:
    topic = cluster.running()[0].broker.metadata.image.topic(TOPIC)
    assert topic is not None
    return cluster.brokers[topic.partitions[partition].replicas[0].node]


async def led_by_others(cluster: SimCluster) -> SimBroker:
    """Restart the preferred leader of partition 0, whose leadership another broker then has."""
    first = preferred(cluster, 0)
    first.kill()
    await cluster.sleep(3 * SECOND_US)
    assert cluster.leader(TOPIC, 0) not in (first, None)
    return first


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_a_preferred_leader_is_elected_whichever_broker_is_asked(asked: int) -> None:
    cluster, client = started(8, **MANUAL)

    async def story() -> None:
        first = await led_by_others(cluster)
        first.start()
        await all_alive(cluster)
        await cluster.sleep(2 * SECOND_US)
        assert cluster.leader(TOPIC, 0) is not first
        results = await elect(cluster, asked, 0)
        assert results[0].error_code == 0, results
        assert cluster.leader(TOPIC, 0) is first
        assert cluster.brokers[asked].broker.services.leader(
            cluster.replicas(TOPIC, 0)[first.node].group
        ) == (cluster.replicas(TOPIC, 0)[first.node].leader_epoch, first.node)
        results = await elect(cluster, asked, 0)
        assert results[0].error_code == ErrorCode.ELECTION_NOT_NEEDED
        for number in range(len(cluster.brokers)):
            await client.produce(TOPIC, 0, numbered(100 + number))

    cluster.run(story())


def test_all_partitions_that_need_it_and_no_others() -> None:
    cluster, client = started(9, **MANUAL)

    async def story() -> None:
        first = await led_by_others(cluster)
        first.start()
        await all_alive(cluster)
        await fill(client, first=100)
        wrong = {n for n in (0, 1) if cluster.leader(TOPIC, n) is not preferred(cluster, n)}
        results = await elect(cluster, first.node)
        assert set(results) == wrong
        assert {part.error_code for part in results.values()} == {0}
        assert await elect(cluster, first.node) == {}

    cluster.run(story())


def test_a_preferred_replica_that_is_down_or_offline_is_not_available() -> None:
    cluster, _ = started(10, **MANUAL)

    async def story() -> None:
        first = await led_by_others(cluster)
        other = cluster.running()[0]
        results = await elect(cluster, other.node, 0)
        assert results[0].error_code == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
        assert str(first.node) in results[0].error_message
        first.start()
        await all_alive(cluster)
        await cluster.sleep(SECOND_US)
        cluster.replicas(TOPIC, 0)[first.node].group_handle.take_offline("test")
        await cluster.sleep(SECOND_US)
        results = await elect(cluster, other.node, 0)
        assert results[0].error_code == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
        assert "out of service" in results[0].error_message

    cluster.run(story())


def test_a_leader_refuses_to_hand_over_to_a_replica_that_it_does_not_reach() -> None:
    """The asked broker still takes both for alive."""
    cluster, _ = started(11, **MANUAL)

    async def story() -> None:
        first = await led_by_others(cluster)
        first.start()
        await all_alive(cluster)
        await cluster.sleep(SECOND_US)
        leader = leader_of(cluster)
        asked = next(b for b in cluster.running() if b not in (first, leader))
        leader.broker.engine.peer_disconnected(first.replica)
        results = await elect(cluster, asked.node, 0)
        assert results[0].error_code == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
        assert "not connected" in results[0].error_message
        assert cluster.leader(TOPIC, 0) is leader

    cluster.run(story())


def test_an_unclean_election_is_refused_and_names_the_way_out() -> None:
    cluster, _ = started(12, **MANUAL)

    async def story() -> None:
        results = await elect(cluster, 1, 0, kind=1)
        assert results[0].error_code == ErrorCode.ELECTION_NOT_NEEDED
        for broker in cluster.running():
            replica = cluster.replicas(TOPIC, 0)[broker.node]
            replica.group_handle.take_offline("test")
            await cluster.sleep(SECOND_US)
        results = await elect(cluster, 1, 0, kind=1)
        assert results[0].error_code == ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
        assert "quorate cluster recover" in results[0].error_message
        results = await elect(cluster, 1, 0, kind=0)
        assert results[0].error_code == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE

    cluster.run(story())


# --- producers


def produced(producer_id: int, sequence: int) -> bytes:
    return bytes(
        build_batch(
            [Record(value=b"x")],
            base_timestamp=1_000_000 + sequence,
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=sequence,
        )
    )


def test_the_producers_of_a_partition_are_known_to_all_its_replicas() -> None:
    cluster, client = started(13)

    async def story() -> None:
        identity = await client.init_producer_id()
        for sequence in range(3):
            await client.produce(TOPIC, 0, produced(identity.producer_id, sequence))
        await cluster.sleep(SECOND_US)
        m = wire.messages(PRODUCERS)
        body = m.DescribeProducersRequest(
            topics=[m.TopicRequest(name=TOPIC, partition_indexes=[0, 1])]
        )
        for node in cluster.brokers:
            (topic,) = (await ask(cluster, node, PRODUCERS, 0, body)).topics
            with_one, without = topic.partitions
            assert (with_one.error_code, without.error_code) == (0, 0)
            (one,) = with_one.active_producers
            assert (one.producer_id, one.producer_epoch) == (identity.producer_id, 0)
            assert (one.last_sequence, one.last_timestamp) == (2, 1_000_002)
            assert (one.coordinator_epoch, one.current_txn_start_offset) == (-1, -1)
            assert not without.active_producers

    cluster.run(story())
