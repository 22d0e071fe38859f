"""The storage model: rounds are visible at once, durable in order, and lost from the end."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from raftlog.errors import Compacted
from raftlog.storage import LogReader
from raftlog.testing.history import Violation
from raftlog.testing.machine import OPERATION, Machine
from raftlog.testing.store import Image, ModelStore, Round
from raftlog.testing.wal_store import WalStore
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

ME = ReplicaId(1, bytes(16))
BIRTH = SnapshotMeta(ZERO_POSITION, Configuration((ME,)))


def entry(index: int, term: int = 1) -> Entry:
    return Entry(index, term, EntryKind.DATA, index - 1, 1, OPERATION.pack(index))


def entries(first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
    return tuple(entry(index, term) for index in range(first, last + 1))


def meta(index: int, term: int = 1) -> SnapshotMeta:
    return SnapshotMeta(LogPosition(index, term, index), BIRTH.configuration)


def make(kind: str, seed: int = 1) -> ModelStore | WalStore:
    return ModelStore(BIRTH) if kind == "model" else WalStore(BIRTH, Random(seed), Counter[str]())


def sync(store: ModelStore | WalStore) -> int:
    store.begin_sync()
    return store.sync()


def test_an_image_is_a_log_reader() -> None:
    image = Image(BIRTH)
    reader: LogReader = image
    image.apply(Round(1, entries=entries(1, 5)))
    image.apply(Round(2, truncate_from=4, entries=entries(4, 6, term=2)))
    assert reader.last() == LogPosition(6, 2, 6)
    assert [reader.term(index) for index in range(7)] == [0, 1, 1, 1, 2, 2, 2]
    image.apply(Round(0, compact=(meta(3), b"data")))
    assert [e.index for e in reader.read(4, 7, 1 << 20)] == [4, 5, 6]
    assert [e.index for e in reader.read(4, 7, 10)] == [4]
    assert reader.term(3) == 1
    assert reader.end_offset(3) == 3
    for index in (1, 2):
        with pytest.raises(Compacted):
            reader.term(index)
    with pytest.raises(Compacted):
        reader.read(3, 5, 100)
    with pytest.raises(IndexError):
        reader.term(7)


def test_an_image_refuses_gaps_and_cuts_below_its_snapshot() -> None:
    image = Image(BIRTH)
    with pytest.raises(AssertionError, match="append"):
        image.append(entries(2, 3))
    image.apply(Round(1, install=(meta(9), b"data")))
    with pytest.raises(AssertionError, match="truncation"):
        image.truncate(9)


@pytest.mark.parametrize("kind", ["model", "wal"])
def test_only_what_a_sync_covered_is_durable(kind: str) -> None:
    store = make(kind)
    store.write(Round(1, entries=entries(1, 3), hard_state=HardState(1, ME)))
    store.begin_sync()
    store.write(Round(2, entries=entries(4, 5)))
    assert store.sync() == 1
    assert store.durable.last_index == 3
    assert store.durable.hard_state == HardState(1, ME)
    assert store.visible.last_index == 5
    assert sync(store) == 2
    assert store.durable.last_index == 5


@pytest.mark.parametrize("kind", ["model", "wal"])
def test_a_crash_keeps_what_is_durable_and_a_prefix_of_the_rest(kind: str) -> None:
    found = set()
    for seed in range(40):
        store = make(kind, seed)
        store.write(Round(1, entries=entries(1, 3)))
        sync(store)
        for index in (4, 5, 6):
            store.write(Round(index, entries=entries(index, index)))
        store.crash(Random(seed))
        image = store.recover()
        assert image.entries == list(entries(1, image.last_index))
        assert store.durable.entries == image.entries
        found.add(image.last_index)
    assert min(found) == 3
    assert max(found) == 6


@pytest.mark.parametrize("kind", ["model", "wal"])
def test_snapshots_replace_and_shorten_the_log(kind: str) -> None:
    store = make(kind)
    store.write(Round(1, entries=entries(1, 6), hard_state=HardState(1, None)))
    sync(store)
    store.write(Round(0, compact=(meta(4), b"mine")))
    assert store.visible.meta == BIRTH
    sync(store)
    assert (store.durable.meta, store.durable.data) == (meta(4), b"mine")
    store.crash(Random(1))
    image = store.recover()
    assert (image.meta, image.data, image.last_index) == (meta(4), b"mine", 6)
    store.write(Round(1, install=(meta(9, 2), b"theirs"), hard_state=HardState(2, None)))
    sync(store)
    store.crash(Random(1))
    image = store.recover()
    assert (image.meta, image.data, image.entries) == (meta(9, 2), b"theirs", [])
    assert image.hard_state == HardState(2, None)


def test_the_real_log_survives_many_rolls_and_crashes() -> None:
    store = WalStore(BIRTH, Random(5), probes := Counter[str]())
    random, last = Random(6), 0
    for number in range(1, 400):
        count = random.randint(1, 8)
        store.write(Round(number, entries=entries(last + 1, last + count)))
        last += count
        if random.random() < 0.7:
            sync(store)
        if random.random() < 0.1:
            store.crash(random)
            last = store.recover().last_index
    assert probes["log part recycled"] > 3
    assert probes["rounds lost in a crash"] > 3


def test_a_log_that_forgets_is_convicted() -> None:
    store = WalStore(BIRTH, Random(1), Counter[str]())
    store.write(Round(1, entries=entries(1, 3)))
    sync(store)
    store.durable.append(entries(4, 4))  # claim more than was ever written
    store.crash(Random(1))
    with pytest.raises(Violation, match="what was durable is recovered"):
        store.recover()


def test_the_machine_survives_its_snapshot() -> None:
    machine = Machine()
    for item in entries(1, 9):
        machine.apply(item)
    copy = Machine.decode(machine.encode())
    for which in (machine, copy):
        which.apply(entry(10))
    assert (copy.applied, copy.digest, copy.next_offset) == (10, machine.digest, 10)
    assert list(copy.operations) == list(range(1, 11))
    with pytest.raises(AssertionError, match="applying 12"):
        machine.apply(entry(12))
