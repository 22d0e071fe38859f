"""The overlay: like the file system itself, and nothing of it reaches the disk."""

from __future__ import annotations

from random import Random

import pytest

from raftlog.disk.overlay import PAGE_BYTES, OverlayFileSystem
from raftlog.seams import FileSystem
from raftlog.testing.disk import VirtualDisk

NAMES = ("a", "b", "d/a", "d/b", "d/e/a")


def filled() -> VirtualDisk:
    disk = VirtualDisk(Random(1))
    disk.mkdir("d/e")
    for number, name in enumerate(NAMES[:-1]):
        disk.open(name, create=True).pwrite([bytes([number + 1]) * (PAGE_BYTES + 10)], 0)
    return disk


def content(fs: FileSystem, at: str = "") -> dict[str, bytes]:
    """Everything below a directory."""
    found: dict[str, bytes] = {}
    for name in fs.listdir(at):
        path = f"{at}/{name}" if at else name
        try:
            file = fs.open(path)
        except OSError:
            found |= content(fs, path)
        else:
            found[path] = file.pread(file.size() + 10, 0)
            file.close()
    return found


def change(fs: FileSystem, random: Random) -> None:
    """One random change; the same for every file system in the same state."""
    name, other = random.sample(NAMES, 2)
    kind = random.randrange(6)
    begin, length = random.randrange(2 * PAGE_BYTES), random.randrange(100)
    if kind == 0 and fs.exists(name) and fs.exists(other.rpartition("/")[0]):
        fs.rename(name, other)
    elif kind == 1 and fs.exists(name):
        fs.unlink(name)
    elif kind == 2 and random.random() < 0.2 and fs.exists("d"):
        fs.rmtree("d")
    elif kind == 3:
        fs.mkdir("d/e")
    elif fs.exists(name) or fs.exists(name.rpartition("/")[0]):
        file = fs.open(name, create=True)
        if kind == 4:
            file.truncate(begin)
        else:
            file.pwrite([b"x" * length, b"y" * length], begin)
        file.close()


def test_it_behaves_as_the_disk_beneath_and_leaves_it_alone() -> None:
    for seed in range(60):
        below, model = filled(), filled()
        overlay = OverlayFileSystem(below)
        before = content(below)
        calls = below.calls
        left, right = Random(seed), Random(seed)
        for _ in range(25):
            change(overlay, left)
            change(model, right)
            assert content(overlay) == content(model)
        assert content(below) == before
        assert below.calls == calls


def test_what_is_not_there_is_missing() -> None:
    overlay = OverlayFileSystem(filled())
    overlay.unlink("a")
    for path in ("a", "none", "none/a"):
        with pytest.raises(FileNotFoundError):
            overlay.open(path)
    with pytest.raises(FileNotFoundError):
        overlay.open("none/a", create=True)
    with pytest.raises(FileNotFoundError):
        overlay.listdir("none")
