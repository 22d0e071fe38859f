"""What is asked about a thousand times is told once: answers stay as small as their questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from metadata.quorum.description import QuorumView
from partitions import wire
from partitions.api import APIS, Api, MetadataCache, QuorumReply
from partitions.api.configs import ENTRIES_MAX
from partitions.api.context import EncodedBody
from partitions.api.fetchwait import TARGET_BYTES
from partitions.api.metadatacache import BYTES_MAX, ENTRY_BYTES_MAX
from partitions.errors import ErrorCode
from partitions.security import Operation
from partitions.wire.schema import Field
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices
from tests.partitions.api.requests import fetch
from tests.partitions.wire.bodies import Path, arrays, request_body

NAME = "n" * 30_000
COUNT = 1_000
ANSWER_BYTES_MAX = 200_000


def elections() -> Any:
    m = wire.messages(43)
    return m.ElectLeadersRequest(
        topic_partitions=[m.TopicPartitions(topic=NAME, partitions=[*range(COUNT)])], timeout=1000
    )


def quorum() -> Any:
    m = wire.messages(55)
    parts = [m.RequestPartitionData(partition_index=number) for number in range(COUNT)]
    return m.DescribeQuorumRequest(topics=[m.RequestTopicData(topic_name=NAME, partitions=parts)])


def producers() -> Any:
    m = wire.messages(61)
    return m.DescribeProducersRequest(
        topics=[m.TopicRequest(name=NAME, partition_indexes=[*range(COUNT)])]
    )


@pytest.mark.parametrize("denied", [False, True])
@pytest.mark.parametrize(
    ("key", "version", "body"), [(43, 2, elections()), (55, 2, quorum()), (61, 0, producers())]
)
def test_a_name_is_not_repeated(key: int, version: int, body: Any, denied: bool) -> None:
    services = FakeServices()
    if denied:
        everything = [(each, NAME) for each in Operation]
        services.authorizer = Denying(*everything, *((each, "kafka-cluster") for each in Operation))
    client = Client(services)
    client.send(key, version, body)
    for on_done in services.quorum_questions:
        on_done(QuorumReply(ErrorCode.NONE, None, QuorumView(1, 1, 1, (), ())))
    answer = b"".join(client.session.take_output())
    assert len(NAME) < len(answer) < ANSWER_BYTES_MAX


TIMES = 300
PARTITIONS = 500
GROWTH_MAX = 20
"""An item of six bytes may be refused with a sentence."""
ONCE_BYTES = 40_000
"""The topic's partitions in Metadata, the most that one item is answered with."""
AN_HOUR_US = 3_600_000_000
USUAL = {
    "resource_type": 2,
    "response_partition_limit": 2000,
    "endpoint_type": 1,
    "num_partitions": -1,
    "replication_factor": -1,
    "replica_id": -1,
    "acks": -1,
    "timestamp": -1,
    "current_leader_epoch": -1,
    "count": 600,
}


def cases() -> list[Any]:
    """Every array of every API that is served, in its first and last version."""
    return [
        pytest.param(api, version, path, id=f"{api.key.name}-{version}-{'.'.join(path)}")
        for api in APIS
        for version in sorted({api.first, api.last})
        for path in arrays(int(api.key), version)
    ]


@pytest.mark.parametrize(("api", "version", "many"), cases())
def test_the_same_item_many_times_gets_an_answer_in_proportion(
    api: Api, version: int, many: Path
) -> None:
    services = FakeServices()
    (first, *_) = services.add_topic("t", PARTITIONS)

    def value(field: Field, kind: str) -> Any:
        if kind == "uuid":
            by_id = api.key in (wire.ApiKey.FETCH, wire.ApiKey.DELETE_TOPICS)
            return first.topic_id if by_id and version >= 6 else bytes(16)
        kinds = {"string": "t", "bool": field.name != "validate_only", "records": b"", "bytes": b""}
        return None if field.name == "cursor" else kinds.get(kind, USUAL.get(field.name, 0))

    def count(path: Path) -> int:
        return 0 if path[-1] == "configuration_keys" else TIMES if path == many else 1

    body = request_body(int(api.key), version, value, count)
    if hasattr(body, "cursor"):
        body.cursor = None
    client = Client(services)
    question = client.encode(int(api.key), version, body)
    client.feed(question)
    for on_done in services.quorum_questions:
        on_done(QuorumReply(ErrorCode.NONE, None, QuorumView(1, 1, 1, (), ())))
    services.reactor.advance(AN_HOUR_US)
    answer = b"".join(client.session.take_output())
    assert client.session.close_reason is None
    assert client.log.errors == []
    assert len(answer) < GROWTH_MAX * len(question) + ONCE_BYTES


