"""The list of APIs, and that each of them answers in every version it advertises."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.quorum.description import QuorumView
from partitions import wire
from partitions.api import (
    APIS,
    BY_KEY,
    Api,
    ControllerReply,
    ItemOutcome,
    ProducerIdReply,
    QuorumReply,
)
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import EpochEnd, TrimOutcome
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices
from tests.partitions.api.groupkit import (
    MEMBER,
    SESSION_MS,
    commit_request,
    coordinating,
    go_on,
    group_record,
    offset_record,
)
from tests.partitions.api.requests import batch, descriptions, fetch, produce

EVERY_VERSION = [(api, version) for api in APIS for version in range(api.first, api.last + 1)]
IDS = [f"{api.key.name.lower()}-{version}" for api, version in EVERY_VERSION]
ADVERTISED = {
    0: (0, 11),
    1: (4, 16),
    2: (1, 9),
    3: (0, 12),
    8: (2, 9),
    9: (1, 9),
    10: (0, 4),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    21: (0, 2),
    22: (0, 4),
    23: (2, 4),
    32: (1, 4),
    33: (0, 2),
    35: (1, 5),
    37: (0, 3),
    42: (0, 2),
    43: (0, 2),
    44: (0, 1),
    46: (0, 0),
    47: (0, 0),
    55: (0, 2),
    60: (0, 2),
    61: (0, 0),
    75: (0, 0),
}


def request(key: int, version: int, topic_id: bytes) -> Any:
    """An ordinary request of each API about topic `t`."""
    m = wire.messages(key)
    makers: dict[int, Any] = {
        0: lambda: produce(("t", 0, batch())),
        1: lambda: fetch(("t" if version < 13 else "", 0, 0), topic_id=topic_id),
        2: lambda: m.ListOffsetsRequest(
            replica_id=-1,
            topics=[
                m.ListOffsetsTopic(
                    name="t",
                    partitions=[m.ListOffsetsPartition(partition_index=0, timestamp=-1)],
                )
            ],
        ),
        3: lambda: m.MetadataRequest(
            topics=[m.MetadataRequestTopic(name="t")], allow_auto_topic_creation=True
        ),
        18: lambda: m.ApiVersionsRequest(
            client_software_name="test", client_software_version="1.0"
        ),
        19: lambda: m.CreateTopicsRequest(
            topics=[m.CreatableTopic(name="new", num_partitions=1, replication_factor=1)]
        ),
        20: lambda: m.DeleteTopicsRequest(
            topic_names=["t"] if version < 6 else [],
            topics=[m.DeleteTopicState(name="t")] if version >= 6 else [],
            timeout=1000,
        ),
        21: lambda: m.DeleteRecordsRequest(
            timeout=1000,
            topics=[
                m.DeleteRecordsTopic(
                    name="t", partitions=[m.DeleteRecordsPartition(partition_index=0, offset=1)]
                )
            ],
        ),
        22: lambda: m.InitProducerIdRequest(transactional_id=None, transaction_timeout=1000),
        23: lambda: m.OffsetForLeaderEpochRequest(
            topics=[
                m.OffsetForLeaderTopic(
                    topic="t", partitions=[m.OffsetForLeaderPartition(partition=0, leader_epoch=5)]
                )
            ]
        ),
        **_admin_requests(m),
    }
    return makers[key]() if key in makers else group_request(key, version)


def _admin_requests(m: Any) -> dict[int, Any]:
    """Those that ask about settings or change them, and about partitions."""
    return {
        32: lambda: m.DescribeConfigsRequest(
            resources=[
                m.DescribeConfigsResource(
                    resource_type=2, resource_name="t", configuration_keys=None
                )
            ],
            include_synonyms=True,
            include_documentation=True,
        ),
        33: lambda: m.AlterConfigsRequest(
            resources=[m.AlterConfigsResource(resource_type=2, resource_name="t", configs=[])]
        ),
        44: lambda: m.IncrementalAlterConfigsRequest(
            resources=[m.AlterConfigsResource(resource_type=2, resource_name="t", configs=[])]
        ),
        37: lambda: m.CreatePartitionsRequest(
            topics=[m.CreatePartitionsTopic(name="t", count=2, assignments=None)], timeout=1000
        ),
        **descriptions(m),
    }


def group_request(key: int, version: int) -> Any:
    """The same of group `g`, whose member is MEMBER, and of `empty`, which has none."""
    m = wire.messages(key)
    member = {"group_id": "g", "member_id": MEMBER}
    makers: dict[int, Any] = {
        8: lambda: commit_request("g", (0, 5), member_id=MEMBER, generation_id_or_member_epoch=1),
        9: lambda: m.OffsetFetchRequest(
            group_id="g",
            topics=[m.OffsetFetchRequestTopic(name="t", partition_indexes=[0])],
            groups=[m.OffsetFetchRequestGroup(group_id="g", topics=None)] if version >= 8 else [],
        ),
        10: lambda: m.FindCoordinatorRequest(key="g", coordinator_keys=["g"], key_type=0),
        11: lambda: m.JoinGroupRequest(
            **member,
            session_timeout=SESSION_MS,
            rebalance_timeout=SESSION_MS,
            protocol_type="consumer",
            protocols=[m.JoinGroupRequestProtocol(name="range", metadata=b"")],
        ),
        12: lambda: m.HeartbeatRequest(**member, generation_id=1),
        13: lambda: m.LeaveGroupRequest(**member, members=[m.MemberIdentity(member_id=MEMBER)]),
        14: lambda: m.SyncGroupRequest(
            **member, generation_id=1, protocol_type="consumer", protocol_name="range"
        ),
        15: lambda: m.DescribeGroupsRequest(groups=["g"], include_authorized_operations=True),
        16: m.ListGroupsRequest if key == 16 else None,
        42: lambda: m.DeleteGroupsRequest(groups_names=["empty"]),
        47: lambda: m.OffsetDeleteRequest(
            group_id="empty",
            topics=[
                m.OffsetDeleteRequestTopic(
                    name="t", partitions=[m.OffsetDeleteRequestPartition(partition_index=0)]
                )
            ],
        ),
    }
    return makers[key]()


def broker() -> tuple[FakeServices, bytes]:
    """A broker with one topic that holds three records, and two groups."""
    services, _ = coordinating(group_record("g"), offset_record("empty", 0, 7))
    replica = services.replicas[services.topics["t"].topic_id, 0]
    replica.store(3)
    replica.epoch_ends = {5: EpochEnd(5, 3)}
    return services, replica.topic_id


def complete(services: FakeServices) -> None:
    """Whatever waits is done, successfully."""
    go_on(services)
    for replica in services.replicas.values():
        replica.commit()
        for offset, on_done in replica.trims:
            on_done(TrimOutcome(ErrorCode.NONE, offset))
    for _, _, on_reply in services.calls:
        on_reply(ControllerReply(ErrorCode.NONE, None, (ItemOutcome(ErrorCode.NONE),)))
    for _, moves, on_begun in services.moves:
        for move in moves:
            services.lead(move.group, 7, move.node)
        on_begun((None,) * len(moves))
    for on_view in services.quorum_questions:
        on_view(QuorumReply(ErrorCode.NONE, None, QuorumView(1, 5, 9, (), ())))
    for on_id in services.allocations:
        on_id(ProducerIdReply(ErrorCode.NONE, 77))


def error_codes(value: Any) -> list[int]:
    """Every error code anywhere in a response."""
    if isinstance(value, list | tuple):
        return [code for item in value for code in error_codes(item)]
    found: list[int] = []
    for name in getattr(value, "__slots__", ()):
        field = getattr(value, name)
        found += [field] if name == "error_code" else error_codes(field)
    return found


def test_what_is_advertised() -> None:
    """Raising a version, or adding an API, is a decision: it is made here too."""
    services, _ = broker()
    body = Client(services).ask(18, 0, wire.messages(18).ApiVersionsRequest())
    listed = {k.api_key: (k.min_version, k.max_version) for k in body.api_keys}
    assert listed == ADVERTISED
    assert set(BY_KEY) == set(ADVERTISED)


@pytest.mark.parametrize("api, version", EVERY_VERSION, ids=IDS)
def test_every_version_answers_without_error(api: Api, version: int) -> None:
    services, topic_id = broker()
    if api.key == 43:
        services.lead(100, 6, 2)  # node 1 is the preferred one
    client = Client(services)
    correlation_id = client.send(api.key, version, request(api.key, version, topic_id))
    complete(services)
    ((answered, body),) = client.receive()
    assert answered == correlation_id
    assert client.log.errors == []
    assert set(error_codes(body)) == {0} or (api.key == 3 and version < 13)
    if api.key == 3:
        assert {code for topic in body.topics for code in error_codes(topic)} == {0}


@pytest.mark.parametrize("api, version", EVERY_VERSION, ids=IDS)
def test_every_version_can_refuse(api: Api, version: int) -> None:
    """An unforeseen failure is told in every version, once per item where there are items."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    services, topic_id = broker()
    client = Client(services, apis={**BY_KEY, api.key: api._replace(handle=broken)})
    body = client.ask(api.key, version, request(api.key, version, topic_id))
    assert len(client.log.errors) == 1
    assert -1 in error_codes(body)


