"""Requests that are well-formed and wrong: Kafka's error, and the connection stays."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from partitions import wire
from partitions.errors import ErrorCode
from partitions.records import Record, build_batch
from partitions.wire import ApiKey
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster
from tests.live.raw import Connection, connected, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

TOPIC = "refusing"
PRODUCE = wire.messages(ApiKey.PRODUCE)
FETCH = wire.messages(ApiKey.FETCH)
LIST = wire.messages(ApiKey.LIST_OFFSETS)
PRODUCE_VERSION, FETCH_VERSION, LIST_VERSION = 9, 11, 7
CRC_AT, MAGIC_AT, LENGTH_AT, COUNT_AT = 17, 16, 8, 57
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def leader(common_cluster: Cluster) -> Broker:
    """The broker that leads the only partition of the topic, which holds ten records."""
    client = ConfluentClient(common_cluster.bootstrap)
    client.create_topic(TOPIC)
    (found,) = wait_for_leaders(common_cluster, TOPIC)
    with connected(common_cluster.brokers[found].kafka) as connection:
        answer = produce(connection, bytes(batch(10)))
        assert (answer.error_code, answer.base_offset) == (0, 0)
    return common_cluster.brokers[found]


@pytest.fixture
def connection(leader: Broker) -> Iterator[Connection]:
    """To the leader; after the test it still works, and nothing was appended."""
    with connected(leader.kafka) as made:
        yield made
        assert latest(made) == 10


def batch(count: int = 1, **options: Any) -> bytearray:
    records = [Record(value=b"value") for _ in range(count)]
    return build_batch(records, base_timestamp=1_700_000_000_000, **options)


def overwritten(position: int, data: bytes) -> bytes:
    """A batch with other bytes at one place, and a CRC that does not know of it."""
    changed = batch()
    changed[position : position + len(data)] = data
    return bytes(changed)


def produce_request(
    records: bytes | None, *, topic: str = TOPIC, partition: int = 0, acks: int = -1
) -> Any:
    part = PRODUCE.PartitionProduceData(index=partition, records=records)
    return PRODUCE.ProduceRequest(
        transactional_id=None,
        acks=acks,
        timeout=5000,
        topic_data=[PRODUCE.TopicProduceData(name=topic, partition_data=[part])],
    )


def produce(connection: Connection, records: bytes | None, **more: Any) -> Any:
    """The partition's part of the answer."""
    body = produce_request(records, **more)
    answer = connection.ask(ApiKey.PRODUCE, PRODUCE_VERSION, body)
    return answer.responses[0].partition_responses[0]


def fetch(
    connection: Connection, *, offset: int = 0, partition: int = 0, topic: str = TOPIC,
    epoch: int = -1, replica: int = -1,
) -> Any:  # fmt: skip
    """The partition's part of the answer, or the whole when there is none."""
    part = FETCH.FetchPartition(
        partition=partition,
        current_leader_epoch=epoch,
        fetch_offset=offset,
        last_fetched_epoch=-1,
        log_start_offset=-1,
        partition_max_bytes=1 << 20,
    )
    body = FETCH.FetchRequest(
        replica_id=replica,
        max_wait=0,
        min_bytes=1,
        max_bytes=1 << 20,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[FETCH.FetchTopic(topic=topic, partitions=[part])],
        forgotten_topics_data=[],
        rack_id="",
    )
    answer = connection.ask(ApiKey.FETCH, FETCH_VERSION, body)
    return answer.responses[0].partitions[0] if answer.responses else answer


def list_offset(connection: Connection, timestamp: int, **more: Any) -> Any:
    """The partition's part of the answer."""
    part = LIST.ListOffsetsPartition(
        partition_index=more.get("partition", 0),
        current_leader_epoch=more.get("epoch", -1),
        timestamp=timestamp,
    )
    body = LIST.ListOffsetsRequest(
        replica_id=-1,
        isolation_level=0,
        topics=[LIST.ListOffsetsTopic(name=more.get("topic", TOPIC), partitions=[part])],
    )
    return connection.ask(ApiKey.LIST_OFFSETS, LIST_VERSION, body).topics[0].partitions[0]


def latest(connection: Connection) -> int:
    answer = list_offset(connection, -1)
    assert answer.error_code == 0
    return int(answer.offset)


