"""The virtual disk loses what a disk may lose, keeps what it must, and does so repeatably."""

from __future__ import annotations

import errno
from random import Random

import pytest

from raftlog.testing.disk import SECTOR_BYTES, PowerCut, VirtualDisk

PAGE = 4096


def _durable_file(seed: int, content: bytes) -> VirtualDisk:
    disk = VirtualDisk(Random(seed))
    file = disk.open("f", create=True)
    file.pwrite([content], 0)
    file.sync()
    disk.sync_directory("")
    return disk


def _after_crash(disk: VirtualDisk) -> bytes:
    disk.crash()
    file = disk.open("f")
    return file.pread(file.size(), 0)


def test_synced_content_survives() -> None:
    for seed in range(50):
        assert _after_crash(_durable_file(seed, b"durable" * 2000)) == b"durable" * 2000


def test_unsynced_pages_are_kept_dropped_or_torn() -> None:
    old, new = b"o" * PAGE, b"n" * PAGE
    fates = set()
    for seed in range(200):
        disk = _durable_file(seed, old * 2)
        disk.open("f").pwrite([new * 2], 0)
        content = _after_crash(disk)
        for page in (content[:PAGE], content[PAGE:]):
            kept = page.count(b"n")
            assert page == new[:kept] + old[kept:], "a page is new up to a sector, then old"
            assert kept % SECTOR_BYTES == 0
            fates.add(kept)
    assert fates == set(range(0, PAGE + 1, SECTOR_BYTES))


def test_pages_fare_independently() -> None:
    seen = set()
    for seed in range(200):
        disk = _durable_file(seed, b"o" * PAGE * 3)
        disk.open("f").pwrite([b"n" * PAGE * 3], 0)
        content = _after_crash(disk)
        seen.add(tuple(content[at * PAGE : at * PAGE + 1] == b"n" for at in range(3)))
    assert len(seen) == 8


def test_an_unsynced_size_may_be_lost() -> None:
    sizes = set()
    for seed in range(100):
        disk = _durable_file(seed, b"o" * 100)
        disk.open("f").pwrite([b"n" * 5000], 100)
        content = _after_crash(disk)
        assert content[:100] == b"o" * 100
        sizes.add(len(content))
    assert {100, 5100} < sizes


def test_an_unsynced_cut_may_be_undone() -> None:
    undone = 0
    sizes = set()
    for seed in range(60):
        disk = _durable_file(seed, b"o" * 9000)
        disk.open("f").truncate(100)
        content = _after_crash(disk)
        assert content[:100] == b"o" * 100
        undone += content == b"o" * 9000
        sizes.add(len(content))
    assert undone
    assert 100 in sizes


def test_unsynced_names_keep_a_prefix_in_order() -> None:
    seen = set()
    for seed in range(60):
        disk = VirtualDisk(Random(seed))
        for name in "abc":
            disk.open(name, create=True).sync()
        disk.rename("a", "z")
        disk.crash()
        seen.add(tuple(disk.listdir("")))
    assert seen == {(), ("a",), ("a", "b"), ("a", "b", "c"), ("b", "c", "z")}


def test_a_rename_between_directories_happens_in_both_or_neither() -> None:
    seen = set()
    for seed in range(60):
        disk = VirtualDisk(Random(seed))
        disk.mkdir("p")
        disk.mkdir("q")
        disk.open("p/f", create=True).sync()
        for path in ("", "p", "q"):
            disk.sync_directory(path)
        disk.rename("p/f", "q/g")
        if seed % 2:
            disk.sync_directory("q")
        disk.crash()
        seen.add((seed % 2, tuple(disk.listdir("p")), tuple(disk.listdir("q"))))
    assert seen == {(0, ("f",), ()), (0, (), ("g",)), (1, (), ("g",))}


def test_a_failed_sync_forgets_the_pages() -> None:
    """A retry succeeds and proves nothing: code that retries loses data here."""
    lost = 0
    for seed in range(40):
        disk = _durable_file(seed, b"o" * PAGE)
        file = disk.open("f")
        file.pwrite([b"n" * PAGE], 0)
        disk.fail_sync()
        with pytest.raises(OSError, match="injected"):
            file.sync()
        assert file.pread(1, 0) == b"n"
        file.sync()
        lost += _after_crash(disk) != b"n" * PAGE
    assert 5 < lost < 40