@pytest.mark.parametrize("api, version", EVERY_VERSION, ids=IDS)
def test_every_version_survives_an_empty_request(api: Api, version: int) -> None:
    services, _ = broker()
    client = Client(services)
    struct_name = {
        0: "ProduceRequest",
        1: "FetchRequest",
        2: "ListOffsetsRequest",
        3: "MetadataRequest",
        8: "OffsetCommitRequest",
        9: "OffsetFetchRequest",
        10: "FindCoordinatorRequest",
        11: "JoinGroupRequest",
        12: "HeartbeatRequest",
        13: "LeaveGroupRequest",
        14: "SyncGroupRequest",
        15: "DescribeGroupsRequest",
        16: "ListGroupsRequest",
        18: "ApiVersionsRequest",
        19: "CreateTopicsRequest",
        20: "DeleteTopicsRequest",
        21: "DeleteRecordsRequest",
        22: "InitProducerIdRequest",
        23: "OffsetForLeaderEpochRequest",
        32: "DescribeConfigsRequest",
        33: "AlterConfigsRequest",
        35: "DescribeLogDirsRequest",
        37: "CreatePartitionsRequest",
        42: "DeleteGroupsRequest",
        43: "ElectLeadersRequest",
        44: "IncrementalAlterConfigsRequest",
        46: "ListPartitionReassignmentsRequest",
        47: "OffsetDeleteRequest",
        55: "DescribeQuorumRequest",
        61: "DescribeProducersRequest",
        75: "DescribeTopicPartitionsRequest",
        60: "DescribeClusterRequest",
    }[api.key]
    body = getattr(wire.messages(api.key), struct_name)()
    if api.key == 0:
        body.acks = 1
    client.send(api.key, version, body)
    complete(services)
    assert len(client.receive()) == 1
    assert client.log.errors == []


