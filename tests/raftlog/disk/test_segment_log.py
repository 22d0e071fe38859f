"""SegmentLog against a plain list, at every checkpoint and cut; hostile bytes in its files."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from raftlog.core.membership import encode_configuration
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.segment_tail import TAIL_BYTES
from raftlog.errors import Compacted, CorruptLog, DiskFailed
from raftlog.storage import GroupLog
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)
from tests.raftlog.disk.helpers import disk

CONFIGURATION = Configuration((ReplicaId(1, b"a" * 16),))
FOUNDING = SnapshotMeta(ZERO_POSITION, CONFIGURATION)


def _create(fs: VirtualDisk) -> SegmentLog:
    log = SegmentLog.create(fs, "log", FOUNDING, segment_bytes=600)
    fs.sync_directory("")
    return log


def _open(fs: VirtualDisk, trusted: int) -> SegmentLog:
    return SegmentLog.open(fs, "log", None, trusted, segment_bytes=600)


def _entries(count: int, seed: int = 1) -> list[Entry]:
    random = Random(seed)
    entries = []
    offset = 0
    for index in range(1, count + 1):
        span = random.randint(0, 2)
        kind = EntryKind.DATA if span else EntryKind.NOOP
        payload = random.randbytes(random.choice((0, 5, 100, 700)))
        entries.append(Entry(index, 1 + index // 7, kind, offset, span, payload))
        offset += span
    return entries


def _filled(fs: VirtualDisk, entries: list[Entry]) -> SegmentLog:
    log = _create(fs)
    for start in range(0, len(entries), 3):
        log.append(entries[start : start + 3])
    return log


def test_it_is_a_group_log() -> None:
    log: GroupLog = _create(disk())
    assert log.last() == ZERO_POSITION
    assert log.snapshot() == FOUNDING


def test_every_entry_reads_back() -> None:
    fs = disk()
    entries = _entries(40)
    live = _filled(fs, entries)
    live.sync_job()()
    for log in (live, _open(fs, 40)):
        assert log.last() == LogPosition(40, entries[-1].term, entries[-1].end)
        for low in range(1, 41):
            assert log.read(low, low + 1, 0) == [entries[low - 1]]
            assert log.term(low) == entries[low - 1].term
            assert log.end_offset(low) == entries[low - 1].end
        assert log.read(1, 41, 1 << 20) == entries
        assert log.read(41, 50, 100) == []
        assert log.term(0) == 0
        with pytest.raises(IndexError):
            log.term(41)
        with pytest.raises(Compacted):
            log.read(0, 3, 100)


def test_reads_from_files_equal_reads_from_memory() -> None:
    fs = disk()
    entries = _entries(30)
    log = _filled(fs, entries)
    log._tail.clear()
    for low in range(1, 31):
        for max_bytes in (0, 50, 300, 900, 5000):
            found = log.read(low, 31, max_bytes)
            assert found == entries[low - 1 : low - 1 + len(found)]
            assert len(found) == 1 or sum(len(e.payload) for e in found) <= max_bytes
            assert found


def test_the_tail_in_memory_is_bounded() -> None:
    log = SegmentLog.create(disk(), "log", FOUNDING)
    payload = bytes(TAIL_BYTES // 4)
    for index in range(1, 30):
        log.append([Entry(index, 1, EntryKind.DATA, index - 1, 1, payload)])
    assert len(log._tail.read(1, 99)) < 9
    assert [e.index for e in log.read(1, 3, 1 << 30)] == [1, 2]


@pytest.mark.parametrize("first", range(1, 25))
def test_truncate_at_every_index(first: int) -> None:
    fs = disk()
    entries = _entries(24)
    log = _filled(fs, entries)
    log.truncate(first)
    again = [
        Entry(index, 9, EntryKind.NOOP, log.last().offset, 0, b"%d" % index)
        for index in range(first, first + 4)
    ]
    expected = entries[: first - 1] + again
    log.append(again)
    assert log.read(1, 99, 1 << 20) == expected
    log.sync_job()()
    fs.crash()
    assert _open(fs, first + 3).read(1, 99, 1 << 20) == expected


@pytest.mark.parametrize("trusted", range(25))
def test_open_keeps_exactly_what_is_trusted(trusted: int) -> None:
    fs = disk()
    entries = _entries(24)
    log = _filled(fs, entries)
    log.sync_job()()
    fs.crash()
    log = _open(fs, trusted)
    assert log.last().index == trusted
    log.append(entries[trusted:])
    log.sync_job()()
    fs.crash()
    assert _open(fs, 24).read(1, 99, 1 << 20) == entries


def test_configurations_follow_the_log() -> None:
    fs = disk()
    log = _create(fs)
    other = Configuration((ReplicaId(2, b"b" * 16),), learners=(ReplicaId(3, b"c" * 16),))
    payload = encode_configuration(other)
    log.append([Entry(1, 1, EntryKind.NOOP, 0, 0, b"")])
    log.append([Entry(2, 1, EntryKind.CONFIG, 0, 0, payload)])
    log.sync_job()()
    assert log.configurations() == [(2, other)]
    assert _open(fs, 2).configurations() == [(2, other)]
    log.truncate(2)
    assert log.configurations() == []


def test_compact_and_install() -> None:
    fs = disk()
    entries = _entries(24)
    log = _filled(fs, entries)
    position = LogPosition(11, entries[10].term, entries[10].end)
    log.compact(SnapshotMeta(position, CONFIGURATION), b"state at 11")
    assert log.snapshot().position == position
    assert log.term(11) == entries[10].term
    assert log.read(12, 99, 1 << 20) == entries[11:]
    with pytest.raises(Compacted):
        log.read(11, 12, 100)
    with pytest.raises(Compacted):
        log.term(10)
    with pytest.raises(ValueError, match="not a position"):
        log.compact(SnapshotMeta(position._replace(index=12, term=99), CONFIGURATION), b"")
    log.sync_job()()
    fs.crash()
    log = _open(fs, 24)
    assert log.snapshot_bytes() == b"state at 11"
    assert log.read(12, 99, 1 << 20) == entries[11:]
    meta = SnapshotMeta(LogPosition(50, 8, 70), CONFIGURATION)
    log.install(meta, b"leader's")
    fs.crash()
    log = _open(fs, 24)
    assert log.last() == meta.position
    assert log.snapshot_bytes() == b"leader's"
    log.append([Entry(51, 8, EntryKind.NOOP, 70, 0, b"")])
    assert log.read(51, 52, 10) == [Entry(51, 8, EntryKind.NOOP, 70, 0, b"")]


def test_a_crash_in_compact_leaves_one_of_the_two() -> None:
    entries = _entries(24)
    position = LogPosition(11, entries[10].term, entries[10].end)
    outcomes = set()
    for seed in range(40):
        fs = disk(seed)
        log = _filled(fs, entries)
        log.sync_job()()
        fs.cut_at_call = fs.calls + 1 + seed % 6
        with suppress(PowerCut):
            log.compact(SnapshotMeta(position, CONFIGURATION), b"new")
        fs.crash()
        log = _open(fs, 24)
        base = log.snapshot().position.index
        outcomes.add((base, log.snapshot_bytes()))
        assert log.read(base + 1, 99, 1 << 20) == entries[base:]
    assert outcomes == {(0, b""), (11, b"new")}


def test_appends_must_follow() -> None:
    log = _create(disk())
    with pytest.raises(ValueError, match="does not follow"):
        log.append([Entry(2, 1, EntryKind.NOOP, 0, 0, b"")])
    with pytest.raises(ValueError, match="does not follow"):
        log.append([Entry(1, 1, EntryKind.DATA, 5, 1, b"")])
    with pytest.raises(ValueError, match="cannot cut"):
        log.truncate(0)


def test_every_trusted_byte_is_guarded() -> None:
    entries = _entries(6)
    names = ["snapshot", *(n for n in _names(entries) if n.endswith(".seg"))]
    for name in names:
        probe = disk()
        _filled(probe, entries).close()
        for place in range(probe.open(f"log/{name}").size()):
            fs = disk()
            _filled(fs, entries).close()
            fs.flip_bit(f"log/{name}", place, place % 8)
            fs.kill()
            with pytest.raises(CorruptLog, match="log"):
                _open(fs, 6)


def _names(entries: list[Entry]) -> list[str]:
    fs = disk()
    _filled(fs, entries)
    return fs.listdir("log")


def test_rot_after_opening_is_noticed_when_read() -> None:
    fs = disk()
    log = _filled(fs, _entries(24))
    log._tail.clear()
    fs.flip_bit("log/00000000000000000001.seg", 40)
    with pytest.raises(CorruptLog, match="changed on disk"):
        log.read(1, 2, 100)


def test_a_missing_segment_is_corrupt() -> None:
    fs = disk()
    _filled(fs, _entries(24)).sync_job()()
    fs.unlink(f"log/{fs.listdir('log')[1]}")
    with pytest.raises(CorruptLog, match=r"missing|end at"):
        _open(fs, 24)


def test_a_failed_sync_is_not_tried_again() -> None:
    fs = disk()
    log = _filled(fs, _entries(6))
    fs.fail_sync()
    with pytest.raises(OSError, match="injected"):
        log.sync_job()()
    with pytest.raises(DiskFailed):
        log.sync_job()()


def test_a_segment_may_be_cut_off_while_it_is_synced() -> None:
    fs = disk()
    log = _filled(fs, _entries(24))
    job = log.sync_job()
    log.truncate(2)
    job()
    log.sync_job()()
    fs.crash()
    assert _open(fs, 1).last().index == 1


def test_a_cut_that_was_never_synced_may_come_undone() -> None:
    """Killed after a cut, then restarted, then power loss: the cut entries are back on disk."""
    entries = _entries(12)
    for seed in range(30):
        fs = disk(seed)
        _filled(fs, entries).sync_job()()
        _open(fs, 4).close()
        fs.kill()
        log = _open(fs, 4)
        again = [Entry(i, 9, EntryKind.NOOP, log.last().offset, 0, b"new") for i in range(5, 9)]
        log._segments[-1].end += 600  # make the next append begin a segment
        log.append(again)
        log.sync_job()()
        fs.crash()
        assert _open(fs, 8).read(1, 99, 1 << 20) == entries[:4] + again
