"""Produce: validation, acknowledgement levels, time-outs, leader hints."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from metadata.configs import BrokerLayers, topic_config
from partitions.api.produce import SUCCESSOR_POLL_US, SUCCESSOR_WAIT_US
from partitions.errors import ErrorCode, KafkaError
from partitions.records import HEADER_BYTES, Codec, Record, build_batch, parse_header
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeReplica, FakeServices, ManualReactor
from tests.partitions.api.requests import batch, produce


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def replica(services: FakeServices) -> FakeReplica:
    return services.add_topic("t")[0]


def only(response: Any) -> Any:
    """The one partition of a response."""
    (topic,) = response.responses
    (part,) = topic.partition_responses
    return part


def transactional() -> bytes:
    """A valid batch that is part of a transaction."""
    options: dict[str, Any] = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 0}
    records = [Record(0, 1000, None, b"v", ())]
    return bytes(build_batch(records, base_timestamp=1000, transactional=True, **options))


def test_acks_all_answers_at_commit(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch(3))))
    client.send(0, 9, produce(("t", 0, batch(2))))
    assert client.receive() == []
    replica.commit()
    answers = [only(body) for _, body in client.receive()]
    assert [(a.error_code, a.base_offset, a.error_message) for a in answers] == [
        (0, 0, None),
        (0, 3, None),
    ]
    assert len(services.deadlines) == 0, "the time-outs were let go"


NOW = ManualReactor().wall_ms()
LIMITS = {"message.timestamp.before.max.ms": "5000", "message.timestamp.after.max.ms": "2000"}


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
@pytest.mark.parametrize(
    "settings, timestamps, refused",
    [
        ({}, [0, NOW], None),
        ({}, [-1, -1], None),
        ({}, [NOW, NOW + 3_600_000], None),
        ({}, [NOW, NOW + 3_600_001], NOW + 3_600_001),
        (LIMITS, [NOW - 5_000, NOW + 2_000], None),
        (LIMITS, [NOW - 5_001, NOW], NOW - 5_001),
        (LIMITS, [NOW, NOW + 2_001, NOW], NOW + 2_001),
        (LIMITS, [NOW + 2_001, NOW], NOW + 2_001),
        (LIMITS, [-1, -1], None),
        (LIMITS | {"message.timestamp.type": "LogAppendTime"}, [0, NOW * 2], None),
        ({"message.timestamp.before.max.ms": "0"}, [NOW - 1], NOW - 1),
    ],
)
def test_timestamps_out_of_range(
    services: FakeServices,
    replica: FakeReplica,
    codec: Codec,
    settings: dict[str, str],
    timestamps: list[int],
    refused: int | None,
) -> None:
    replica.config = topic_config(settings, BrokerLayers())
    records = [Record(timestamp=timestamp, value=b"v") for timestamp in timestamps]
    data = bytes(build_batch(records, base_timestamp=timestamps[0], codec=codec))
    answer = only(Client(services).ask(0, 9, produce(("t", 0, data), acks=1)))
    if refused is None:
        assert (answer.error_code, answer.base_offset) == (0, 0)
    else:
        assert answer.error_code == ErrorCode.INVALID_TIMESTAMP.value
        assert f"timestamp {refused} is out of range" in answer.error_message
        assert not replica.batches


def test_acks_1_answers_at_once(services: FakeServices, replica: FakeReplica) -> None:
    answer = only(Client(services).ask(0, 9, produce(("t", 0, batch()), acks=1)))
    assert (answer.error_code, answer.base_offset) == (0, 0)
    assert replica.appended_acks == [1]


def test_batches_are_stamped_in_the_frame(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    for _ in range(2):
        client.ask(0, 9, produce(("t", 0, batch(3)), acks=1))
    headers = [parse_header(stored) for stored in replica.batches]
    assert [(h.base_offset, h.leader_epoch) for h in headers] == [(0, 5), (3, 5)]


def test_the_response_waits_for_all_partitions(services: FakeServices) -> None:
    first, second = services.add_topic("t", 2)
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), ("t", 1, batch())))
    first.commit()
    assert client.receive() == []
    second.commit()
    ((_, body),) = client.receive()
    assert [p.error_code for p in body.responses[0].partition_responses] == [0, 0]


def test_the_time_out_names_only_what_is_open(services: FakeServices) -> None:
    first, second = services.add_topic("t", 2)
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), ("t", 1, batch()), timeout=200))
    first.commit()
    services.reactor.advance(199_000)
    assert client.receive() == []
    services.reactor.advance(60_000)
    ((_, body),) = client.receive()
    done, late = body.responses[0].partition_responses
    assert (done.error_code, done.base_offset) == (0, 0)
    assert (late.error_code, late.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, -1)
    assert "may still become visible" in late.error_message
    second.commit()
    assert client.receive() == [], "a late commit answers nothing twice"


def test_a_negative_time_out_is_no_time(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), timeout=-5))
    services.reactor.advance(60_000)
    assert only(client.receive()[0][1]).error_code == ErrorCode.REQUEST_TIMED_OUT


def test_a_huge_time_out_is_cut(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), timeout=2**31 - 1))
    services.reactor.advance(121_000_000)
    assert only(client.receive()[0][1]).error_code == ErrorCode.REQUEST_TIMED_OUT


@pytest.mark.parametrize("acks", [-2, 2, 100])
def test_acks_are_checked(services: FakeServices, replica: FakeReplica, acks: int) -> None:
    answer = only(Client(services).ask(0, 9, produce(("t", 0, batch()), acks=acks)))
    assert answer.error_code == ErrorCode.INVALID_REQUIRED_ACKS
    assert replica.batches == []


def corrupt(records: bytes) -> bytes:
    return records[:-1] + bytes([records[-1] ^ 1])


def old_format(records: bytes) -> bytes:
    return records[:16] + b"\x01" + records[17:]


@pytest.mark.parametrize(
    "records, code, word",
    [
        (None, ErrorCode.INVALID_RECORD, "empty"),
        (b"", ErrorCode.INVALID_RECORD, "empty"),
        (batch() + batch(), ErrorCode.INVALID_RECORD, "exactly one batch"),
        (batch() + b"x", ErrorCode.INVALID_RECORD, "exactly one batch"),
        (batch()[: HEADER_BYTES - 1], ErrorCode.CORRUPT_MESSAGE, ""),
        (batch()[:-1], ErrorCode.CORRUPT_MESSAGE, ""),
        (corrupt(batch()), ErrorCode.CORRUPT_MESSAGE, "CRC"),
        (old_format(batch()), ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, ""),
        (transactional(), ErrorCode.INVALID_TXN_STATE, "transactional.id"),
        (batch(value=bytes(200_000)), ErrorCode.MESSAGE_TOO_LARGE, "max.message.bytes"),
        (struct.pack(">qi", 0, -100) + batch()[12:], ErrorCode.CORRUPT_MESSAGE, "length"),
    ],
)
def test_bad_records_are_refused(
    services: FakeServices, replica: FakeReplica, records: bytes | None, code: int, word: str
) -> None:
    answer = only(Client(services).ask(0, 9, produce(("t", 0, records))))
    assert answer.error_code == code
    assert word in answer.error_message
    assert (answer.base_offset, answer.log_append_time) == (-1, -1)
    assert replica.batches == []


def test_one_bad_partition_does_not_harm_the_others(services: FakeServices) -> None:
    _, second = services.add_topic("t", 2)
    client = Client(services)
    client.send(0, 9, produce(("t", 0, b"junk"), ("t", 1, batch()), ("t", 7, batch())))
    second.commit()
    ((_, body),) = client.receive()
    codes = [p.error_code for p in body.responses[0].partition_responses]
    assert codes == [ErrorCode.CORRUPT_MESSAGE, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


def test_unknown_topic(services: FakeServices) -> None:
    answer = only(Client(services).ask(0, 9, produce(("gone", 0, batch()))))
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("version", [9, 10])
def test_not_leader_names_the_leader(services: FakeServices, version: int) -> None:
    (replica,) = services.add_topic("t")
    replica.is_leader = False
    services.lead(replica.group, 6, 2)
    body = Client(services).ask(0, version, produce(("t", 0, batch())))
    answer = only(body)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    if version < 10:
        return
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (2, 6)
    (node,) = body.node_endpoints
    assert (node.node_id, node.host, node.port) == (2, "host2", 9002)


@pytest.mark.parametrize("version", [9, 10])
def test_a_refusal_waits_for_the_successors_name(services: FakeServices, version: int) -> None:
    """As far as anybody knows, this broker leads; it does not any more."""
    moving, stays = services.add_topic("t", 2)
    moving.is_leader = False
    client = Client(services)
    client.send(0, version, produce(("t", 0, batch()), ("t", 1, batch())))
    stays.commit()
    services.reactor.advance(SUCCESSOR_WAIT_US // 2)
    assert client.receive() == []
    services.lead(moving.group, 6, 2)
    services.reactor.advance(SUCCESSOR_POLL_US)
    ((_, body),) = client.receive()
    refused, appended = body.responses[0].partition_responses
    assert (refused.error_code, appended.error_code) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, 0)
    if version >= 10:
        hint = refused.current_leader
        assert (hint.leader_id, hint.leader_epoch) == (2, 6)
        assert [node.node_id for node in body.node_endpoints] == [2]
    assert moving.batches == []


def test_a_refusal_waits_for_so_long_and_names_nobody(services: FakeServices) -> None:
    (replica,) = services.add_topic("t")
    client = Client(services)
    client.send(0, 10, produce(("t", 0, batch())))
    replica.lose()
    services.reactor.advance(SUCCESSOR_WAIT_US - SUCCESSOR_POLL_US)
    assert client.receive() == []
    services.reactor.advance(SUCCESSOR_POLL_US)
    ((_, body),) = client.receive()
    assert only(body).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert only(body).current_leader is None
    assert list(body.node_endpoints) == []


def test_no_longer_than_the_request_may_take(services: FakeServices) -> None:
    (replica,) = services.add_topic("t")
    replica.is_leader = False
    client = Client(services)
    client.send(0, 10, produce(("t", 0, batch()), timeout=20))
    services.reactor.advance(100_000)
    ((_, body),) = client.receive()
    assert only(body).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_a_fenced_leader_is_not_named(services: FakeServices) -> None:
    (replica,) = services.add_topic("t")
    replica.is_leader = False
    services.lead(replica.group, 6, 3)
    body = Client(services).ask(0, 10, produce(("t", 0, batch())))
    assert only(body).current_leader is None
    assert list(body.node_endpoints) == []


def test_leadership_lost_while_waiting(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 10, produce(("t", 0, batch())))
    services.lead(replica.group, 6, 2)
    replica.lose()
    ((_, body),) = client.receive()
    answer = only(body)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert answer.base_offset == -1
    assert answer.current_leader.leader_id == 2
    assert [node.node_id for node in body.node_endpoints] == [2]


def test_a_refused_append_carries_its_reason(services: FakeServices, replica: FakeReplica) -> None:
    replica.refusal = KafkaError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "expected 5")
    answer = only(Client(services).ask(0, 9, produce(("t", 0, batch()))))
    assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert answer.error_message == "expected 5"


def test_acks_0_with_an_error_closes(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), acks=0))
    assert client.session.close_reason is None
    client.send(0, 9, produce(("t", 9, batch()), acks=0))
    assert "acks=0" in str(client.session.close_reason)
    assert client.receive() == []


def test_acks_0_with_a_transaction_closes(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch()), acks=0, transactional_id="x"))
    assert client.session.close_reason is not None
    assert replica.batches == []


def test_a_failure_half_way_leaves_nothing_behind(services: FakeServices) -> None:
    """The first batch is appended, then a bug: its late commit must find nobody."""
    first, second = services.add_topic("t", 2)
    second.refusal = ZeroDivisionError("a bug")
    client = Client(services)
    body = client.ask(0, 9, produce(("t", 0, batch()), ("t", 1, batch())))
    assert [p.error_code for p in body.responses[0].partition_responses] == [-1, -1]
    first.commit()
    assert client.receive() == []
    assert len(services.deadlines) == 0


def test_writing_needs_permission(services: FakeServices, replica: FakeReplica) -> None:
    services.authorizer = Denying((Operation.WRITE, "t"))
    answer = only(Client(services).ask(0, 9, produce(("t", 0, batch()))))
    assert answer.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert replica.batches == []
