"""The standard library's sources, line by line, through a cluster whose brokers die in turn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from tests.live.clients.confluent_client import ConfluentClient, read_to_end, silent
from tests.live.cluster import Cluster
from tests.live.load import IMPATIENT
from tests.live.raw import wait_for_leaders

pytestmark = pytest.mark.live

TOPIC = "lines"
PARTITIONS = 6
BYTES_MIN = 20_000_000
IN_FLIGHT_MAX = 40_000
PATIENCE_S = 120.0

Line = tuple[bytes, bytes]
"""File name, and the line behind its running number."""


def source_lines() -> Iterator[Line]:
    """Lines of the standard library's files, in order, until there are enough bytes."""
    library = Path(os.__file__).parent
    names = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    number = size = 0
    while size < BYTES_MIN:
        for path in names:
            key = str(path.relative_to(library)).encode()
            for line in path.read_bytes().splitlines():
                yield key, b"%d %b" % (number, line)
                number, size = number + 1, size + len(line)
            if size >= BYTES_MIN:
                return


class Sender:
    """An idempotent producer that counts what became of its records."""

    def __init__(self, bootstrap: str) -> None:
        self.delivered = 0
        self.failures: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "logger": silent,
                "enable.idempotence": True,
                "queue.buffering.max.messages": IN_FLIGHT_MAX,
                **IMPATIENT,
            }
        )

    def send(self, lines: Iterable[Line]) -> None:
        """Hand all to the client; when this returns many are still on their way."""
        for key, value in lines:
            while not self._accepted(key, value):
                self._producer.poll(0.1)

    def _accepted(self, key: bytes, value: bytes) -> bool:
        try:
            self._producer.produce(TOPIC, value, key, on_delivery=self._done)
        except BufferError:
            return False
        return True

    def _done(self, error: Any, message: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.failures.append(str(error))

    def finish(self) -> None:
        """Wait for the rest."""
        left = self._producer.flush(PATIENCE_S)
        assert (left, self.failures) == (0, [])


def check(lines: list[Line], content: Iterable[list[Any]]) -> None:
    """Every line is there once, whole, and after the lines of its file that precede it."""
    seen = bytearray(len(lines))
    last: dict[bytes, int] = {}
    for partition in content:
        assert [stored.offset for stored in partition] == list(range(len(partition)))
        for stored in partition:
            number = int(stored.value.partition(b" ")[0])
            assert lines[number] == (stored.key, stored.value)
            assert last.get(stored.key, -1) < number, f"{stored.key!r}: line {number} comes late"
            last[stored.key] = number
            seen[number] += 1
    assert seen.count(1) == len(lines), f"{seen.count(0)} lines are lost"


def test_every_line_arrives_once_and_in_order(cluster: Cluster) -> None:
    lines = list(source_lines())
    assert sum(len(value) for _, value in lines) > BYTES_MIN
    ConfluentClient(cluster.bootstrap).create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(cluster, TOPIC)
    sender, left = Sender(cluster.bootstrap), iter(lines)
    part = len(lines) // 10
    for broker in (1, 2, 3):
        sender.send(islice(left, part))
        cluster.kill(broker)
        sender.send(islice(left, part))
        cluster.start(broker)
        sender.send(islice(left, part))
        cluster.wait_ready()
    sender.send(left)
    sender.finish()
    assert sender.delivered == len(lines)
    check(lines, read_to_end(cluster.bootstrap, TOPIC, PARTITIONS))
