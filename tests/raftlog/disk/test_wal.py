"""Wal: what comes back, what is refused, what recycling needs."""

from __future__ import annotations

from random import Random

import pytest

from raftlog.disk import wal as wal_module
from raftlog.disk.wal import Wal
from raftlog.errors import CorruptLog
from raftlog.storage import Checkpoint
from raftlog.types import Configuration, HardState, ReplicaId, SnapshotMeta
from tests.raftlog.disk.helpers import (
    disk,
    durable,
    entry,
    filled,
    open_wal,
    position,
    replayed,
)

VOTER = ReplicaId(1, b"v" * 16)


def test_everything_staged_comes_back() -> None:
    fs = disk()
    wal, recovered = open_wal(fs)
    assert recovered.groups == {}
    assert recovered.clean
    wal.stage_create(3, b"three")
    wal.stage_hard_state(3, HardState(4, VOTER))
    wal.stage_entries(3, [entry(1, b"a"), entry(2, memoryview(b"-bc")[1:])])  # type: ignore[arg-type]
    wal.stage_checkpoint(3, Checkpoint(position(1), b"detail"))
    assert durable(wal) == 1
    fs.crash()
    _, recovered = open_wal(fs)
    known = recovered.groups[3]
    assert known.creation == b"three"
    assert known.hard_state == HardState(4, VOTER)
    assert known.checkpoint == Checkpoint(position(1), b"detail")
    assert (known.trusted, known.last_index, known.lowest_truncation) == (1, 2, 0)
    assert replayed(recovered, 3, position(1)) == [entry(2, b"bc")]


def test_nothing_staged_writes_nothing() -> None:
    fs = disk()
    wal, _ = open_wal(fs)
    calls = fs.calls
    assert wal.write_round() == 0
    wal.synced(0)
    assert fs.calls == calls


def test_a_round_is_one_write() -> None:
    fs = disk()
    wal = filled(fs, 1)
    calls = fs.calls
    wal.stage_hard_state(7, HardState(1, None))
    wal.stage_entries(7, [entry(index, b"y" * 50) for index in range(2, 30)])
    wal.write_round()
    assert fs.calls == calls + 1


def test_a_round_is_not_durable_before_a_sync_job_returned() -> None:
    wal = filled(disk(), 1)
    early = wal.sync_job()
    wal.stage_entries(7, [entry(2)])
    number = wal.write_round()
    early()
    with pytest.raises(ValueError, match="not durable"):
        wal.synced(number)
    wal.sync_job()()
    wal.synced(number)
    assert wal.durable_round == number


def test_truncation_hides_entries_and_lowers_the_trust() -> None:
    fs = disk()
    wal = filled(fs, 6, size=10)
    wal.stage_checkpoint(7, Checkpoint(position(5), b"at five"))
    wal.stage_truncate(7, 4)
    wal.stage_entries(7, [entry(4, b"new", term=2)])
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    known = recovered.groups[7]
    assert (known.trusted, known.lowest_truncation, known.last_index) == (3, 4, 4)
    assert replayed(recovered, 7, position(3)) == [entry(4, b"new", term=2)]


def test_a_checkpoint_from_before_a_truncation_is_refused() -> None:
    wal = filled(disk(), 6, size=10)
    stamp = wal.stamp()
    checkpoint = Checkpoint(position(6), b"")
    wal.stage_truncate(7, 4)
    wal.stage_entries(7, [entry(index) for index in (4, 5, 6)])
    assert not wal.stage_checkpoint(7, checkpoint, stamp)
    assert wal.stage_checkpoint(7, checkpoint, wal.stamp())


def test_a_log_shorter_than_trusted_is_corrupt() -> None:
    fs = disk()
    wal = filled(fs, 6, size=10)
    wal.stage_checkpoint(7, Checkpoint(position(5), b""))
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    with pytest.raises(CorruptLog, match="ends at entry 4"):
        recovered.replay({7: position(4)}, lambda group, run: None)


