"""ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.errors import ErrorCode
from partitions.replicas.interface import EpochEnd, TrimOutcome
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeReplica, FakeServices

L, E, D = wire.messages(2), wire.messages(23), wire.messages(21)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def replica(services: FakeServices) -> FakeReplica:
    (replica,) = services.add_topic("t")
    replica.store(10)
    replica.log_start_offset = 3
    replica.end_offset = 15
    return replica


def listing(*parts: tuple[int, int], epoch: int = -1, **fields: Any) -> Any:
    partitions = [
        L.ListOffsetsPartition(partition_index=n, timestamp=ts, current_leader_epoch=epoch)
        for n, ts in parts
    ]
    return L.ListOffsetsRequest(
        **{"replica_id": -1, **fields},
        topics=[L.ListOffsetsTopic(name="t", partitions=partitions)],
    )


def found(services: FakeServices, version: int, request: Any) -> list[tuple[int, int, int]]:
    body = Client(services).ask(2, version, request)
    return [(p.error_code, p.timestamp, p.offset) for p in body.topics[0].partitions]


@pytest.mark.parametrize(
    "version, timestamp, expected",
    [
        (1, -1, (0, -1, 10)),
        (1, -2, (0, -1, 3)),
        (7, -3, (0, 4999, 9)),
        (6, -3, (ErrorCode.UNSUPPORTED_VERSION, -1, -1)),
        (8, -4, (0, -1, 3)),
        (7, -4, (ErrorCode.UNSUPPORTED_VERSION, -1, -1)),
        (9, -5, (0, -1, -1)),
        (9, -99, (ErrorCode.UNSUPPORTED_VERSION, -1, -1)),
        (1, 1000, (0, 1001, 7)),
        (1, 9000, (0, -1, -1)),
    ],
)
def test_list_offsets(
    services: FakeServices,
    replica: FakeReplica,
    version: int,
    timestamp: int,
    expected: tuple[int, int, int],
) -> None:
    assert found(services, version, listing((0, timestamp))) == [expected]


def test_list_offsets_read_committed(services: FakeServices, replica: FakeReplica) -> None:
    assert found(services, 2, listing((0, -1), isolation_level=1)) == [(0, -1, 10)]
    body = Client(services).ask(2, 2, listing((0, -1), isolation_level=7))
    assert body.topics[0].partitions[0].error_code == ErrorCode.INVALID_REQUEST


def test_list_offsets_names_the_epoch_of_the_end(
    services: FakeServices, replica: FakeReplica
) -> None:
    body = Client(services).ask(2, 4, listing((0, -1)))
    assert body.topics[0].partitions[0].leader_epoch == 5


@pytest.mark.parametrize(
    ("timestamp", "offset", "epoch"), [(-2, 3, 2), (1000, 7, 3), (-3, 9, 4), (9000, -1, -1)]
)
def test_list_offsets_names_the_epoch_of_what_it_found(
    services: FakeServices, replica: FakeReplica, timestamp: int, offset: int, epoch: int
) -> None:
    replica.epochs = {3: 2, 7: 3, 9: 4, -1: 99}
    body = Client(services).ask(2, 7, listing((0, timestamp)))
    (part,) = body.topics[0].partitions
    assert (part.offset, part.leader_epoch) == (offset, epoch)


def test_list_offsets_is_the_leaders(services: FakeServices, replica: FakeReplica) -> None:
    fenced, unknown = ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.UNKNOWN_LEADER_EPOCH
    assert found(services, 4, listing((0, -1), epoch=4))[0][0] == fenced
    assert found(services, 4, listing((0, -1), epoch=6))[0][0] == unknown
    assert found(services, 4, listing((9, -1)))[0][0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert found(services, 4, listing((0, -1), replica_id=1))[0][0] == ErrorCode.INVALID_REQUEST
    replica.is_leader = False
    assert found(services, 4, listing((0, -1)))[0][0] == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_list_offsets_twice_or_not_allowed(services: FakeServices, replica: FakeReplica) -> None:
    twice = found(services, 4, listing((0, -1), (0, -2)))
    assert [code for code, _, _ in twice] == [ErrorCode.INVALID_REQUEST] * 2
    again = listing((0, 1000))
    again.topics = list(again.topics) * 2
    assert found(services, 4, again)[0][0] == ErrorCode.INVALID_REQUEST, "each is a look-up"
    services.authorizer = Denying((Operation.DESCRIBE, "t"))
    assert found(services, 4, listing((0, -1)))[0][0] == ErrorCode.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "epoch, current, expected",
    [
        (4, -1, (0, 3, 8)),
        (2, -1, (0, -1, -1)),
        (9, -1, (0, -1, -1)),
        (-1, -1, (0, -1, -1)),
        (4, 4, (ErrorCode.FENCED_LEADER_EPOCH, -1, -1)),
    ],
)
def test_offset_for_leader_epoch(
    services: FakeServices,
    replica: FakeReplica,
    epoch: int,
    current: int,
    expected: tuple[int, int, int],
) -> None:
    replica.epoch_ends = {4: EpochEnd(3, 8), 9: EpochEnd(5, 10)}
    part = E.OffsetForLeaderPartition(partition=0, current_leader_epoch=current, leader_epoch=epoch)
    request = E.OffsetForLeaderEpochRequest(
        topics=[E.OffsetForLeaderTopic(topic="t", partitions=[part])]
    )
    body = Client(services).ask(23, 2, request)
    (answer,) = body.topics[0].partitions
    assert (answer.error_code, answer.leader_epoch, answer.end_offset) == expected
    assert answer.partition == 0


def trimming(*parts: tuple[int, int], timeout: int = 1000) -> Any:
    partitions = [D.DeleteRecordsPartition(partition_index=n, offset=at) for n, at in parts]
    return D.DeleteRecordsRequest(
        topics=[D.DeleteRecordsTopic(name="t", partitions=partitions)], timeout=timeout
    )


def trimmed(body: Any) -> list[tuple[int, int]]:
    return [(p.error_code, p.low_watermark) for p in body.topics[0].partitions]


def test_delete_records_answers_at_commit(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(21, 2, trimming((0, 5)))
    assert client.receive() == []
    ((offset, on_done),) = replica.trims
    assert offset == 5
    on_done(TrimOutcome(ErrorCode.NONE, 5))
    assert trimmed(client.receive()[0][1]) == [(0, 5)]


def test_delete_records_up_to_the_high_watermark(
    services: FakeServices, replica: FakeReplica
) -> None:
    Client(services).send(21, 2, trimming((0, -1)))
    assert replica.trims[0][0] == 10, "the high watermark, not the end"


@pytest.mark.parametrize("offset", [11, -2])
def test_delete_records_out_of_range(
    services: FakeServices, replica: FakeReplica, offset: int
) -> None:
    body = Client(services).ask(21, 2, trimming((0, offset), (7, 1)))
    assert trimmed(body) == [
        (ErrorCode.OFFSET_OUT_OF_RANGE, -1),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1),
    ]
    assert replica.trims == []


def test_delete_records_twice_trims_nothing(services: FakeServices, replica: FakeReplica) -> None:
    body = Client(services).ask(21, 2, trimming((0, 5), (0, 6)))
    assert trimmed(body) == [(ErrorCode.INVALID_REQUEST, -1)] * 2
    again = trimming((0, 5))
    again.topics = list(again.topics) * 2
    assert trimmed(Client(services).ask(21, 2, again)) == [(ErrorCode.INVALID_REQUEST, -1)]
    assert replica.trims == [], "each would be an entry"


def test_delete_records_times_out(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(21, 2, trimming((0, 5), timeout=100))
    services.reactor.advance(200_000)
    assert trimmed(client.receive()[0][1]) == [(ErrorCode.REQUEST_TIMED_OUT, -1)]
    replica.trims[0][1](TrimOutcome(ErrorCode.NONE, 5))
    assert client.receive() == []


def test_delete_records_needs_permission(services: FakeServices, replica: FakeReplica) -> None:
    services.authorizer = Denying((Operation.DELETE, "t"))
    body = Client(services).ask(21, 2, trimming((0, 5)))
    assert trimmed(body) == [(ErrorCode.TOPIC_AUTHORIZATION_FAILED, -1)]
    assert replica.trims == []
