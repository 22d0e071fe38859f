"""Small pieces that several disk tests share."""

from __future__ import annotations

from random import Random

from raftlog.disk.wal import Recovered, Wal
from raftlog.testing.disk import VirtualDisk
from raftlog.types import Entry, EntryKind, LogPosition

PART_BYTES = 16 * 1024


def disk(seed: int = 1) -> VirtualDisk:
    return VirtualDisk(Random(seed))


def open_wal(fs: VirtualDisk, seed: int = 2, part_bytes: int = PART_BYTES) -> tuple[Wal, Recovered]:
    return Wal.open(fs, "wal", part_bytes=part_bytes, random=Random(seed))


def entry(index: int, payload: bytes = b"x", term: int = 1) -> Entry:
    """One of a log where every entry spans two offsets."""
    return Entry(index, term, EntryKind.DATA, 2 * (index - 1), 2, payload)


def position(index: int, term: int = 1) -> LogPosition:
    return LogPosition(index, term, 2 * index)


def durable(wal: Wal) -> int:
    number = wal.write_round()
    wal.sync_job()()
    wal.synced(number)
    return number


def filled(fs: VirtualDisk, count: int, size: int = 1000, seed: int = 2) -> Wal:
    """A log of one group, 7, with a durable round per entry."""
    wal, _ = open_wal(fs, seed)
    wal.stage_create(7, b"seven")
    for index in range(1, count + 1):
        wal.stage_entries(7, [entry(index, bytes([index]) * size)])
        durable(wal)
    return wal


def replayed(recovered: Recovered, group: int = 7, start: LogPosition | None = None) -> list[Entry]:
    found: list[Entry] = []
    opened = {group: start if start is not None else LogPosition(0, 0, 0)}
    assert recovered.replay(opened, lambda _, run: found.extend(run)) == []
    return found
