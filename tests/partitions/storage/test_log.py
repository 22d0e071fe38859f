"""PartitionLog against a list of entries, with crashes of the disk below it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.storage import LogConfig, OffsetOutOfRange, PartitionLog
from raftlog.errors import Compacted, CorruptLog
from raftlog.testing.disk import VirtualDisk
from raftlog.types import Entry, EntryKind, LogPosition
from tests.partitions.storage.kit import (
    CREATION,
    PATH,
    TINY,
    Modelled,
    append_some,
    batch,
    random_step,
)


def fresh(seed: int = 1, config: LogConfig = TINY) -> Modelled:
    """An empty log on an empty disk."""
    return Modelled(VirtualDisk(Random(seed)), config)


def filled(seed: int = 1, rounds: int = 12) -> Modelled:
    """Several segments with every kind of entry in them."""
    model, random = fresh(seed), Random(seed)
    model.append(model.make(EntryKind.NOOP))
    for number in range(rounds):
        append_some(model, random, 3)
        if number % 3 == 1:
            model.append(model.make(EntryKind.CONFIG))
            model.append(model.make(EntryKind.CONTROL))
            model.term += 1
            model.append(model.make(EntryKind.NOOP))
    return model


def segment_files(model: Modelled) -> list[str]:
    """Names of the segments' batch files."""
    return [name for name in model.disk.listdir(PATH) if name.endswith(".log")]


@given(st.integers(0, 2**32))
def test_any_history_with_crashes_equals_the_list(seed: int) -> None:
    model, random = fresh(seed), Random(seed)
    for _ in range(30):
        random_step(model, random)
        model.check()
    model.crash()
    model.check()


def test_files_are_kafkas() -> None:
    model = filled()
    assert len(segment_files(model)) > 3
    stored = b"".join(
        model.disk.open(f"{PATH}/{name}").pread(1 << 20, 0) for name in segment_files(model)
    )
    data = [entry for entry in model.entries if entry.kind is EntryKind.DATA]
    assert stored == b"".join(entry.payload for entry in data)
    bases = [int(name.removesuffix(".log")) for name in segment_files(model)]
    assert all(len(name) == 24 for name in segment_files(model))
    assert set(bases) <= {entry.base for entry in data}


def test_reopens_at_every_checkpoint() -> None:
    total = len(filled().entries)
    for count in range(1, total + 1):
        model = fresh()
        entries = filled().entries
        for entry in entries[:count]:
            model.append(entry)
        model.save()
        model.log.append(entries[count:])
        model.disk.crash()
        log = PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, count)
        assert log.last().index == count
        model.log = log
        model.check()


def test_truncates_at_every_index_before_and_after_the_checkpoint() -> None:
    total = len(filled().entries)
    for first in range(1, total + 2):
        for save in (False, True):
            model = filled()
            if save:
                model.save()
            model.truncate(first)
            model.check()
            model.term += 1
            append_some(model, Random(first), 4)
            model.check()
            model.crash()
            model.check()


def test_a_crash_in_the_middle_of_anything_loses_nothing_that_was_synced() -> None:
    def history(model: Modelled) -> None:
        random = Random(4)
        for _ in range(14):
            append_some(model, random, 3)
            model.save()
        model.log.apply_trim(model.last.offset // 2, model.last.index)
        model.truncate(model.last.index - 3)
        append_some(model, random, 3)
        model.save()

    whole = fresh()
    history(whole)
    for call in range(1, whole.disk.calls, 3):
        model = fresh()
        model.disk.cut_at_call = model.disk.calls + call
        with pytest.raises(Exception, match="power lost"):
            history(model)
            raise AssertionError("power lost too late")
        model.disk.crash()
        if model.checkpoint is None:
            continue
        log = PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)
        low = log.snapshot().position.index
        assert log.last().index >= model.trusted
        upto = min(log.last().index, len(model.entries))
        wanted = [entry for entry in model.entries if low < entry.index <= upto]
        assert log.read(low + 1, upto + 1, 1 << 30) == wanted


def test_entries_cut_by_bytes() -> None:
    model = filled()
    sizes = [len(entry.payload) for entry in model.entries]
    for limit in (0, 1, 100, 500, 1500):
        got = model.log.read(1, len(sizes) + 1, limit)
        assert got == model.entries[: len(got)]
        assert len(got) >= 1
        assert sum(sizes[: len(got)]) <= limit or len(got) == 1
        assert len(got) == len(sizes) or sum(sizes[: len(got) + 1]) > limit


