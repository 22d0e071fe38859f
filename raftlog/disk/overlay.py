"""A file system of which nothing reaches the disk: what is changed stays in memory.

Opening a write-ahead log and the logs on it changes files: torn ends are cut, what is unproven is
copied, entries are written to their segments again. A look at a directory that must stay as it
is goes through this layer, so that it is the real code that looks. Memory: the pages that
were written, about the size of the write-ahead log's live parts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from raftlog.seams import File, FileSystem
from raftlog.types import Buffer

PAGE_BYTES: Final = 64 * 1024


class _Node:
    """A file's content: pages that were written, over the file `path` beneath, if any.

    The file beneath is open while somebody has this one open: a directory may have many.
    """

    __slots__ = ("_below", "_file", "_path", "changed", "handles", "pages", "size", "visible")

    def __init__(self, below: FileSystem, path: str | None) -> None:
        self._below = below
        self._path = path
        self._file: File | None = None
        self.handles = 0
        self.changed = path is None
        self.pages: dict[int, bytearray] = {}
        self.size = 0 if path is None else self._open().size()
        self.visible = self.size
        """Bytes of the file beneath that can still be seen."""

    def _open(self) -> File:
        if self._file is None:
            assert self._path is not None
            self._file = self._below.open(self._path)
        return self._file

    def release(self) -> None:
        """Close the file beneath."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def page(self, number: int) -> bytearray:
        """The page, from now on in memory."""
        found = self.pages.get(number)
        if found is None:
            found = self.pages[number] = bytearray(self.read_below(number).ljust(PAGE_BYTES, b"\0"))
            self.changed = True
        return found

    def read_below(self, number: int) -> bytes:
        """What is still seen of the file beneath."""
        begin = number * PAGE_BYTES
        length = min(PAGE_BYTES, self.visible - begin)
        return self._open().pread(length, begin) if length > 0 else b""

    def truncate(self, size: int) -> None:
        """Cut, or extend with zeros."""
        self.changed = True
        if size < self.size:
            last, rest = divmod(size, PAGE_BYTES)
            for number in [number for number in self.pages if number > last]:
                del self.pages[number]
            if last in self.pages:
                self.pages[last][rest:] = bytes(PAGE_BYTES - rest)
            self.visible = min(self.visible, size)
        self.size = size


class OverlayFile:
    """Implements `raftlog.seams.File`."""

    def __init__(self, node: _Node, closed: Callable[[_Node], None]) -> None:
        self._node = node
        self._closed = closed
        self._open = True
        node.handles += 1

    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Into memory."""
        node = self._node
        for buffer in buffers:
            data = memoryview(buffer).cast("B")
            for number, begin, end, at in _pages(offset, len(data)):
                node.page(number)[begin:end] = data[at : at + end - begin]
            offset += len(data)
            node.size = max(node.size, offset if len(data) else 0)

    def pread(self, length: int, offset: int) -> bytes:
        """From memory, or from the file beneath."""
        node = self._node
        parts = []
        for number, begin, end, _ in _pages(offset, max(0, min(length, node.size - offset))):
            page = node.pages.get(number)
            content = page or node.read_below(number).ljust(PAGE_BYTES, b"\0")
            parts.append(bytes(content[begin:end]))
        return b"".join(parts)

    def sync(self) -> None:
        """Nothing is to be kept."""

    def truncate(self, size: int) -> None:
        """In memory."""
        self._node.truncate(size)

    def size(self) -> int:
        """As changed."""
        return self._node.size

    def close(self) -> None:
        """What was changed stays."""
        if self._open:
            self._open = False
            self._node.handles -= 1
            if not self._node.handles:
                self._closed(self._node)


def _pages(offset: int, length: int) -> Iterator[tuple[int, int, int, int]]:
    """(page, first byte, end within it, position in the data) of the range's pieces."""
    at = 0
    while at < length:
        number, begin = divmod(offset + at, PAGE_BYTES)
        end = min(PAGE_BYTES, begin + length - at)
        yield number, begin, end, at
        at += end - begin


class OverlayFileSystem:
    """Implements `raftlog.seams.FileSystem` over another one."""

    def __init__(self, below: FileSystem) -> None:
        self._below = below
        self._files: dict[str, _Node] = {}
        self._directories: set[str] = {""}
        """Made here; and the root."""
        self._hidden: set[str] = set()
        """Paths beneath that are gone, with all below them."""

    def open(self, path: str, *, create: bool = False) -> OverlayFile:
        """As the file system beneath would, without its side effects."""
        path = _plain(path)
        node = self._files.get(path)
        if node is None:
            if self._seen_below(path):
                node = _Node(self._below, path)
            elif create and self.exists(_parent(path)):
                node = _Node(self._below, None)
            else:
                raise _missing(path)
            self._files[path] = node
        return OverlayFile(node, self._closed)

    def _closed(self, node: _Node) -> None:
        """Nobody has it open: keep what was changed only."""
        node.release()
        if not node.changed:
            for path in [path for path, known in self._files.items() if known is node]:
                del self._files[path]

    def exists(self, path: str) -> bool:
        """True for a file or a directory."""
        path = _plain(path)
        return path in self._files or path in self._directories or self._seen_below(path)

    def listdir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""
        path = _plain(path)
        if not self.exists(path):
            raise _missing(path)
        names = {
            _name(found)
            for found in (*self._files, *self._directories)
            if found and _parent(found) == path
        }
        if self._seen_below(path):
            listed = self._below.listdir(path)
            names.update(name for name in listed if self._seen_below(_join(path, name)))
        return sorted(names)

    def mkdir(self, path: str) -> None:
        """In memory."""
        parts = _plain(path).split("/")
        for depth in range(1, len(parts) + 1):
            made = "/".join(parts[:depth])
            if not self.exists(made):
                self._directories.add(made)

    def rename(self, old: str, new: str) -> None:
        """Of a file."""
        old = _plain(old)
        self.open(old)
        node = self._files.pop(old)
        node.changed = True
        self._hidden.add(old)
        self._files[_plain(new)] = node

    def unlink(self, path: str) -> None:
        """Hide the file."""
        path = _plain(path)
        if not self.exists(path):
            raise _missing(path)
        self._remove(path)

    def rmtree(self, path: str) -> None:
        """Hide the directory."""
        path = _plain(path)
        for found in [*self._files, *self._directories]:
            if found.startswith(f"{path}/"):
                self._remove(found)
        self._remove(path)

    def _remove(self, path: str) -> None:
        node = self._files.pop(path, None)
        if node is not None and not node.handles:
            node.release()
        self._directories.discard(path)
        self._hidden.add(path)

    def sync_directory(self, path: str) -> None:
        """Nothing is to be kept."""

    def free_bytes(self) -> int:
        """Of the file system beneath."""
        return self._below.free_bytes()

    def total_bytes(self) -> int:
        """Of the file system beneath."""
        return self._below.total_bytes()

    def _seen_below(self, path: str) -> bool:
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        return not any(part in self._hidden for part in above) and self._below.exists(path)


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
