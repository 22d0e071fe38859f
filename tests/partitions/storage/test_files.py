"""What the operating system says of names that are not what they were, and what is made of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from partitions.storage.files import PartitionFileSystem
from raftlog.disk import OsFileSystem
from raftlog.errors import CorruptLog
from raftlog.testing.disk import VirtualDisk

Use = Callable[[PartitionFileSystem], object]


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda fs: fs.open("gone/1.log", create=True), "No such file"),
        (lambda fs: fs.open("gone.log"), "No such file"),
        (lambda fs: fs.open("file/1.log"), "Not a directory"),
        (lambda fs: fs.open("directory"), "Is a directory"),
        (lambda fs: fs.open("loop"), "symbolic links"),
        (lambda fs: fs.listdir("gone"), "No such file"),
        (lambda fs: fs.listdir("file"), "Not a directory"),
        (lambda fs: fs.mkdir("file"), "File exists"),
        (lambda fs: fs.rename("gone", "file"), "No such file"),
        (lambda fs: fs.rename("file", "directory"), "Is a directory"),
        (lambda fs: fs.unlink("gone"), "No such file"),
        (lambda fs: fs.unlink("directory"), "Is a directory"),
        (lambda fs: fs.rmtree("file"), "Not a directory"),
        (lambda fs: fs.sync_directory("gone"), "No such file"),
        (lambda fs: fs.sync_directory("file"), "Not a directory"),
    ],
)
def test_a_name_that_is_not_what_it_was_is_corrupt(tmp_path: Path, use: Use, text: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CorruptLog, match=text):
        use(PartitionFileSystem(OsFileSystem(tmp_path)))


class Failing(VirtualDisk):
    """Every call fails with one error."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __getattribute__(self, name: str) -> object:
        code = object.__getattribute__(self, "code") if name != "free_bytes" else 0

        def fail(*_: object, **__: object) -> None:
            raise OSError(code, "injected")

        return fail


READS: list[Use] = [
    lambda fs: fs.open("a"),
    lambda fs: fs.exists("a"),
    lambda fs: fs.listdir("a"),
]
CHANGES: list[Use] = [
    lambda fs: fs.mkdir("a"),
    lambda fs: fs.rename("a", "b"),
    lambda fs: fs.unlink("a"),
    lambda fs: fs.rmtree("a"),
    lambda fs: fs.sync_directory("a"),
]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("use", READS + CHANGES)
def test_what_is_forbidden_is_corrupt(use: Use, code: int) -> None:
    with pytest.raises(CorruptLog):
        use(PartitionFileSystem(Failing(code)))


@pytest.mark.parametrize("use", READS)
def test_a_read_that_fails_is_corrupt(use: Use) -> None:
    with pytest.raises(CorruptLog):
        use(PartitionFileSystem(Failing(errno.EIO)))


@pytest.mark.parametrize("use", CHANGES)
def test_a_change_or_a_sync_that_fails_stays_an_error_of_the_disk(use: Use) -> None:
    with pytest.raises(OSError, match="injected"):
        use(PartitionFileSystem(Failing(errno.EIO)))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE, errno.EROFS])
@pytest.mark.parametrize("use", READS + CHANGES)
def test_what_is_no_partitions_own_stays_an_error_of_the_disk(use: Use, code: int) -> None:
    with pytest.raises(OSError, match="injected"):
        use(PartitionFileSystem(Failing(code)))