def test_bounds_of_raft_reads() -> None:
    model = filled()
    model.log.apply_trim(model.last.offset // 2, model.last.index)
    low = model.log.snapshot().position
    assert low.index > 0
    assert model.log.term(low.index) == low.term == model.entries[low.index - 1].term
    assert model.log.end_offset(low.index) == low.offset
    with pytest.raises(Compacted):
        model.log.read(low.index, low.index + 1, 1)
    with pytest.raises(Compacted):
        model.log.term(low.index - 1)
    with pytest.raises(IndexError):
        model.log.term(model.last.index + 1)
    with pytest.raises(ValueError, match="at or below the snapshot"):
        model.log.truncate(low.index)


def test_an_entry_that_does_not_continue_the_log_is_refused() -> None:
    model = filled()
    good = model.make(span=2)
    bad = [
        good._replace(base=good.base + 1),
        good._replace(span=3),
        good._replace(term=good.term + 1),
        good._replace(payload=good.payload[:-1]),
        good._replace(payload=b"short"),
        good._replace(payload=batch(good.base + 1, good.term, span=2)),
    ]
    for entry in bad:
        with pytest.raises(CorruptLog, match=f"entry {good.index} "):
            model.log.append([entry])
    with pytest.raises(ValueError, match="follows"):
        model.log.append([good._replace(index=good.index + 1)])
    model.check()


def test_fetch_stops_at_the_high_watermark() -> None:
    model = filled()
    data = [entry for entry in model.entries if entry.kind is EntryKind.DATA]
    boundary = int(segment_files(model)[1][:20])
    first = b"".join(entry.payload for entry in data if entry.end <= boundary)
    for end in data:
        got = bytes(model.log.read_batches(data[0].base, 1 << 20, end.base))
        whole = b"".join(entry.payload for entry in data if entry.end <= end.base)
        assert got == whole or (end.base > boundary and got == first)
    with pytest.raises(OffsetOutOfRange):
        model.log.read_batches(model.last.offset + 1, 1, 1 << 40)
    assert model.log.read_batches(model.last.offset, 1000, model.last.offset) == b""
    small = model.log.read_batches(data[0].base, 1, model.last.offset)
    assert bytes(small) == data[0].payload
    assert model.log.read_batches(0, 1, model.last.offset, at_least_one=False) == b""


def test_rot_in_what_was_synced_is_told() -> None:
    model = filled()
    model.save()
    name = [name for name in model.disk.listdir(PATH) if name.endswith(".raft")][-1]
    size = model.disk.open(f"{PATH}/{name}").size()
    for position in range(0, size, 5):
        model.disk.flip_bit(f"{PATH}/{name}", position, position % 8)
        with pytest.raises(CorruptLog, match=r"raft|missing"):
            PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)
        model.disk.flip_bit(f"{PATH}/{name}", position, position % 8)
    model.crash()
    model.check()


def test_a_missing_segment_is_told() -> None:
    model = filled()
    model.save()
    for name in segment_files(model):
        file = model.disk.open(f"{PATH}/{name}")
        content = file.pread(1 << 20, 0)
        file.truncate(len(content) // 2)
        with pytest.raises(CorruptLog, match=PATH):
            PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)
        file.pwrite([content], 0)
    model.crash()
    model.check()


def test_opens_without_a_checkpoint_up_to_the_first_damage() -> None:
    model = filled()
    model.log.sync_job()()
    name = segment_files(model)[-1]
    last = [entry for entry in model.entries if entry.kind is EntryKind.DATA][-1]
    size = model.disk.open(f"{PATH}/{name}").size()
    model.disk.flip_bit(f"{PATH}/{name}", size - 1)
    log = PartitionLog.open(model.disk, PATH, TINY, None, None)
    assert log.last().index == last.index - 1


def test_without_a_checkpoint_only_the_trusted_part_is_kept() -> None:
    model = filled()
    model.log.sync_job()()
    count = len(model.entries)
    for trusted in (count, count // 2, 0):
        model.log = PartitionLog.open(model.disk, PATH, TINY, None, trusted)
        model.entries = model.entries[:trusted]
        model.check()


def test_a_damaged_producer_table_is_replaced_by_the_batches() -> None:
    model = filled()
    model.save()
    saved = [name for name in model.disk.listdir(PATH) if name.endswith(".producers")]
    assert "log.producers" in saved
    for name in saved:
        model.disk.flip_bit(f"{PATH}/{name}", 30)
        model.log.close()
        model.reopen()
        model.check()


def test_rolls_by_time() -> None:
    model = fresh(config=LogConfig(segment_ms=1000))
    for timestamp in (500, 1400, 1500, 1501, 900, 2502):
        model.append(model.make(timestamp=timestamp))
    assert [int(name[:20]) for name in segment_files(model)] == [0, 3, 5]
    model.check()


def test_epochs() -> None:
    model = fresh()
    for term, batches in ((1, 2), (2, 0), (4, 3), (7, 1)):
        model.term = term
        model.append(model.make(EntryKind.NOOP))
        for _ in range(batches):
            model.append(model.make(span=2))
    for _ in range(2):
        assert model.log.epoch_cache == ((1, 0), (4, 4), (7, 10))
        ends = {epoch: model.log.end_of_epoch(epoch) for epoch in range(-1, 9)}
        assert ends == {
            -1: None,
            0: (0, 0),
            1: (1, 4),
            2: (1, 4),
            3: (1, 4),
            4: (4, 10),
            5: (4, 10),
            6: (4, 10),
            7: (7, 12),
            8: None,
        }
        model.save()
        model.crash()
    model.truncate(8)
    assert model.log.end_of_epoch(4) == (4, 8)


def test_a_log_born_above_zero() -> None:
    disk = VirtualDisk(Random(1))
    disk.mkdir("groups/7")
    meta = CREATION._replace(position=LogPosition(40, 3, 100))
    log = PartitionLog.create(disk, PATH, TINY, meta)
    log.append([Entry(41, 3, EntryKind.DATA, 100, 1, batch(100, 3))])
    checkpoint = log.checkpoint()
    log.sync_job()()
    disk.sync_directory("groups")
    disk.sync_directory("")
    disk.crash()
    again = PartitionLog.open(disk, PATH, TINY, checkpoint, 41)
    assert again.snapshot() == meta
    assert again.log_start_offset == 100
    assert again.last() == LogPosition(41, 3, 101)
