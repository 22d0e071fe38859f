"""The operating system's file system behind the seam `raftlog.seams.FileSystem`.

Everything here blocks. Writes land in the page cache and cost microseconds; `sync` and
`sync_directory` wait for the device and belong on a storage thread.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from raftlog.types import Buffer

VECTORS_MAX = 1000
"""Buffers handed to one pwritev; the kernel's limit (IOV_MAX) is 1024."""

_FLAGS = os.O_RDWR | os.O_CLOEXEC


class OsFile:
    """An open file; implements `raftlog.seams.File`."""

    __slots__ = ("_fd", "_syncs", "path")

    def __init__(self, path: Path, *, create: bool, syncs: bool = True) -> None:
        self.path = path
        self._syncs = syncs
        self._fd = os.open(path, _FLAGS | os.O_CREAT if create else _FLAGS, 0o600)

    def fileno(self) -> int:
        """The descriptor, for sendfile and the like."""
        return self._fd

    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all of `buffers` (byte-sized items only) at `offset`, or raise OSError."""
        total = sum(map(len, buffers))
        if len(buffers) <= VECTORS_MAX and os.pwritev(self._fd, buffers, offset) == total:
            return
        # Too many vectors, or the kernel took only a part (at most 2 GiB per call, a full
        # disk, a signal): writing the same bytes again is harmless, so start over in slices.
        for start in range(0, len(buffers), VECTORS_MAX):
            offset = self._write_slice(buffers[start : start + VECTORS_MAX], offset)

    def _write_slice(self, buffers: Sequence[Buffer], offset: int) -> int:
        rest = [memoryview(buffer) for buffer in buffers if len(buffer)]
        while rest:
            written = os.pwritev(self._fd, rest, offset)
            offset += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]
        return offset

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes at `offset`; fewer only at the end of the file."""
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]
        missing = length - len(data)
        while missing and (piece := os.pread(self._fd, missing, offset + length - missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def sync(self) -> None:
        """fdatasync. After an error the kernel may have dropped the pages: never call again."""
        if self._syncs:
            os.fdatasync(self._fd)

    def truncate(self, size: int) -> None:
        """Cut or extend with zeros to `size` bytes."""
        os.ftruncate(self._fd, size)

    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Release the descriptor; does not sync. A second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class OsFileSystem:
    """The tree below `root` (made, mode 0700, when missing); `raftlog.seams.FileSystem`.

    Paths are relative and '/' separated; "" is the root itself. Anything that could leave the
    tree ('..', an absolute path) is a ValueError: it is a bug of the caller, not of the disk.
    With `sync=False` nothing waits for the device: a power loss then loses what was promised.
    """

    def __init__(self, root: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.root = Path(root)
        self._syncs = sync
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _resolve(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise ValueError(f"path {path!r} would leave the directory {self.root}")
        return self.root / path

    def open(self, path: str, *, create: bool = False) -> OsFile:
        """Open for reading and writing; a new file gets mode 0600."""
        return OsFile(self._resolve(path), create=create, syncs=self._syncs)

    def exists(self, path: str) -> bool:
        """True for a file or a directory."""
        return self._resolve(path).exists()

    def listdir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""
        return sorted(os.listdir(self._resolve(path)))

    def mkdir(self, path: str) -> None:
        """Make the directory and its parents, mode 0700 each; existing ones are fine."""
        self._resolve(path)
        made = self.root
        for name in filter(None, path.split("/")):
            made /= name
            made.mkdir(mode=0o700, exist_ok=True)

    def rename(self, old: str, new: str) -> None:
        """Replace `new` by `old` atomically."""
        os.rename(self._resolve(old), self._resolve(new))

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(self._resolve(path))

    def rmtree(self, path: str) -> None:
        """Remove a directory and all below it."""
        shutil.rmtree(self._resolve(path))

    def sync_directory(self, path: str) -> None:
        """Make creations, renames and removals in the directory durable."""
        if not self._syncs:
            return
        fd = os.open(self._resolve(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self) -> int:
        """Bytes that an unprivileged process may still allocate on this file system."""
        usage = os.statvfs(self.root)
        return usage.f_bavail * usage.f_frsize

    def total_bytes(self) -> int:
        """Bytes of the file system as a whole."""
        usage = os.statvfs(self.root)
        return usage.f_blocks * usage.f_frsize
