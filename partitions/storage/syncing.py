"""What of a log's files is not durable yet, and the jobs that change that.

Jobs run on a storage thread, one at a time per log; everything else is the loop's. A job
takes what was dirty when it was made. It never touches bookkeeping of the log, apart from
releasing pins, and an error in it is final: the process ends, or with CorruptLog (the log's
directory is not there any more, after its files were synced) its group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from struct import error as StructError
from threading import Lock
from typing import NamedTuple

from partitions.storage.files import FileCache
from partitions.storage.manifest import MANIFEST_NAME, RECENT_NAME
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


class _Work(NamedTuple):
    """What one job does."""

    files: tuple[File, ...]
    names: bool
    parent: bool
    producers: Callable[[], bytes] | None
    manifest: bytes | None
    removed: tuple[str, ...]
    installs: int


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
        self._directory = Lock()
        """Held by a job that changes names, so that an install or a removal waits for it."""
        self._closed = False
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

    def job(
        self,
        manifest: bytes | None = None,
        garbage: Sequence[Segment] = (),
        producers: Callable[[], bytes] | None = None,
    ) -> Job:
        """Make everything up to now durable; then, with a manifest, remove `garbage`.

        `producers` makes a new `log.producers`, on the storage thread.
        """
        for segment in garbage:
            for path in segment.all_paths():
                self.files.forget(path)
        work = _Work(
            tuple(self._dirty.values()),
            self._names_dirty or self._parent_dirty or producers is not None,
            self._parent_dirty,
            producers,
            manifest,
            tuple(path for segment in garbage for path in segment.all_paths()),
            self._installs,
        )
        self._dirty = {}
        self._names_dirty = self._parent_dirty = False
        return partial(self._run, work)

    def _run(self, work: _Work) -> None:
        try:
            for file in work.files:
                file.sync()
            with self._directory:
                if not self._closed:
                    self._sync_names(work)
        finally:
            for file in work.files:
                self.files.release(file)

    def _sync_names(self, work: _Work) -> None:
        if work.producers is not None:
            self._write_new(RECENT_NAME, "new", work.producers())
        if work.names:
            self.files.fs.sync_directory(self.path)
        if work.parent:
            self.files.fs.sync_directory(parent_of(self.path))
        # After an install the segments are gone, and so is the place that was to be recorded.
        if work.manifest is not None and work.installs == self._installs:
            self._write_manifest(work.manifest, "trim")
            self._unlink(work.removed)

    def _unlink(self, paths: Sequence[str]) -> None:
        fs = self.files.fs
        for path in paths:
            if fs.exists(path):
                fs.unlink(path)

    def close(self) -> None:
        """Jobs that are under way leave the directory alone from now on: it may go away."""
        with self._directory:
            self._closed = True

    def install(self, manifest: bytes) -> None:
        """Durably make `manifest` the log's beginning; its segments have no meaning any more."""
        with self._directory:
            self._installs += 1
            self._write_manifest(manifest, "install")
            # the log may be so new that no job has made its own name durable yet
            self.files.fs.sync_directory(parent_of(self.path))

    def _write_manifest(self, manifest: bytes, suffix: str) -> None:
        self._write_new(MANIFEST_NAME, suffix, manifest)
        self.files.fs.sync_directory(self.path)

    def _write_new(self, name: str, suffix: str, data: bytes) -> None:
        fs, target = self.files.fs, f"{self.path}/{name}"
        file = fs.open(f"{target}.{suffix}", create=True)
        try:
            file.truncate(0)
            file.pwrite([data], 0)
            file.sync()
        finally:
            file.close()
        fs.rename(f"{target}.{suffix}", target)


Job = Callable[[], None]
