"""Consumer groups: real clients share topics, come and go, and brokers die under them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiokafka
import confluent_kafka
import kafka
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.live.cluster import Cluster
from tests.live.conftest import COMMAND_S
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PARTITIONS = 6
POLL_S = 0.02
PATIENCE_S = 40.0
SESSION_MS = 6_000
NOTHING = confluent_kafka.OFFSET_INVALID


class Group:
    """A topic with values `0`, `1`, ... over all partitions, and consumers of it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.topic = f"topic-of-{name}"
        self.written = 0
        self.seen: list[tuple[int, int]] = []
        """(partition, offset) in the order in which consumers were given them."""
        self._open: list[Consumer] = []
        self.admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        self.admin.create_topics([NewTopic(self.topic, PARTITIONS, 3)])[self.topic].result(30)

    def write(self, count: int) -> None:
        """So many more values, one after another in each partition."""
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.cluster.bootstrap, "log_level": 0}
        )
        for number in range(self.written, self.written + count):
            producer.produce(self.topic, str(number).encode(), partition=number % PARTITIONS)
        assert producer.flush(PATIENCE_S) == 0
        self.written += count

    def consumer(self, *, subscribe: bool = True, **settings: Any) -> Consumer:
        """One more; closed at the end."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "group.id": self.name,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": 500,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
                **{key.replace("_", "."): value for key, value in settings.items()},
            }
        )
        self._open.append(consumer)
        if subscribe:
            consumer.subscribe([self.topic])
        return consumer

    def close(self, consumer: Consumer) -> None:
        """It leaves the group."""
        self._open.remove(consumer)
        consumer.close()

    def close_all(self) -> None:
        while self._open:
            self.close(self._open[0])

    def poll_until(self, condition: Callable[[], bool], what: str) -> None:
        """Poll every consumer until the condition holds; what they are given is noted."""

        def look() -> bool:
            for consumer in self._open:
                message = consumer.poll(POLL_S)
                if message is not None and message.error() is None:
                    place = (message.partition(), message.offset())
                    assert None not in place
                    self.seen.append(place)  # type: ignore[arg-type]
            return condition()

        wait_for(look, PATIENCE_S, what)

    def shared(self, *sizes: int) -> Callable[[], bool]:
        """Do the open consumers have so many partitions each, and all of them together?"""

        def look() -> bool:
            assigned = [[p.partition for p in c.assignment()] for c in self._open]
            numbers = sorted(number for numbers in assigned for number in numbers)
            fits = sorted(map(len, assigned)) == sorted(sizes)
            return fits and numbers == list(range(PARTITIONS))

        return look

    def all_seen(self) -> bool:
        return len(set(self.seen)) == self.written

    def committed(self) -> dict[int, int]:
        """By partition, as a consumer from outside sees it; patiently: brokers may have died."""
        places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        consumer = self.consumer(subscribe=False)

        def look() -> list[TopicPartition] | None:
            try:
                return consumer.committed(places, timeout=5)
            except confluent_kafka.KafkaException:
                return None

        found = wait_for(look, PATIENCE_S, "committed offsets")
        self.close(consumer)
        return {place.partition: place.offset for place in found}

    def coordinator(self) -> int:
        """The broker's id."""

        def look() -> int | None:
            try:
                described = self.admin.describe_consumer_groups([self.name])[self.name].result(5)
            except confluent_kafka.KafkaException:
                return None
            return int(described.coordinator.id)

        return wait_for(look, PATIENCE_S, "the coordinator")


@contextmanager
def grouped(cluster: Cluster, name: str) -> Iterator[Group]:
    group = Group(cluster, name)
    try:
        yield group
    finally:
        group.close_all()


def test_positions_are_kept_for_a_consumer_without_a_group_around_it(
    shared_cluster: Cluster,
) -> None:
    with grouped(shared_cluster, "alone") as group:
        consumer = group.consumer(subscribe=False)
        consumer.assign([TopicPartition(group.topic, 0, 0)])
        places = [TopicPartition(group.topic, 0, 7, "a note"), TopicPartition(group.topic, 1, 9)]
        for place in consumer.commit(offsets=places, asynchronous=False):
            assert place.error is None
        (first,) = consumer.committed([TopicPartition(group.topic, 0)], timeout=10)
        assert (first.offset, first.metadata) == (7, "a note")
        others = dict.fromkeys(range(2, PARTITIONS), NOTHING)
        assert group.committed() == {0: 7, 1: 9} | others


def test_members_share_and_take_over_from_who_leaves_and_from_who_is_killed(
    shared_cluster: Cluster,
) -> None:
    with grouped(shared_cluster, "shared") as group:
        first, second = group.consumer(), group.consumer()
        group.poll_until(group.shared(3, 3), "three partitions each")
        group.write(300)
        group.poll_until(group.all_seen, "all records")
        assert len(group.seen) == 300, "each record went to one of them, once"
        first.commit(asynchronous=False)
        second.commit(asynchronous=False)
        group.close(first)
        group.poll_until(group.shared(6), "the other to have them all")
        killed = _doomed(group)
        group.poll_until(lambda: len(second.assignment()) == 3, "a third to have its share")
        killed.kill()
        killed.wait(PATIENCE_S)
        group.poll_until(group.shared(6), "the dead member's session to end")
        group.write(60)
        group.poll_until(group.all_seen, "the new records")
        assert len(group.seen) == 360, "who took over went on where the others had committed"
        listed = group.admin.list_consumer_groups().result(10)
        assert not listed.errors
        assert "shared" in [each.group_id for each in listed.valid]
        group.close(second)
        deleted = group.admin.delete_consumer_groups(["shared"])["shared"]
        assert deleted.result(10) is None
        assert set(group.committed().values()) == {NOTHING}


