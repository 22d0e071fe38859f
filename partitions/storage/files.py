"""Open files of segments: opened when first used, at most so many at a time.

One cache may serve all logs of a broker. A file with unsynced writes is pinned: closing it
first would lose the report of a failed write-back. Everything here runs on the loop, but for
`release`, which the storage thread calls at the end of a sync.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from raftlog.errors import CorruptLog
from raftlog.seams import File, FileSystem

OPEN_FILES_MAX = 8
"""Enough for one log; a cache that is shared should be given what the process may open."""


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


class FileCache:
    """Least recently used files of one FileSystem; pinned ones come on top of the limit."""

    def __init__(self, fs: FileSystem, capacity: int = OPEN_FILES_MAX) -> None:
        self.fs = fs
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
        file = PartitionFile(self.fs.open(path, create=create), path)
        self._open[path] = file
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
        newest = next(reversed(self._open))
        for path, file in list(self._open.items()):
            if len(self._open) <= self._capacity:
                return
            if path != newest and id(file) not in self._pins:
                del self._open[path]
                file.close()

    def _settle(self) -> None:
        while self._released:
            file = self._released.popleft()
            key = id(file)
            self._pins[key] -= 1
            if not self._pins[key]:
                del self._pins[key]
                if self._doomed.pop(key, None) is not None:
                    file.close()
