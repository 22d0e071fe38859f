"""What a partition's log sees of the disk: its own files, and what their loss means.

Files of segments are opened when first used, at most so many at a time. One cache may serve
all logs of a broker. A file with unsynced writes is pinned: closing it first would lose the
report of a failed write-back. Everything here runs on the loop, but for `release` and the
FileSystem, which the storage thread uses too.

A file or directory of a partition that is gone, is something else or cannot be read is damage to
that partition: CorruptLog, which ends its group and no other. Failed writes and syncs, and a full
disk, stay OSErrors and end the process: what they say is true of more than one directory, and
after them nobody knows what is durable.
"""

from __future__ import annotations

import errno
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from raftlog.errors import CorruptLog
from raftlog.seams import File, FileSystem

OPEN_FILES_MAX = 8
"""Enough for one log; a cache that is shared should be given what the process may open."""
_NOT_AS_LEFT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENXIO,
        errno.ELOOP,
        errno.EACCES,
        errno.EPERM,
    }
)
"""A name is not there, or stands for something else, or is forbidden: somebody changed that."""
_UNREADABLE = _NOT_AS_LEFT | {errno.EIO}
"""For what only reads: there EIO is a bad medium. For the others it is a failed write or sync."""


@contextmanager
def _ours(path: str, what: str, codes: frozenset[int] = _NOT_AS_LEFT) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in codes:
            raise
        raise CorruptLog(
            f"{path} {what}: {error.strerror}. It was removed, replaced or forbidden, or the disk "
            "lost it: this replica must not vote"
        ) from error


class PartitionFile:
    """A File whose bytes may have become unreadable: that ends one partition, not the broker.

    A failed read says that the medium lost what was there, as a failed checksum does. Failed
    writes and syncs stay OSErrors, and end the process.
    """

    __slots__ = ("_file", "_path", "close", "pwrite", "size", "sync", "truncate")

    def __init__(self, file: File, path: str) -> None:
        self._file = file
        self._path = path
        self.close, self.size = file.close, file.size
        self.pwrite, self.sync, self.truncate = file.pwrite, file.sync, file.truncate

    def pread(self, length: int, offset: int) -> bytes:
        """As File says; CorruptLog instead of OSError."""
        try:
            return self._file.pread(length, offset)
        except OSError as error:
            raise CorruptLog(
                f"{self._path}: {length} bytes at {offset} cannot be read: {error}"
            ) from error


class PartitionFileSystem:
    """The FileSystem for the directories of partitions: CorruptLog where the module says so.

    A file that is open stays usable when its name is gone; the next change of names, or the
    next start, notices.
    """

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs
        self.free_bytes = fs.free_bytes
        self.total_bytes = fs.total_bytes

    def open(self, path: str, *, create: bool = False) -> PartitionFile:
        """See FileSystem."""
        with _ours(path, "cannot be opened", _UNREADABLE):
            return PartitionFile(self._fs.open(path, create=create), path)

    def exists(self, path: str) -> bool:
        """See FileSystem."""
        with _ours(path, "cannot be looked at", _UNREADABLE):
            return self._fs.exists(path)

    def listdir(self, path: str) -> list[str]:
        """See FileSystem."""
        with _ours(path, "cannot be listed", _UNREADABLE):
            return self._fs.listdir(path)

    def mkdir(self, path: str) -> None:
        """See FileSystem."""
        with _ours(path, "cannot be made"):
            self._fs.mkdir(path)

    def rename(self, old: str, new: str) -> None:
        """See FileSystem."""
        with _ours(new, "cannot be replaced"):
            self._fs.rename(old, new)

    def unlink(self, path: str) -> None:
        """See FileSystem."""
        with _ours(path, "cannot be removed"):
            self._fs.unlink(path)

    def rmtree(self, path: str) -> None:
        """See FileSystem."""
        with _ours(path, "cannot be removed"):
            self._fs.rmtree(path)

    def sync_directory(self, path: str) -> None:
        """See FileSystem. That there is no directory to sync is no failed sync."""
        with _ours(path, "cannot be opened"):
            self._fs.sync_directory(path)


class FileCache:
    """Least recently used files of one FileSystem; pinned ones come on top of the limit."""

    def __init__(self, fs: FileSystem, capacity: int = OPEN_FILES_MAX) -> None:
        self.fs = PartitionFileSystem(fs)
        self._capacity = capacity
        self._open: OrderedDict[str, File] = OrderedDict()
        self._pins: dict[int, int] = {}
        self._released: deque[File] = deque()
        self._doomed: dict[int, File] = {}

    def get(self, path: str, *, create: bool = False) -> File:
        """The open file at `path`."""
        file = self._open.get(path)
        if file is not None:
            self._open.move_to_end(path)
            if self._released:
                self._evict()
            return file
        file = self._open[path] = self.fs.open(path, create=create)
        if len(self._open) > self._capacity:
            self._evict()
        return file

    def pin(self, file: File) -> None:
        """Keep `file` open until a matching `release`."""
        self._pins[id(file)] = self._pins.get(id(file), 0) + 1

    def release(self, file: File) -> None:
        """Undo one `pin`; any thread."""
        self._released.append(file)

    def forget(self, path: str) -> None:
        """The file was removed: close it as soon as nobody syncs it."""
        self._settle()
        file = self._open.pop(path, None)
        if file is None:
            return
        if id(file) in self._pins:
            self._doomed[id(file)] = file
        else:
            file.close()

    def _evict(self) -> None:
        self._settle()
        surplus = len(self._open) - self._capacity
        if surplus <= 0:
            return
        newest = next(reversed(self._open))
        idle = (
            path
            for path, file in self._open.items()
            if path != newest and id(file) not in self._pins
        )
        for path in list(islice(idle, surplus)):
            self._open.pop(path).close()

    def _settle(self) -> None:
        while self._released:
            file = self._released.popleft()
            key = id(file)
            self._pins[key] -= 1
            if not self._pins[key]:
                del self._pins[key]
                if self._doomed.pop(key, None) is not None:
                    file.close()
