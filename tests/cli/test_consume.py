"""`quorate consume`: a partition between two leaders, and a reader that has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from cli.commands.consume import watched, watermarks
from cli.context import Address, Target
from cli.exits import CommandFailed
from cli.interrupts import Interrupts
from cli.patience import Reachability

PLACE = TopicPartition("t", 0)


class Asked:
    """In place of a consumer: fails so many times before it answers."""

    def __init__(self, code: int, failures: int) -> None:
        self._code = code
        self._failures = failures
        self.times = 0
        self.waited_s = 0.0
        self.refreshed = 0

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self.times += 1
        if self.times <= self._failures or self.refreshed < self._failures:
            raise KafkaException(KafkaError(self._code))
        return 3, 9

    def list_topics(self, topic: str, timeout: float) -> None:
        """Brings what get_watermark_offsets answers from up to date; not every time it works."""
        self.refreshed += 1
        if self.refreshed == 1:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, timeout: float) -> None:
        self.waited_s += timeout


def ask(client: Any, timeout_s: float) -> tuple[int, int]:
    return watermarks(client, PLACE, Target((Address("127.0.0.1", 1),), timeout_s, ()))


@pytest.mark.parametrize(
    "code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION]
)
def test_a_partition_between_two_leaders_is_asked_again(code: int) -> None:
    client = Asked(code, 2)
    assert ask(client, 30.0) == (3, 9)
    assert client.times == 3
    assert client.waited_s > 0


@pytest.mark.parametrize(
    ("code", "timeout_s"), [(KafkaError._UNKNOWN_PARTITION, 0.0), (KafkaError._TRANSPORT, 30.0)]
)
def test_other_errors_and_the_end_of_the_time_are_failures(code: int, timeout_s: float) -> None:
    with pytest.raises(CommandFailed, match="asking for the end of t partition 0"):
        ask(Asked(code, 1 << 30), timeout_s)


def test_a_reader_that_has_left_ends_it_though_no_record_comes() -> None:
    reading, writing = os.pipe()
    asked = 0

    def silence() -> Iterator[list[Any]]:
        nonlocal asked
        while True:
            asked += 1
            if asked == 3:
                os.close(reading)
            assert asked < 10, "nobody looked at the pipe"
            yield []

    with open(writing, "wb") as sink, Interrupts() as interrupts, pytest.raises(BrokenPipeError):
        for batch in watched(silence(), interrupts, Reachability(()), sink):
            assert batch == []
    assert asked == 3
