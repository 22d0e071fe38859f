"""An idempotent producer whose topic is deleted and made anew under it goes on (KIP-360)."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from partitions.errors import ErrorCode, KafkaError
from tests.live.clients.confluent_client import ConfluentClient, read_to_end, silent
from tests.live.cluster import Cluster
from tests.live.raw import wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

TOPIC, PARTITIONS = "again", 1
"""As many partitions as a topic has that the producer has made by asking for it."""
ROUNDS = 6
PATIENCE_S = 60.0
NO_OFFSETS = (None, -1, -1001)
"""librdkafka has none for what it takes to be written because a later batch was."""


class Acknowledged(NamedTuple):
    """One record that the producer says is written."""

    number: int
    partition: int
    offset: int | None


class Writer:
    """Writes numbers that count up, a bounded number of them on their way."""

    def __init__(self, bootstrap: str) -> None:
        self.sent = 0
        self.acknowledged: list[Acknowledged] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "logger": silent,
                "enable.idempotence": True,
                "linger.ms": 1,
                "batch.num.messages": 20,
                "queue.buffering.max.messages": 1000,
                "retry.backoff.ms": 20,
                "on_delivery": self._delivered,
            }
        )

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set() and not self.failures:
            try:
                self._producer.produce(TOPIC, b"%d" % self.sent, partition=self.sent % PARTITIONS)
                self.sent += 1
            except BufferError:
                self._producer.poll(0.01)
            self._producer.poll(0)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures.append(str(error))
            return
        number = int(message.value())
        self.acknowledged.append(Acknowledged(number, message.partition(), message.offset()))

    def go_on(self, count: int) -> None:
        """Wait until `count` of the records sent from now on are acknowledged."""
        first = self.sent

        def enough() -> bool:
            assert not self.failures, self.failures[:3]
            return sum(each.number >= first for each in list(self.acknowledged)) >= count

        wait_for(enough, PATIENCE_S, f"{count} more records to be acknowledged")

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert self._producer.flush(PATIENCE_S) == 0
        assert not self.failures, self.failures[:3]


def make_anew(client: ConfluentClient, cluster: Cluster) -> None:
    client.delete_topic(TOPIC)
    try:
        client.create_topic(TOPIC, PARTITIONS)
    except KafkaError as error:
        if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
            raise  # the producer may have asked for it first: auto.create.topics.enable
    wait_for_leaders(cluster, TOPIC)


def test_it_goes_on_and_nothing_is_lost_or_doubled(common_cluster: Cluster) -> None:
    client = ConfluentClient(common_cluster.bootstrap)
    client.create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(common_cluster, TOPIC)
    writer = Writer(common_cluster.bootstrap)
    writer.start()
    first_after = 0
    for _ in range(ROUNDS):
        writer.go_on(2000)
        make_anew(client, common_cluster)
        first_after = writer.sent
    writer.go_on(2000)
    writer.finish()
    content = [
        [int(stored.value or b"") for stored in partition]
        for partition in read_to_end(common_cluster.bootstrap, TOPIC, PARTITIONS)
    ]
    times = Counter(number for partition in content for number in partition)
    assert max(times.values()) == 1, [n for n, count in times.items() if count > 1][:5]
    for number, partition, offset in writer.acknowledged:
        if number >= first_after:
            assert times[number] == 1, f"{number} was acknowledged at {offset} and is not there"
            assert offset in NO_OFFSETS or content[partition][offset or 0] == number
    assert all(partition == sorted(partition) for partition in content)
