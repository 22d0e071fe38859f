"""CreateTopics, DeleteTopics, CreatePartitions: what is forwarded, and one result per item."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.api import ControllerReply, ItemOutcome
from partitions.errors import ErrorCode
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices

C, D, P = wire.messages(19), wire.messages(20), wire.messages(37)
DONE = ItemOutcome(ErrorCode.NONE)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def topic(name: str, partitions: int = 3, factor: int = 2, **fields: Any) -> Any:
    return C.CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=factor, **fields
    )


def create(*topics: Any, validate_only: bool = False, timeout: int = 1000) -> Any:
    return C.CreateTopicsRequest(topics=list(topics), timeout=timeout, validate_only=validate_only)


def reply(services: FakeServices, *outcomes: ItemOutcome) -> None:
    (_, _, on_done) = services.calls.pop()
    on_done(ControllerReply(ErrorCode.NONE, None, outcomes))


def codes(answers: Any) -> list[tuple[str, int]]:
    return [(a.name, a.error_code) for a in answers]


def test_create_forwards_and_shows_what_was_made(services: FakeServices) -> None:
    client = Client(services)
    config = C.CreatableTopicConfig(name="retention.ms", value="5")
    client.send(19, 7, create(topic("a", configs=[config]), topic("b"), validate_only=True))
    ((operation, arguments, _),) = services.calls
    assert operation == "create_topics"
    assert arguments == {
        "validate_only": True,
        "items": [
            {
                "name": "a",
                "partitions": 3,
                "replication_factor": 2,
                "assignments": [],
                "configs": {"retention.ms": "5"},
            },
            {
                "name": "b",
                "partitions": 3,
                "replication_factor": 2,
                "assignments": [],
                "configs": {},
            },
        ],
    }
    values = {"topic_id": b"i" * 16, "partitions": 3, "replication_factor": 2}
    refused = ItemOutcome(ErrorCode.TOPIC_ALREADY_EXISTS, "b exists")
    reply(services, ItemOutcome(ErrorCode.NONE, None, values), refused)
    ((_, body),) = client.receive()
    assert codes(body.topics) == [("a", 0), ("b", ErrorCode.TOPIC_ALREADY_EXISTS)]
    made, other = body.topics
    assert (made.topic_id, made.num_partitions, made.replication_factor) == (b"i" * 16, 3, 2)
    assert "retention.ms" in [config.name for config in made.configs]
    assert other.error_message == "b exists"
    assert len(services.deadlines) == 0


def test_assignments_are_sorted_by_partition(services: FakeServices) -> None:
    def at(index: int, *nodes: int) -> Any:
        return C.CreatableReplicaAssignment(partition_index=index, broker_ids=list(nodes))

    client = Client(services)
    good = topic("a", -1, -1, assignments=[at(1, 2, 3), at(0, 1, 2)])
    gap = topic("b", -1, -1, assignments=[at(0, 1), at(2, 1)])
    twice = topic("c", -1, -1, assignments=[at(0, 1), at(0, 2)])
    both = topic("d", 1, -1, assignments=[at(0, 1)])
    client.send(19, 4, create(good, gap, twice, both))
    assert [item["assignments"] for item in services.calls[0][1]["items"]] == [[[1, 2], [2, 3]]]
    reply(services, DONE)
    wrong = ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert codes(client.receive()[0][1].topics) == [
        ("a", 0),
        ("b", wrong),
        ("c", wrong),
        ("d", ErrorCode.INVALID_REQUEST),
    ]


def test_a_topic_asked_for_twice_is_refused_twice(services: FakeServices) -> None:
    body = Client(services).ask(19, 7, create(topic("a"), topic("a")))
    assert codes(body.topics) == [("a", ErrorCode.INVALID_REQUEST)] * 2
    assert services.calls == []


def test_a_config_without_value_is_refused(services: FakeServices) -> None:
    config = C.CreatableTopicConfig(name="retention.ms", value=None)
    body = Client(services).ask(19, 7, create(topic("a", configs=[config])))
    assert codes(body.topics) == [("a", ErrorCode.INVALID_CONFIG)]


def test_no_controller(services: FakeServices) -> None:
    client = Client(services)
    client.send(19, 7, create(topic("a"), topic("b")))
    services.calls[0][2](ControllerReply(ErrorCode.NOT_CONTROLLER, "no quorum"))
    assert codes(client.receive()[0][1].topics) == [
        ("a", ErrorCode.NOT_CONTROLLER),
        ("b", ErrorCode.NOT_CONTROLLER),
    ]


def test_the_clients_time_out_holds(services: FakeServices) -> None:
    client = Client(services)
    client.send(19, 7, create(topic("a"), timeout=100))
    services.reactor.advance(99_000)
    assert client.receive() == []
    services.reactor.advance(60_000)
    assert codes(client.receive()[0][1].topics) == [("a", ErrorCode.REQUEST_TIMED_OUT)]
    reply(services, DONE)
    assert client.receive() == [], "a late reply answers nothing twice"


def test_creating_needs_permission(services: FakeServices) -> None:
    services.authorizer = Denying((Operation.CREATE, "kafka-cluster"), (Operation.CREATE, "a"))
    client = Client(services)
    client.send(19, 7, create(topic("a"), topic("b")))
    assert [item["name"] for item in services.calls[0][1]["items"]] == ["b"]
    reply(services, DONE)
    assert codes(client.receive()[0][1].topics) == [
        ("a", ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        ("b", 0),
    ]


def test_a_reply_of_the_wrong_length_is_a_bug_that_closes(services: FakeServices) -> None:
    client = Client(services)
    client.send(19, 7, create(topic("a"), topic("b")))
    reply(services, DONE)
    assert client.session.close_reason is not None
    assert len(client.log.errors) == 1


def test_delete_by_name_and_id(services: FakeServices) -> None:
    (a,) = services.add_topic("a")
    (b,) = services.add_topic("b")
    client = Client(services)
    state = D.DeleteTopicState
    request = D.DeleteTopicsRequest(
        topics=[
            state(name="a"),
            state(name=None, topic_id=b.topic_id),
            state(name="gone"),
            state(name=None, topic_id=b"x" * 16),
            state(name="a", topic_id=a.topic_id),
        ],
        timeout=1000,
    )
    client.send(20, 6, request)
    ((operation, arguments, _),) = services.calls
    assert operation == "delete_topics"
    assert arguments["items"] == [{"topic_id": a.topic_id}, {"topic_id": b.topic_id}]
    reply(services, DONE, ItemOutcome(ErrorCode.POLICY_VIOLATION, "no"))
    ((_, body),) = client.receive()
    assert codes(body.responses) == [
        ("a", 0),
        ("b", ErrorCode.POLICY_VIOLATION),
        ("gone", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, ErrorCode.UNKNOWN_TOPIC_ID),
        ("a", ErrorCode.INVALID_REQUEST),
    ]
    assert [r.topic_id for r in body.responses[:2]] == [a.topic_id, b.topic_id]


def test_delete_in_old_versions(services: FakeServices) -> None:
    services.add_topic("a")
    client = Client(services)
    client.send(20, 1, D.DeleteTopicsRequest(topic_names=["a", "gone"], timeout=1000))
    reply(services, DONE)
    assert codes(client.receive()[0][1].responses) == [
        ("a", 0),
        ("gone", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]


def test_deleting_needs_permission_and_ids_reveal_nothing(services: FakeServices) -> None:
    (a,) = services.add_topic("a")
    services.authorizer = Denying((Operation.DELETE, "a"))
    states = [D.DeleteTopicState(name="a"), D.DeleteTopicState(name=None, topic_id=a.topic_id)]
    body = Client(services).ask(20, 6, D.DeleteTopicsRequest(topics=states, timeout=1))
    assert codes(body.responses) == [
        ("a", ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        (None, ErrorCode.UNKNOWN_TOPIC_ID),
    ]
    assert services.calls == []


def test_create_partitions(services: FakeServices) -> None:
    services.add_topic("a")
    services.add_topic("b")
    client = Client(services)
    assigned = [P.CreatePartitionsAssignment(broker_ids=[1, 2])]
    wanted = [
        P.CreatePartitionsTopic(name="a", count=4, assignments=None),
        P.CreatePartitionsTopic(name="b", count=2, assignments=assigned),
        P.CreatePartitionsTopic(name="gone", count=2, assignments=None),
    ]
    client.send(37, 3, P.CreatePartitionsRequest(topics=wanted, timeout=1000))
    ((operation, arguments, _),) = services.calls
    assert operation == "create_partitions"
    assert arguments["items"] == [
        {"name": "a", "count": 4, "assignments": None},
        {"name": "b", "count": 2, "assignments": [[1, 2]]},
    ]
    reply(services, DONE, ItemOutcome(ErrorCode.INVALID_PARTITIONS, "not more"))
    assert codes(client.receive()[0][1].results) == [
        ("a", 0),
        ("b", ErrorCode.INVALID_PARTITIONS),
        ("gone", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]


def test_create_partitions_twice_or_not_allowed(services: FakeServices) -> None:
    services.add_topic("a")
    services.add_topic("b")
    services.authorizer = Denying((Operation.ALTER, "b"))
    wanted = [P.CreatePartitionsTopic(name=n, count=4, assignments=None) for n in "aab"]
    body = Client(services).ask(37, 3, P.CreatePartitionsRequest(topics=wanted, timeout=1))
    assert [code for _, code in codes(body.results)] == [
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ]
