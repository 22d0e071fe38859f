"""Up to where the files of each group must be valid: what a start would find, changing nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from cli.dumping.lines import Line
from cli.dumping.readonly import ReadOnlyFileSystem
from partitions.replicas.creation import Creation
from partitions.storage.syncing import decode_detail
from raftlog.disk.overlay import OverlayFileSystem
from raftlog.disk.properties import FILE_NAME
from raftlog.disk.wal import PART_BYTES, RecoveredGroup, Wal
from raftlog.errors import CorruptLog, DiskFailed
from raftlog.types import METADATA_GROUP

WAL = "wal"
EVERYTHING = 2**63


class Trust:
    """What the write-ahead log says. `known` is False when there is none that can be read.

    Then all bytes are taken to have been durable: better a torn write called damage than damage
    called a torn write.
    """

    def __init__(self, groups: dict[int, RecoveredGroup] | None, damage: str | None) -> None:
        self.groups = groups or {}
        self.known = groups is not None
        self.damage = damage
        """Why a broker would refuse the write-ahead log."""

    def index(self, group: int) -> int:
        """Up to this entry the group's own files must be valid."""
        if not self.known:
            return EVERYTHING
        found = self.groups.get(group)
        return found.trusted if found is not None and not found.offline else 0

    def sizes(self, group: int, base: int) -> tuple[int, int]:
        """(bytes of the segment with this base offset, bytes of its sidecar) that must be valid.

        EVERYTHING: to the end of the file.
        """
        if not self.known:
            return EVERYTHING, EVERYTHING
        found = self.groups.get(group)
        if found is None or found.offline or found.checkpoint is None:
            return 0, 0
        try:
            detail = decode_detail(found.checkpoint.detail)
        except CorruptLog:
            return 0, 0
        if base != detail.base:
            return (EVERYTHING, EVERYTHING) if base < detail.base else (0, 0)
        cut = found.trusted < found.checkpoint.position.index
        return (0 if cut else detail.size), detail.side_size

    def lines(self) -> Iterator[Line]:
        """The verdict, and a line per group."""
        if self.damage is not None:
            yield Line(WAL, None, "verdict", {}, self.damage)
        for group, found in sorted(self.groups.items()):
            vote = found.hard_state.vote
            facts = {
                "group": group,
                "name": name_of(group, found.creation),
                "term": found.hard_state.term,
                "vote": None if vote is None else vote.node,
                "checkpoint": found.checkpoint and found.checkpoint.position.index,
                "trusted": found.trusted,
                "last": found.last_index,
            }
            damage = f"out of service: {found.offline}" if found.offline else None
            yield Line(WAL, None, "group", facts, damage)


def name_of(group: int, creation: bytes) -> str:
    """A group's name for people."""
    if group == METADATA_GROUP:
        return "metadata"
    try:
        found = Creation.decode(creation)
    except CorruptLog:
        return "?"
    return f"{found.topic}:{found.partition}"


class Root(NamedTuple):
    """A broker's directory."""

    path: Path
    fs: ReadOnlyFileSystem
    trust: Trust


def root_of(path: Path) -> Root | None:
    """The formatted directory that `path` is, or lies in; None outside of one."""
    path = path.resolve()
    for above in (path, *path.parents):
        if (above / FILE_NAME).exists() or (above / f"{WAL}.used").exists():
            fs = ReadOnlyFileSystem(above)
            return Root(above, fs, examine(fs))
    return None


def examine(fs: ReadOnlyFileSystem) -> Trust:
    """Recover the write-ahead log as a start does, in memory."""
    try:
        wal, recovered = Wal.open(
            OverlayFileSystem(fs), WAL, part_bytes=PART_BYTES, random=Random(0)
        )
    except (CorruptLog, DiskFailed, OSError) as error:
        return Trust(None, f"a broker refuses to start with it: {error}")
    wal.close(clean=False)
    return Trust(recovered.groups, None)
