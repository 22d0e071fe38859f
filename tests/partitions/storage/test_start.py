"""Where a log begins: retention, trims, snapshots sent and received; and times."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from partitions.storage import LogConfig, OffsetOutOfRange, PartitionLog, decode_manifest
from raftlog.errors import Compacted, PeerFault
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import EntryKind, LogPosition
from tests.partitions.storage.kit import CREATION, PATH, TINY, Modelled, append_some
from tests.partitions.storage.test_log import filled, fresh, segment_files


def by_time(config: LogConfig) -> Modelled:
    """Three segments: timestamps 1000.., 2000.., 3000.. ; offsets 0-2, 3-5, 6-8."""
    model = fresh(config=config)
    for number in range(9):
        thousand = 1000 * (1 + number // 3)
        model.append(model.make(size=100, timestamp=thousand + number))
    return model


SMALL = LogConfig(segment_bytes=600, retention_ms=500, retention_bytes=-1)


def test_retention_by_time() -> None:
    log = by_time(SMALL).log
    wanted = {1502: None, 1503: 3, 2505: 3, 2506: 6, 3508: 6, 3509: 9}
    assert {now: log.retention_target(now, 9) for now in wanted} == wanted
    assert log.retention_target(3509, 8) == 6, "not above the high watermark"
    assert log.retention_target(3509, 2) is None


def test_retention_by_size() -> None:
    for limit_segments, target in ((3, None), (2, 3), (1, 6), (0, 6)):
        size = by_time(SMALL).log.size_bytes // 3
        config = LogConfig(
            segment_bytes=600, retention_ms=-1, retention_bytes=limit_segments * size
        )
        assert by_time(config).log.retention_target(10**9, 9) == target


def test_a_trim_hides_at_once_and_deletes_with_the_next_sync() -> None:
    model = by_time(SMALL)
    model.save()
    model.log.apply_trim(4, model.last.index)
    assert model.log.log_start_offset == 4
    assert model.log.snapshot().position == LogPosition(3, 1, 3)
    with pytest.raises(OffsetOutOfRange):
        model.log.read_batches(3, 100, 9)
    with pytest.raises(Compacted):
        model.log.read(3, 4, 1)
    assert len(segment_files(model)) == 3
    model.save()
    assert len(segment_files(model)) == 2
    model.crash()
    assert model.log.log_start_offset == 4
    assert model.log.snapshot().position == LogPosition(3, 1, 3)
    model.check()


def test_a_trim_spares_what_is_not_applied() -> None:
    model = by_time(SMALL)
    model.log.apply_trim(6, 4)
    assert model.log.snapshot().position.index == 3
    model.log.apply_trim(6, 6)
    assert model.log.snapshot().position.index == 6


def test_a_trim_of_everything_rolls_the_active_segment() -> None:
    model = by_time(SMALL)
    model.append(model.make(EntryKind.CONTROL))
    model.log.apply_trim(9, model.last.index)
    assert model.log.size_bytes == 0
    assert model.log.snapshot().position == model.last
    model.save()
    model.append(model.make())
    model.crash()
    assert segment_files(model) == ["00000000000000000009.log"]
    model.check()


def test_a_trim_survives_a_crash_at_any_call() -> None:
    for call in range(1, 200):
        model = filled(rounds=6)
        model.save()
        append_some(model, Random(call), 6)
        model.log.apply_trim(model.last.offset - 1, model.last.index)
        model.disk.cut_at_call = model.disk.calls + call
        try:
            model.log.sync_job()()
        except PowerCut:
            model.crash()
            model.check()
        else:
            assert call > 5
            return
    raise AssertionError("the job never ended")


def test_the_first_and_the_latest_record_by_time() -> None:
    model = fresh(config=LogConfig(segment_bytes=900, index_interval_bytes=150))
    random, times, ends = Random(3), list[int](), [0]
    for _ in range(40):
        timestamp, span = random.randint(1, 300), random.randint(1, 3)
        model.append(model.make(span=span, timestamp=timestamp))
        times += range(timestamp, timestamp + span)
        ends.append(len(times))
    for start in (0, 17, 18, 19, 44):
        model.log.apply_trim(start, 0)
        visible = list(enumerate(times))[start:]
        for asked in range(310):
            found = [(time, offset) for offset, time in visible if time >= asked]
            assert model.log.offset_for_timestamp(asked) == (found[0] if found else None)
        latest = max(times[start:])
        assert model.log.max_timestamp() == (latest, times.index(latest, start))
        for end in ends:
            assert model.log.max_timestamp(end) == newest(times, start, end)
    assert fresh().log.max_timestamp() is None


def newest(times: list[int], start: int, end: int) -> tuple[int, int] | None:
    """(time, offset) of the first of the latest records at offsets `start` to `end` - 1."""
    if end <= start:
        return None
    latest = max(times[start:end])
    return latest, times.index(latest, start)


def trimmed() -> Modelled:
    """A log whose first half is gone."""
    model = filled(seed=5)
    model.log.apply_trim(model.last.offset // 2, model.last.index)
    model.save()
    return model


def stream(log: PartitionLog, step: int) -> list[tuple[int, bytes]]:
    """The snapshot in chunks."""
    chunks, cursor, done = [], 0, False
    while not done:
        _, data, done = log.read_snapshot(cursor, step)
        chunks.append((cursor, data))
        cursor += len(data)
    return chunks


def receiver() -> Modelled:
    """A follower with a few entries of its own."""
    model = filled(seed=9, rounds=4)
    model.save()
    return model


def test_a_snapshot_replaces_a_log() -> None:
    source, target = trimmed(), receiver()
    meta = source.log.snapshot()
    sink = target.log.receive_snapshot(meta)
    for cursor, data in stream(source.log, 37):
        assert sink.write(cursor, data) == cursor + len(data)
        assert sink.write(cursor, data) == cursor + len(data), "sent again"
    sink.install()
    for log in (
        target.log,
        PartitionLog.open(target.disk, PATH, TINY, target.checkpoint, target.trusted),
    ):
        assert log.snapshot() == meta
        assert log.last() == meta.position
        assert log.log_start_offset == source.log.log_start_offset
        log.append([entry for entry in source.entries if entry.index > meta.position.index])
        assert log.producers.written() == source.log.producers.written()
        assert log.epoch_cache == source.log.epoch_cache
        assert log.configurations() == source.log.configurations()
    assert log.superseded
    target.log = log
    target.save()
    target.disk.crash()
    again = PartitionLog.open(target.disk, PATH, TINY, target.checkpoint, target.trusted)
    assert not again.superseded
    assert again.last() == source.last
    low, high = meta.position.index + 1, source.last.index + 1
    assert again.read(low, high, 1 << 30) == source.log.read(low, high, 1 << 30)


def test_a_crash_while_installing_leaves_the_old_log_or_the_new() -> None:
    source = trimmed()
    meta, chunks = source.log.snapshot(), stream(source.log, 4096)
    seen = set()
    for call in range(1, 60):
        target = receiver()
        before = target.log.read(1, target.last.index + 1, 1 << 30)
        sink = target.log.receive_snapshot(meta)
        for cursor, data in chunks:
            sink.write(cursor, data)
        finished = interrupted(target, call, sink.install)
        target.disk.crash()
        log = PartitionLog.open(target.disk, PATH, TINY, target.checkpoint, target.trusted)
        seen.add(log.superseded)
        if log.superseded:
            assert (log.snapshot(), log.last()) == (meta, meta.position)
        else:
            assert not finished, "an installed snapshot is durable"
            assert log.snapshot() == CREATION
            assert log.read(1, target.last.index + 1, 1 << 30) == before
        if finished:
            break
    assert finished
    assert seen == {False, True}


def interrupted(model: Modelled, call: int, action: Callable[[], None]) -> bool:
    """Run `action` with the power failing in the n-th call; True when it got to its end."""
    model.disk.cut_at_call = model.disk.calls + call
    try:
        action()
    except PowerCut:
        return False
    model.disk.cut_at_call = None
    return True


def test_a_bad_stream_is_the_peers_fault() -> None:
    source = trimmed()
    meta = source.log.snapshot()
    data = source.log.manifest()
    assert decode_manifest(data, "m").meta == meta
    target = receiver()
    before = target.log.last()
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 1
        sink = target.log.receive_snapshot(meta)
        sink.write(0, bytes(damaged))
        with pytest.raises(PeerFault):
            sink.install()
    sink = target.log.receive_snapshot(meta)
    sink.write(0, data[:10])
    with pytest.raises(PeerFault, match="missing"):
        sink.write(11, data[11:])
    other = meta._replace(position=meta.position._replace(term=99))
    sink = target.log.receive_snapshot(other)
    sink.write(0, data)
    with pytest.raises(PeerFault, match="promised"):
        sink.install()
    assert target.log.last() == before
    target.check()


def test_a_sync_that_was_overtaken_by_an_install_changes_nothing() -> None:
    source, target = trimmed(), receiver()
    target.log.apply_trim(target.last.offset // 2, target.last.index)
    job = target.log.sync_job()
    sink = target.log.receive_snapshot(source.log.snapshot())
    for cursor, data in stream(source.log, 4096):
        sink.write(cursor, data)
    sink.install()
    job()
    log = PartitionLog.open(target.disk, PATH, TINY, target.checkpoint, target.trusted)
    assert log.snapshot() == source.log.snapshot()


def test_few_files_stay_open_and_unsynced_ones_do() -> None:
    disk = VirtualDisk(Random(1))
    model = Modelled(disk)
    model.log.files._capacity = 4
    for _ in range(30):
        append_some(model, Random(2), 2)
    assert len(segment_files(model)) > 5
    assert len(model.log.files._open) > 4
    model.save()
    model.check()
    assert len(model.log.files._open) <= 4


def test_a_log_may_be_removed_while_its_sync_is_under_way() -> None:
    model = filled()
    model.log.apply_trim(model.last.offset // 2, model.last.index)
    job = model.log.sync_job()
    model.log.close()
    model.disk.rmtree(PATH)
    job()
    assert not model.disk.exists(PATH)
