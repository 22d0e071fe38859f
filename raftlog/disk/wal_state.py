"""What the write-ahead log knows of each part and of each group."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from raftlog.disk.wal_format import PART_HEADER_BYTES, salt_of
from raftlog.seams import File, FileSystem
from raftlog.storage import Checkpoint
from raftlog.types import HardState

NOWHERE: Final = 2**64
"""A round later than any: the fact was never recorded, so no part holds it."""


class Fact(IntEnum):
    """What must survive of a group when a part is recycled (an index into `GroupState.held`)."""

    CREATION = 0
    HARD_STATE = 1
    CHECKPOINT = 2
    """With the trusted index."""
    OFFLINE = 3
    """Once it is durable, the group's entries hold no part any more."""


class Part:
    """One file of the log. Rounds first_round..last_round lie before byte `end`."""

    __slots__ = (
        "capacity",
        "directory_synced",
        "end",
        "entries",
        "epoch",
        "file",
        "first_round",
        "last_round",
        "name",
        "salt",
        "sequence",
        "witnessed",
    )

    def __init__(self, name: str, file: File, sequence: int, epoch: int, first_round: int) -> None:
        self.name = name
        self.file = file
        self.sequence = sequence
        self.epoch = epoch
        self.salt = salt_of(epoch)
        self.first_round = first_round
        self.last_round = first_round - 1
        self.end = PART_HEADER_BYTES
        self.capacity = 0
        """Bytes that exist on disk, so that overwriting them allocates nothing. At the start of
        a part those of a spare, synced, which the header promises; else 0 until it grows."""
        self.directory_synced = True
        self.witnessed = False
        """The witness durably claims a round of this part (or was written by an earlier run)."""
        self.entries: dict[int, int] = {}
        """Group -> the last index it has here that is not cut off."""


class GroupState:
    """A group as staged so far; `held` and `safe_trusted` say what of it is durable."""

    __slots__ = (
        "checkpoint",
        "creation",
        "cut_stamp",
        "group",
        "hard_state",
        "held",
        "last",
        "offline",
        "safe_trusted",
        "trusted",
    )

    def __init__(self, group: int, creation: bytes) -> None:
        self.group = group
        self.creation = creation
        self.hard_state: HardState | None = None
        self.offline = ""
        """Why the replica is out of service; "" while it is not."""
        self.checkpoint: Checkpoint | None = None
        self.trusted = 0
        """Index up to which the GroupLog's own files are durable and still of this log."""
        self.last = 0
        self.cut_stamp = 0
        """`Wal.stamp()` at the last truncation or reset."""
        self.held = [NOWHERE] * len(Fact)
        """Per Fact, the round of its newest durable record."""
        self.safe_trusted = 0
        """`trusted` as far as the records that raised it are durable."""

    def held_in(self, part: Part) -> bool:
        """True when a fact has no durable record after `part`."""
        return min(self.held) <= part.last_round


class Mark:
    """Something that takes effect on the books once its round is durable."""

    __slots__ = ("fact", "round", "state", "value")

    def __init__(self, state: GroupState, fact: Fact | None, value: int) -> None:
        self.state = state
        self.fact = fact
        """None: a cut (`value` = first index cut; -1: the group was dropped)."""
        self.value = value
        self.round = 0


DROPPED: Final = -1


def make_durable(fs: FileSystem, directory: str, parts: Sequence[Part]) -> None:
    """Sync what was written to `parts`, and their names where that is not done. OSError."""
    for part in parts:
        part.file.sync()
        if not part.directory_synced:
            fs.sync_directory(directory)
            part.directory_synced = True


class RetirablePart(NamedTuple):
    """A complete, durable part that is not being written to."""

    sequence: int
    """To be given to `carry_forward` and `recycle`."""
    bytes: int
    dirty: tuple[int, ...]
    """Groups with entries here beyond their durable checkpoint: sync and checkpoint them."""
    held: tuple[int, ...]
    """Groups whose creation, hard state or checkpoint only this part (or an older) holds."""


class WalStatistics(NamedTuple):
    """Counters since `open` and present sizes."""

    rounds: int
    bytes: int
    syncs: int
    last_round: int
    durable_round: int
    unsynced_bytes: int
    staged_bytes: int
    parts: int
    part_bytes_used: int
    """Of all live parts."""
    spares: int
    rolls: int
    rolls_without_spare: int
    room_bytes: int
    """What can be written into space that is allocated already."""
    spare_failed: str
    """Why no spare could be allocated (disk full), or ""."""
