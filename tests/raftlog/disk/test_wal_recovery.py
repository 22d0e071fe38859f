"""Recovery interrupted, and the traps it has to avoid, one by one."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from raftlog.disk.wal_recovery import list_files
from raftlog.errors import DiskFailed
from raftlog.storage import Checkpoint
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import HardState
from tests.raftlog.disk.helpers import (
    disk,
    durable,
    entry,
    filled,
    open_wal,
    position,
    replayed,
)


def _several_unproven_parts(seed: int) -> VirtualDisk:
    """Three parts whose rounds are all durable, and no header that says so of any."""
    fs = disk(seed)
    wal, _ = open_wal(fs)
    wal.stage_create(7, b"seven")
    for index in range(1, 4):
        wal.stage_entries(7, [entry(index, bytes([index]) * 12_000)])
        wal.write_round()
    wal.sync_job()()
    wal.synced(3)
    fs.kill()
    assert len(list_files(fs, "wal").found) == 3
    return fs


def _check(fs: VirtualDisk) -> None:
    _, recovered = open_wal(fs)
    assert [e.payload[:1] for e in replayed(recovered)] == [b"\1", b"\2", b"\3"]


def _interrupt(fs: VirtualDisk, call: int, *, crash: bool) -> bool:
    """Open with a power cut at the `call`-th call; False when recovery was done before."""
    fs.cut_at_call = fs.calls + call
    done = False
    with suppress(PowerCut):
        open_wal(fs, seed=call)
        done = True
    if crash:
        fs.crash()
    else:
        fs.kill()
    return not done


@pytest.mark.parametrize("crash", [True, False])
def test_recovery_interrupted_twice_at_every_call(crash: bool) -> None:
    random = Random(1)
    first = 0
    interrupted = True
    while interrupted:
        first += 1
        for second in range(1, 24):
            fs = _several_unproven_parts(random.randrange(1 << 30))
            interrupted = _interrupt(fs, first, crash=True)
            _interrupt(fs, second, crash=crash)
            _check(fs)
    assert first > 12


def test_a_copy_counts_only_once_it_is_durable() -> None:
    for seed in range(60):
        for call in (10, 11, 12, 13, 14):
            fs = _several_unproven_parts(seed)
            _interrupt(fs, call, crash=True)
            _check(fs)


def test_the_mark_of_a_clean_shutdown_does_not_stand_in_for_a_lost_part() -> None:
    fs = disk()
    filled(fs, 3).close()
    wal, recovered = open_wal(fs)
    assert recovered.clean
    assert recovered.last_round == 3
    wal.stage_entries(7, [entry(4, bytes(9000))])
    wal.write_round()
    lost = list_files(fs, "wal").found[-1].part.name
    wal.stage_entries(7, [entry(5, bytes(9000))])
    wal.write_round()
    # The name of the part in the middle was not durable yet, that of the next one was.
    fs.unlink(f"wal/{lost}")
    fs.kill()
    _, recovered = open_wal(fs)
    assert recovered.last_round == 3
    assert [e.index for e in replayed(recovered)] == [1, 2, 3]


def test_a_checkpoint_on_its_way_to_the_disk_is_cut_down_too() -> None:
    wal = filled(disk(), 6, size=10)
    wal.stage_checkpoint(7, Checkpoint(position(6), b""))
    wal.write_round()
    wal.stage_truncate(7, 4)
    wal.stage_entries(7, [entry(index, b"again") for index in (4, 5, 6)])
    wal.stage_create(8, b"eight")
    durable(wal)
    wal.stage_entries(8, [entry(1, bytes(15_000))])
    durable(wal)
    assert wal.retirable()[0].dirty == (7,), "the new 4..6 are in no file that was synced"


def test_a_spare_whose_sync_failed_is_not_used() -> None:
    for seed in range(30):
        fs = disk(seed)
        wal = filled(fs, 2)
        job = wal.prepare_spare_job()
        assert job is not None
        fs.fail_sync()
        with pytest.raises(DiskFailed):
            job()
        fs.kill()
        wal, _ = open_wal(fs)
        for index in range(3, 30):
            wal.stage_entries(7, [entry(index, bytes(1000))])
            durable(wal)
        fs.crash()
        _, recovered = open_wal(fs)
        assert recovered.groups[7].last_index == 29


@pytest.mark.parametrize("seed", range(8))
def test_the_only_part_may_be_recycled_after_a_restart(seed: int) -> None:
    fs = disk(seed)
    wal = filled(fs, 2)
    wal.stage_drop(7)
    durable(wal)
    wal.close()
    wal, recovered = open_wal(fs)
    assert recovered.groups == {}
    (only,) = wal.retirable()
    assert (only.dirty, only.held) == ((), ())
    assert wal.recycle(only.sequence)
    fs.kill()
    wal, _ = open_wal(fs)
    assert wal.recycle(wal.retirable()[0].sequence)
    wal.stage_create(9, b"nine")
    durable(wal)
    durable_before = wal.durable_round
    wal.stage_hard_state(9, HardState(1, None))
    durable(wal)
    if seed % 2:
        job = wal.prepare_spare_job()
        assert job is not None
        job()
    fs.crash()
    wal, recovered = open_wal(fs)
    assert recovered.last_round > durable_before
    assert recovered.groups[9].hard_state.term == 1
    with pytest.raises(ValueError, match="written to"):
        durable(wal)
        wal.stage_hard_state(9, HardState(2, None))
        durable(wal)
        wal.recycle(wal.active_sequence)


def test_a_part_whose_recycling_was_undone_is_ignored() -> None:
    """Its header was to be overwritten: the crash brings the old one back."""
    fs = disk()
    wal = filled(fs, 30)
    wal.stage_checkpoint(7, Checkpoint(position(30), b""))
    durable(wal)
    first = wal.retirable()[0]
    wal.carry_forward(first.sequence)
    durable(wal)
    assert wal.recycle(first.sequence)
    durable(wal)
    fs.kill()
    wal, recovered = open_wal(fs)
    assert recovered.groups[7].trusted == 30
    assert first.sequence not in [part.sequence for part in wal.retirable()]
    assert replayed(recovered, 7, position(30)) == []
