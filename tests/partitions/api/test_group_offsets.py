"""FindCoordinator, OffsetCommit, OffsetFetch and OffsetDelete as a client meets them."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.api import ControllerReply, ItemOutcome
from partitions.coordinators.groups.broker import partition_for
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeReplica, FakeServices
from tests.partitions.api.groupkit import (
    MEMBER,
    ask,
    commit_request,
    coordinating,
    fetched,
    go_on,
    group_record,
    offset_record,
)

F = wire.messages(9)


def commit_errors(services: FakeServices, request: Any, version: int = 8) -> list[ErrorCode]:
    answer = ask(services, 8, version, request)
    return [ErrorCode(p.error_code) for t in answer.topics for p in t.partitions]


def test_what_is_committed_is_fetched_again() -> None:
    services, _ = coordinating()
    assert commit_errors(services, commit_request("g", (0, 5), (1, 7))) == [ErrorCode.NONE] * 2
    assert fetched(services, "g") == {0: 5, 1: 7}
    assert fetched(services, "other") == {}


def test_a_commit_is_answered_and_seen_when_it_is_committed_and_not_before() -> None:
    services, replica = coordinating()
    client = Client(services)
    client.send(8, 8, commit_request("g", (0, 5)))
    services.reactor.settle()
    assert replica.appended_acks == [-1]
    assert client.receive() == []
    client.send(9, 5, F.OffsetFetchRequest(group_id="g", topics=None))
    services.reactor.settle()
    (confirmed,) = replica.confirms
    confirmed(True)
    assert client.receive() == [], "responses come in the order of requests"
    replica.commit()
    (_, committed), (_, before) = client.receive()
    assert committed.topics[0].partitions[0].error_code == 0
    assert before.topics == []


def test_one_batch_per_pass() -> None:
    services, replica = coordinating()
    client = Client(services)
    for number in range(5):
        client.send(8, 8, commit_request(f"g{number}", (0, number), (1, number)))
    services.reactor.settle()
    assert len(replica.batches) == 1
    replica.commit()
    assert len(client.receive()) == 5


@pytest.mark.parametrize("version", [1, 5, 9])
def test_a_deposed_leader_answers_no_fetch(version: int) -> None:
    """It may have been deposed without knowing it: nothing is answered from memory alone."""
    services, replica = coordinating(offset_record("g", 0, 7))
    client = Client(services)
    topics = [F.OffsetFetchRequestTopic(name="t", partition_indexes=[0])]
    many = [F.OffsetFetchRequestGroup(group_id="g", topics=None)] if version >= 8 else []
    client.send(9, version, F.OffsetFetchRequest(group_id="g", topics=topics, groups=many))
    services.reactor.settle()
    assert client.receive() == []
    (confirmed,) = replica.confirms
    confirmed(False)
    ((_, answer),) = client.receive()
    if version == 1:
        codes = [part.error_code for topic in answer.topics for part in topic.partitions]
    else:
        codes = [group.error_code for group in answer.groups] if many else [answer.error_code]
    assert codes == [ErrorCode.NOT_COORDINATOR]


def test_a_lost_leadership_answers_everybody() -> None:
    services, replica = coordinating()
    client = Client(services)
    client.send(8, 8, commit_request("g", (0, 5)))
    services.reactor.settle()
    client.send(8, 8, commit_request("g", (0, 6)))  # not appended yet
    replica.lose()
    services.groups.leadership(replica)
    services.reactor.settle()
    codes = [answer.topics[0].partitions[0].error_code for _, answer in client.receive()]
    assert codes == [ErrorCode.NOT_COORDINATOR] * 2
    assert commit_errors(services, commit_request("g", (0, 7))) == [ErrorCode.NOT_COORDINATOR]
    assert len(replica.batches) == 1


def test_an_append_whose_fate_is_unknown_ends_the_coordinator() -> None:
    """The log may hold the offset or not: a memory that says one of both must not be served."""
    services, replica = coordinating()
    client = Client(services)
    client.send(8, 8, commit_request("g", (0, 5)))
    services.reactor.settle()
    replica.lose()
    replica.is_leader = True
    client.send(9, 5, F.OffsetFetchRequest(group_id="g", topics=None))
    go_on(services)
    (_, committed), (_, answer) = client.receive()
    assert committed.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
    assert answer.error_code == ErrorCode.NOT_COORDINATOR


@pytest.mark.parametrize(
    "refusal, told",
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
    ],
)
def test_an_append_that_is_refused(refusal: ErrorCode, told: ErrorCode) -> None:
    services, replica = coordinating()
    replica.refusal = KafkaError(refusal, "no")
    assert commit_errors(services, commit_request("g", (0, 5))) == [told]
    replica.refusal = None
    assert fetched(services, "g") == {}
    assert commit_errors(services, commit_request("g", (0, 6))) == [ErrorCode.NONE]
    assert fetched(services, "g") == {0: 6}


def test_partitions_are_refused_one_by_one() -> None:
    services, _ = coordinating()
    request = commit_request("g", (0, 5), (9, 5), (1, 6))
    request.topics[0].partitions[2].committed_metadata = "x" * 4097
    unknown = wire.messages(8).OffsetCommitRequestTopic(
        name="gone", partitions=request.topics[0].partitions[:1]
    )
    request.topics.append(unknown)
    assert commit_errors(services, request) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert fetched(services, "g") == {0: 5}


def test_what_may_not_be_known_is_not_told() -> None:
    services, _ = coordinating(offset_record("g", 0, 7))
    services.authorizer = Denying((Operation.READ, "t"))
    assert commit_errors(services, commit_request("g", (0, 5))) == [
        ErrorCode.TOPIC_AUTHORIZATION_FAILED
    ]
    services.authorizer = Denying((Operation.DESCRIBE, "t"))
    assert fetched(services, "g") == {}
    services.authorizer = Denying((Operation.DESCRIBE, "g"), (Operation.READ, "g"))
    answer = ask(services, 9, 5, F.OffsetFetchRequest(group_id="g", topics=None))
    assert answer.error_code == ErrorCode.GROUP_AUTHORIZATION_FAILED
    assert commit_errors(services, commit_request("g", (0, 5))) == [
        ErrorCode.GROUP_AUTHORIZATION_FAILED
    ]


def test_only_members_of_the_generation_commit_while_there_are_members() -> None:
    services, _ = coordinating(group_record("g"))

    def commit(**fields: Any) -> ErrorCode:
        (code,) = commit_errors(services, commit_request("g", (0, 5), **fields), version=9)
        return code

    assert commit() is ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(member_id=MEMBER, generation_id_or_member_epoch=0) is ErrorCode.ILLEGAL_GENERATION
    assert commit(member_id="x", generation_id_or_member_epoch=1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(member_id=MEMBER, generation_id_or_member_epoch=1) is ErrorCode.NONE
    nobody = commit_request("new", (0, 5), member_id="x", generation_id_or_member_epoch=1)
    assert commit_errors(services, nobody, version=9) == [ErrorCode.GROUP_ID_NOT_FOUND]
    assert commit_errors(services, nobody, version=8) == [ErrorCode.ILLEGAL_GENERATION]


def delete_request(group: str) -> Any:
    m = wire.messages(47)
    part = m.OffsetDeleteRequestPartition(partition_index=0)
    topics = [m.OffsetDeleteRequestTopic(name="t", partitions=[part])]
    return m.OffsetDeleteRequest(group_id=group, topics=topics)


@pytest.mark.parametrize("leads, told", [(True, 0), (False, ErrorCode.NOT_COORDINATOR)])
def test_that_there_is_no_offset_is_told_by_the_leader_only(leads: bool, told: int) -> None:
    """A broker that was stopped while another one took commits does not know of them."""
    services, replica = coordinating(offset_record("g", 1, 7))
    client = Client(services)
    client.send(47, 0, delete_request("g"))
    services.reactor.settle()
    assert client.receive() == []
    (confirmed,) = replica.confirms
    confirmed(leads)
    ((_, answer),) = client.receive()
    assert answer.topics[0].partitions[0].error_code == told


def test_offsets_in_use_are_not_deleted() -> None:
    services, _ = coordinating(
        group_record("g"),
        offset_record("g", 0, 5),
        offset_record("idle", 0, 6),
        offset_record("idle", 1, 7),
    )

    def delete(group: str) -> Any:
        return ask(services, 47, 0, delete_request(group))

    subscribed = delete("g").topics[0].partitions[0].error_code
    assert subscribed == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert delete("idle").topics[0].partitions[0].error_code == 0
    assert delete("none").error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert fetched(services, "g") == {0: 5}
    assert fetched(services, "idle") == {1: 7}


# --- who coordinates


def find(services: FakeServices, client: Client, *groups: str) -> list[Any]:
    m = wire.messages(10)
    client.send(10, 4, m.FindCoordinatorRequest(coordinator_keys=list(groups)))
    services.reactor.settle()
    return [found for _, answer in client.receive() for found in answer.coordinators]


@pytest.mark.parametrize(
    "group, partition",
    [
        ("", 0),
        ("g", 3),
        ("my-group", 36),
        ("console-consumer-4711", 22),
        ("zażółć", 9),
        ("\U0001f600", 49),
    ],
)
def test_the_partition_is_javas_hash(group: str, partition: int) -> None:
    """The numbers are a JVM's `(group.hashCode() & 0x7fffffff) % 50`."""
    assert partition_for(group, 50) == partition


