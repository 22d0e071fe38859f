"""librdkafka, through confluent-kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as LibrdkafkaError
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from partitions.errors import ErrorCode, KafkaError
from tests.live.clients.interface import (
    PATIENCE_S,
    REQUEST_BYTES_MAX,
    Record,
    Stored,
    config_names,
)
from tests.live.waiting import wait_for

Result = TypeVar("Result")

NO_LEADER = (LibrdkafkaError._UNKNOWN_PARTITION, LibrdkafkaError.NOT_LEADER_FOR_PARTITION)
"""What librdkafka says of a partition that is between two leaders, where it does not try again."""

silent = logging.getLogger("tests.librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


def refusal(error: Any) -> KafkaError:
    """librdkafka's error as ours; its own errors (negative codes) are not the broker's."""
    assert error.code() >= 0, f"not an answer of the broker: {error}"
    return KafkaError(ErrorCode(error.code()), error.str())


class ConfluentClient:
    """See `interface.Client`."""

    compressions = ("none", "gzip", "snappy", "lz4", "zstd")

    def __init__(self, bootstrap: str) -> None:
        self._settings: dict[str, Any] = {"bootstrap.servers": bootstrap, "logger": silent}
        # One for all calls: its futures fail when it is collected.
        self._admin = AdminClient(self._settings)

    def produce(
        self,
        topic: str,
        records: Sequence[Record],
        *,
        partition: int = 0,
        acks: int = -1,
        idempotent: bool = False,
        compression: str = "none",
    ) -> list[int]:
        """See `interface.Client.produce`."""
        producer = Producer(
            {
                **self._settings,
                "acks": acks,
                "enable.idempotence": idempotent,
                "compression.type": compression,
                "message.max.bytes": REQUEST_BYTES_MAX,
            }
        )
        offsets: list[int] = []
        errors: list[Any] = []

        def delivered(error: Any, message: confluent_kafka.Message) -> None:
            if error is not None:
                errors.append(error)
            else:
                offset = message.offset()
                offsets.append(-1 if offset is None else offset)

        for record in records:
            producer.produce(
                topic,
                record.value,
                record.key,
                partition,
                headers=list(record.headers),
                timestamp=record.timestamp_ms or 0,
                on_delivery=delivered,
            )
        left = producer.flush(PATIENCE_S)
        if errors:
            raise refusal(errors[0])
        assert left == 0, f"{left} of {len(records)} records were not delivered in time"
        return offsets

    def consume(
        self, topic: str, count: int, *, partition: int = 0, start: int = 0
    ) -> list[Stored]:
        """See `interface.Client.consume`."""
        with self.consumer() as consumer:
            consumer.assign([TopicPartition(topic, partition, start)])
            return list(_take(consumer, count))

    def earliest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.earliest`."""
        return self._watermarks(topic, partition)[0]

    def latest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.latest`."""
        return self._watermarks(topic, partition)[1]

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        with self.consumer() as consumer:
            return _watermarks(consumer, TopicPartition(topic, partition))

    def offset_at(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        """See `interface.Client.offset_at`."""
        with self.consumer() as consumer:
            wanted = TopicPartition(topic, partition, timestamp_ms)
            (found,) = consumer.offsets_for_times([wanted], PATIENCE_S)
            assert found.error is None, found.error
            return None if found.offset < 0 else found.offset

    def topics(self) -> list[str]:
        """See `interface.Client.topics`."""
        return sorted(self._admin.list_topics(timeout=PATIENCE_S).topics)

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """See `interface.Client.create_topic`."""
        topic = NewTopic(name, partitions, 3, config=config_names(config))
        _result(self._admin.create_topics([topic])[name])

    def delete_topic(self, name: str) -> None:
        """See `interface.Client.delete_topic`."""
        _result(self._admin.delete_topics([name])[name])

    def create_partitions(self, name: str, total: int) -> None:
        """See `interface.Client.create_partitions`."""
        _result(self._admin.create_partitions([NewPartitions(name, total)])[name])

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int:
        """See `interface.Client.delete_records`."""
        wanted = TopicPartition(topic, partition, before)
        done = _result(self._admin.delete_records([wanted])[wanted])
        return int(done.low_watermark)

    @contextmanager
    def consumer(self, **more: Any) -> Iterator[Consumer]:
        """A consumer of its own, to be given partitions."""
        consumer = Consumer(
            {
                **self._settings,
                "group.id": "unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                **more,
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()


def read_to_end(bootstrap: str, topic: str, partitions: int) -> Iterator[list[Stored]]:
    """One partition after the other: all it holds when it is its turn."""
    client = ConfluentClient(bootstrap)
    with client.consumer() as consumer:
        for number in range(partitions):
            place = TopicPartition(topic, number, OFFSET_BEGINNING)
            first, end = _watermarks(consumer, place)
            consumer.assign([place])
            yield list(_take(consumer, end - first))


def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    def ask() -> tuple[int, int] | None:
        try:
            return consumer.get_watermark_offsets(place, PATIENCE_S)
        except KafkaException as error:
            if error.args[0].code() not in NO_LEADER:
                raise
            return None

    return wait_for(ask, PATIENCE_S, f"the watermarks of {place}")


def _take(consumer: Consumer, count: int) -> Iterator[Stored]:
    deadline = time.monotonic() + PATIENCE_S
    while count > 0:
        for message in consumer.consume(min(count, 10_000), 1.0):
            error = message.error()
            if error is not None:
                raise refusal(error)
            count -= 1
            offset = message.offset()
            assert offset is not None
            yield Stored(
                offset,
                message.value(),
                message.key(),
                _headers(message),
                message.timestamp()[1],
            )
        assert time.monotonic() < deadline, f"{count} records did not come in time"


def _headers(message: confluent_kafka.Message) -> tuple[tuple[str, bytes], ...]:
    headers: Any = message.headers() or ()  # always pairs with bytes, says the documentation
    return tuple(headers)


def _result(future: Future[Result]) -> Result:
    try:
        return future.result(PATIENCE_S)
    except KafkaException as error:
        raise refusal(error.args[0]) from error
