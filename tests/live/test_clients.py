"""What a program does with a Kafka cluster, with every client library that there is for Python."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from itertools import count

import pytest

from partitions.errors import ErrorCode, KafkaError
from tests.live.clients import Client, Record
from tests.live.clients.aiokafka_client import AiokafkaClient
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.clients.kafka_python_client import KafkaPythonClient
from tests.live.cluster import Cluster
from tests.live.raw import wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

Make = Callable[[str], Client]

LIBRARIES: dict[str, Make] = {
    "confluent": ConfluentClient,
    "aiokafka": AiokafkaClient,
    "kafka_python": KafkaPythonClient,
}
START_MS = 1_700_000_000_000
PATIENCE_S = 60.0
_numbers = count()


@pytest.fixture(params=list(LIBRARIES))
def client(request: pytest.FixtureRequest, common_cluster: Cluster) -> Client:
    return LIBRARIES[request.param](common_cluster.bootstrap)


@pytest.fixture
def topic(client: Client, common_cluster: Cluster) -> str:
    """A fresh topic with one partition, known to all brokers: not every call is repeated."""
    name = f"topic-{next(_numbers)}"
    client.create_topic(name)
    wait_for_leaders(common_cluster, name)
    return name


def numbered(total: int, first: int = 0) -> list[Record]:
    return [
        Record(f"value {number}".encode() * 5, f"key {number % 7}".encode())
        for number in range(first, first + total)
    ]


def without_time(records: Sequence[Record]) -> list[Record]:
    return [record._replace(timestamp_ms=None) for record in records]


def held(client: Client, topic: str, total: int) -> list[Record]:
    """The first `total` records, after a check that their offsets are dense from 0."""
    stored = client.consume(topic, total)
    assert [each.offset for each in stored] == list(range(total))
    return without_time([each.record for each in stored])


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(client: Client, topic: str, compression: str) -> None:
    if compression not in client.compressions:
        pytest.skip(f"{type(client).__name__} has no {compression} here")
    records = numbered(400)
    offsets = client.produce(topic, records, compression=compression)
    assert offsets == list(range(len(records)))
    assert held(client, topic, len(records)) == records


def test_keys_values_headers_and_timestamps_come_back_as_they_were(
    client: Client, topic: str
) -> None:
    records = [
        Record(b"plain", b"key", (), START_MS),
        Record(b"null key", None, (), START_MS + 1),
        Record(b"", b"", (), START_MS + 2),
        Record(None, b"tombstone", (), START_MS + 3),
        Record(bytes(range(256)), bytes(range(255, -1, -1)), (), START_MS + 4),
        Record(b"v", b"k", (("one", b"1"), ("empty", b""), ("one", b"again")), START_MS + 5),
        Record("tekst zażółć".encode(), "ключ".encode(), (("näme", b"\x00\xff"),), START_MS + 6),
        Record(b"earlier than the first", b"k", (), START_MS - 86_400_000),
    ]
    assert client.produce(topic, records) == list(range(len(records)))
    assert [each.record for each in client.consume(topic, len(records))] == records


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_every_kind_of_acknowledgement(client: Client, topic: str, acks: int) -> None:
    records = numbered(100)
    offsets = client.produce(topic, records, acks=acks)
    if acks != 0:
        assert offsets == list(range(len(records)))
    assert held(client, topic, len(records)) == records


def test_an_idempotent_producer_after_another(client: Client, topic: str) -> None:
    first, second = numbered(1000), numbered(500, first=1000)
    assert client.produce(topic, first, idempotent=True) == list(range(1000))
    assert client.produce(topic, second, idempotent=True) == list(range(1000, 1500))
    assert held(client, topic, 1500) == first + second
    assert client.latest(topic) == 1500


def test_the_largest_message_fits(client: Client, topic: str) -> None:
    small, large = Record(b"small"), Record(random.Random(1).randbytes(1_000_000), b"large")
    assert client.produce(topic, [small, large, small]) == [0, 1, 2]
    assert held(client, topic, 3) == [small, large, small]


def test_a_larger_message_is_refused_and_leaves_nothing(client: Client, topic: str) -> None:
    with pytest.raises(KafkaError) as caught:
        client.produce(topic, [Record(random.Random(2).randbytes(1_100_000))])
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert client.produce(topic, [Record(b"after")]) == [0]


def test_a_topic_may_allow_larger_messages(client: Client) -> None:
    name = f"large-{next(_numbers)}"
    client.create_topic(name, max_message_bytes=str(3 * 1024 * 1024))
    large = Record(random.Random(3).randbytes(3_000_000))
    assert client.produce(name, [large]) == [0]
    assert held(client, name, 1) == [large]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_timestamp_out_of_range_is_refused(client: Client, hours: int) -> None:
    name, now_ms = f"times-{next(_numbers)}", int(time.time() * 1000)
    client.create_topic(name, message_timestamp_before_max_ms="3600000")
    with pytest.raises(KafkaError) as caught:
        client.produce(name, [Record(b"then", timestamp_ms=now_ms + hours * 3_600_000)])
    assert caught.value.code is ErrorCode.INVALID_TIMESTAMP
    assert client.produce(name, [Record(b"now", timestamp_ms=now_ms)]) == [0]


def test_reading_from_inside_a_batch(client: Client, topic: str) -> None:
    records = numbered(300)
    client.produce(topic, records)
    stored = client.consume(topic, 100, start=137)
    assert [each.offset for each in stored] == list(range(137, 237))
    assert without_time([each.record for each in stored]) == records[137:237]


def test_an_offset_out_of_range_is_told_so(client: Client, topic: str) -> None:
    """The library then goes where auto.offset.reset says: to the first record."""
    client.produce(topic, numbered(10))
    assert [each.offset for each in client.consume(topic, 10, start=1_000_000)] == list(range(10))


def test_offsets_by_timestamp(client: Client, topic: str) -> None:
    records = [Record(b"v", timestamp_ms=START_MS + 10 * number) for number in range(200)]
    client.produce(topic, records[:100])
    client.produce(topic, records[100:])
    assert client.offset_at(topic, 0) == 0
    assert client.offset_at(topic, START_MS) == 0
    assert client.offset_at(topic, START_MS + 1) == 1
    assert client.offset_at(topic, START_MS + 990) == 99
    assert client.offset_at(topic, START_MS + 991) == 100
    assert client.offset_at(topic, START_MS + 1990) == 199
    assert client.offset_at(topic, START_MS + 1991) is None


def test_deleted_records_are_gone_and_offsets_go_on(client: Client, topic: str) -> None:
    assert (client.earliest(topic), client.latest(topic)) == (0, 0)
    client.produce(topic, numbered(100))
    assert (client.earliest(topic), client.latest(topic)) == (0, 100)
    assert client.delete_records(topic, 40) == 40
    assert (client.earliest(topic), client.latest(topic)) == (40, 100)
    assert [each.offset for each in client.consume(topic, 60)] == list(range(40, 100))
    assert client.delete_records(topic, 100) == 100
    assert client.produce(topic, numbered(1)) == [100]
    assert (client.earliest(topic), client.latest(topic)) == (100, 101)


def test_records_that_are_not_there_cannot_be_deleted(client: Client, topic: str) -> None:
    client.produce(topic, numbered(5))
    with pytest.raises(KafkaError) as caught:
        client.delete_records(topic, 6)
    assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_topic_is_made_when_somebody_writes_to_it(client: Client) -> None:
    name = f"made-{next(_numbers)}"
    assert client.produce(name, numbered(20)) == list(range(20))
    assert name in client.topics()
    assert held(client, name, 20) == numbered(20)


def test_topics_come_and_go(client: Client) -> None:
    name = f"short-lived-{next(_numbers)}"
    client.create_topic(name, 3)
    assert client.produce(name, numbered(5), partition=2) == list(range(5))
    with pytest.raises(KafkaError) as again:
        client.create_topic(name)
    assert again.value.code is ErrorCode.TOPIC_ALREADY_EXISTS
    client.delete_topic(name)
    wait_for(lambda: name not in client.topics(), PATIENCE_S, "the topic to be gone")
    with pytest.raises(KafkaError) as gone:
        client.delete_topic(name)
    assert gone.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    client.create_topic(name)
    assert client.produce(name, numbered(1)) == [0], "a new topic with an old name is empty"


def test_partitions_are_added(client: Client, topic: str) -> None:
    client.produce(topic, numbered(3))
    client.create_partitions(topic, 4)
    for partition in (1, 2, 3):
        assert client.produce(topic, numbered(2), partition=partition) == [0, 1]
    assert client.produce(topic, numbered(1)) == [3]
    with pytest.raises(KafkaError) as fewer:
        client.create_partitions(topic, 2)
    assert fewer.value.code is ErrorCode.INVALID_PARTITIONS


def test_what_one_library_writes_the_others_read(common_cluster: Cluster) -> None:
    clients = [make(common_cluster.bootstrap) for make in LIBRARIES.values()]
    clients[0].create_topic("shared")
    records = []
    for number, (client, compression) in enumerate(
        zip(clients, ("gzip", "lz4", "none"), strict=True)
    ):
        own = [
            Record(f"{number}-{i}".encode(), b"k", (("from", b"%d" % number),), START_MS + i)
            for i in range(50)
        ]
        client.produce("shared", own, compression=compression)
        records += own
    for client in clients:
        assert [each.record for each in client.consume("shared", len(records))] == records
