"""`quorate consume --group`: what was printed is committed, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from cli.context import Address, Target
from cli.exits import CommandFailed
from cli.groupreading import GroupReader
from tests.cli.conftest import Runner
from tests.cli.mock_cluster import PARTITIONS, MockCluster


def committed(mock: MockCluster, group: str, topic: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": mock.bootstrap, "group.id": group, "log_level": 0})
    places = consumer.committed([TopicPartition(topic, n) for n in range(PARTITIONS)], 10)
    consumer.close()
    return [place.offset for place in places]


def test_what_was_printed_is_committed(quorate: Runner, mock: MockCluster) -> None:
    """Each group once: the mock broker gives nothing to a second member after the first left."""
    mock.create("shared")
    mock.fill("shared", 1, [b"%d" % number for number in range(6)])
    consume = ("consume", "shared", "-b", mock.bootstrap, "--group")
    first = quorate(*consume, "some", "--count", "2")
    assert (first.code, first.out.split()) == (0, ["0", "1"]), first.err
    assert committed(mock, "some", "shared")[1] == 2
    whole = quorate(*consume, "whole", "--until-end")
    assert (whole.code, whole.out.split()) == (0, list("012345")), whole.err
    assert committed(mock, "whole", "shared")[1] == 6
    assert quorate(*consume, "look", "--no-commit", "--count", "3").out.split() == list("012")
    assert committed(mock, "look", "shared")[1] < 0


class Member:
    """In place of a consumer: hands out what it was given, and takes commits."""

    def __init__(self, values: list[Any], failure: int | None = None) -> None:
        self.values = values
        self.commits: list[dict[int, int]] = []
        self._failure = failure

    def subscribe(self, topics: list[str], on_assign: Any, on_revoke: Any) -> None:
        self.revoke = on_revoke
        on_assign(self, [TopicPartition("t", 0)])

    def consume(self, count: int, timeout: float) -> list[Any]:
        given, self.values = self.values[:count], self.values[count:]
        return given

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        if self._failure is not None:
            raise KafkaException(KafkaError(self._failure))
        self.commits.append({place.partition: place.offset for place in offsets})


class Event:
    """A record, or the end of its partition."""

    def __init__(self, offset: int, *, end: bool = False) -> None:
        self._offset = offset
        self._end = end

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._end else None


def is_record(event: Any) -> bool:
    return event.error() is None


TARGET = Target((Address("127.0.0.1", 1),), 1.0)


def reading(member: Any, **how: Any) -> tuple[GroupReader, Iterator[list[Any]]]:
    asked = {"count": None, "until_end": False, "commit": True, **how}
    reader = GroupReader("g", "t", "earliest", **asked)
    return reader, reader.settled(reader.batches(member, is_record))


def test_a_batch_that_may_not_have_been_printed_is_not_committed() -> None:
    member = Member([Event(0), Event(1)])
    reader, source = reading(member)
    next(source)
    reader.commit_printed(member, TARGET)  # type: ignore[arg-type]
    assert member.commits == []
    next(source)
    reader.commit_printed(member, TARGET)  # type: ignore[arg-type]
    assert member.commits == [{0: 2}]


def test_no_more_than_is_wanted_is_taken_and_the_end_is_waited_for() -> None:
    member = Member([Event(number) for number in range(5)])
    _, source = reading(member, count=3)
    assert [event.offset() for batch in source for event in batch] == [0, 1, 2]
    member = Member([Event(0), Event(1), Event(2, end=True), Event(2), Event(3, end=True)])
    _, source = reading(member, until_end=True)
    assert sum(len(batch) for batch in source) == 3


def test_printed_records_are_committed_before_others_get_the_partition() -> None:
    member = Member([Event(4)])
    reader, source = reading(member)
    next(source)
    next(source)
    member.revoke(member, [TopicPartition("t", 0)])
    assert member.commits == [{0: 5}]
    reader.commit_printed(member, TARGET)  # type: ignore[arg-type]
    assert member.commits == [{0: 5}]


def test_a_commit_that_fails_at_the_end_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    member = Member([Event(4)], KafkaError.ILLEGAL_GENERATION)
    reader, source = reading(member)
    next(source)
    next(source)
    with pytest.raises(CommandFailed, match="were printed; committing them"):
        reader.commit_printed(member, TARGET)  # type: ignore[arg-type]
    member.revoke(member, [TopicPartition("t", 0)])
    assert "read again" in capsys.readouterr().err
