"""The brokers' own topics: read by anybody, changed by no client."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.internal import INTERNAL_TOPICS
from partitions import wire
from partitions.errors import ErrorCode
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices
from tests.partitions.api.requests import batch, fetch, produce

REFUSED = ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.fixture(params=sorted(INTERNAL_TOPICS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(services: FakeServices, key: int, version: int, body: Any) -> Any:
    """The response, which must be there at once: nothing was forwarded or appended."""
    response = Client(services).ask(key, version, body)
    assert services.calls == []
    return response


def test_it_is_not_created_by_clients(name: str) -> None:
    services = FakeServices()
    c, m = wire.messages(19), wire.messages(3)
    wanted = c.CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    (answer,) = ask(services, 19, 7, c.CreateTopicsRequest(topics=[wanted], timeout=1000)).topics
    assert (answer.error_code, name in answer.error_message) == (REFUSED, True)
    asked = m.MetadataRequest(
        topics=[m.MetadataRequestTopic(name=name)], allow_auto_topic_creation=True
    )
    (topic,) = ask(services, 3, 12, asked).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_it_is_neither_written_nor_changed(name: str) -> None:
    services = FakeServices()
    (replica,) = services.add_topic(name)
    replica.store(3)
    body = ask(services, 0, 9, produce((name, 0, batch())))
    assert body.responses[0].partition_responses[0].error_code == REFUSED
    d = wire.messages(20)
    request = d.DeleteTopicsRequest(topics=[d.DeleteTopicState(name=name)], timeout=1000)
    assert ask(services, 20, 6, request).responses[0].error_code == REFUSED
    by_id = d.DeleteTopicState(name=None, topic_id=replica.topic_id)
    request = d.DeleteTopicsRequest(topics=[by_id], timeout=1000)
    assert ask(services, 20, 6, request).responses[0].error_code == REFUSED
    p = wire.messages(37)
    more = p.CreatePartitionsTopic(name=name, count=9, assignments=None)
    request = p.CreatePartitionsRequest(topics=[more], timeout=1000)
    assert ask(services, 37, 3, request).results[0].error_code == REFUSED
    r = wire.messages(21)
    part = r.DeleteRecordsPartition(partition_index=0, offset=1)
    request = r.DeleteRecordsRequest(
        topics=[r.DeleteRecordsTopic(name=name, partitions=[part])], timeout=1000
    )
    answered = ask(services, 21, 2, request).topics[0].partitions[0]
    assert answered.error_code == REFUSED
    assert (replica.trims, replica.end_offset) == ([], 3)


def test_it_is_read(name: str) -> None:
    services = FakeServices()
    (replica,) = services.add_topic(name)
    replica.store(3)
    body = ask(services, 1, 12, fetch((name, 0, 0)))
    assert body.responses[0].partitions[0].error_code == 0
    assert bytes(body.responses[0].partitions[0].records)
