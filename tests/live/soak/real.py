"""Real clients: a producer of acknowledged records, and groups of member processes."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.live.clients.confluent_client import silent
from tests.live.cluster import Cluster
from tests.live.group_matrix import Member
from tests.live.load import IMPATIENT
from tests.live.soak.asking import Cast

TOPIC = "real"
RATE_S = 0.025


class Producing:
    """Some records a second, over all partitions."""

    def __init__(self, cast: Cast) -> None:
        self._stop = threading.Event()
        self.partitions = 4
        self.acknowledged: list[tuple[int, int]] = []
        self.unplaced = 0
        """Acknowledged as repetitions whose offset the broker does not remember."""
        self.failures: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": cast.cluster.bootstrap,
                "logger": silent,
                "enable.idempotence": True,
                "message.timeout.ms": 120_000,
                "error_cb": self._complain,
                **IMPATIENT,
            }
        )
        self._number = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.wait(RATE_S):
                self.one()
                self._producer.poll(0)
        except (KafkaException, BufferError) as error:
            self.failures.append(f"the producer gave up: {error}")

    def one(self) -> None:
        self._number += 1
        partition = self._number % self.partitions
        text = b"%d" % self._number
        try:
            self._producer.produce(TOPIC, text, partition=partition, on_delivery=self._done)
        except KafkaException:  # it has not heard of the new partitions yet
            self._producer.produce(TOPIC, text, partition=0, on_delivery=self._done)

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            self.failures.append(f"fatal: {error}")

    def _done(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures.append(str(error))
        elif message.offset() is None:
            self.unplaced += 1
        else:
            self.acknowledged.append((message.partition(), message.offset()))

    def flush(self) -> None:
        left = self._producer.flush(120)
        assert left == 0, f"{left} records have no fate"

    def grew(self, partitions: int) -> None:
        """The topic has more partitions now."""
        self.partitions = partitions

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
        self.flush()


@dataclass
class RealGroup:
    """Members of one library."""

    cluster: Cluster
    library: str
    name: str = ""
    topic: str = TOPIC
    seen: list[tuple[int, int]] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    def join(self) -> None:
        self.name = self.name or f"real-{self.library}"
        self.members.append(Member(self.library, self))  # type: ignore[arg-type]

    def disturb(self, chance: random.Random, cast: Cast) -> str:
        """Kill a member and let another one join, stop one for a while, or let one leave."""
        act = chance.choice(["kill", "leave", "stop"])
        member = chance.choice(self.members)
        if act == "stop":
            member.signal(SIGSTOP)
            cast.sleep(chance.uniform(5, 9))
            member.signal(SIGCONT)
        else:
            self.members.remove(member)
            member.end(SIGKILL if act == "kill" else SIGTERM)
            self.join()
        return f"{act} a member of {self.name}"

    def end(self) -> None:
        while self.members:
            self.members.pop().end(SIGTERM)

    def kill(self) -> None:
        while self.members:
            self.members.pop().end(SIGKILL)

    def lag(self, consumer: Consumer, partitions: int) -> dict[int, tuple[int, int]]:
        """(committed, end) of the partitions that are not read to their end."""
        places = [TopicPartition(TOPIC, each) for each in range(partitions)]
        found = {}
        try:
            for each in consumer.committed(places, timeout=10):
                end = consumer.get_watermark_offsets(each, timeout=10)[1]
                if each.offset != end:
                    found[each.partition] = (each.offset, end)
        except KafkaException:
            return {-1: (-1, -1)}
        return found