DOOMED = """
import sys
from confluent_kafka import Consumer
bootstrap, group, topic, session_ms = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": group, "session.timeout.ms": int(session_ms),
    "heartbeat.interval.ms": 500, "enable.auto.commit": False, "log_level": 0,
})
consumer.subscribe([topic])
while True:
    consumer.poll(1)
"""


def _doomed(group: Group) -> subprocess.Popen[bytes]:
    """A member in a process of its own."""
    arguments = [group.cluster.bootstrap, group.name, group.topic, str(SESSION_MS)]
    return subprocess.Popen([sys.executable, "-c", DOOMED, *arguments], stdin=subprocess.DEVNULL)


def test_the_coordinator_is_killed_and_the_group_goes_on(cluster: Cluster) -> None:
    with grouped(cluster, "orphans") as group:
        first, second = group.consumer(), group.consumer()
        group.poll_until(group.shared(3, 3), "three partitions each")
        group.write(120)
        group.poll_until(group.all_seen, "all records")
        for consumer in (first, second):
            consumer.commit(asynchronous=False)
        before = group.committed()
        assert sum(before.values()) == 120
        dead = group.coordinator()
        cluster.kill(dead)
        group.write(60)
        group.poll_until(group.all_seen, "records written after it")
        assert len(group.seen) == 180, "members kept their positions"
        for consumer in (first, second):
            _commit(group, consumer)
        after = group.committed()
        assert sum(after.values()) == 180
        cluster.start(dead)
        cluster.wait_ready()
        cluster.kill_all()
        for broker_id in cluster.brokers:
            cluster.start(broker_id)
        cluster.wait_ready()
        assert group.committed() == after
        group.write(60)
        group.poll_until(group.all_seen, "records written after the restart")
        group.poll_until(group.shared(3, 3), "three partitions each again")


def _commit(group: Group, consumer: Consumer) -> None:
    """As an application does: again, when the coordinator has moved."""

    def committed() -> bool:
        try:
            consumer.commit(asynchronous=False)
        except confluent_kafka.KafkaException as error:
            if error.args[0].retriable() or error.args[0].code() in _AGAIN:
                return False
            raise
        return True

    group.poll_until(committed, "a commit")


_AGAIN = (
    confluent_kafka.KafkaError.REBALANCE_IN_PROGRESS,
    confluent_kafka.KafkaError.NOT_COORDINATOR,
    confluent_kafka.KafkaError._TIMED_OUT,
)


def test_a_transactional_producer_is_told_at_once(shared_cluster: Cluster) -> None:
    """There are no transactions yet: trying for ever would say nothing."""
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": shared_cluster.bootstrap, "transactional.id": "x", "log_level": 0}
    )
    with pytest.raises(confluent_kafka.KafkaException) as caught:
        producer.init_transactions(PATIENCE_S)
    assert caught.value.args[0].fatal()


def test_kafka_python(shared_cluster: Cluster) -> None:
    with grouped(shared_cluster, "kafka-python") as group:
        group.write(60)
        servers = shared_cluster.bootstrap.split(",")

        def consumer() -> kafka.KafkaConsumer:
            return kafka.KafkaConsumer(
                group.topic,
                bootstrap_servers=servers,
                group_id=group.name,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                consumer_timeout_ms=int(PATIENCE_S * 1000),
            )

        first = consumer()
        assert len({(m.partition, m.offset) for m in (next(first) for _ in range(60))}) == 60
        first.commit()
        first.close()
        group.write(6)
        second = consumer()
        assert sorted(m.offset for m in (next(second) for _ in range(6))) == [10] * 6
        second.close()


async def read_in_two_halves(bootstrap: str, group: Group) -> list[int]:
    """aiokafka: offsets that a second consumer is given after a first one committed."""

    def consumer() -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            group.topic,
            bootstrap_servers=bootstrap,
            group_id=group.name,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    async with consumer() as first:
        for _ in range(60):
            await first.getone()
        await first.commit()
    await asyncio.to_thread(group.write, 6)
    async with consumer() as second:
        return [(await second.getone()).offset for _ in range(6)]


def test_aiokafka(shared_cluster: Cluster) -> None:
    with grouped(shared_cluster, "aiokafka") as group:
        group.write(60)
        work = asyncio.wait_for(read_in_two_halves(shared_cluster.bootstrap, group), COMMAND_S)
        assert asyncio.run(work) == [10] * 6


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
def test_kcat(shared_cluster: Cluster) -> None:
    with grouped(shared_cluster, "kcat") as group:
        group.write(60)
        command = ["kcat", "-b", shared_cluster.bootstrap, "-q", "-X", "auto.offset.reset=earliest"]

        def read(count: int) -> list[str]:
            done = subprocess.run(
                [*command, "-c", str(count), "-G", group.name, group.topic],
                capture_output=True,
                check=True,
                timeout=COMMAND_S,
            )
            return done.stdout.decode().split()

        assert sorted(map(int, read(60))) == list(range(60))
        group.write(6)
        assert sorted(map(int, read(6))) == list(range(60, 66))
