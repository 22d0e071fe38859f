"""What follows a refused batch of an idempotent producer does not take its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from partitions.api import RefusedBatches
from partitions.api.produce import SUCCESSOR_WAIT_US
from partitions.api.refused import KEPT_MAX
from partitions.errors import ErrorCode, KafkaError
from partitions.records import parse_header
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeReplica, FakeServices
from tests.partitions.api.requests import batch, produce

OUT_OF_ORDER = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


def of(sequence: int, *, epoch: int = 0, producer: int = 9) -> bytes:
    return batch(producer_id=producer, producer_epoch=epoch, base_sequence=sequence)


def send(client: Client, sequence: int, **identity: int) -> None:
    client.send(0, 9, produce(("t", 0, of(sequence, **identity))))


def codes(client: Client) -> list[ErrorCode]:
    """Of the answers, which are given once it is clear that nobody else leads."""
    client.services.reactor.advance(SUCCESSOR_WAIT_US)
    bodies = [body for _, body in client.receive()]
    return [ErrorCode(b.responses[0].partition_responses[0].error_code) for b in bodies]


def not_leader(services: FakeServices) -> Callable[[], FakeReplica]:
    replica = services.add_topic("t")[0]
    replica.is_leader = False

    def end() -> FakeReplica:
        replica.is_leader = True
        return replica

    return end


def no_topic(services: FakeServices) -> Callable[[], FakeReplica]:
    return lambda: services.add_topic("t")[0]


def too_few_replicas(services: FakeServices) -> Callable[[], FakeReplica]:
    replica = services.add_topic("t")[0]
    replica.refusal = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, "one is missing")

    def end() -> FakeReplica:
        replica.refusal = None
        return replica

    return end


@pytest.mark.parametrize("begin", [not_leader, no_topic, too_few_replicas])
def test_those_behind_a_refused_batch_wait_for_it(services: FakeServices, begin: Any) -> None:
    end = begin(services)
    client = Client(services)
    send(client, 57)
    replica = end()
    send(client, 58)
    send(client, 59)
    refused, *others = codes(client)
    assert refused is not ErrorCode.NONE
    assert others == [OUT_OF_ORDER, OUT_OF_ORDER]
    assert replica.batches == []
    for sequence in (57, 58, 59):  # as the client sends them again
        send(client, sequence)
    replica.commit()
    assert codes(client) == [ErrorCode.NONE] * 3
    assert [parse_header(b).base_sequence for b in replica.batches] == [57, 58, 59]


def test_a_batch_lost_after_its_append_is_a_refused_one(services: FakeServices) -> None:
    replica = services.add_topic("t")[0]
    client = Client(services)
    send(client, 57)
    replica.lose()
    replica.batches.clear()
    replica.is_leader = True
    send(client, 58)
    assert codes(client) == [ErrorCode.NOT_LEADER_OR_FOLLOWER, OUT_OF_ORDER]


def test_a_batch_lost_after_its_time_out_is_one_too(services: FakeServices) -> None:
    replica = services.add_topic("t")[0]
    client = Client(services)
    send(client, 57)
    services.reactor.advance(2_000_000)
    replica.lose()
    replica.batches.clear()
    replica.is_leader = True
    send(client, 58)
    assert codes(client) == [ErrorCode.REQUEST_TIMED_OUT, OUT_OF_ORDER]


def test_topics_made_anew_after_an_append(services: FakeServices) -> None:
    old = services.add_topic("t")[0]
    client = Client(services)
    send(client, 57)
    old.lose()
    new = services.add_topic("t")[0]
    send(client, 58)
    assert codes(client) == [ErrorCode.NOT_LEADER_OR_FOLLOWER, OUT_OF_ORDER]
    assert new.batches == []


@pytest.mark.parametrize(
    ("sequence", "identity"),
    [(60, {}), (57, {}), (0, {"epoch": 1}), (58, {"epoch": 1}), (58, {"producer": 10})],
    ids=["further on", "the same again", "a new epoch", "another epoch", "another producer"],
)
def test_all_else_is_the_partitions_to_judge(
    services: FakeServices, sequence: int, identity: dict[str, int]
) -> None:
    end = not_leader(services)
    client = Client(services)
    send(client, 57)
    replica = end()
    send(client, sequence, **identity)
    replica.commit()
    assert codes(client) == [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE]


def test_another_connection_or_a_known_producer_goes_on(services: FakeServices) -> None:
    end = not_leader(services)
    client, other = Client(services), Client(services, connection_id=2)
    send(client, 57)
    replica = end()
    send(other, 58)
    send(client, 58)  # by now the producer is known: what it may send is the partition's affair
    replica.commit()
    assert codes(other) == [ErrorCode.NONE]
    assert codes(client) == [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE]


def test_batches_without_a_producer_leave_no_trace(services: FakeServices) -> None:
    not_leader(services)
    Client(services).send(0, 9, produce(("t", 0, batch())))
    assert len(services.refused_batches) == 0


def test_the_memory_is_bounded() -> None:
    refused = RefusedBatches()
    headers = [parse_header(of(0, producer=n)) for n in range(KEPT_MAX + 5)]
    for header in headers:
        refused.note((1, "t", 0), header)
    assert len(refused) == KEPT_MAX
    follows = [parse_header(of(1, producer=n)) for n in (0, 4, 5)]
    assert [refused.precede((1, "t", 0), header) for header in follows] == [False, False, True]
