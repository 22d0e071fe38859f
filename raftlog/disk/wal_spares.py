"""Spare files: allocated ahead, and made from parts that are no longer needed.

Overwriting a file whose pages exist costs a fraction of extending one, so a spare is filled
with real zeros and synced. All of it happens in background jobs; the loop only decides. Old
parts are dealt with strictly in order, each step durable before the next, so that what a
crash leaves is always an unbroken end of the log.

A spare's header states its size and is written after the content and the size were synced: a
file with such a header is allocated for certain, whatever stopped the process that made it.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Final

from raftlog.disk.wal_format import SPARE, encode_part_header
from raftlog.disk.wal_recovery import file_name
from raftlog.disk.wal_state import Part
from raftlog.seams import File, FileSystem

ZEROS: Final = bytes(1 << 20)
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class Spares:
    """The spare files of one log, and the retired parts waiting to become spares."""

    def __init__(self, fs: FileSystem, directory: str, part_bytes: int, wanted: int) -> None:
        self._fs = fs
        self._directory = directory
        self._part_bytes = part_bytes
        self._wanted = wanted
        self._ready: deque[tuple[str, File]] = deque()
        self._retired: deque[tuple[int, Part]] = deque()
        self._busy = False
        self.next_number = 1
        self.failed = ""
        """Why the last allocation failed for lack of space; "" when it did not."""

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def retired(self) -> int:
        """Parts that wait for `job`."""
        return len(self._retired)

    def adopt(self, name: str, size: int) -> None:
        """A spare of an earlier process, `size` bytes by its header; another size is no use."""
        file = self._fs.open(f"{self._directory}/{name}")
        if len(self._ready) < self._wanted and file.size() == size == self._part_bytes:
            self._ready.append((name, file))
            return
        file.close()
        self._fs.unlink(f"{self._directory}/{name}")

    def take(self, bytes_needed: int) -> tuple[str, File] | None:
        """A spare that holds `bytes_needed`, or None."""
        if self._ready and bytes_needed <= self._part_bytes:
            return self._ready.popleft()
        return None

    def new_name(self) -> str:
        """Name for one more file."""
        self.next_number += 1
        return file_name(self.next_number - 1)

    def retire(self, part: Part, release_round: int) -> None:
        """`part` may go once round `release_round`, which no longer asks for it, is durable."""
        self._retired.append((release_round, part))

    def job(self, durable: int) -> Callable[[], None] | None:
        """The background work there is to do now, or None; one job at a time."""
        if self._busy:
            return None
        released = []
        while self._retired and self._retired[0][0] <= durable:
            released.append(self._retired.popleft()[1])
        lacking = self._wanted - len(self._ready)
        if self.failed and self._fs.free_bytes() < 2 * self._part_bytes:
            lacking = 0
        if not released and lacking <= 0:
            return None
        names = [self.new_name() for _ in range(lacking)]
        self._busy = True

        def work() -> None:
            try:
                for part in released:
                    self._release(part)
                for name in names[: max(0, self._wanted - len(self._ready))]:
                    self._allocate(name)
            finally:
                self._busy = False

        return work

    def _release(self, part: Part) -> None:
        if len(self._ready) < self._wanted and part.capacity <= self._part_bytes:
            try:
                self._fill(part.file, part.file.size())
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                self.failed = str(error)
            else:
                self._seal(part.file)
                self._ready.append((part.name, part.file))
                return
        part.file.close()
        self._fs.unlink(f"{self._directory}/{part.name}")
        self._fs.sync_directory(self._directory)

    def _allocate(self, name: str) -> None:
        path = f"{self._directory}/{name}"
        file = self._fs.open(path, create=True)
        try:
            self._fill(file, 0)
            self._seal(file)
        except OSError as error:
            file.close()
            if error.errno not in NO_SPACE:
                raise
            self.failed = f"no space for another {self._part_bytes} bytes: {error}"
            self._fs.unlink(path)
            return
        self._fs.sync_directory(self._directory)
        self.failed = ""
        self._ready.append((name, file))

    def _seal(self, file: File) -> None:
        """Make the content and the size durable, then the header that vouches for them."""
        file.sync()
        file.pwrite([encode_part_header(SPARE._replace(size=self._part_bytes))], 0)
        file.sync()

    def _fill(self, file: File, start: int) -> None:
        for at in range(start, self._part_bytes, len(ZEROS)):
            file.pwrite([memoryview(ZEROS)[: self._part_bytes - at]], at)

    def close(self) -> None:
        """Release descriptors; retired parts are found again at the next start."""
        for _, file in self._ready:
            file.close()
        for _, part in self._retired:
            part.file.close()
        self._ready.clear()
        self._retired.clear()
