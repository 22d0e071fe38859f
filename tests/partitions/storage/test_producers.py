"""ProducerTable against an oracle that keeps every batch and searches."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.records import BatchHeader
from partitions.storage import (
    Accepted,
    Duplicate,
    InvalidProducerEpoch,
    OutOfOrderSequence,
    ProducerTable,
)
from partitions.storage.manifest import ProducerSnapshot, decode_producers, encode_producers
from raftlog.errors import CorruptLog

WRAP = 2**31


def header(
    producer: int, epoch: int, sequence: int, span: int = 1, timestamp: int = 1000
) -> BatchHeader:
    """Only what the table looks at is real."""
    return BatchHeader(
        0, 100, 1, 2, 0, 0, span - 1, timestamp, timestamp, producer, epoch, sequence, span
    )


class Sent(NamedTuple):
    """A batch in the oracle's list."""

    header: BatchHeader
    base: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.base + self.header.span


def expected(history: list[Sent], batch: BatchHeader) -> object:
    """The verdict by definition, from everything that was ever appended."""
    mine = [sent for sent in history if sent.header.producer_id == batch.producer_id]
    if not mine:
        return Accepted()
    epoch = mine[-1].header.producer_epoch
    if batch.producer_epoch < epoch:
        return InvalidProducerEpoch
    current = [sent for sent in mine if sent.header.producer_epoch == epoch]
    if batch.producer_epoch > epoch:
        return Accepted() if batch.base_sequence == 0 else OutOfOrderSequence
    if (current[-1].header.last_sequence + 1) % WRAP == batch.base_sequence:
        return Accepted()
    same = (batch.base_sequence, batch.last_sequence)
    for sent in current[-5:]:
        if (sent.header.base_sequence, sent.header.last_sequence) == same:
            return Duplicate(sent.base, sent.header.max_timestamp, sent.end)
    return OutOfOrderSequence


def verdict(table: ProducerTable, batch: BatchHeader) -> object:
    """What the table says, errors as their types."""
    try:
        return table.check(batch)
    except (InvalidProducerEpoch, OutOfOrderSequence) as error:
        return type(error)


def replayed(history: list[Sent]) -> ProducerTable:
    """A table that was told of these batches and nothing else."""
    table = ProducerTable(100, 10**9)
    for sent in history:
        table.appended(sent.header, sent.base)
    return table


@given(st.integers(0, 2**32))
def test_agrees_with_the_oracle(seed: int) -> None:
    random = Random(seed)
    table, history = ProducerTable(100, 10**9), list[Sent]()
    end = 0
    for _ in range(60):
        if random.random() < 0.12 and history:
            cut = random.choice(history).base
            assert table.truncate(cut)
            history = [sent for sent in history if sent.base < cut]
            end = cut
            continue
        batch = candidate(random, history)
        said = verdict(table, batch)
        assert said == expected(history, batch), batch
        if isinstance(said, Accepted):
            table.append(batch, end)
            table.appended(batch, end)
            history.append(Sent(batch, end))
            end += batch.span
    assert table.written() == replayed(history).written()


def candidate(random: Random, history: list[Sent]) -> BatchHeader:
    """The next batch, an old one again, or nonsense near the truth."""
    producer, span = random.randint(1, 2), random.randint(1, 4)
    mine = [sent.header for sent in history if sent.header.producer_id == producer]
    if not mine:
        # Sometimes high enough to wrap around soon.
        return header(producer, random.randint(0, 1), random.choice((0, 5, WRAP - 20)), span)
    last = mine[-1]
    choice = random.random()
    if choice < 0.6:
        return header(producer, last.producer_epoch, (last.last_sequence + 1) % WRAP, span)
    if choice < 0.8:
        return random.choice(mine)
    epoch = last.producer_epoch + random.choice((-1, 0, 0, 1))
    sequence = (last.last_sequence + random.randint(-12, 3)) % WRAP
    return header(producer, max(0, epoch), random.choice((sequence, 0)), span)


FIVE = [header(1, 3, 10 + 2 * n, 2) for n in range(6)]
"""Sequences 10..21 of epoch 3, at offsets 0..11: the first of six batches is forgotten."""


@pytest.mark.parametrize(
    ("batch", "wanted"),
    [
        (header(2, 0, 0), Accepted()),
        (header(2, 7, 41), Accepted()),
        (header(2, 0, WRAP - 1), Accepted()),
        (header(1, 3, 22), Accepted()),
        (header(1, 3, 23), OutOfOrderSequence),
        (header(1, 3, 0), OutOfOrderSequence),
        (header(1, 3, 20, 2), Duplicate(10, 1000, 12)),
        (header(1, 3, 12, 2), Duplicate(2, 1000, 4)),
        (header(1, 3, 10, 2), OutOfOrderSequence),
        (header(1, 3, 20, 1), OutOfOrderSequence),
        (header(1, 3, 18, 4), OutOfOrderSequence),
        (header(1, 4, 0), Accepted()),
        (header(1, 9, 0), Accepted()),
        (header(1, 4, 1), OutOfOrderSequence),
        (header(1, 4, 22), OutOfOrderSequence),
        (header(1, 2, 22), InvalidProducerEpoch),
        (header(1, 2, 0), InvalidProducerEpoch),
    ],
    ids=[
        "unknown, from the start",
        "unknown, in the middle",
        "unknown, at the last sequence there is",
        "the next",
        "a gap",
        "back to 0 in the same epoch",
        "the last again",
        "the fifth last again",
        "the sixth last again",
        "the last again, shorter",
        "two in one",
        "a new epoch",
        "a much newer epoch",
        "a new epoch that skips its first",
        "a new epoch with the old one's sequence",
        "an old epoch, in sequence",
        "an old epoch, from the start",
    ],
)
def test_kafkas_verdicts(batch: BatchHeader, wanted: object) -> None:
    table = replayed([Sent(sent, 2 * n) for n, sent in enumerate(FIVE)])
    assert verdict(table, batch) == wanted


