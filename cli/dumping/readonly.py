"""A file system that reads, and cannot do anything else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from raftlog.types import Buffer

LOCKS = Path("/proc/locks")


class ReadOnlyFile:
    """Implements `raftlog.seams.File`; what would change it is an OSError."""

    def __init__(self, path: Path) -> None:
        # Not blocking: of a pipe that somebody put there nothing is awaited.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", str(path))

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        pieces, missing = [], length
        while missing and (piece := os.pread(self._fd, missing, offset + length - missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Refused."""
        _refuse()

    def truncate(self, size: int) -> None:
        """Refused."""
        _refuse()

    def sync(self) -> None:
        """Refused."""
        _refuse()


class ReadOnlyFileSystem:
    """The tree below `root`, which must be there; implements `raftlog.seams.FileSystem`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, path: str, *, create: bool = False) -> ReadOnlyFile:
        """For reading; one that is not there is not made."""
        return ReadOnlyFile(self.root / path)

    def exists(self, path: str) -> bool:
        """True for a file or a directory."""
        return (self.root / path).exists()

    def listdir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""
        return sorted(os.listdir(self.root / path))

    def free_bytes(self) -> int:
        """As if the disk were full: nothing is to be written here."""
        return 0

    def total_bytes(self) -> int:
        """Not asked for by any reader."""
        return 0

    def mkdir(self, path: str) -> None:
        """Refused."""
        _refuse()

    def rename(self, old: str, new: str) -> None:
        """Refused."""
        _refuse()

    def unlink(self, path: str) -> None:
        """Refused."""
        _refuse()

    def rmtree(self, path: str) -> None:
        """Refused."""
        _refuse()

    def sync_directory(self, path: str) -> None:
        """Refused."""
        _refuse()


def _refuse() -> NoReturn:
    raise OSError(errno.EROFS, "this reader changes nothing")


def lock_holder(path: Path) -> int | None:
    """The process that holds an flock on the file, as far as Linux tells; None: nobody known.

    Trying the lock would do too, and would keep out a broker that starts at that moment.
    """
    try:
        about = path.stat()
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    for line in lines:
        fields = line.split()  # number, FLOCK, ADVISORY, WRITE, pid, device:inode, start, end
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == place:
            return int(fields[4])
    return None
