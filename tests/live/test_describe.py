"""Descriptions, elections and assignments by hand, through the admin clients that people use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kafka
import pytest
from confluent_kafka import (
    ElectionType,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AclOperation, AdminClient, NewPartitions, NewTopic

from cli.exits import ExitCode
from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient, read_to_end
from tests.live.cluster import Cluster
from tests.live.conftest import Command
from tests.live.raw import PATIENCE_S, connected, leaders, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live


@contextmanager
def python_admin(cluster: Cluster) -> Iterator[kafka.KafkaAdminClient]:
    """kafka-python's client."""
    client = kafka.KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))
    try:
        yield client
    finally:
        client.close()


def librdkafka_admin(cluster: Cluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": cluster.bootstrap})


def replicas(cluster: Cluster, topic: str) -> list[list[int]]:
    """Replica nodes by partition, paged so that every partition is an answer of its own."""
    types, found, cursor = wire.messages(ApiKey.DESCRIBE_TOPIC_PARTITIONS), [], None
    with connected(cluster.brokers[1].kafka) as connection:
        while True:
            question = types.DescribeTopicPartitionsRequest(
                topics=[types.TopicRequest(name=topic)], response_partition_limit=1, cursor=cursor
            )
            answer = connection.ask(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, question)
            (described,) = answer.topics
            assert (described.error_code, len(described.partitions)) == (0, 1)
            found += [list(part.replica_nodes) for part in described.partitions]
            if answer.next_cursor is None:
                return found
            cursor = types.Cursor(
                topic_name=answer.next_cursor.topic_name,
                partition_index=answer.next_cursor.partition_index,
            )


def made(admin: AdminClient, *topics: NewTopic) -> None:
    for future in admin.create_topics(list(topics)).values():
        future.result(PATIENCE_S)


def refusal(future: Any) -> str:
    with pytest.raises(KafkaException) as caught:
        future.result(PATIENCE_S)
    return str(caught.value.args[0].name())


# --- assignments


def test_topics_and_partitions_are_placed_as_assigned(shared_cluster: Cluster) -> None:
    admin = librdkafka_admin(shared_cluster)
    wanted = [[3, 1, 2], [1, 2, 3], [2, 3, 1]]
    made(admin, NewTopic("placed", 3, replica_assignment=wanted))
    assert replicas(shared_cluster, "placed") == wanted
    assert wait_for_leaders(shared_cluster, "placed") == [3, 1, 2]
    more = NewPartitions("placed", 5, replica_assignment=[[2, 1, 3], [3, 2, 1]])
    admin.create_partitions([more])["placed"].result(PATIENCE_S)
    wanted += [[2, 1, 3], [3, 2, 1]]
    with python_admin(shared_cluster) as python:
        python.create_partitions({"placed": {"count": 6, "assignments": [[1, 3, 2]]}})
        python.create_topics({"narrow": {"assignments": {0: [2], 1: [3]}}})
    assert replicas(shared_cluster, "placed") == [*wanted, [1, 3, 2]]
    assert replicas(shared_cluster, "narrow") == [[2], [3]]
    assert wait_for_leaders(shared_cluster, "placed") == [3, 1, 2, 2, 3, 1]
    assert wait_for_leaders(shared_cluster, "narrow") == [2, 3]
    producer = Producer({"bootstrap.servers": shared_cluster.bootstrap})
    for topic, count in (("placed", 6), ("narrow", 2)):
        for partition in range(count):
            producer.produce(topic, b"x", partition=partition)
    assert producer.flush(PATIENCE_S) == 0


def test_assignments_that_cannot_be_are_refused_and_leave_nothing(shared_cluster: Cluster) -> None:
    admin = librdkafka_admin(shared_cluster)
    made(admin, NewTopic("grows", 1, 3))
    wrong = "INVALID_REPLICA_ASSIGNMENT"
    impossible: list[list[list[int]]] = [[[1, 9, 2]], [[1, 1, 2]], [[1, 2], [1, 2, 3]]]
    for number, assignment in enumerate(impossible):
        topic = NewTopic(f"bad{number}", len(assignment), replica_assignment=assignment)
        assert refusal(admin.create_topics([topic])[topic.topic]) == wrong
    for assignment in ([[1, 2, 9]], [[1, 2]], [[1, 2, 2]]):
        more = NewPartitions("grows", 2, replica_assignment=assignment)
        assert refusal(admin.create_partitions([more])["grows"]) == wrong
    types = wire.messages(ApiKey.CREATE_PARTITIONS)
    rows = [types.CreatePartitionsAssignment(broker_ids=[1, 2, 3])]
    for count in (1, 3):  # not more than there are; not as many as the assignments
        topic = types.CreatePartitionsTopic(name="grows", count=count, assignments=rows)
        body = types.CreatePartitionsRequest(topics=[topic], timeout=5000)
        with connected(shared_cluster.brokers[2].kafka) as connection:
            (result,) = connection.ask(ApiKey.CREATE_PARTITIONS, 3, body).results
        assert result.error_code
        assert result.error_message
    assert len(replicas(shared_cluster, "grows")) == 1
    assert "bad0" not in admin.list_topics(timeout=PATIENCE_S).topics


# --- descriptions


def test_kafka_python_describes_disks_quorum_topics_producers_and_reassignments(
    shared_cluster: Cluster,
) -> None:
    client = ConfluentClient(shared_cluster.bootstrap)
    client.create_topic("described", 2)
    client.produce("described", [Record(b"x" * 1000) for _ in range(100)], idempotent=True)
    wait_for_leaders(shared_cluster, "described")
    with python_admin(shared_cluster) as admin:
        directories = admin.describe_log_dirs({"described": [0, 1]})
        assert len(directories) == 3
        text = json.dumps(directories, default=str)
        assert text.count('"partition_size"') == 6, text
        quorum = admin.describe_metadata_quorum()
        ((part,),) = [topic["partitions"] for topic in quorum["topics"]]
        assert part["leader_id"] == shared_cluster.controller()
        assert {voter["replica_id"] for voter in part["current_voters"]} == {1, 2, 3}
        assert part["high_watermark"] > 0
        topics = admin.describe_topic_partitions(["described"], response_partition_limit=1)
        assert topics["next_cursor"]["partition_index"] == 1
        place = kafka.TopicPartition("described", 0)
        producers = admin.describe_producers([place])
        assert len(producers[place].active_producers) == 1
        assert admin.list_partition_reassignments() == {}
        assert len(admin.describe_cluster()["brokers"]) == 3


def test_librdkafka_describes_the_cluster_and_what_may_be_done(shared_cluster: Cluster) -> None:
    admin = librdkafka_admin(shared_cluster)
    found = admin.describe_cluster(include_authorized_operations=True).result(PATIENCE_S)
    assert {node.id for node in found.nodes} == {1, 2, 3}
    assert found.controller.id == shared_cluster.controller()
    assert AclOperation.CREATE in found.authorized_operations
    made(admin, NewTopic("allowed", 1, 3))
    names = TopicCollection(["allowed"])
    topics = admin.describe_topics(names, include_authorized_operations=True)
    assert AclOperation.WRITE in topics["allowed"].result(PATIENCE_S).authorized_operations


# --- elections


def outcomes(admin: AdminClient, kind: ElectionType, *numbers: int) -> dict[int, str | None]:
    places = [TopicPartition("elected", number) for number in numbers] if numbers else None
    found = admin.elect_leaders(kind, places).result(PATIENCE_S)
    return {
        place.partition: None if error is None else error.name()
        for place, error in found.items()
        if place.topic == "elected"
    }


def test_leaderships_go_back_on_request_after_a_broker_was_away(
    cluster: Cluster, quorate: Command
) -> None:
    admin = librdkafka_admin(cluster)
    wanted = [[3, 1, 2], [3, 2, 1], [1, 2, 3]]
    made(admin, NewTopic("elected", 3, replica_assignment=wanted))
    assert wait_for_leaders(cluster, "elected") == [3, 3, 1]
    cluster.kill(3)
    assert 3 not in wait_for_leaders(cluster, "elected")
    # one that was made while node 3 was the controller would ask it until its metadata is old
    admin = librdkafka_admin(cluster)
    lost = "PREFERRED_LEADER_NOT_AVAILABLE"

    def refused() -> bool:
        """Until its session has ended, the broker is only not connected to the leaders."""
        return outcomes(admin, ElectionType.PREFERRED, 0, 1) == {0: lost, 1: lost}

    assert wait_for(refused, PATIENCE_S, "a refusal for both")
    _is_down(quorate, 3)
    cluster.start(3)
    cluster.wait_ready()

    def elected() -> bool:
        """The broker that came back has to be caught up first."""
        found = outcomes(admin, ElectionType.PREFERRED, 0, 1, 2)
        return found == {0: None, 1: None, 2: "ELECTION_NOT_NEEDED"} or set(found.values()) == {
            "ELECTION_NOT_NEEDED"
        }

    assert wait_for(elected, PATIENCE_S, "all to be led by preferred replicas")
    assert leaders(cluster.brokers[1].kafka, "elected") == [3, 3, 1]
    assert outcomes(admin, ElectionType.PREFERRED) == {}
    needless = {0: "ELECTION_NOT_NEEDED"}
    assert outcomes(admin, ElectionType.UNCLEAN, 0) == needless
    with python_admin(cluster) as python:
        python.elect_leaders(0, {"elected": [0, 1, 2]})


def _is_down(quorate: Command, node: int) -> None:
    """The command line shows a broker that is away, in the quorum and among the directories."""

    def silent() -> bool:
        """A leader elected since then has never heard it."""
        result = quorate("cluster", "quorum", "-o", "json")
        members = json.loads(result.out)["members"] if result.code == ExitCode.OK else []
        heard = {each["id"]: each["heard_ms_ago"] for each in members}
        return set(heard) == {1, 2, 3} and (heard[node] is None or heard[node] > 2_000)

    assert wait_for(silent, PATIENCE_S, f"voter {node} to be shown as silent")
    assert "voter" in quorate.succeeds("cluster", "quorum")
    result = quorate("log", "dirs", "-o", "json")
    rows = {row["id"]: row for row in json.loads(result.out)}
    assert result.code == ExitCode.FAILED
    assert "unreachable" in rows[node]["reason"]
    assert sum(row["reason"] is None for row in rows.values()) == 2


@pytest.mark.usefixtures("short_sessions")
def test_an_unclean_election_is_refused_by_name(cluster: Cluster) -> None:
    admin = librdkafka_admin(cluster)
    made(admin, NewTopic("elected", 1, replica_assignment=[[3]]))
    assert wait_for_leaders(cluster, "elected") == [3]
    cluster.kill(3)
    types = wire.messages(ApiKey.ELECT_LEADERS)
    body = types.ElectLeadersRequest(
        election_type=1,
        topic_partitions=[types.TopicPartitions(topic="elected", partitions=[0])],
        timeout=5000,
    )

    def refused() -> str | None:
        with connected(cluster.brokers[1].kafka) as connection:
            answer = connection.ask(ApiKey.ELECT_LEADERS, 2, body)
        ((part,),) = [result.partition_result for result in answer.replica_election_results]
        return part.error_message if "leads" not in part.error_message else None

    text = wait_for(refused, PATIENCE_S, "broker 3's session to end")
    assert "`quorate cluster recover`" in text


# --- a copy out of service


def test_a_copy_that_is_offline_is_counted_where_it_is(cluster: Cluster, quorate: Command) -> None:
    client = ConfluentClient(cluster.bootstrap)
    client.create_topic("damaged", 1, segment_bytes="100000")
    (leader,) = wait_for_leaders(cluster, "damaged")
    for _ in range(10):
        client.produce("damaged", [Record(b"x" * 500) for _ in range(100)])
    (folder,) = cluster.root.glob(f"data/broker-{leader}/data/partitions/*-damaged-0")
    with sorted(folder.glob("*.log"))[1].open("r+b") as file:
        file.seek(5_000)
        byte = file.read(1)[0]
        file.seek(5_000)
        file.write(bytes([byte ^ 1]))
    (content,) = read_to_end(cluster.bootstrap, "damaged", 1)
    assert len(content) == 1000
    assert wait_for_leaders(cluster, "damaged") != [leader]
    result = quorate("log", "dirs", "-o", "json")
    assert result.code == ExitCode.FAILED
    rows = {row["id"]: row for row in json.loads(result.out)}
    assert {node: row["offline"] for node, row in rows.items() if row["offline"]} == {leader: 1}
    (copy,) = [each for each in rows[leader]["partitions"] if each["topic"] == "damaged"]
    assert copy["bytes"] == sum(path.stat().st_size for path in folder.glob("*.log")) > 500_000
    assert str(folder).startswith(rows[leader]["directory"])
    assert "OFFLINE" in quorate("log", "dirs", "--partitions").out