def test_the_leader_of_the_groups_partition_is_named() -> None:
    services, _ = coordinating(partitions=2)
    image = services.image().topic(CONSUMER_OFFSETS)
    assert image is not None
    other: FakeReplica = services.replicas[image.topic_id, partition_for("h", 2)]
    other.is_leader = False
    services.lead(other.group, 6, 2)
    found = find(services, Client(services), "g", "h")
    assert [(f.key, f.node_id, f.host, f.error_code) for f in found] == [
        ("g", 1, "host1", 0),
        ("h", 2, "host2", 0),
    ]
    services.lead(other.group, 7, 3)  # fenced
    (lost,) = find(services, Client(services), "h")
    assert (lost.error_code, lost.node_id) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)


def test_the_first_question_makes_the_topic_once() -> None:
    services = FakeServices()
    clients = [Client(services, connection_id=n) for n in range(3)]
    assert [find(services, client, "g") for client in clients] == [[], [], []]
    ((operation, arguments, on_reply),) = services.calls
    (item,) = arguments["items"]
    assert (operation, item["name"]) == ("create_topics", CONSUMER_OFFSETS)
    assert (item["partitions"], item["replication_factor"]) == (50, 3)
    assert item["configs"]["retention.ms"] == "-1"
    services.add_topic(CONSUMER_OFFSETS, 50)
    on_reply(ControllerReply(ErrorCode.NONE, None, (ItemOutcome(ErrorCode.NONE),)))
    for client in clients:
        ((_, answer),) = client.receive()
        assert answer.coordinators[0].error_code == 0


