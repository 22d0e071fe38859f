"""kafka-python: a client in pure Python with a protocol implementation of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import kafka
from kafka import codec
from kafka.errors import BrokerResponseError

from partitions.errors import ErrorCode, KafkaError
from tests.live.clients.interface import (
    PATIENCE_S,
    REQUEST_BYTES_MAX,
    Record,
    Stored,
    config_names,
)

Result = TypeVar("Result")

_CODECS: dict[str, Callable[[], bool]] = {
    "none": lambda: True,
    "gzip": codec.has_gzip,
    "snappy": codec.has_snappy,
    "lz4": codec.has_lz4,
    "zstd": codec.has_zstd,
}
_PATIENCE_MS = int(PATIENCE_S * 1000)


@contextmanager
def refusals() -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except BrokerResponseError as error:
        raise KafkaError(ErrorCode(error.errno), str(error)) from error


class KafkaPythonClient:
    """See `interface.Client`."""

    compressions = tuple([name for name, present in _CODECS.items() if present()])

    def __init__(self, bootstrap: str) -> None:
        self._servers = bootstrap.split(",")

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
        producer = kafka.KafkaProducer(
            bootstrap_servers=self._servers,
            acks=acks,
            enable_idempotence=idempotent,
            compression_type=None if compression == "none" else compression,
            max_request_size=REQUEST_BYTES_MAX,
            linger_ms=5,
        )
        with closing(producer), refusals():
            sent = [
                producer.send(
                    topic,
                    record.value,
                    record.key,
                    list(record.headers),
                    partition,
                    record.timestamp_ms,
                )
                for record in records
            ]
            producer.flush(PATIENCE_S)
            return [future.get(PATIENCE_S).offset for future in sent]

    def consume(
        self, topic: str, count: int, *, partition: int = 0, start: int = 0
    ) -> list[Stored]:
        """See `interface.Client.consume`."""
        with self._consumer() as consumer:
            place = kafka.TopicPartition(topic, partition)
            consumer.assign([place])
            consumer.seek(place, start)
            messages = [next(consumer) for _ in range(count)]
        return [
            Stored(each.offset, each.value, each.key, tuple(each.headers), each.timestamp)
            for each in messages
        ]

    def earliest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.earliest`."""
        place = kafka.TopicPartition(topic, partition)
        with self._consumer() as consumer:
            return int(consumer.beginning_offsets([place])[place])

    def latest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.latest`."""
        place = kafka.TopicPartition(topic, partition)
        with self._consumer() as consumer:
            return int(consumer.end_offsets([place])[place])

    def offset_at(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        """See `interface.Client.offset_at`."""
        place = kafka.TopicPartition(topic, partition)
        with self._consumer() as consumer:
            found = consumer.offsets_for_times({place: timestamp_ms})[place]
            return None if found is None else int(found.offset)

    def topics(self) -> list[str]:
        """See `interface.Client.topics`."""
        return self._manage(lambda admin: sorted(admin.list_topics()))

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """See `interface.Client.create_topic`."""
        wanted = {
            "num_partitions": partitions,
            "replication_factor": 3,
            "configs": config_names(config),
        }
        self._manage(lambda admin: admin.create_topics({name: wanted}))

    def delete_topic(self, name: str) -> None:
        """See `interface.Client.delete_topic`."""
        self._manage(lambda admin: admin.delete_topics([name]))

    def create_partitions(self, name: str, total: int) -> None:
        """See `interface.Client.create_partitions`."""
        self._manage(lambda admin: admin.create_partitions({name: total}))

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int:
        """See `interface.Client.delete_records`."""
        place = kafka.TopicPartition(topic, partition)
        done = self._manage(lambda admin: admin.delete_records({place: before}))
        return int(done[place]["low_watermark"])

    def _manage(self, work: Callable[[Any], Result]) -> Result:
        admin = kafka.KafkaAdminClient(bootstrap_servers=self._servers)
        with closing(admin), refusals():
            return work(admin)

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self._servers,
            auto_offset_reset="earliest",
            consumer_timeout_ms=_PATIENCE_MS,
        )
        with closing(consumer), refusals():
            yield consumer