def test_what_a_producer_began_with_is_known_from_then_on() -> None:
    table = replayed([Sent(header(1, 0, 57, 3), 0)])
    assert verdict(table, header(1, 0, 57, 3)) == Duplicate(0, 1000, 3)
    assert verdict(table, header(1, 0, 56)) is OutOfOrderSequence
    assert verdict(table, header(1, 0, 60)) == Accepted()
    assert table.truncate(0)
    assert verdict(table, header(1, 0, 60)) == Accepted(), "cut off, it is unknown again"


def test_sequences_wrap_around() -> None:
    table = ProducerTable(10, 10**9)
    table.appended(header(1, 0, WRAP - 2, 4), 0)
    assert table.check(header(1, 0, 2, 1)) == Accepted()
    assert table.check(header(1, 0, WRAP - 2, 4)) == Duplicate(0, 1000, 4)
    with pytest.raises(OutOfOrderSequence):
        table.check(header(1, 0, 3, 1))


def test_what_was_proposed_and_never_written_is_forgotten() -> None:
    table = ProducerTable(10, 10**9)
    table.appended(header(1, 0, 0), 0)
    table.append(header(1, 0, 1), 1)
    table.append(header(2, 0, 0), 2)
    assert table.check(header(1, 0, 2)) == Accepted()
    assert table.written() == replayed([Sent(header(1, 0, 0), 0)]).written()
    # Another leader's batch took the offset.
    table.appended(header(3, 0, 0), 1)
    assert table.check(header(1, 0, 1)) == Accepted()
    assert table.state(2) is None
    assert table.state(3) is not None


def test_another_leaders_plain_batch_also_voids_proposals() -> None:
    table = ProducerTable(10, 10**9)
    table.append(header(1, 0, 0), 5)
    table.appended(header(-1, -1, -1), 5)
    assert table.state(1) is None
    table.append(header(1, 0, 0), 8)
    table.appended(header(-1, -1, -1, 2), 6)
    assert table.state(1) is not None
    table.appended(header(1, 0, 0), 8)
    assert table.state(1) is not None


def test_a_truncation_too_far_back_is_said() -> None:
    table = ProducerTable(10, 10**9)
    for at in range(400):
        table.appended(header(1, 0, at), at)
    assert not table.truncate(3)
    assert table.truncate(200)
    assert table.check(header(1, 0, 200)) == Accepted()


def test_settled_batches_cannot_be_taken_back() -> None:
    table = ProducerTable(10, 10**9)
    for at in range(10):
        table.appended(header(1, 0, at), at)
    table.settled(6)
    assert not table.truncate(5)
    assert table.truncate(6)
    assert table.check(header(1, 0, 6)) == Accepted()


def test_markers_raise_the_epoch_and_take_no_sequence() -> None:
    table = ProducerTable(10, 10**9)
    table.appended(header(1, 0, 0, 3), 0)
    table.appended(header(1, 0, -1), 3)
    assert table.check(header(1, 0, 3)) == Accepted()
    table.appended(header(1, 1, -1), 4)
    assert verdict(table, header(1, 0, 3)) is InvalidProducerEpoch
    assert table.check(header(1, 1, 0)) == Accepted()


def test_full_table_forgets_the_most_silent() -> None:
    table = ProducerTable(8, 10**9)
    for producer in range(8):
        table.appended(header(producer, 0, 0), producer)
    table.appended(header(0, 0, 1), 8)
    before = table.written()[1].copy()
    table.appended(header(99, 0, 0), 9)
    assert len(table) == 7
    assert table.state(0) is not None
    assert table.state(1) is None
    assert table.state(2) is None
    assert table.truncate(9)
    assert table.written()[1] == before


def test_silence_by_batch_timestamps() -> None:
    table = ProducerTable(10, 5000)
    table.appended(header(1, 0, 0, timestamp=1000), 4090)
    table.appended(header(2, 0, 0, timestamp=6001), 4091)
    assert table.state(1) is not None, "only the entry that crosses a mark forgets"
    table.appended(header(2, 0, 1, 6, timestamp=2000), 4092)
    assert table.state(1) is None
    assert table.truncate(4092)
    assert table.state(1) is not None


def test_survives_a_snapshot_and_refuses_a_damaged_one() -> None:
    table = ProducerTable(10, 10**9)
    for at in range(9):
        table.appended(header(at % 3, 0, at // 3), at)
    clock, states = table.written()
    data = encode_producers(ProducerSnapshot(9, clock, states))
    other = ProducerTable(10, 10**9)
    other.restore(*decode_producers(data, "file"))
    assert other.written() == table.written()
    assert verdict(other, header(1, 0, 2)) == verdict(table, header(1, 0, 2))
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(CorruptLog, match="file"):
            decode_producers(bytes(damaged), "file")
    for size in range(len(data)):
        with pytest.raises(CorruptLog, match="file"):
            decode_producers(data[:size], "file")
