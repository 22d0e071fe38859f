"""aiokafka: asyncio, with a protocol implementation of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiokafka
from aiokafka import TopicPartition, codec
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import BrokerResponseError, for_code

from partitions.errors import ErrorCode, KafkaError
from tests.live.clients.interface import (
    PATIENCE_S,
    REQUEST_BYTES_MAX,
    Record,
    Stored,
    config_names,
)

Result = TypeVar("Result")

_CODECS = {
    "none": lambda: True,
    "gzip": codec.has_gzip,
    "snappy": codec.has_snappy,
    "lz4": codec.has_lz4,
    "zstd": codec.has_zstd,
}


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end in an event loop of its own; the library's errors as ours."""
    try:
        return asyncio.run(asyncio.wait_for(work, PATIENCE_S))
    except BrokerResponseError as error:
        raise KafkaError(ErrorCode(error.errno), str(error)) from error


class AiokafkaClient:
    """See `interface.Client`."""

    compressions = tuple([name for name, present in _CODECS.items() if present()])

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

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

        async def work() -> list[int]:
            async with aiokafka.AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all" if acks == -1 else acks,
                enable_idempotence=idempotent,
                compression_type=None if compression == "none" else compression,
                max_request_size=REQUEST_BYTES_MAX,
            ) as producer:
                sent = [
                    await producer.send(
                        topic,
                        record.value,
                        record.key,
                        partition,
                        record.timestamp_ms,
                        list(record.headers),
                    )
                    for record in records
                ]
                await producer.flush()
                # With acks=0 there is no metadata.
                return [0 if (done := await future) is None else done.offset for future in sent]

        return run(work())

    def consume(
        self, topic: str, count: int, *, partition: int = 0, start: int = 0
    ) -> list[Stored]:
        """See `interface.Client.consume`."""

        async def work() -> list[Any]:
            async with self._consumer() as consumer:
                place = TopicPartition(topic, partition)
                consumer.assign([place])
                consumer.seek(place, start)
                return [await consumer.getone() for _ in range(count)]

        return [
            Stored(each.offset, each.value, each.key, tuple(each.headers), each.timestamp)
            for each in run(work())
        ]

    def earliest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.earliest`."""
        return self._ask("beginning_offsets", [TopicPartition(topic, partition)])

    def latest(self, topic: str, partition: int = 0) -> int:
        """See `interface.Client.latest`."""
        return self._ask("end_offsets", [TopicPartition(topic, partition)])

    def _ask(self, method: str, places: list[Any]) -> int:
        async def work() -> int:
            async with self._consumer() as consumer:
                return int((await getattr(consumer, method)(places))[places[0]])

        return run(work())

    def offset_at(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        """See `interface.Client.offset_at`."""

        async def work() -> int | None:
            async with self._consumer() as consumer:
                place = TopicPartition(topic, partition)
                found = (await consumer.offsets_for_times({place: timestamp_ms}))[place]
                return None if found is None else int(found.offset)

        return run(work())

    def topics(self) -> list[str]:
        """See `interface.Client.topics`."""
        return sorted(self._manage("list_topics"))

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """See `interface.Client.create_topic`."""
        topic = NewTopic(name, partitions, 3, topic_configs=config_names(config))
        response = self._manage("create_topics", [topic])
        _check(error[1] for error in response.topic_errors)

    def delete_topic(self, name: str) -> None:
        """See `interface.Client.delete_topic`."""
        response = self._manage("delete_topics", [name])
        _check(error[1] for error in response.topic_error_codes)

    def create_partitions(self, name: str, total: int) -> None:
        """See `interface.Client.create_partitions`."""
        self._manage("create_partitions", {name: NewPartitions(total)})

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int:
        """See `interface.Client.delete_records`."""
        place = TopicPartition(topic, partition)
        done = self._manage("delete_records", {place: RecordsToDelete(before)})
        return int(done[place])

    def _manage(self, method: str, *arguments: Any) -> Any:
        async def work() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            try:
                return await getattr(admin, method)(*arguments)
            finally:
                await admin.close()

        return run(work())

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[Any]:
        async with aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            yield consumer


def _check(codes: Any) -> None:
    for code in codes:
        if code:
            raise KafkaError(ErrorCode(code), str(for_code(code)))