def test_software_names_are_checked() -> None:
    services, _ = broker()
    client = Client(services)
    make = wire.messages(18).ApiVersionsRequest
    for name in ("", "-x", "a b", "x" * 300, "\u00fc"):
        body = client.ask(18, 3, make(client_software_name=name, client_software_version="1"))
        assert body.error_code == ErrorCode.INVALID_REQUEST
    for name in ("librdkafka", "apache-kafka-java", "a.b-c"):
        body = client.ask(
            18, 3, make(client_software_name=name, client_software_version="2.16.0-rc1")
        )
        assert body.error_code == 0


def test_producer_ids() -> None:
    services, _ = broker()
    client = Client(services)
    make = wire.messages(22).InitProducerIdRequest
    client.send(22, 4, make(transactional_id=None))
    services.allocations.pop()(ProducerIdReply(ErrorCode.NONE, 77))
    ((_, body),) = client.receive()
    assert (body.error_code, body.producer_id, body.producer_epoch) == (0, 77, 0)
    client.send(22, 4, make(transactional_id=None))
    services.allocations.pop()(ProducerIdReply(ErrorCode.NOT_CONTROLLER))
    ((_, body),) = client.receive()
    assert (body.error_code, body.producer_id) == (ErrorCode.NOT_CONTROLLER, -1)
    body = client.ask(22, 4, make(transactional_id="x"))
    assert (body.error_code, body.producer_id) == (ErrorCode.UNSUPPORTED_VERSION, -1)
    assert not ErrorCode(body.error_code).retriable, "a client must not try for ever"


def test_describe_configs() -> None:
    services, _ = broker()
    m = wire.messages(32)

    def ask(kind: int, name: str, keys: list[str] | None) -> Any:
        resource = m.DescribeConfigsResource(
            resource_type=kind, resource_name=name, configuration_keys=keys
        )
        (result,) = (
            Client(services).ask(32, 4, m.DescribeConfigsRequest(resources=[resource])).results
        )
        return result

    (entry,) = ask(2, "t", ["retention.ms", "no.such"]).configs
    assert (entry.name, entry.value, entry.config_source) == ("retention.ms", "604800000", 5)
    assert len(ask(4, "1", None).configs) > 10
    assert ask(2, "gone", None).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert ask(4, "2", None).error_code == ErrorCode.INVALID_REQUEST
    assert ask(8, "x", None).error_code == ErrorCode.INVALID_REQUEST


def test_kafka_errors_of_a_handler_keep_their_code() -> None:
    def refusing(*_: Any) -> Any:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "no")

    services, topic_id = broker()
    client = Client(services, apis={**BY_KEY, 37: BY_KEY[37]._replace(handle=refusing)})
    body = client.ask(37, 3, request(37, 3, topic_id))
    assert (body.results[0].error_code, body.results[0].error_message) == (44, "no")
    assert client.log.errors == []
