"""Histories that end in a state which recovery could misread; each was wrong once, or could be."""

from __future__ import annotations

from pathlib import Path
from random import Random

from partitions.records import parse_header
from partitions.storage import PartitionLog
from raftlog.disk.fs import OsFileSystem
from raftlog.types import EntryKind
from tests.partitions.storage.kit import CREATION, PATH, TINY, Modelled, append_some
from tests.partitions.storage.test_log import filled, fresh


def test_an_older_segment_of_the_same_name_is_not_the_checkpoints() -> None:
    model = filled()
    model.append(model.make(EntryKind.CONTROL))
    model.save()
    newest = [name for name in model.disk.listdir(PATH) if name.endswith(".raft")][-1]
    base = int(newest[:20])
    first = next(e.index for e in model.entries if e.base == base and e.span)
    model.truncate(first)
    model.term += 1
    model.append(model.make(size=600))
    assert f"{base:020d}.log" in model.disk.listdir(PATH)
    model.log.apply_trim(base, first - 1)
    assert model.log.snapshot().position.index == first - 1
    model.log.sync_job()()
    model.crash()
    model.check()


def test_what_a_killed_process_left_in_the_cache_is_synced_with_the_next_checkpoint() -> None:
    for seed in range(20):
        model = fresh(seed)
        append_some(model, Random(1), 3)
        model.save()
        model.append(model.make(EntryKind.CONTROL))
        model.truncate(model.last.index)
        model.crash(kill=True)
        model.save()
        model.crash()
        model.check()


def test_a_producer_table_of_a_branch_that_was_cut_off_does_not_count() -> None:
    model = fresh()
    for at in range(6):
        model.append(model.make(size=300, producer=(1, 0, at)))
    model.save()
    assert "log.producers" in model.disk.listdir(PATH)
    model.truncate(3)
    model.term += 1
    for at in range(4):
        model.append(model.make(producer=(2, 0, at)))
    model.save()
    model.crash()
    model.check()
    assert model.log.producers.state(2) is not None


def test_a_proposal_that_was_never_written_goes_with_the_truncation() -> None:
    model = fresh()
    model.append(model.make(producer=(1, 0, 0)))
    proposed = model.make(producer=(1, 0, 1))
    model.log.producers.append(parse_header(proposed.payload), proposed.base)
    assert batches_of_producer_1(model) == 2
    model.log.truncate(model.last.index + 1)
    assert batches_of_producer_1(model) == 1
    model.log.producers.append(parse_header(proposed.payload), proposed.base)
    model.check()
    model.term += 1
    model.append(model.make(EntryKind.NOOP))
    assert batches_of_producer_1(model) == 1


def batches_of_producer_1(model: Modelled) -> int:
    """How many are kept, proposed ones included."""
    state = model.log.producers.state(1)
    assert state is not None
    return len(state.batches)


def test_a_proposal_is_confirmed_by_its_entry() -> None:
    model = fresh()
    first = model.make(producer=(1, 0, 0), span=3)
    second = model.make(after=first, producer=(1, 0, 3))
    for entry in (first, second):
        model.log.producers.append(parse_header(entry.payload), entry.base)
    model.append(first, second)
    model.check()
    model.truncate(2)
    model.check()


def test_removed_segments_that_come_back_are_ignored() -> None:
    for seed in range(20):
        model = filled(seed)
        model.save()
        middle = len(model.entries) // 2
        model.truncate(middle)
        model.term += 1
        append_some(model, Random(seed), 9)
        model.crash()
        model.check()
        append_some(model, Random(seed), 9)
        model.save()
        model.crash()
        model.check()


def test_opening_twice_gives_the_same_log() -> None:
    model: Modelled = filled()
    model.save()
    append_some(model, Random(1), 5)
    for _ in range(3):
        model.disk.kill()
        log = PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)
        assert log.last().index == model.trusted
        log.close()
    model.reopen()
    model.check()


def test_on_a_real_disk(tmp_path: Path) -> None:
    fs = OsFileSystem(str(tmp_path))
    source = filled()
    log = PartitionLog.create(fs, PATH, TINY, CREATION)
    log.append(source.entries)
    checkpoint, half = log.checkpoint(), len(source.entries) // 2
    log.sync_job()()
    log.apply_trim(source.last.offset // 2, half)
    log.truncate(source.last.index - 2)
    log.append(source.entries[source.last.index - 3 :])
    log.sync_job()()
    snapshot = log.snapshot()
    log.close()
    trusted = source.last.index - 3
    again = PartitionLog.open(fs, PATH, TINY, checkpoint, trusted)
    assert again.snapshot() == snapshot
    low = snapshot.position.index
    assert low > 0
    assert again.read(low + 1, trusted + 1, 1 << 30) == source.entries[low:trusted]
    again.close()
    whole = PartitionLog.open(fs, PATH, TINY, None, None)
    assert whole.last().index == trusted
    whole.close()