def test_written_again_after_a_failed_sync() -> None:
    for seed in range(40):
        disk = _durable_file(seed, b"o" * PAGE)
        file = disk.open("f")
        file.pwrite([b"n" * PAGE], 0)
        disk.fail_sync()
        with pytest.raises(OSError, match="injected"):
            file.sync()
        file.pwrite([b"n" * PAGE], 0)
        file.sync()
        assert _after_crash(disk) == b"n" * PAGE


def test_cut_and_grown_again_after_a_failed_sync() -> None:
    """The size is what it was when the sync failed, but it was changed since."""
    for seed in range(40):
        disk = _durable_file(seed, b"o" * 100)
        file = disk.open("f")
        file.pwrite([b"n" * 100], 100)
        disk.fail_sync()
        with pytest.raises(OSError, match="injected"):
            file.sync()
        file.truncate(50)
        file.pwrite([b"n" * 150], 50)
        file.sync()
        assert _after_crash(disk) == b"o" * 50 + b"n" * 150


def test_faults_hit_the_nth_call() -> None:
    disk = VirtualDisk(Random(1))
    file = disk.open("f", create=True)
    disk.fail_write(2, errno.ENOSPC)
    file.pwrite([b"x"], 0)
    with pytest.raises(OSError, match="space"):
        file.pwrite([b"y"], 0)
    file.pwrite([b"z"], 1)
    assert file.pread(9, 0) == b"xz"
    disk.fail_sync_directory()
    with pytest.raises(OSError, match="injected"):
        disk.sync_directory("")


def test_a_full_disk() -> None:
    disk = VirtualDisk(Random(1))
    disk.capacity_bytes = 10
    file = disk.open("f", create=True)
    file.pwrite([b"12345678"], 0)
    with pytest.raises(OSError, match="No space") as caught:
        file.pwrite([b"abcd"], 8)
    assert caught.value.errno == errno.ENOSPC
    assert (file.size(), disk.free_bytes()) == (10, 0)
    file.pwrite([b"overwritten"[:10]], 0)


def test_rot() -> None:
    disk = _durable_file(1, b"abc")
    disk.flip_bit("f", 1, 5)
    assert _after_crash(disk) == b"aBc"


def test_files_of_a_dead_process_are_refused() -> None:
    for end in ("crash", "kill"):
        disk = _durable_file(1, b"abc")
        file = disk.open("f")
        getattr(disk, end)()
        with pytest.raises(OSError, match="before a crash"):
            file.pread(1, 0)
        with pytest.raises(OSError, match="before a crash"):
            file.pwrite([b"x"], 0)


def test_kill_keeps_the_page_cache_at_risk() -> None:
    lost = 0
    for seed in range(40):
        disk = _durable_file(seed, b"old")
        disk.open("f").pwrite([b"new"], 0)
        disk.kill()
        assert disk.open("f").pread(3, 0) == b"new"
        lost += _after_crash(disk) != b"new"
    assert lost > 5


def test_power_cut_at_a_call() -> None:
    disk = VirtualDisk(Random(1))
    file = disk.open("f", create=True)
    disk.cut_at_call = disk.calls + 2
    file.pwrite([b"one"], 0)
    with pytest.raises(PowerCut):
        file.sync()
    disk.crash()
    disk.open("g", create=True)


def test_the_same_seed_gives_the_same_disk() -> None:
    def run(seed: int) -> list[tuple[str, bytes]]:
        random = Random(seed)
        disk = VirtualDisk(Random(seed))
        for _ in range(3):
            for _ in range(30):
                file = disk.open(f"f{random.randrange(5)}", create=True)
                file.pwrite([random.randbytes(900)], random.randrange(9000))
                if random.random() < 0.3:
                    file.sync()
                if random.random() < 0.3:
                    disk.sync_directory("")
            disk.crash()
        return [(name, disk.open(name).pread(1 << 20, 0)) for name in disk.listdir("")]

    assert run(5) == run(5)
    assert run(5) != run(6)