BAD_RECORDS: dict[str, tuple[bytes | None, ErrorCode]] = {
    "null": (None, ErrorCode.INVALID_RECORD),
    "empty": (b"", ErrorCode.INVALID_RECORD),
    "a wrong CRC": (overwritten(CRC_AT, b"\0\0\0\0"), ErrorCode.CORRUPT_MESSAGE),
    "a flipped bit": (overwritten(70, b"\xff"), ErrorCode.CORRUPT_MESSAGE),
    "less than a header": (bytes(batch())[:40], ErrorCode.CORRUPT_MESSAGE),
    "a batch cut short": (bytes(batch())[:-1], ErrorCode.CORRUPT_MESSAGE),
    "a length below zero": (
        overwritten(LENGTH_AT, struct.pack(">i", -5)),
        ErrorCode.CORRUPT_MESSAGE,
    ),
    "two batches": (bytes(batch() + batch()), ErrorCode.INVALID_RECORD),
    "the message format of 2016": (
        overwritten(MAGIC_AT, b"\1"),
        ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ),
    "a control batch": (bytes(batch(control=True, producer_id=1)), ErrorCode.INVALID_RECORD),
    "a transaction": (
        bytes(batch(transactional=True, producer_id=1, producer_epoch=0, base_sequence=0)),
        ErrorCode.INVALID_TXN_STATE,
    ),
    "more records than it says": (
        bytes(batch(3, last_offset_delta=7)),
        ErrorCode.INVALID_RECORD,
    ),
    "2 MB": (bytes(batch(1)) + bytes(2_000_000), ErrorCode.MESSAGE_TOO_LARGE),
}


@pytest.mark.parametrize("what", list(BAD_RECORDS))
def test_records_that_cannot_be_appended(connection: Connection, what: str) -> None:
    records, code = BAD_RECORDS[what]
    answer = produce(connection, records)
    assert (ErrorCode(answer.error_code), answer.base_offset) == (code, -1)
    assert answer.error_message


@pytest.mark.parametrize("where", [{"topic": "no-such-topic"}, {"partition": 1}, {"partition": -1}])
def test_a_place_that_is_not_there(connection: Connection, where: dict[str, Any]) -> None:
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert produce(connection, bytes(batch()), **where).error_code == unknown
    assert fetch(connection, **where).error_code == unknown
    assert list_offset(connection, -1, **where).error_code == unknown


@pytest.mark.parametrize("acks", [2, -2, 32767])
def test_acknowledgements_of_no_kind(connection: Connection, acks: int) -> None:
    answer = produce(connection, bytes(batch()), acks=acks)
    assert answer.error_code == ErrorCode.INVALID_REQUIRED_ACKS


@pytest.mark.parametrize("offset", [-1, 11, 2**62])
def test_offsets_out_of_range(connection: Connection, offset: int) -> None:
    assert fetch(connection, offset=offset).error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_epochs_of_the_past_and_of_the_future(connection: Connection) -> None:
    epoch = list_offset(connection, -1).leader_epoch
    assert fetch(connection, epoch=epoch).error_code == ErrorCode.NONE
    assert fetch(connection, epoch=epoch + 1).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert fetch(connection, epoch=0).error_code == ErrorCode.FENCED_LEADER_EPOCH
    asked = list_offset(connection, -1, epoch=epoch + 1)
    assert asked.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_a_client_cannot_pose_as_a_replica(connection: Connection) -> None:
    assert fetch(connection, replica=2).error_code != ErrorCode.NONE


def test_a_follower_says_that_it_does_not_lead(
    leader: Broker, connection: Connection, common_cluster: Cluster
) -> None:
    follower = common_cluster.brokers[leader.id % 3 + 1]
    with connected(follower.kafka) as other:
        wrong = ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert produce(other, bytes(batch())).error_code == wrong
        assert fetch(other).error_code == wrong
        assert list_offset(other, -1).error_code == wrong


def test_without_acknowledgement_only_the_end_of_the_connection_tells(
    leader: Broker, connection: Connection
) -> None:
    body = produce_request(overwritten(CRC_AT, b"\0\0\0\0"), acks=0)
    with connected(leader.kafka) as silent:
        silent.send(b"".join(wire.encode_request(ApiKey.PRODUCE, PRODUCE_VERSION, 1, "raw", body)))
        assert silent.is_closed()
        text = f"peer={silent.own_address} "
        wait_for(lambda: text in leader.log.read_text(), PATIENCE_S, "a log line")


def test_sequences_are_kept_and_repetitions_are_recognised(common_cluster: Cluster) -> None:
    topic = "sequences"
    ConfluentClient(common_cluster.bootstrap).create_topic(topic)
    (found,) = wait_for_leaders(common_cluster, topic)

    def sequenced(first: int, count: int) -> Any:
        records = batch(count, producer_id=8_000_000, producer_epoch=3, base_sequence=first)
        return produce(direct, bytes(records), topic=topic)

    with connected(common_cluster.brokers[found].kafka) as direct:
        assert sequenced(0, 4).base_offset == 0
        assert sequenced(4, 4).base_offset == 4
        assert sequenced(9, 1).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        for first in (0, 4):
            again = sequenced(first, 4)
            assert (again.error_code, again.base_offset) == (0, first)
        assert sequenced(8, 1).base_offset == 8
        older = batch(producer_id=8_000_000, producer_epoch=2, base_sequence=9)
        fenced = produce(direct, bytes(older), topic=topic)
        assert fenced.error_code == ErrorCode.INVALID_PRODUCER_EPOCH
        assert list_offset(direct, -1, topic=topic).offset == 9