def test_a_newer_snapshot_is_matched_by_term() -> None:
    fs = disk()
    filled(fs, 6, size=10)
    fs.crash()
    _, recovered = open_wal(fs)
    found: list[int] = []

    def deliver(group: int, run: list) -> None:  # type: ignore[type-arg]
        found.extend(item.index for item in run)

    assert recovered.replay({7: position(4)}, deliver) == []
    assert found == [5, 6]
    assert recovered.replay({7: position(4, term=9)}, deliver) == [7]
    assert recovered.replay({7: position(9, term=9)}, deliver) == [7]
    assert found == [5, 6]


def test_reset_and_drop() -> None:
    fs = disk()
    wal = filled(fs, 6, size=10)
    wal.stage_create(8, b"eight")
    meta = SnapshotMeta(position(20, term=3), Configuration((VOTER,)))
    wal.stage_reset(7, meta)
    wal.stage_entries(7, [entry(21, b"after", term=3)])
    wal.stage_drop(8)
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    assert list(recovered.groups) == [7]
    known = recovered.groups[7]
    assert (known.checkpoint, known.trusted, known.last_index) == (None, 20, 21)
    assert replayed(recovered, 7, position(20, term=3)) == [entry(21, b"after", term=3)]


def test_a_snapshot_must_not_replace_what_recovery_still_expects() -> None:
    wal = filled(disk(), 6, size=10)
    wal.stage_checkpoint(7, Checkpoint(position(6), b""))
    meta = SnapshotMeta(position(6, term=3), Configuration((VOTER,)))
    with pytest.raises(ValueError, match="truncate it at 6, durably"):
        wal.stage_reset(7, meta)
    wal.stage_truncate(7, 6)
    durable(wal)
    wal.stage_reset(7, meta)


def test_rules_of_staging() -> None:
    wal = filled(disk(), 3, size=10)
    wal.stage_hard_state(7, HardState(5, VOTER))
    with pytest.raises(ValueError, match="5 is next"):
        wal.stage_entries(7, [entry(4), entry(6)])
    with pytest.raises(ValueError, match="takes back"):
        wal.stage_hard_state(7, HardState(4, None))
    with pytest.raises(ValueError, match="takes back"):
        wal.stage_hard_state(7, HardState(5, ReplicaId(2, b"w" * 16)))
    with pytest.raises(ValueError, match="never reused"):
        wal.stage_create(7, b"")
    with pytest.raises(ValueError, match="after the last"):
        wal.stage_checkpoint(7, Checkpoint(position(4), b""))
    with pytest.raises(KeyError):
        wal.stage_entries(9, [entry(1)])
    durable(wal)
    assert wal.last_index(7) == 3


def test_an_entry_larger_than_a_part() -> None:
    fs = disk()
    wal = filled(fs, 2)
    big = Random(5).randbytes(200_000)
    wal.stage_entries(7, [entry(3, big)])
    durable(wal)
    wal.stage_entries(7, [entry(4, b"after")])
    durable(wal)
    fs.crash()
    wal, recovered = open_wal(fs)
    assert [len(e.payload) for e in replayed(recovered)] == [1000, 1000, 200_000, 5]
    wal.stage_checkpoint(7, Checkpoint(position(4), b""))
    durable(wal)
    _retire_all(wal)
    assert all(fs.open(f"wal/{name}").size() <= 16 * 1024 for name in fs.listdir("wal"))


def _retire_all(wal: Wal) -> None:
    for part in wal.retirable():
        assert not part.dirty
        wal.carry_forward(part.sequence)
    durable(wal)
    for part in wal.retirable():
        assert wal.recycle(part.sequence)
    durable(wal)
    job = wal.prepare_spare_job()
    assert job is not None
    job()


def test_recycling_keeps_what_idle_groups_need() -> None:
    fs = disk()
    wal, _ = open_wal(fs)
    wal.stage_create(1, b"idle")
    wal.stage_hard_state(1, HardState(9, VOTER))
    wal.stage_create(7, b"busy")
    for index in range(1, 60):
        wal.stage_entries(7, [entry(index, b"z" * 900)])
        durable(wal)
    first = wal.retirable()[0]
    assert first.dirty == (7,)
    assert first.held == (1, 7)
    assert not wal.recycle(first.sequence)
    wal.stage_checkpoint(7, Checkpoint(position(59), b""))
    durable(wal)
    assert not wal.recycle(first.sequence), "group 1 is nowhere else"
    wal.carry_forward(first.sequence)
    wal.write_round()
    assert not wal.recycle(first.sequence), "what was carried is not durable"
    durable(wal)
    wal.sync_job()()
    wal.synced(wal.last_round)
    assert wal.recycle(first.sequence)
    assert wal.prepare_spare_job() is None or fs.exists("wal/0000000000000001.wal")
    fs.crash()
    _, recovered = open_wal(fs)
    assert recovered.groups[1].hard_state == HardState(9, VOTER)
    assert recovered.groups[1].creation == b"idle"
    assert recovered.groups[7].trusted == 59


