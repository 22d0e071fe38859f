"""The seams: everything that can fail or that a simulation must own goes through one of these.

`Reactor` is time, randomness, deferral and the storage threads. `FileSystem` is the disk.
raftlog.host implements them on trio and the operating system; raftlog.testing implements
them on a virtual clock and a virtual disk. All callbacks run on the one loop thread and
never re-enter each other: a callback runs to its end before the next one starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from raftlog.types import Buffer


class Timer(Protocol):
    """A callback that is due at some time."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""


class Reactor(Protocol):
    """Time, randomness and deferred work of one process."""

    random: Random

    def now_us(self) -> int:
        """Monotonic microseconds; never goes back, has no relation to the wall clock."""

    def wall_ms(self) -> int:
        """Wall clock, milliseconds since 1970 UTC. Never used for safety."""

    def call_at(self, when_us: int, callback: Callable[[], None]) -> Timer:
        """Run `callback` once `now_us() >= when_us`."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` after the events that are ready now: the end of this pass."""

    def offload(
        self,
        job: Callable[[], object],
        done: Callable[[BaseException | None], None],
        *,
        background: bool = False,
    ) -> None:
        """Run blocking `job` on the storage thread, then `done(error or None)` on the loop.

        Jobs of one lane run in the order given, one at a time. `background` is a second lane,
        for segment syncs that must not delay the write-ahead log's.
        """


class File(Protocol):
    """An open file. Offsets and sizes are bytes. Every method may raise OSError."""

    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all of `buffers` one after another at `offset`, or raise."""

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""

    def sync(self) -> None:
        """fdatasync: what was written is durable when this returns. An error is final."""

    def truncate(self, size: int) -> None:
        """Cut or extend with zeros to `size`."""

    def size(self) -> int:
        """Current length."""

    def close(self) -> None:
        """Release the descriptor; does not sync."""


class FileSystem(Protocol):
    """A directory tree. Paths are relative to its root, '/' separated; '..' is refused."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; FileNotFoundError unless it exists or `create`."""

    def exists(self, path: str) -> bool:
        """True for a file or a directory."""

    def listdir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""

    def mkdir(self, path: str) -> None:
        """Make the directory and its parents; existing ones are fine."""

    def rename(self, old: str, new: str) -> None:
        """Replace `new` by `old` atomically (durable after sync_directory of the parent)."""

    def unlink(self, path: str) -> None:
        """Remove a file."""

    def rmtree(self, path: str) -> None:
        """Remove a directory and all below it."""

    def sync_directory(self, path: str) -> None:
        """Make creations, renames and removals in the directory durable."""

    def free_bytes(self) -> int:
        """Space left for this process on the file system."""

    def total_bytes(self) -> int:
        """Size of the file system."""
