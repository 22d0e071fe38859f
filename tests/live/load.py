"""A producer that writes while brokers come and go, and the reckoning afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import confluent_kafka
from confluent_kafka import Producer

from tests.live.clients import Stored
from tests.live.clients.confluent_client import read_to_end, silent
from tests.live.cluster import Cluster
from tests.live.waiting import wait_for

PATIENCE_S = 90.0
POLL_S = 0.05
NO_OFFSET = -1
IMPATIENT = {
    # A stopped broker answers nothing, and only these make librdkafka look elsewhere soon.
    "request.timeout.ms": 2000,
    "socket.timeout.ms": 3000,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 2000,
}


class Delivered(NamedTuple):
    """An acknowledged record; NO_OFFSET when the broker knew it as an old repetition."""

    partition: int
    offset: int
    key: bytes
    value: bytes


class Written(Protocol):
    """What a producer did, for the reckoning."""

    sent: int
    delivered: list[Delivered]
    failures: list[str]


class Load:
    """Keys in turn, each with values that count up from 0, a bounded number of them in flight."""

    def __init__(self, bootstrap: str, topic: str, keys: int, in_flight: int) -> None:
        self._topic = topic
        self._keys = [b"key-%d" % number for number in range(keys)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "logger": silent,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": in_flight,
                "message.timeout.ms": int(PATIENCE_S * 1000),
                **IMPATIENT,
            }
        )
        self.sent = 0
        self.delivered: list[Delivered] = []
        self.failures: list[str] = []

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def finish(self) -> None:
        """Stop writing, and wait until the fate of all records is known."""
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        left = self._producer.flush(PATIENCE_S)
        assert left == 0, f"{left} records have no fate yet"

    def abandon(self) -> None:
        """Stop at once, whatever becomes of what is in flight: no broker need be there."""
        self._stop.set()
        self._thread.join()
        self._producer.purge()
        self._producer.flush(PATIENCE_S)

    def wait_for_progress(self, what: str, partitions: int, count: int = 50) -> None:
        """Until every partition acknowledged `count` more records."""
        before = self._acknowledged(partitions)

        def moved() -> bool:
            after = self._acknowledged(partitions)
            return all(new - old >= count for old, new in zip(before, after, strict=True))

        wait_for(moved, PATIENCE_S, f"acknowledgements in every partition {what}")

    def _acknowledged(self, partitions: int) -> list[int]:
        counted = Counter(each.partition for each in list(self.delivered))
        return [counted[number] for number in range(partitions)]

    def _run(self) -> None:
        while not self._stop.is_set():
            number, key = divmod(self.sent, len(self._keys))
            self.sent += self._produce(self._keys[key], b"%d" % number)

    def _produce(self, key: bytes, value: bytes) -> bool:
        """Hand it to the client; False if it had no room until the end."""
        while not self._stop.is_set():
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._done)
            except BufferError:
                self._producer.poll(POLL_S)
            else:
                self._producer.poll(0)
                return True
        return False

    def _done(self, error: Any, message: confluent_kafka.Message) -> None:
        if error is not None:
            self.failures.append(str(error))
            return
        key, value = message.key(), message.value()
        assert isinstance(key, bytes)
        assert isinstance(value, bytes)
        offset = message.offset()
        known = NO_OFFSET if offset is None else offset
        self.delivered.append(Delivered(message.partition() or 0, known, key, value))


@contextmanager
def loading(
    cluster: Cluster, topic: str, *, keys: int = 60, in_flight: int = 100
) -> Iterator[Load]:
    """A load that runs during the block and is finished after it.

    When the block fails, its own error is what is wanted, and perhaps no broker serves any more.
    """
    load = Load(cluster.bootstrap, topic, keys, in_flight)
    load.start()
    try:
        yield load
    except BaseException:
        load.abandon()
        raise
    load.finish()


def check_exactly_once(load: Written, content: list[list[Stored]]) -> None:
    """Every record was acknowledged, is there once, where it was said to be, in its key's order."""
    assert load.failures == []
    assert len(load.delivered) == load.sent
    check_acknowledged(load, content)
    assert sum(map(len, content)) == load.sent
    counted: Counter[bytes | None] = Counter()
    for partition in content:
        for stored in partition:
            assert stored.value == b"%d" % counted[stored.key], f"order of {stored.key!r}"
            counted[stored.key] += 1


def check_acknowledged(load: Written, content: list[list[Stored]]) -> None:
    """Every acknowledged record is where it was said to be, and offsets are dense from 0."""
    for number, partition in enumerate(content):
        assert [each.offset for each in partition] == list(range(len(partition))), f"in {number}"
    values = [{(each.key, each.value) for each in partition} for partition in content]
    for done in load.delivered:
        if done.offset < 0:
            assert (done.key, done.value) in values[done.partition]
            continue
        assert done.offset < len(content[done.partition]), f"{done} is lost"
        stored = content[done.partition][done.offset]
        assert (stored.key, stored.value) == (done.key, done.value), f"{done} is not there"


def read_all(cluster: Cluster, topic: str, partitions: int) -> list[list[Stored]]:
    """The content of every partition."""
    return list(read_to_end(cluster.bootstrap, topic, partitions))
