"""Snapshots of a state in memory: when the log is cut for one, and how one is read and received."""

from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest

from raftlog.disk.segment_log import SegmentLog
from raftlog.engine import MachineReplica, snapshots
from raftlog.engine.snapshots import Received
from raftlog.errors import CorruptLog
from raftlog.testing.disk import VirtualDisk
from raftlog.types import ZERO_POSITION, Configuration, Entry, EntryKind, LogPosition, SnapshotMeta

EVERY = 10
CHUNK = 1000
FOUNDING = SnapshotMeta(ZERO_POSITION, Configuration(()))


class Text:
    """A state machine that keeps all it was told."""

    def __init__(self) -> None:
        self.text = b""

    def apply(self, command: bytes) -> None:
        self.text += command

    def snapshot(self) -> bytes:
        return self.text

    def restore(self, snapshot: bytes) -> None:
        if snapshot.startswith(b"?"):
            raise ValueError("not a text")
        self.text = snapshot


class FakeNode:
    """What a replica asks of its group's node."""

    def __init__(self) -> None:
        self.slowest_live_match = 0
        self.taken: list[int] = []

    def configuration_at(self, index: int) -> Configuration:
        return Configuration(())

    def snapshot_taken(self, meta: SnapshotMeta) -> None:
        self.taken.append(meta.position.index)


class FakeGroup:
    def __init__(self) -> None:
        self.node = FakeNode()


class Kept:
    """A replica on a virtual disk: the test says what is committed, and who has it."""

    def __init__(self, data: bytes = b"") -> None:
        self.disk = VirtualDisk(Random(1))
        self.log = SegmentLog.create(self.disk, "group", FOUNDING)
        if data:
            self.log.install(SnapshotMeta(LogPosition(5, 1, 5), Configuration(())), data)
        self.replica = MachineReplica(Text(), snapshot_entries=EVERY)
        group = FakeGroup()
        self.node = group.node
        self.replica.group = cast("Any", group)
        self.replica.adopt(self.log)

    def commit(self, count: int) -> None:
        """So many more entries."""
        first = self.log.last().index + 1
        self.log.append(
            [Entry(n, 1, EntryKind.DATA, n - 1, 1, b"%d," % n) for n in range(first, first + count)]
        )
        self.replica.committed(self.log.last().index, self.log.last().offset)


def test_the_log_stays_while_a_follower_that_is_heard_is_behind() -> None:
    kept = Kept()
    kept.node.slowest_live_match = EVERY - 1
    kept.commit(EVERY)
    assert kept.node.taken == []
    assert [entry.index for entry in kept.log.read(EVERY, EVERY + 1, CHUNK)] == [EVERY]
    kept.node.slowest_live_match = EVERY
    kept.commit(1)
    assert kept.node.taken == [EVERY]
    assert kept.log.snapshot_bytes() == b"1,2,3,4,5,6,7,8,9,10,", "the state as of then"


def test_it_goes_at_once_when_nobody_needs_it_and_with_the_next_one_at_the_latest() -> None:
    alone = Kept()
    alone.node.slowest_live_match = EVERY
    alone.commit(EVERY)
    assert alone.node.taken == [EVERY]
    slow = Kept()
    for _ in range(3):
        slow.commit(EVERY)
    assert slow.node.taken == [EVERY, 2 * EVERY]


def test_a_snapshot_is_read_in_parts_and_checked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 400
    kept = Kept(data)
    reads: list[int] = []
    file_type = type(kept.disk.open("group/snapshot"))
    pread = file_type.pread

    def counted(file: Any, length: int, offset: int) -> bytes:
        part = pread(file, length, offset)
        reads.append(len(part))
        return part

    monkeypatch.setattr(file_type, "pread", counted)
    received, done = bytearray(), False
    while not done:
        meta, part, done = kept.replica.read_snapshot(len(received), CHUNK)
        assert len(part) <= CHUNK
        received += part
    assert (bytes(received), meta) == (data, kept.log.snapshot())
    headers = 100 * (len(data) // CHUNK + 4)
    assert sum(reads) < 3 * len(data) + headers, "not the whole for every part"
    assert kept.replica.read_snapshot(len(data) + 1, CHUNK) == (meta, b"", True)


def test_bytes_that_changed_on_the_disk_are_not_sent() -> None:
    kept = Kept(b"abc" * CHUNK)
    file = kept.disk.open("group/snapshot")
    file.pwrite([b"X"], file.size() - 1)
    with pytest.raises(CorruptLog, match="checksum is wrong"):
        kept.replica.read_snapshot(0, CHUNK)
    with pytest.raises(CorruptLog, match="checksum is wrong"):
        kept.replica.read_snapshot(2 * CHUNK, CHUNK)  # changed since the transfer began
    file.truncate(file.size() - 1)
    with pytest.raises(CorruptLog):
        kept.replica.read_snapshot(CHUNK, CHUNK)


def test_a_snapshot_that_the_machine_cannot_read_leaves_the_log_as_it_is() -> None:
    kept = Kept(b"before")
    sink = kept.replica.receive_snapshot(SnapshotMeta(LogPosition(9, 2, 9), Configuration(())))
    sink.write(0, b"?")
    with pytest.raises(ValueError, match="not a text"):
        sink.install()
    assert kept.log.snapshot_bytes() == b"before"


def test_one_that_is_received_replaces_what_was_taken_before() -> None:
    kept = Kept()
    kept.commit(EVERY)
    meta = SnapshotMeta(LogPosition(50, 2, 50), Configuration(()))
    sink = kept.replica.receive_snapshot(meta)
    sink.write(0, b"theirs")
    sink.write(5, b"s, all")
    sink.install()
    assert (kept.replica.machine.snapshot(), kept.replica.applied) == (b"theirs, all", 50)
    kept.node.slowest_live_match = 100
    kept.commit(1)
    assert kept.log.snapshot() == meta, "the one at 10 is forgotten"


def test_a_gap_and_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES_MAX", 4)
    sink = Received(FOUNDING, lambda meta, data: None)
    sink.write(0, b"123")
    with pytest.raises(ValueError, match="does not follow 3"):
        sink.write(4, b"")
    with pytest.raises(ValueError, match="does not follow 3"):
        sink.write(3, b"45")
