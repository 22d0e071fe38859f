"""A disk that loses power: `VirtualDisk` implements `raftlog.seams.FileSystem` in memory.

What is at risk until it is synced, and what `crash()` does to it, each choice drawn from the
Random given (the same seed and calls give the same disk):

- Content: every page written since the file's last successful sync is kept, dropped (the last
  synced content comes back) or torn (the first sectors are new, the others old).
- Size: an unsynced extension or cut may be kept, undone, or have happened in part.
- Directory entries: creations, removals and renames since the directory's last
  `sync_directory`. Of each directory an order-preserving prefix survives; directories are
  independent of each other; a rename between two directories happens in both or in neither.
  Syncing a file does not sync its name.
- A failed sync makes nothing durable, and (as Linux does) forgets that the pages are dirty: a
  second sync succeeds and still leaves them at risk, until they are written again.

`kill()` ends the process only: everything stays as the page cache shows it, still at risk.
Files opened before a crash or kill refuse every use.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from random import Random
from typing import NoReturn

from raftlog.testing.disk_nodes import SECTOR_BYTES, Change, Directory, Inode
from raftlog.types import Buffer

__all__ = ["SECTOR_BYTES", "PowerCut", "VirtualDisk", "VirtualFile"]

UNLIMITED_BYTES = 1 << 40
"""What a disk without a capacity says of its size."""


class PowerCut(Exception):
    """The call at which a test wanted the power to fail; not an OSError on purpose."""


class Faults:
    """What is to go wrong, counted over all calls of one kind. Set by `VirtualDisk.fail_*`."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: dict[str, list[tuple[int, int]]] = {}

    def add(self, kind: str, nth: int, code: int) -> None:
        """The `nth` call of `kind` from now on (1: the next) fails with errno `code`."""
        self.pending.setdefault(kind, []).append((nth, code))

    def check(self, kind: str) -> None:
        """Count a call; raise when it is one of those that fail."""
        waiting = self.pending.pop(kind, [])
        later = [(nth - 1, code) for nth, code in waiting if nth > 1]
        if later:
            self.pending[kind] = later
        for nth, code in waiting:
            if nth == 1:
                raise OSError(code, f"injected: {os.strerror(code)} on {kind}")


