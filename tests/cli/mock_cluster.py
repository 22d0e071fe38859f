"""A cluster for client commands: librdkafka's mock brokers, which listen on loopback.

They answer produce, fetch, offsets and metadata, but no admin request: creating and deleting
topics is tested against real brokers only (tests/live).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

BROKERS = 3
PARTITIONS = 4
"""What a mock broker gives to a topic that springs into existence."""
TIMEOUT_S = 10.0


class MockCluster:
    """Three mock brokers, alive as long as this object."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        found = producer.list_topics(timeout=TIMEOUT_S)
        self.bootstrap = ",".join(f"{b.host}:{b.port}" for b in found.brokers.values())

    def fill(self, topic: str, partition: int, values: list[bytes]) -> None:
        """Append records to a partition, whose topic is created if need be."""
        for value in values:
            self._producer.produce(topic, value, b"key", partition)
        assert self._producer.flush(TIMEOUT_S) == 0

    def create(self, topic: str) -> None:
        """Make the topic by asking for it."""
        self._producer.list_topics(topic, timeout=TIMEOUT_S)


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """A fresh mock cluster."""
    producer = Producer(
        {"bootstrap.servers": "ignored", "test.mock.num.brokers": BROKERS, "log_level": 0}
    )
    yield MockCluster(producer)
    producer.flush(TIMEOUT_S)
