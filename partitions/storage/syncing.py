"""What of a log's files is not durable yet, and the jobs that change that.

Jobs run on a storage thread, one at a time per log; everything else is the loop's. A job
takes what was dirty when it was made. It never touches bookkeeping of the log, apart from
releasing pins, and an error in it is final: the process ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError
from threading import Lock
from typing import NamedTuple

from partitions.storage.files import FileCache
from partitions.storage.manifest import MANIFEST_NAME
from partitions.storage.segment import Segment
from raftlog.errors import CorruptLog
from raftlog.seams import File
from raftlog.types import Buffer

_DETAIL = Struct("<BQIQQQ")
_VERSION = 1


class Detail(NamedTuple):
    """A checkpoint's own part."""

    birth: tuple[int, int]
    base: int
    size: int
    side_size: int


def encode_detail(birth: tuple[int, int], base: int, size: int, side_size: int) -> bytes:
    """For Checkpoint.detail."""
    return _DETAIL.pack(_VERSION, *birth, base, size, side_size)


def decode_detail(data: bytes) -> Detail:
    """Of a Checkpoint. Raises CorruptLog."""
    try:
        version, index, term, base, size, side_size = _DETAIL.unpack(data)
    except StructError:
        version = 0
    if version != _VERSION:
        raise CorruptLog("a partition's checkpoint has a form that this release does not know")
    return Detail((index, term), base, size, side_size)


def parent_of(path: str) -> str:
    """The directory that holds `path`; '' is the root."""
    return path.rpartition("/")[0]


class SyncState:
    """Writes of one log; see the module."""

    def __init__(self, files: FileCache, path: str) -> None:
        self.files = files
        self.path = path
        self._dirty: dict[str, File] = {}
        self._names_dirty = False
        self._parent_dirty = True
        self._replacing = Lock()
        self._installs = 0

    def write(self, path: str, buffers: Sequence[Buffer], position: int) -> None:
        """Write and remember to sync."""
        file = self.touch(path)
        if not position:
            self._names_dirty = True
        file.pwrite(buffers, position)

    def touch(self, path: str) -> File:
        """The file at `path`, which the next job will sync."""
        file = self._dirty.get(path)
        if file is None:
            file = self.files.get(path, create=True)
            self._dirty[path] = file
            self.files.pin(file)
        return file

    def create(self, path: str, buffers: Sequence[Buffer]) -> int:
        """Write a new file (an old one is overwritten); returns its size."""
        size = sum(map(len, buffers))
        self.files.get(path, create=True).truncate(0)
        self.write(path, buffers, 0)
        return size

    def cut(self, path: str, position: int, size: int) -> None:
        """Cut a file that is `size` bytes long."""
        if position < size:
            self.touch(path).truncate(position)

    def remove(self, segment: Segment) -> None:
        """Take a segment's files away; durable with the next job."""
        self.forget(segment)
        self._names_dirty = True
        for path in segment.all_paths():
            if self.files.fs.exists(path):
                self.files.fs.unlink(path)

    def forget(self, segment: Segment) -> None:
        """Close a segment's files."""
        for path in segment.all_paths():
            file = self._dirty.pop(path, None)
            if file is not None:
                self.files.release(file)
            self.files.forget(path)

    def job(self, manifest: bytes | None = None, garbage: Sequence[Segment] = ()) -> Job:
        """Make everything up to now durable; then, with a manifest, remove `garbage`."""
        dirty, self._dirty = self._dirty, {}
        names, self._names_dirty = self._names_dirty or self._parent_dirty, False
        parent, self._parent_dirty = self._parent_dirty, False
        for segment in garbage:
            for path in segment.all_paths():
                self.files.forget(path)
        removed = [path for segment in garbage for path in segment.all_paths()]
        installs = self._installs

        def run() -> None:
            for file in dirty.values():
                file.sync()
            if names:
                self.files.fs.sync_directory(self.path)
            if parent:
                self.files.fs.sync_directory(parent_of(self.path))
            if manifest is not None and self._replace_manifest(manifest, installs):
                self._unlink(removed)
            for file in dirty.values():
                self.files.release(file)

        return run

    def _replace_manifest(self, manifest: bytes, installs: int) -> bool:
        """False when a snapshot was installed since: then the segments are gone already."""
        with self._replacing:
            if installs != self._installs:
                return False
            self._write_manifest(manifest, "trim")
            return True

    def _unlink(self, paths: Sequence[str]) -> None:
        fs = self.files.fs
        for path in paths:
            if fs.exists(path):
                fs.unlink(path)

    def install(self, manifest: bytes) -> None:
        """Durably make `manifest` the log's beginning; its segments have no meaning any more."""
        with self._replacing:
            self._installs += 1
            self._write_manifest(manifest, "install")

    def _write_manifest(self, manifest: bytes, suffix: str) -> None:
        fs, target = self.files.fs, f"{self.path}/{MANIFEST_NAME}"
        fresh = f"{target}.{suffix}"
        file = fs.open(fresh, create=True)
        try:
            file.truncate(0)
            file.pwrite([manifest], 0)
            file.sync()
        finally:
            file.close()
        fs.rename(fresh, target)
        fs.sync_directory(self.path)


Job = Callable[[], None]
