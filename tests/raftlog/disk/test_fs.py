"""The operating system's file system and the virtual one answer alike."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from raftlog.disk.fs import OsFileSystem
from raftlog.seams import FileSystem
from raftlog.testing.disk import VirtualDisk


@pytest.fixture(params=["os", "virtual"])
def fs(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystem:
    return OsFileSystem(tmp_path / "root") if request.param == "os" else VirtualDisk(Random(1))


def test_files(fs: FileSystem) -> None:
    with pytest.raises(FileNotFoundError):
        fs.open("f")
    file = fs.open("f", create=True)
    file.pwrite([b"one", memoryview(b"two"), bytearray(b"")], 2)
    assert file.pread(100, 0) == b"\0\0onetwo"
    assert file.pread(3, 4) == b"etw"
    assert file.pread(5, 50) == b""
    file.truncate(4)
    assert (file.size(), file.pread(9, 0)) == (4, b"\0\0on")
    file.truncate(6)
    assert file.pread(9, 0) == b"\0\0on\0\0"
    file.sync()
    file.close()
    assert fs.open("f").size() == 6


def test_directories(fs: FileSystem) -> None:
    fs.mkdir("a/b/c")
    fs.mkdir("a/b/c")
    fs.open("a/b/x", create=True).close()
    fs.open("a/b/y", create=True).close()
    assert fs.listdir("a/b") == ["c", "x", "y"]
    assert fs.listdir("") == ["a"]
    fs.rename("a/b/x", "a/b/y")
    fs.sync_directory("a/b")
    fs.sync_directory("")
    assert fs.listdir("a/b") == ["c", "y"]
    fs.unlink("a/b/y")
    assert not fs.exists("a/b/y")
    assert fs.exists("a/b/c")
    with pytest.raises(FileNotFoundError):
        fs.unlink("a/b/y")
    with pytest.raises(FileNotFoundError):
        fs.rename("a/b/y", "a/z")
    fs.rmtree("a")
    assert fs.listdir("") == []
    assert 0 < fs.free_bytes() <= fs.total_bytes()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd"])
def test_paths_stay_inside(fs: FileSystem, path: str) -> None:
    for call in (fs.open, fs.exists, fs.listdir, fs.mkdir, fs.unlink, fs.rmtree, fs.sync_directory):
        with pytest.raises(ValueError, match="would leave"):
            call(path)


def test_modes_are_private(tmp_path: Path) -> None:
    fs = OsFileSystem(tmp_path / "root")
    fs.mkdir("d/e")
    file = fs.open("d/f", create=True)
    assert (tmp_path / "root/d/f").stat().st_mode & 0o777 == 0o600
    for name in ("root", "root/d", "root/d/e"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    assert not os.get_inheritable(file.fileno())


def test_many_buffers(tmp_path: Path) -> None:
    file = OsFileSystem(tmp_path).open("f", create=True)
    buffers = [b"%d," % number for number in range(3210)]
    file.pwrite(buffers, 7)
    assert file.pread(1 << 20, 7) == b"".join(buffers)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OsFileSystem(tmp_path).open("f", create=True)
    random = Random(3)
    whole = os.pwritev

    def short(fd: int, buffers: list[bytes], offset: int) -> int:
        data = b"".join(buffers)[: random.randint(1, 700)]
        return whole(fd, [data], offset)

    monkeypatch.setattr(os, "pwritev", short)
    buffers = [random.randbytes(random.randint(0, 300)) for _ in range(50)]
    file.pwrite(buffers, 5)
    assert file.pread(1 << 20, 5) == b"".join(buffers)


def test_syncing_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> None:
        raise AssertionError("synced")

    monkeypatch.setattr(os, "fdatasync", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    fs = OsFileSystem(tmp_path, sync=False)
    fs.open("f", create=True).sync()
    fs.sync_directory("")
    with pytest.raises(AssertionError):
        OsFileSystem(tmp_path).open("f").sync()