def test_a_topic_that_cannot_be_made_is_asked_for_again() -> None:
    services = FakeServices()
    client = Client(services)
    for _ in range(2):
        assert find(services, client, "g") == []
        refused = ItemOutcome(ErrorCode.INVALID_REPLICATION_FACTOR, "one broker only")
        services.calls.pop()[2](ControllerReply(ErrorCode.NONE, None, (refused,)))
        ((_, answer),) = client.receive()
        assert answer.coordinators[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_transactions_have_no_coordinator() -> None:
    services, _ = coordinating()
    m = wire.messages(10)
    body = Client(services).ask(10, 3, m.FindCoordinatorRequest(key="tx", key_type=1))
    assert body.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    body = Client(services).ask(10, 3, m.FindCoordinatorRequest(key="share", key_type=2))
    assert body.error_code == ErrorCode.INVALID_REQUEST
    assert services.calls == []


@pytest.mark.parametrize("key", [0, 19, 20, 21, 37, 3])
def test_clients_only_read_the_topic(key: int) -> None:
    services, replica = coordinating()
    m = wire.messages(key)
    name = CONSUMER_OFFSETS
    part = m.PartitionProduceData(index=0, records=b"") if key == 0 else None
    makers: dict[int, Any] = {
        0: lambda: m.ProduceRequest(
            acks=-1, topic_data=[m.TopicProduceData(name=name, partition_data=[part])]
        ),
        19: lambda: m.CreateTopicsRequest(topics=[m.CreatableTopic(name=name)]),
        20: lambda: m.DeleteTopicsRequest(topic_names=[name], topics=[]),
        21: lambda: m.DeleteRecordsRequest(
            topics=[
                m.DeleteRecordsTopic(name=name, partitions=[m.DeleteRecordsPartition(offset=-1)])
            ]
        ),
        37: lambda: m.CreatePartitionsRequest(
            topics=[m.CreatePartitionsTopic(name=name, count=60, assignments=None)]
        ),
        3: lambda: m.MetadataRequest(
            topics=[m.MetadataRequestTopic(name=n) for n in (name, "__transaction_state")],
            allow_auto_topic_creation=True,
        ),
    }
    versions = {0: 9, 19: 5, 20: 5, 21: 2, 37: 3, 3: 9}
    answer = Client(services).ask(key, versions[key], makers[key]())
    assert services.calls == []
    assert replica.batches == []
    if key == 3:
        assert [(t.is_internal, t.error_code) for t in answer.topics] == [(True, 0), (False, 3)]
    else:
        assert str(ErrorCode.INVALID_TOPIC_EXCEPTION.value) in repr(answer)


def test_an_offset_that_is_to_be_kept_for_ever_is_kept() -> None:
    services, _ = coordinating()
    request = commit_request("g", (0, 5))
    request.retention_time = (1 << 63) - 1
    assert commit_errors(services, request, 4) == [ErrorCode.NONE]
    assert fetched(services, "g") == {0: 5}
