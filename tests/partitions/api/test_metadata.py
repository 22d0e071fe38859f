"""Metadata and DescribeCluster: brokers, leaders, ids, automatic creation, the cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitions import wire
from partitions.api import ControllerReply, ItemOutcome
from partitions.errors import ErrorCode
from partitions.security import CLUSTER, Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices, broker

M = wire.messages(3)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def about(*names: str | None, auto: bool = False, topic_id: bytes = bytes(16)) -> Any:
    topics = [M.MetadataRequestTopic(name=name, topic_id=topic_id) for name in names]
    return M.MetadataRequest(topics=topics, allow_auto_topic_creation=auto)


def everything() -> Any:
    return M.MetadataRequest(topics=None)


def test_live_brokers_with_the_address_of_the_listener(services: FakeServices) -> None:
    for listener, host in (("PLAIN", "host"), ("INSIDE", "inside")):
        body = Client(services, listener=listener).ask(3, 9, everything())
        assert [(b.node_id, b.host) for b in body.brokers] == [(1, f"{host}1"), (2, f"{host}2")]
    assert (body.cluster_id, body.controller_id) == ("test-cluster", 2)
    assert body.brokers[0].rack == "rack1"


@pytest.mark.parametrize("controller, shown", [(2, 2), (3, 1), (None, -1)])
def test_admin_requests_find_a_live_broker_that_knows_the_controller(
    services: FakeServices, controller: int | None, shown: int
) -> None:
    """Without a controller none is named: whoever asks can see that the quorum is lost."""
    services.controller = controller
    client = Client(services)
    assert client.ask(3, 9, everything()).controller_id == shown
    assert client.ask(60, 1, wire.messages(60).DescribeClusterRequest()).controller_id == shown


def test_topics_and_partitions(services: FakeServices) -> None:
    services.add_topic("b", 2)
    services.add_topic("a")
    services.add_topic("__consumer_offsets")
    services.add_topic("__mine")
    body = Client(services).ask(3, 12, everything())
    assert [(t.name, t.is_internal, len(t.partitions)) for t in body.topics] == [
        ("__consumer_offsets", True, 1),
        ("__mine", False, 1),
        ("a", False, 1),
        ("b", False, 2),
    ]
    part = body.topics[2].partitions[0]
    assert (part.error_code, part.leader_id, part.leader_epoch) == (0, 1, 5)
    assert list(part.replica_nodes) == [1, 2, 3]
    assert (list(part.isr_nodes), list(part.offline_replicas)) == ([1, 2], [3])
    assert body.topics[2].topic_authorized_operations == -(2**31)


def test_a_replica_whose_directory_was_replaced_is_offline(services: FakeServices) -> None:
    """The broker is back, with an empty disk: its node id does not bring the copy back."""
    services.add_topic("a")
    anew = replace(services.brokers[2].registration, directory=b"new" + bytes(13))
    services.brokers[2] = replace(services.brokers[2], registration=anew)
    services.refresh()
    part = Client(services).ask(3, 12, everything()).topics[0].partitions[0]
    assert (list(part.isr_nodes), list(part.offline_replicas)) == ([1], [2, 3])


def test_every_leader_named_is_in_the_broker_list(services: FakeServices) -> None:
    """Leaders: fenced, unknown, without the listener asked, unheard of, and fine."""
    replicas = services.add_topic("t", 5)
    services.brokers[4] = broker(4)
    registration = services.brokers[4].registration
    object.__setattr__(registration, "listeners", registration.listeners[:1])
    services.refresh()
    for replica, node in zip(replicas, (3, 99, 4, None, 2), strict=True):
        if node is None:
            del services.leaders[replica.group]
        else:
            services.lead(replica.group, 7, node)
    body = Client(services, listener="INSIDE").ask(3, 9, everything())
    listed = {b.node_id for b in body.brokers}
    parts = body.topics[0].partitions
    gone, lost = ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.LISTENER_NOT_FOUND
    assert [p.error_code for p in parts] == [gone, gone, lost, gone, 0]
    assert [p.leader_id for p in parts] == [-1, -1, -1, -1, 2]
    assert all(p.leader_id in listed for p in parts if p.error_code == 0)
    old = Client(services, listener="INSIDE").ask(3, 5, everything())
    assert old.topics[0].partitions[2].error_code == gone


def test_version_0_takes_an_empty_list_for_all(services: FakeServices) -> None:
    services.add_topic("t")
    client = Client(services)
    assert len(client.ask(3, 0, M.MetadataRequest(topics=[])).topics) == 1
    assert len(client.ask(3, 1, M.MetadataRequest(topics=[])).topics) == 0
    assert len(client.ask(3, 1, everything()).topics) == 1


def test_one_answer_per_name_in_order(services: FakeServices) -> None:
    services.add_topic("t")
    body = Client(services).ask(3, 9, about("gone", "t", "gone"))
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert [(t.name, t.error_code) for t in body.topics] == [
        ("gone", unknown),
        ("t", 0),
    ]
    assert services.calls == []


def test_by_topic_id(services: FakeServices) -> None:
    (replica,) = services.add_topic("t")
    client = Client(services)
    (topic,) = client.ask(3, 12, about(None, topic_id=replica.topic_id)).topics
    assert (topic.name, topic.error_code) == ("t", 0)
    (topic,) = client.ask(3, 12, about(None, topic_id=b"x" * 16)).topics
    assert (topic.name, topic.error_code) == (None, ErrorCode.UNKNOWN_TOPIC_ID)
    (topic,) = client.ask(3, 10, about(None, topic_id=replica.topic_id)).topics
    assert topic.error_code == ErrorCode.INVALID_REQUEST


def test_hidden_topics(services: FakeServices) -> None:
    (replica,) = services.add_topic("secret")
    services.authorizer = Denying((Operation.DESCRIBE, "secret"))
    client = Client(services)
    assert list(client.ask(3, 9, everything()).topics) == []
    (topic,) = client.ask(3, 9, about("secret")).topics
    assert topic.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    (topic,) = client.ask(3, 12, about(None, topic_id=replica.topic_id)).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_ID


# --- automatic creation


def test_missing_topics_are_created_once(services: FakeServices) -> None:
    services.add_topic("old")
    client = Client(services)
    client.send(3, 9, about("new", "old", "new", "bad name", auto=True))
    ((operation, arguments, on_done),) = services.calls
    assert operation == "create_topics"
    assert [item["name"] for item in arguments["items"]] == ["new", "bad name"]
    assert {item["partitions"] for item in arguments["items"]} == {-1}
    services.add_topic("new")
    refused = ItemOutcome(ErrorCode.INVALID_TOPIC_EXCEPTION, "bad")
    on_done(ControllerReply(ErrorCode.NONE, None, (ItemOutcome(ErrorCode.NONE), refused)))
    ((_, body),) = client.receive()
    assert [(t.name, t.error_code) for t in body.topics] == [
        ("new", 0),
        ("old", 0),
        ("bad name", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ]


@pytest.mark.parametrize(
    "reply",
    [
        ControllerReply(ErrorCode.NONE, None, (ItemOutcome(ErrorCode.NONE),)),
        ControllerReply(ErrorCode.NONE, None, (ItemOutcome(ErrorCode.TOPIC_ALREADY_EXISTS),)),
        ControllerReply(ErrorCode.NOT_CONTROLLER, "no quorum"),
    ],
)
def test_created_but_not_here_yet_is_worth_a_retry(
    services: FakeServices, reply: ControllerReply
) -> None:
    client = Client(services)
    client.send(3, 9, about("new", auto=True))
    services.calls[0][2](reply)
    ((_, body),) = client.receive()
    assert body.topics[0].error_code == ErrorCode.LEADER_NOT_AVAILABLE


def test_creation_can_be_off(services: FakeServices) -> None:
    client = Client(services)
    services.settings = type(services.settings)(auto_create_topics=False)
    client.ask(3, 9, about("new", auto=True))
    services.settings = type(services.settings)()
    client.ask(3, 9, about("new", auto=False))
    services.authorizer = Denying((Operation.CREATE, "kafka-cluster"), (Operation.CREATE, "new"))
    (topic,) = client.ask(3, 9, about("new", auto=True)).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert services.calls == []


def test_a_client_that_left_is_not_answered(services: FakeServices) -> None:
    client = Client(services)
    client.send(3, 9, about("new", auto=True))
    client.session.close()
    services.calls[0][2](ControllerReply(ErrorCode.NOT_CONTROLLER))
    assert client.session.take_output() == []


# --- the cache


def test_the_same_question_is_encoded_once(services: FakeServices) -> None:
    services.add_topic("t")
    client = Client(services)
    first = [client.ask(3, 9, body) for body in (everything(), about("t"))]
    again = [Client(services).ask(3, 9, body) for body in (everything(), about("t"))]
    assert first == again
    assert (services.metadata_cache.hits, services.metadata_cache.misses) == (2, 2)


def test_the_cache_never_answers_another_question(services: FakeServices) -> None:
    (replica,) = services.add_topic("t")
    outside = Client(services)
    inside = Client(services, listener="INSIDE")
    assert outside.ask(3, 9, everything()).brokers[0].host == "host1"
    assert inside.ask(3, 9, everything()).brokers[0].host == "inside1"
    assert outside.ask(3, 8, everything()).brokers[0].host == "host1"
    services.lead(replica.group, 6, 2)
    assert outside.ask(3, 9, everything()).topics[0].partitions[0].leader_id == 2
    services.add_topic("u")
    assert len(outside.ask(3, 9, everything()).topics) == 2
    services.controller = 1
    assert outside.ask(3, 9, everything()).controller_id == 1


# --- DescribeCluster


def test_describe_cluster(services: FakeServices) -> None:
    request = wire.messages(60).DescribeClusterRequest
    client = Client(services)
    body = client.ask(60, 1, request())
    assert (body.cluster_id, body.controller_id, body.error_code) == ("test-cluster", 2, 0)
    assert [(b.broker_id, b.host, b.port) for b in body.brokers] == [
        (1, "host1", 9001),
        (2, "host2", 9002),
    ]
    body = client.ask(60, 1, request(endpoint_type=2))
    assert body.error_code == ErrorCode.MISMATCHED_ENDPOINT_TYPE


def test_what_the_client_may_do_on_request(services: FakeServices) -> None:
    services.add_topic("t")
    services.authorizer = Denying((Operation.WRITE, "t"), (Operation.CREATE, CLUSTER.name))
    client = Client(services)

    def operations(version: int, *, topics: bool, cluster: bool) -> tuple[int, int]:
        request = everything()
        request.include_topic_authorized_operations = topics
        request.include_cluster_authorized_operations = cluster
        body = client.ask(3, version, request)
        return body.topics[0].topic_authorized_operations, body.cluster_authorized_operations

    unasked = -(2**31)
    assert operations(9, topics=False, cluster=False) == (unasked, unasked)
    of_topic, of_cluster = operations(9, topics=True, cluster=True)
    assert [of_topic >> each & 1 for each in (Operation.READ, Operation.WRITE)] == [1, 0]
    assert [of_cluster >> each & 1 for each in (Operation.ALTER, Operation.CREATE)] == [1, 0]
    assert operations(9, topics=True, cluster=False) == (of_topic, unasked)
    assert operations(12, topics=True, cluster=True) == (of_topic, unasked)
