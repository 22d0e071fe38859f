"""The witness: a small file beside the parts that says which rounds were durable.

A round's header proves the rounds before it, so of a log whose end is gone (the newest file
removed, cut or zeroed) nothing in the log itself says that there was more. The witness does:
after each sync job it is told the last round which that job made durable. It is not synced for
that: the claim then survives the end of the process, and of a power loss as much as the kernel
had written back. It is synced where that is rare: with the first round of each part, when the
log is closed in order, and by a recovery after an unclean stop.

It never claims more than recovery must find, so it may only be late. The claims go to two
pages in turn: a write that power loss tears leaves the claim before it readable. A witness that
is missing, or that was never finished, claims nothing.

A whole directory that is gone takes its witness along. So a mark beside it says that there was
one: made once the first round is durable and before anything is promised, and never removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from crc32c import crc32c

from raftlog.disk.wal_state import Part
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem

NAME: Final = "witness"
MARK_SUFFIX: Final = ".used"
MARK_TEXT: Final = b"There is a write-ahead log in the directory beside this file.\n"
SLOT_BYTES: Final = 4096
"""A page each, so that no two claims are ever written by one operation."""
SLOTS: Final = 2
MAGIC: Final = b"QRWITNES"
VERSION: Final = 1

_CLAIM: Final = Struct("<8sI4xQ")
_CRC: Final = Struct("<I")


class Witness:
    """Open or made by the constructor; blocks. OSError as it comes, CorruptLog when damaged.

    A new file's name is durable once the caller has synced the directory.
    """

    def __init__(self, fs: FileSystem, directory: str) -> None:
        self.path = f"{directory}/{NAME}"
        self._fs = fs
        self._mark = directory + MARK_SUFFIX
        self.used = fs.exists(self._mark)
        """There was a durable round once, whatever the directory holds now."""
        self._file = fs.open(self.path, create=True)
        content = self._file.pread(SLOTS * SLOT_BYTES, 0)
        claims = [_decode(self.path, content[slot * SLOT_BYTES :]) for slot in range(SLOTS)]
        if any(content) and not any(claims):
            raise CorruptLog(
                f"{self.path}: neither of its claims is readable. This replica must not vote: "
                "restore the file, or format the data directory anew under a new id"
            )
        self.round = max(claims)
        """The last round claimed to be durable; 0 for none."""
        self._slot = claims.index(self.round)
        if len(content) < SLOTS * SLOT_BYTES:
            # Allocated once: a claim must not need space on a full disk.
            self._file.pwrite([bytes(SLOTS * SLOT_BYTES - len(content))], len(content))
            self._file.sync()

    def record(self, number: int) -> None:
        """Claim that round `number` is durable, unless as much was claimed before."""
        if number <= self.round:
            return
        self.round = number
        self._slot = (self._slot + 1) % SLOTS
        self._file.pwrite([_encode(number)], self._slot * SLOT_BYTES)

    def mark_used(self) -> None:
        """Remember durably, outside of the directory, that it holds a log."""
        if self.used:
            return
        mark = self._fs.open(self._mark, create=True)
        mark.pwrite([MARK_TEXT], 0)
        mark.sync()
        mark.close()
        self._fs.sync_directory("/".join(self._mark.split("/")[:-1]))
        self.used = True

    def testify(self, number: int, parts: Sequence[Part]) -> None:
        """`record`, after a sync of `parts`; durably when one of them was not claimed before.

        On a storage thread. Claims of jobs that run at the same time may come in any order: each
        is true, and the next one mends what is late.
        """
        if number:
            self.mark_used()
        self.record(number)
        fresh = [part for part in parts if not part.witnessed]
        if fresh:
            self.sync()
            for part in fresh:
                part.witnessed = True

    def sync(self) -> None:
        """Make the claim durable."""
        self._file.sync()

    def close(self) -> None:
        """Release the file; nothing is synced by it."""
        self._file.close()


def _encode(number: int) -> bytes:
    fixed = _CLAIM.pack(MAGIC, VERSION, number)
    return fixed + _CRC.pack(crc32c(fixed))


def _decode(path: str, slot: bytes) -> int:
    """The round claimed; 0 for a slot that is empty, torn or damaged."""
    if len(slot) < _CLAIM.size + _CRC.size:
        return 0
    magic, version, number = _CLAIM.unpack_from(slot)
    fixed = slot[: _CLAIM.size]
    if magic != MAGIC or _CRC.unpack_from(slot, _CLAIM.size)[0] != crc32c(fixed):
        return 0
    if version != VERSION:
        raise CorruptLog(
            f"{path}: its format version is {version}, this release reads {VERSION}; start the "
            "release that wrote it"
        )
    return int(number)
