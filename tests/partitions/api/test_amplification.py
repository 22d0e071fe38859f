"""What is asked about a thousand times is told once: answers stay as small as their questions."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.quorum.description import QuorumView
from partitions import wire
from partitions.api import QuorumReply
from partitions.errors import ErrorCode
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices

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