def test_stale_frames_of_a_recycled_file_do_not_replay() -> None:
    """The file that is written again still holds whole valid rounds of its earlier life."""
    fs = disk()
    wal = filled(fs, 40)
    wal.stage_checkpoint(7, Checkpoint(position(40), b""))
    durable(wal)
    _retire_all(wal)
    wal.stage_entries(7, [entry(index, b"q" * 2500) for index in (41, 42)])
    durable(wal)
    wal.stage_entries(7, [entry(43, b"reused")])
    durable(wal)
    statistics = wal.statistics()
    assert statistics.rolls > statistics.rolls_without_spare
    active = fs.open("wal/" + _newest(fs))
    assert b"\x0a" * 1000 in active.pread(active.size(), 0), "no stale frame: a test of nothing"
    fs.kill()
    _, recovered = open_wal(fs)
    assert [e.index for e in replayed(recovered, 7, position(40))] == [41, 42, 43]


def _newest(fs: object) -> str:
    from raftlog.disk.wal_recovery import list_files

    return list_files(fs, "wal").found[-1].part.name  # type: ignore[arg-type]


def test_clean_close_needs_no_copy_and_keeps_spares() -> None:
    fs = disk()
    wal = filled(fs, 3)
    job = wal.prepare_spare_job()
    assert job is not None
    job()
    names = fs.listdir("wal")
    wal.close()
    with pytest.raises(ValueError, match="closed"):
        wal.write_round()
    fs.crash()
    calls = fs.written_bytes
    wal, recovered = open_wal(fs)
    assert recovered.clean
    assert fs.written_bytes == calls
    assert fs.listdir("wal") == names
    assert wal.spares == 1
    wal.stage_entries(7, [entry(4)])
    durable(wal)
    assert wal.spares == 0
    fs.crash()
    _, recovered = open_wal(fs)
    assert not recovered.clean
    assert len(replayed(recovered)) == 4


def test_more_records_than_a_round_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_module, "RECORDS_MAX", 10)
    fs = disk()
    wal = filled(fs, 1, size=10)
    wal.stage_entries(7, [entry(index, b"%d" % index) for index in range(2, 36)])
    assert durable(wal) == 5
    wal.stage_truncate(7, 30)
    assert durable(wal) == 6
    fs.crash()
    _, recovered = open_wal(fs)
    assert recovered.last_round == 6
    assert [e.index for e in replayed(recovered)] == list(range(1, 30))


def test_replay_comes_in_bounded_runs() -> None:
    fs = disk()
    wal, _ = open_wal(fs, part_bytes=1 << 24)
    wal.stage_create(7, b"")
    wal.stage_create(8, b"")
    payload = bytes(300_000)
    wal.stage_entries(7, [entry(index, payload) for index in range(1, 11)])
    wal.stage_entries(8, [entry(index) for index in range(1, 2501)])
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    runs: list[tuple[int, int]] = []
    origin = position(0)._replace(term=0)
    recovered.replay({7: origin, 8: origin}, lambda group, run: runs.append((group, len(run))))
    assert runs == [(7, 3), (7, 3), (7, 3), (7, 1), (8, 1024), (8, 1024), (8, 452)]


def test_statistics() -> None:
    wal = filled(disk(), 3)
    wal.stage_entries(7, [entry(4, b"12345")])
    staged = wal.statistics()
    assert (staged.staged_bytes, staged.unsynced_bytes) == (48 + 5, 0)
    wal.write_round()
    written = wal.statistics()
    assert (written.staged_bytes, written.unsynced_bytes) == (0, 64 + 48 + 5)
    assert (written.rounds, written.last_round, written.durable_round) == (4, 4, 3)
    assert written.part_bytes_used == wal.part_used_bytes == 512 + written.bytes
