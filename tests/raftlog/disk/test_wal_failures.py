"""A disk that errs: what is final, and what is not."""

from __future__ import annotations

import pytest

from raftlog.errors import DiskFailed
from tests.raftlog.disk.helpers import disk, durable, entry, filled, open_wal


def test_a_failed_sync_is_final() -> None:
    fs = disk()
    wal = filled(fs, 3)
    wal.stage_entries(7, [entry(4)])
    number = wal.write_round()
    first, second = wal.sync_job(), wal.sync_job()
    fs.fail_sync()
    with pytest.raises(DiskFailed, match="must end"):
        first()
    syncs = fs.syncs
    with pytest.raises(DiskFailed):
        second()
    with pytest.raises(DiskFailed):
        wal.synced(number)
    with pytest.raises(DiskFailed):
        wal.write_round()
    wal.close()
    assert fs.syncs == syncs, "a failed sync was tried again"


def test_after_a_failed_sync_the_page_cache_is_not_believed() -> None:
    """The next process reads the lost round from the cache: it must make it durable itself."""
    for seed in range(20):
        fs = disk(seed)
        wal = filled(fs, 3)
        wal.stage_entries(7, [entry(4, b"only cached")])
        wal.write_round()
        fs.fail_sync()
        with pytest.raises(DiskFailed):
            wal.sync_job()()
        fs.kill()
        _, recovered = open_wal(fs)
        assert recovered.groups[7].last_index == 4
        fs.crash()
        _, recovered = open_wal(fs)
        assert recovered.groups[7].last_index == 4


def test_a_failed_write_is_final() -> None:
    fs = disk()
    wal = filled(fs, 3)
    wal.stage_entries(7, [entry(4)])
    fs.fail_write()
    with pytest.raises(DiskFailed):
        wal.write_round()
    with pytest.raises(DiskFailed):
        wal.write_round()
    with pytest.raises(DiskFailed):
        wal.sync_job()()


def test_a_full_disk_stops_spares_only() -> None:
    fs = disk()
    wal = filled(fs, 2)
    fs.capacity_bytes = 16 * 1024
    job = wal.prepare_spare_job()
    assert job is not None
    job()
    assert "no space" in wal.statistics().spare_failed
    assert wal.room_bytes() == 0
    assert fs.listdir("wal") == ["0000000000000001.wal", "witness"]
    assert wal.prepare_spare_job() is None
    wal.stage_entries(7, [entry(3)])
    durable(wal)
    fs.capacity_bytes = None
    job = wal.prepare_spare_job()
    assert job is not None
    job()
    assert wal.statistics().spare_failed == ""
    assert wal.room_bytes() == 16 * 1024 - 512
