"""Two producers of different makes and a consumer that write and read at a steady pace.

Unlike `load`, which writes as fast as it can, these say how long each acknowledgement took: what
an application would notice of a broker that goes and comes. The clients run on their defaults.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import aiokafka
import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.live.clients.confluent_client import silent
from tests.live.load import NO_OFFSET, PATIENCE_S, Delivered
from tests.live.waiting import wait_for

PACE_S = 0.005
KEYS = [b"key-%d" % number for number in range(60)]


class Stall(NamedTuple):
    """The slowest acknowledgement of a while."""

    seconds: float
    partition: int
    began: float
    """Seconds since 1970 (wall clock), to find it in the brokers' logs."""


NO_STALL = Stall(0.0, -1, 0.0)


class Producing:
    """What both producers keep count of; `sent`, `delivered`, `failures` as `load.Load` has."""

    def __init__(self, name: str, topic: str) -> None:
        self.name = name
        self.topic = topic
        self.sent = 0
        self.delivered: list[Delivered] = []
        self.failures: list[str] = []
        self._slowest = NO_STALL
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def finish(self) -> None:
        """Stop writing, and wait until the fate of all records is known."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), f"{self.name} does not end"

    def take_slowest(self) -> Stall:
        """The slowest acknowledgement since the last call."""
        slowest, self._slowest = self._slowest, NO_STALL
        return slowest

    def _next(self) -> tuple[bytes, bytes]:
        """Key and value of the next record."""
        number, key = divmod(self.sent, len(KEYS))
        return KEYS[key], b"%d" % number

    def _acknowledged(self, began: float, done: Delivered) -> None:
        self.delivered.append(done)
        seconds = time.monotonic() - began
        if seconds > self._slowest.seconds:
            self._slowest = Stall(seconds, done.partition, time.time() - seconds)

    def _run(self) -> None:
        raise NotImplementedError


class Librdkafka(Producing):
    """confluent-kafka: idempotent, acks=all."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__("confluent-kafka", topic)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "logger": silent,
                "enable.idempotence": True,
                "message.timeout.ms": int(PATIENCE_S * 1000),
            }
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            key, value = self._next()
            done = partial(self._done, time.monotonic())
            self._producer.produce(self.topic, value, key, on_delivery=done)
            self.sent += 1
            self._producer.poll(PACE_S)
        left = self._producer.flush(PATIENCE_S)
        if left:
            self.failures.append(f"{left} records have no fate yet")

    def _done(self, began: float, error: Any, message: confluent_kafka.Message) -> None:
        if error is not None:
            self.failures.append(str(error))
            return
        key, value, offset = message.key(), message.value(), message.offset()
        assert isinstance(key, bytes)
        assert isinstance(value, bytes)
        known = NO_OFFSET if offset is None else offset
        self._acknowledged(began, Delivered(message.partition() or 0, known, key, value))


class Aiokafka(Producing):
    """aiokafka: idempotent, acks=all."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__("aiokafka", topic)
        self._bootstrap = bootstrap

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")

    async def _work(self) -> None:
        async with aiokafka.AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True
        ) as producer:
            while not self._stop.is_set():
                key, value = self._next()
                began = time.monotonic()
                future = await producer.send(self.topic, value, key)
                self.sent += 1
                future.add_done_callback(partial(self._done, began, key, value))
                await asyncio.sleep(PACE_S)
            await producer.flush()

    def _done(self, began: float, key: bytes, value: bytes, future: asyncio.Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        where = future.result()
        offset = NO_OFFSET if where.offset < 0 else where.offset
        self._acknowledged(began, Delivered(where.partition, offset, key, value))


class Consuming:
    """Reads topics as they are written; checks that each partition's offsets have no gap."""

    def __init__(self, bootstrap: str, topics: list[str], partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "logger": silent,
                "group.id": "unused",
                "enable.auto.commit": False,
            }
        )
        self._next = {(topic, part): 0 for topic in topics for part in range(partitions)}
        self._consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in self._next])
        self.failures: list[str] = []
        self.read = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def finish(self, written: int) -> None:
        """Read what is left, and stop."""
        wait_for(lambda: self.failures or self.read >= written, PATIENCE_S, "the consumer")
        self._stop.set()
        self._thread.join(PATIENCE_S)
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(1000, 0.05):
                self._take(message)

    def _take(self, message: confluent_kafka.Message) -> None:
        error, offset = message.error(), message.offset()
        place = (message.topic() or "", message.partition() or 0)
        if error is not None:
            self.failures.append(f"{place}: {error}")
        elif offset != self._next[place]:
            self.failures.append(f"{place}: offset {offset} after {self._next[place] - 1}")
        else:
            self._next[place] += 1
            self.read += 1


class Loads(NamedTuple):
    """All that runs at the same time."""

    producers: tuple[Producing, ...]
    consumer: Consuming


@contextmanager
def steady_loads(bootstrap: str, topics: list[str], partitions: int) -> Iterator[Loads]:
    """The clients, running inside the block; two topics, one for each producer."""
    producers = (Librdkafka(bootstrap, topics[0]), Aiokafka(bootstrap, topics[1]))
    consumer = Consuming(bootstrap, topics, partitions)
    for each in (*producers, consumer):
        each.start()
    yield Loads(producers, consumer)
    for producer in producers:
        producer.finish()
    consumer.finish(sum(producer.sent for producer in producers))