def test_polls_hold_no_more_than_their_budget() -> None:
    """A connection may have a hundred open, each of ten thousand partitions."""
    services = FakeServices()
    services.add_topic("t", 100)
    services.poll_budget.limit = 20 * 100 * TARGET_BYTES
    poll = fetch(*[("t", number, 0) for number in range(100)], max_wait=10_000)
    greedy, other = Client(services), Client(services, peer="10.0.0.2:1")
    for _ in range(100):
        greedy.send(1, 12, poll)
    assert greedy.receive() == [], "in order behind the first"
    assert services.poll_budget.used == services.poll_budget.limit // 2
    other.send(1, 12, poll)
    assert services.poll_budget.used == 11 * 100 * TARGET_BYTES
    watchers = [len(replica.watchers) for replica in services.replicas.values()]
    assert watchers == [11] * 100
    services.reactor.advance(10_000_000)
    assert len(greedy.receive()) == 100
    assert len(other.receive()) == 1
    assert services.poll_budget.used == 0
    greedy.send(1, 12, poll)
    greedy.session.close()
    assert services.poll_budget.used == 0


def test_a_description_of_settings_ends_somewhere() -> None:
    services = FakeServices()
    for number in range(COUNT):
        services.add_topic(f"t{number}")
    each = len(services.topic_configs("t0"))
    m = wire.messages(32)
    count = ENTRIES_MAX // each + 1
    resources = [
        m.DescribeConfigsResource(resource_type=2, resource_name=f"t{number}")
        for number in range(COUNT)
    ]
    assert count > COUNT, "a thousand topics are no trouble"
    client = Client(services)
    answer = client.ask(32, 4, m.DescribeConfigsRequest(resources=resources))
    assert {result.error_code for result in answer.results} == {0}
    for number in range(COUNT, count):
        services.topics[f"t{number}"] = replace(services.topics["t0"], name=f"t{number}")
    services.refresh()
    resources = [
        m.DescribeConfigsResource(resource_type=2, resource_name=f"t{number}")
        for number in range(count)
    ]
    answer = client.ask(32, 4, m.DescribeConfigsRequest(resources=resources))
    codes = [result.error_code for result in answer.results]
    assert codes == [0] * (count - 1) + [ErrorCode.INVALID_REQUEST.value]
    assert sum(len(result.configs) for result in answer.results) <= ENTRIES_MAX


def test_kept_answers_of_metadata_are_bounded_in_bytes() -> None:
    cache = MetadataCache()
    m = wire.messages(3)
    topic = m.MetadataResponseTopic(name="n" * 30_000)
    body = m.MetadataResponse(topics=[topic] * 100)

    def make() -> Any:
        return body

    def kept() -> int:
        return sum(len(each.tail) for each in cache._bodies.values())

    size = 0
    for question in range(10):
        encoded = cache.encoded(1, question, 9, make)
        assert isinstance(encoded, EncodedBody)
        size = len(encoded.tail)
        assert size < ENTRY_BYTES_MAX
        assert kept() <= BYTES_MAX
        cache.encoded(1, question, 9, make)
        assert cache.hits == question + 1, "the last one is kept"
    assert 10 * size > BYTES_MAX, "else this shows nothing"
    cache.encoded(2, 0, 9, make)
    assert kept() == size
