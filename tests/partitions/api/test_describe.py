"""Log dirs, the quorum, pages of topics, producers, reassignments, the cluster: every error too."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.quorum.description import QuorumMember, QuorumView
from partitions import wire
from partitions.api import QuorumReply, producerstates, topicpartitions
from partitions.errors import ErrorCode
from partitions.replicas.interface import ActiveProducer, DiskUsage, ReplicaOnDisk
from partitions.security import CLUSTER, Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices

DIRS, QUORUM, PAGES, PRODUCERS = map(wire.messages, (35, 55, 75, 61))
DENIED = ErrorCode.CLUSTER_AUTHORIZATION_FAILED


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


# --- log directories


def copies(result: Any) -> dict[tuple[str, int], tuple[int, int]]:
    return {
        (topic.name, part.partition_index): (part.partition_size, part.offset_lag)
        for topic in result.topics
        for part in topic.partitions
    }


def test_log_dirs_of_all_or_of_what_was_asked_for(services: FakeServices) -> None:
    on_disk = (ReplicaOnDisk("b", 1, 30, 0), ReplicaOnDisk("a", 0, 10, 2))
    services.usage = DiskUsage(1000, 400, (*on_disk, ReplicaOnDisk("b", 0, 20, -1)))
    client = Client(services)
    body = client.ask(35, 5, DIRS.DescribeLogDirsRequest(topics=None))
    (result,) = body.results
    assert (result.log_dir, result.total_bytes, result.usable_bytes) == ("/data/1", 1000, 400)
    assert copies(result) == {("a", 0): (10, 2), ("b", 0): (20, -1), ("b", 1): (30, 0)}
    assert [topic.name for topic in result.topics] == ["a", "b"]
    named = [
        DIRS.DescribableLogDirTopic(topic="b", partitions=[1, 7]),
        DIRS.DescribableLogDirTopic(topic="gone", partitions=[0]),
    ]
    (result,) = client.ask(35, 1, DIRS.DescribeLogDirsRequest(topics=named)).results
    assert copies(result) == {("b", 1): (30, 0)}


def test_a_file_system_that_does_not_answer_is_the_directorys_error(services: FakeServices) -> None:
    services.usage = None
    body = Client(services).ask(35, 5, DIRS.DescribeLogDirsRequest(topics=None))
    assert body.error_code == 0
    (result,) = body.results
    assert (result.error_code, result.log_dir) == (ErrorCode.KAFKA_STORAGE_ERROR, "/data/1")
    assert (result.total_bytes, result.usable_bytes, list(result.topics)) == (-1, -1, [])


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_log_dirs_denied(services: FakeServices, version: int) -> None:
    services.authorizer = Denying((Operation.DESCRIBE, CLUSTER.name))
    body = Client(services).ask(35, version, DIRS.DescribeLogDirsRequest(topics=None))
    told = [body.error_code] if version >= 3 else [result.error_code for result in body.results]
    assert told == [DENIED]
    assert not [topic for result in body.results for topic in result.topics]


# --- the quorum


def quorum_request(*parts: tuple[str, int]) -> Any:
    return QUORUM.DescribeQuorumRequest(
        topics=[
            QUORUM.RequestTopicData(
                topic_name=name, partitions=[QUORUM.RequestPartitionData(partition_index=number)]
            )
            for name, number in parts
        ]
    )


OF_METADATA = ("__cluster_metadata", 0)


def test_the_quorum_as_its_leader_tells_it(services: FakeServices) -> None:
    client = Client(services)
    client.send(55, 2, quorum_request(OF_METADATA, ("__cluster_metadata", 1), ("t", 0)))
    voters = (QuorumMember(1, b"a" * 16, 90, 5, 5), QuorumMember(9, b"b" * 16, -1, -1, -1))
    observers = (QuorumMember(2, b"c" * 16, 88, 4, -1),)
    view = QuorumView(1, 7, 89, voters, observers)
    services.quorum_questions.pop()(QuorumReply(ErrorCode.NONE, None, view))
    ((_, body),) = client.receive()
    one, other, topic = [part for topic in body.topics for part in topic.partitions]
    assert (one.error_code, one.leader_id, one.leader_epoch, one.high_watermark) == (0, 1, 7, 89)
    states = (*one.current_voters, *one.observers)
    for state, member in zip(states, (*voters, *observers), strict=True):
        assert (state.replica_id, state.replica_directory_id) == (member.node, member.directory)
        assert state.log_end_offset == member.end
        assert state.last_fetch_timestamp == member.heard_ms
        assert state.last_caught_up_timestamp == member.caught_up_ms
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (other.error_code, topic.error_code) == (unknown, unknown)
    (node,) = body.nodes
    assert (node.node_id, node.listeners[0].host) == (1, "peer"), "node 9 never registered"


def test_the_quorum_is_told_once(services: FakeServices) -> None:
    client = Client(services)
    client.send(55, 2, quorum_request(("t", 0), OF_METADATA, OF_METADATA))
    view = QuorumView(1, 7, 89, (QuorumMember(1, b"a" * 16, 90, 5, 5),), ())
    services.quorum_questions.pop()(QuorumReply(ErrorCode.NONE, None, view))
    parts = [part for topic in client.receive()[0][1].topics for part in topic.partitions]
    assert [(part.error_code, len(part.current_voters)) for part in parts] == [
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, 0),
        (0, 1),
        (ErrorCode.INVALID_REQUEST, 0),
    ]


def test_nobody_leads_the_quorum(services: FakeServices) -> None:
    client = Client(services)
    client.send(55, 2, quorum_request(OF_METADATA))
    services.quorum_questions.pop()(QuorumReply(ErrorCode.NOT_CONTROLLER, "no majority"))
    ((_, body),) = client.receive()
    (part,) = body.topics[0].partitions
    assert (body.error_code, body.error_message) == (ErrorCode.NOT_CONTROLLER, "no majority")
    assert (part.error_code, part.leader_id) == (ErrorCode.NOT_CONTROLLER, -1)


def test_the_quorum_is_not_for_everybody(services: FakeServices) -> None:
    services.authorizer = Denying((Operation.DESCRIBE, CLUSTER.name))
    body = Client(services).ask(55, 0, quorum_request(OF_METADATA))
    assert (body.error_code, body.topics[0].partitions[0].error_code) == (DENIED, DENIED)
    assert services.quorum_questions == []


def test_an_answer_for_a_client_that_has_left(services: FakeServices) -> None:
    client = Client(services)
    client.send(55, 2, quorum_request(OF_METADATA))
    client.session.close()
    services.quorum_questions.pop()(QuorumReply(ErrorCode.NOT_CONTROLLER))
    assert client.log.errors == []


# --- topics, page by page


def pages(
    client: Client, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None
) -> Any:
    return client.ask(
        75,
        0,
        PAGES.DescribeTopicPartitionsRequest(
            topics=[PAGES.TopicRequest(name=name) for name in names],
            response_partition_limit=limit,
            cursor=cursor and PAGES.Cursor(topic_name=cursor[0], partition_index=cursor[1]),
        ),
    )


def shown(body: Any) -> list[tuple[str, int, list[int]]]:
    return [
        (topic.name, topic.error_code, [part.partition_index for part in topic.partitions])
        for topic in body.topics
    ]


def test_pages_follow_each_other_without_gap(services: FakeServices) -> None:
    for name, count in (("b", 3), ("a", 2), ("c", 1)):
        services.add_topic(name, count)
    client = Client(services)
    seen, cursor, answers = [], None, 0
    while True:
        body = pages(client, limit=2, cursor=cursor)
        answers += 1
        parts = [(name, number) for name, _, numbers in shown(body) for number in numbers]
        assert len(parts) <= 2
        seen += parts
        if body.next_cursor is None:
            break
        cursor = (body.next_cursor.topic_name, body.next_cursor.partition_index)
    assert seen == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0)]
    assert answers == 3
    assert len(pages(client, limit=0).topics) == 1, "a page is never empty"


def test_a_page_is_bounded_whatever_is_asked(services: FakeServices) -> None:
    services.add_topic("t", topicpartitions.PARTITIONS_MAX + 1)
    body = pages(Client(services), "t", limit=2**31 - 1)
    assert len(body.topics[0].partitions) == topicpartitions.PARTITIONS_MAX
    assert body.next_cursor.partition_index == topicpartitions.PARTITIONS_MAX


def test_a_cursor_into_a_topic_that_is_gone_goes_on_with_the_next(services: FakeServices) -> None:
    for name in ("a", "c"):
        services.add_topic(name, 2)
    client = Client(services)
    assert shown(pages(client, cursor=("b", 7))) == [("c", 0, [0, 1])]
    body = pages(client, "a", "c", cursor=("a", -1))
    assert shown(body) == [(name, ErrorCode.INVALID_REQUEST, []) for name in ("a", "c")]


def test_leaders_replicas_and_what_is_offline(services: FakeServices) -> None:
    services.add_topic("t", 3)
    services.offline.add((101, 1))
    del services.leaders[102]
    first, second, third = pages(Client(services), "t").topics[0].partitions
    assert (first.error_code, first.leader_id, first.leader_epoch) == (0, 1, 5)
    assert (list(first.isr_nodes), list(first.offline_replicas)) == ([1, 2], [3])
    gone = ErrorCode.LEADER_NOT_AVAILABLE
    assert (second.error_code, second.leader_id, list(second.isr_nodes)) == (gone, -1, [2])
    assert (third.error_code, list(third.eligible_leader_replicas)) == (gone, [])
    elsewhere = pages(Client(services, listener="OTHER"), "t").topics[0].partitions[0]
    assert (elsewhere.error_code, elsewhere.leader_id) == (ErrorCode.LISTENER_NOT_FOUND, -1)


def test_topics_that_may_not_be_seen(services: FakeServices) -> None:
    services.add_topic("t")
    services.add_topic("secret")
    services.authorizer = Denying((Operation.DESCRIBE, "secret"), (Operation.WRITE, "t"))
    client = Client(services)
    (topic,) = pages(client).topics
    assert topic.name == "t"
    allowed = topic.topic_authorized_operations
    assert (allowed >> Operation.READ & 1, allowed >> Operation.WRITE & 1) == (1, 0)
    answers = {name: code for name, code, _ in shown(pages(client, "secret", "t", "gone"))}
    assert answers == {
        "secret": ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        "t": 0,
        "gone": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }


# --- producers


def producers(client: Client, topic: str, *numbers: int) -> list[tuple[int, list[int]]]:
    body = client.ask(
        61,
        0,
        PRODUCERS.DescribeProducersRequest(
            topics=[PRODUCERS.TopicRequest(name=topic, partition_indexes=list(numbers))]
        ),
    )
    (found,) = body.topics
    assert found.name == topic
    return [
        (part.error_code, [each.producer_id for each in part.active_producers])
        for part in found.partitions
    ]


def test_producers_and_partitions_without_a_copy_here(services: FakeServices) -> None:
    replicas = services.add_topic("t", 4)
    replicas[0].producers = [ActiveProducer(7, 0, 3, 1000), ActiveProducer(8, 1, -1, 2000)]
    for number in (2, 3):
        del services.replicas[replicas[number].topic_id, number]
    services.offline.add((103, 1))
    client = Client(services)
    assert producers(client, "t", 0, 1, 2, 3, 4, 0) == [
        (0, [7, 8]),
        (0, []),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, []),
        (ErrorCode.KAFKA_STORAGE_ERROR, []),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, []),
        (ErrorCode.INVALID_REQUEST, []),
    ]
    assert producers(client, "gone", 0) == [(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])]
    services.authorizer = Denying((Operation.READ, "t"))
    assert producers(client, "t", 0) == [(ErrorCode.TOPIC_AUTHORIZATION_FAILED, [])]


def test_more_producers_than_fit(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producerstates, "PRODUCERS_MAX", 3)
    for replica in services.add_topic("t", 3):
        replica.producers = [ActiveProducer(n, 0, 0, 0) for n in range(2)]
    services.replicas[services.topics["t"].topic_id, 2].producers.pop()
    answers = producers(Client(services), "t", 0, 1, 2)
    assert answers == [(0, [0, 1]), (ErrorCode.INVALID_REQUEST, []), (0, [0])]


# --- reassignments, the cluster


def test_no_reassignment_is_under_way(services: FakeServices) -> None:
    services.add_topic("t")
    m = wire.messages(46)
    client = Client(services)
    named = [m.ListPartitionReassignmentsTopics(name="t", partition_indexes=[0])]
    for topics in (None, named):
        body = client.ask(46, 0, m.ListPartitionReassignmentsRequest(topics=topics))
        assert (body.error_code, list(body.topics)) == (0, [])
    services.authorizer = Denying((Operation.DESCRIBE, CLUSTER.name))
    body = Client(services).ask(46, 0, m.ListPartitionReassignmentsRequest(topics=None))
    assert body.error_code == DENIED


def test_fenced_brokers_are_described_on_request(services: FakeServices) -> None:
    m = wire.messages(60)
    client = Client(services)

    def brokers(version: int, **fields: Any) -> list[tuple[int, bool]]:
        body = client.ask(60, version, m.DescribeClusterRequest(**fields))
        return [(each.broker_id, bool(each.is_fenced)) for each in body.brokers]

    assert brokers(2) == brokers(1) == [(1, False), (2, False)]
    assert brokers(2, include_fenced_brokers=True) == [(1, False), (2, False), (3, True)]


def test_operations_on_the_cluster_on_request(services: FakeServices) -> None:
    m = wire.messages(60)

    def operations(**fields: Any) -> int:
        body = Client(services).ask(60, 1, m.DescribeClusterRequest(**fields))
        return int(body.cluster_authorized_operations)

    asked = {"include_cluster_authorized_operations": True}
    assert operations() == -(2**31)
    services.authorizer = Denying((Operation.ALTER, CLUSTER.name))
    found = operations(**asked)
    assert [found >> each & 1 for each in (Operation.CREATE, Operation.ALTER)] == [1, 0]
    services.authorizer = Denying((Operation.DESCRIBE, CLUSTER.name))
    assert operations(**asked) == 0
