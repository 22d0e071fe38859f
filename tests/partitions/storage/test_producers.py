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
    DuplicateSequence,
    InvalidProducerEpoch,
    OutOfOrderSequence,
    ProducerTable,
    UnknownProducer,
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
        return Accepted() if batch.base_sequence == 0 else UnknownProducer
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
    # Dense sequences: whatever lies between the first batch and the last five was appended.
    appended = {
        (sent.header.base_sequence + at) % WRAP
        for sent in current[:-5]
        for at in range(sent.header.span)
    }
    wanted = {(batch.base_sequence + at) % WRAP for at in range(batch.span)}
    return DuplicateSequence if wanted <= appended else OutOfOrderSequence


def verdict(table: ProducerTable, batch: BatchHeader) -> object:
    """What the table says, errors as their types."""
    try:
        return table.check(batch)
    except (
        UnknownProducer,
        InvalidProducerEpoch,
        OutOfOrderSequence,
        DuplicateSequence,
    ) as error:
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
    start = random.choice((0, WRAP - 20))
    if start:
        # A log that begins with a sequence high enough to wrap around soon.
        history.append(Sent(header(1, 0, start - 1), end))
        table.appended(*history[-1])
        end += 1
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
        return header(producer, random.randint(0, 1), random.choice((0, 0, 0, 5)), span)
    last = mine[-1]
    choice = random.random()
    if choice < 0.6:
        return header(producer, last.producer_epoch, (last.last_sequence + 1) % WRAP, span)
    if choice < 0.8:
        return random.choice(mine)
    epoch = last.producer_epoch + random.choice((-1, 0, 0, 1))
    sequence = (last.last_sequence + random.randint(-12, 3)) % WRAP
    return header(producer, max(0, epoch), random.choice((sequence, 0)), span)


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