class VirtualFile:
    """An open file of a VirtualDisk; implements `raftlog.seams.File`."""

    __slots__ = ("_disk", "_incarnation", "_inode", "_open")

    def __init__(self, disk: VirtualDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode
        self._incarnation = disk.incarnation
        self._open = True

    def _check(self) -> None:
        if not self._open or self._incarnation != self._disk.incarnation:
            raise OSError(errno.EBADF, "file is closed, or was opened before a crash")

    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Write; at ENOSPC as much as fits is written, as on a real disk."""
        disk = self._disk
        if not self._open or self._incarnation != disk.incarnation:
            self._check()
        if disk.faults.pending:
            disk.faults.check("write")
        data = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        if disk.capacity_bytes is None:
            self._inode.write(data, offset)
        else:
            self._write_within_capacity(data, offset)
        disk.written_bytes += len(data)
        disk.calls += 1
        if disk.calls == disk.cut_at_call:
            disk.cut("write")

    def _write_within_capacity(self, data: Buffer, offset: int) -> None:
        grown = max(0, offset + len(data) - len(self._inode.content))
        missing = grown - self._disk.free_bytes()
        if missing > 0:
            self._inode.write(data[: max(0, len(data) - missing)], offset)
            self._disk.count("write")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._inode.write(data, offset)

    def pread(self, length: int, offset: int) -> bytes:
        """Read what the page cache holds."""
        self._check()
        if self._inode.unreadable:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(self._inode.content[offset : offset + length])

    def sync(self) -> None:
        """Make the content and size durable, or (injected) fail and lose them silently."""
        self._check()
        self._disk.count("sync")
        if self._disk.faults.pending:
            try:
                self._disk.faults.check("sync")
            except OSError:
                self._inode.sync_failed()
                raise
        self._inode.synced()

    def truncate(self, size: int) -> None:
        """Cut or extend; at risk until synced."""
        self._check()
        self._disk.faults.check("write")
        self._inode.truncate(size)
        self._disk.count("truncate")

    def size(self) -> int:
        """Current length."""
        self._check()
        return len(self._inode.content)

    def close(self) -> None:
        """Release; nothing is synced by it."""
        self._open = False


class VirtualDisk:
    """See the module. Counters: `calls` (changes and syncs), `syncs`, `written_bytes`."""

    def __init__(self, random: Random, page_bytes: int = 4096) -> None:
        if page_bytes % SECTOR_BYTES:
            raise ValueError(f"page_bytes must be a multiple of {SECTOR_BYTES}")
        self.random = random
        self.page_bytes = page_bytes
        self.root = Directory()
        self.faults = Faults()
        self.incarnation = 0
        self.calls = 0
        self.syncs = 0
        self.written_bytes = 0
        self.capacity_bytes: int | None = None
        """Sum of file lengths at which writes fail with ENOSPC; None: unlimited."""
        self.cut_at_call: int | None = None
        """Raise PowerCut in this call (counted in `calls`); the test then calls `crash()`."""

    # Faults ---------------------------------------------------------------------------

    def fail_sync(self, nth: int = 1, code: int = errno.EIO) -> None:
        """The nth file sync from now fails (1: the next)."""
        self.faults.add("sync", nth, code)

    def fail_sync_directory(self, nth: int = 1, code: int = errno.EIO) -> None:
        """The nth directory sync from now fails."""
        self.faults.add("sync_directory", nth, code)

    def fail_write(self, nth: int = 1, code: int = errno.EIO) -> None:
        """The nth write from now fails and writes nothing."""
        self.faults.add("write", nth, code)

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return len(self._inode(path).content)

    def flip_bit(self, path: str, position: int, bit: int = 0) -> None:
        """Rot: change one durable bit under the file system's feet."""
        inode = self._inode(path)
        inode.content[position] ^= 1 << bit

    def make_unreadable(self, path: str) -> None:
        """A bad medium: every read of the file fails from now on, writes do not."""
        self._inode(path).unreadable = True

    def crash(self) -> None:
        """Power loss and restart: decide the fate of everything unsynced, drop open files."""
        self.incarnation += 1
        self.cut_at_call = None
        self.root.crash(self.random)

    def kill(self) -> None:
        """The process dies, the machine goes on: the page cache stays, open files do not."""
        self.incarnation += 1
        self.cut_at_call = None

    def count(self, kind: str) -> None:
        """Count a call; raise PowerCut when it is the one. Effects so far stay at risk."""
        self.calls += 1
        if kind == "sync":
            self.syncs += 1
        if self.calls == self.cut_at_call:
            self.cut(kind)

    def cut(self, kind: str) -> NoReturn:
        """The power fails in this call."""
        raise PowerCut(f"power lost in call {self.calls} ({kind})")

    # FileSystem -----------------------------------------------------------------------

    def open(self, path: str, *, create: bool = False) -> VirtualFile:
        """Open a file; a created one's name is at risk until its directory is synced."""
        parent, name = self._parent(path)
        node = parent.entries.get(name)
        if node is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = Inode(self.page_bytes)
            parent.change(Change({name: node}))
            self.count("create")
        if isinstance(node, Directory):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return VirtualFile(self, node)

    def exists(self, path: str) -> bool:
        """True for a file or a directory."""
        node: Inode | Directory | None = self.root
        for name in _names(path):
            node = node.entries.get(name) if isinstance(node, Directory) else None
        return node is not None

    def listdir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""
        return sorted(self._directory(path).entries)

    def mkdir(self, path: str) -> None:
        """Make the directory and its parents."""
        node = self.root
        for name in _names(path):
            below = node.entries.get(name)
            if below is None:
                below = Directory()
                node.change(Change({name: below}))
                self.count("mkdir")
            if isinstance(below, Inode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            node = below

    def rename(self, old: str, new: str) -> None:
        """Move; at risk until the parents (both, when they differ) are synced."""
        source, old_name = self._parent(old)
        target, new_name = self._parent(new)
        node = source.entries.get(old_name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
        there = target.entries.get(new_name)
        if isinstance(there, Directory) and there.entries:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), new)
        if source is target:
            source.change(Change({old_name: None, new_name: node}))
        else:
            removal = Change({old_name: None})
            source.change(removal)
            target.change(Change({new_name: node}, twin=removal))
        self.count("rename")

    def unlink(self, path: str) -> None:
        """Remove a file."""
        parent, name = self._parent(path)
        self._inode(path)
        parent.change(Change({name: None}))
        self.count("unlink")

    def rmtree(self, path: str) -> None:
        """Remove a directory and all below it; one change of its parent."""
        parent, name = self._parent(path)
        self._directory(path)
        parent.change(Change({name: None}))
        self.count("rmtree")

    def sync_directory(self, path: str) -> None:
        """Make the directory's entries durable (not the content of its files)."""
        directory = self._directory(path)
        self.count("sync_directory")
        self.faults.check("sync_directory")
        directory.synced()

    def free_bytes(self) -> int:
        """What is left of `capacity_bytes`; 1 TiB when unlimited."""
        if self.capacity_bytes is None:
            return UNLIMITED_BYTES
        return max(0, self.capacity_bytes - self.root.used_bytes())

    def total_bytes(self) -> int:
        """`capacity_bytes`; 1 TiB when unlimited."""
        return UNLIMITED_BYTES if self.capacity_bytes is None else self.capacity_bytes

    # Paths ----------------------------------------------------------------------------

    def _directory(self, path: str) -> Directory:
        node: Inode | Directory | None = self.root
        for name in _names(path):
            node = node.entries.get(name) if isinstance(node, Directory) else None
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if isinstance(node, Inode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node

    def _parent(self, path: str) -> tuple[Directory, str]:
        names = _names(path)
        if not names:
            raise ValueError("the root is not a file")
        return self._directory("/".join(names[:-1])), names[-1]

    def _inode(self, path: str) -> Inode:
        parent, name = self._parent(path)
        node = parent.entries.get(name)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node


def _names(path: str) -> list[str]:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith("/") or ".." in names:
        raise ValueError(f"path {path!r} would leave the disk")
    return names
