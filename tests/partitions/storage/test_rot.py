"""Bytes that change on the disk below the checkpoint: told, never passed on, never cut away.

After any change of a few bits in a segment or its sidecar, each question to the log is answered
as before, or it is a CorruptLog. What is beyond the checkpoint the write-ahead log still has;
what is below it nobody but the other replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest

from partitions.records import parse_header, split_batches
from partitions.storage import PartitionLog, reading
from partitions.storage.segment import Segment
from raftlog.errors import CorruptLog
from raftlog.types import Entry, EntryKind
from tests.partitions.storage.kit import PATH, TINY, Modelled, append_some
from tests.partitions.storage.test_log import filled

LENGTH, EPOCH = slice(8, 12), slice(12, 16)
_READ = 400


def files(model: Modelled, suffix: str) -> list[str]:
    names = [f"{PATH}/{name}" for name in model.disk.listdir(PATH) if name[:20].isdigit()]
    return [name for name in names if name.endswith(suffix)]


def content(model: Modelled) -> dict[str, bytes]:
    return {
        name: model.disk.open(f"{PATH}/{name}").pread(1 << 24, 0)
        for name in model.disk.listdir(PATH)
    }


def saved(seed: int) -> Modelled:
    """All of it checkpointed but for a few entries."""
    model = filled(seed)
    model.save()
    append_some(model, Random(seed), 2)
    model.log.sync_job()()
    return model


def entries_as_written(log: PartitionLog, entries: list[Entry], max_bytes: int) -> bool:
    """False: CorruptLog. Anything that is neither the entries nor that fails."""
    by_index = {entry.index: entry for entry in entries}
    last = entries[-1].index
    at = log.snapshot().position.index + 1
    try:
        while at <= last:
            for entry in log.read(at, last + 1, max_bytes):
                assert entry == by_index[at]
                assert log.term(at) == entry.term
                at += 1
    except CorruptLog:
        return False
    return True


def batches_as_written(log: PartitionLog, entries: list[Entry], max_bytes: int) -> bool:
    """The same for what consumers read, from every offset."""
    data = [entry for entry in entries if entry.kind is EntryKind.DATA]
    whole = True
    for at, entry in enumerate(data):
        try:
            got = bytes(log.read_batches(entry.end - 1, max_bytes, entries[-1].end))
        except CorruptLog:
            whole = False
            continue
        rest = b"".join(follower.payload for follower in data[at : at + 30])
        assert got
        assert rest.startswith(got), f"not what was written at {entry.base}"
    return whole


def ends_as_written(log: PartitionLog, entries: list[Entry]) -> bool:
    for entry in entries:
        try:
            assert log.end_offset(entry.index) == entry.end
        except CorruptLog:
            return False
    return True


def as_written(log: PartitionLog, entries: list[Entry]) -> bool:
    return all(
        [
            entries_as_written(log, entries, 1 << 30),
            entries_as_written(log, entries, 100),
            batches_as_written(log, entries, _READ),
            batches_as_written(log, entries, 1),
            batches_as_written(log, entries, 1 << 20),
            ends_as_written(log, entries),
        ]
    )


def places(model: Modelled, suffix: str, step: int) -> Iterator[tuple[str, int]]:
    for name in files(model, suffix):
        size = model.disk.open(name).size()
        yield from ((name, position) for position in range(0, size, step))


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_is_told_or_does_no_harm_to_a_log_that_runs(seed: int) -> None:
    model = saved(seed)
    model.log.close()
    model.reopen()  # the newest entries, too, have to be found by way of the index
    told = 0
    for name, position in places(model, ".log", 29):
        model.disk.flip_bit(name, position, (position + seed) % 8)
        told += not as_written(model.log, model.entries)
        model.disk.flip_bit(name, position, (position + seed) % 8)
    assert told > 50
    assert as_written(model.log, model.entries)


@pytest.mark.parametrize("suffix", [".log", ".raft"])
@pytest.mark.parametrize("seed", range(3))
def test_a_bit_flipped_in_a_stopped_broker_is_told_at_the_start_or_when_it_is_read(
    seed: int, suffix: str
) -> None:
    model = saved(seed)
    refused = found = 0
    for name, position in places(model, suffix, 41):
        bit = (position + seed) % 8
        model.log.close()
        model.disk.kill()
        model.disk.flip_bit(name, position, bit)
        before = content(model)
        try:
            model.reopen()
        except CorruptLog:
            refused += 1
            assert content(model) == before, "evidence was destroyed"
        else:
            assert model.log.last() == model.last
            found += not as_written(model.log, model.entries)
        model.log.close()
        model.disk.kill()
        for path, data in before.items():
            file = model.disk.open(f"{PATH}/{path}", create=True)
            file.truncate(0)
            file.pwrite([data], 0)
        model.disk.flip_bit(name, position, bit)
    model.reopen()
    model.check()
    assert refused if suffix == ".raft" else found


def overwrite(model: Modelled, random: Random) -> None:
    """A sector of zeros, of noise, or of another place."""
    name = random.choice(files(model, random.choice([".log", ".log", ".raft"])))
    file = model.disk.open(name)
    size = file.size()
    if not size:
        return
    at, length = random.randrange(size), random.choice((1, 16, 64, 200))
    length = min(length, size - at)
    data = [bytes(length), random.randbytes(length), file.pread(length, random.randrange(size))]
    file.pwrite([random.choice(data)[:length]], at)
    file.sync()


@pytest.mark.parametrize("seed", range(40))
def test_overwritten_places_are_told_or_do_no_harm(seed: int) -> None:
    random = Random(seed)
    model = saved(seed)
    model.log.close()
    for _ in range(random.randint(1, 3)):
        overwrite(model, random)
    model.disk.kill()
    before = content(model)
    try:
        model.reopen()
    except CorruptLog:
        assert content(model) == before
    else:
        assert model.log.last() == model.last
        as_written(model.log, model.entries)


@pytest.mark.parametrize("part", [LENGTH, EPOCH, slice(0, 8)])
def test_what_no_checksum_covers_is_compared_with_what_is_known(part: slice) -> None:
    """Base offset, length and leader epoch of a batch lie in front of its CRC."""
    model = saved(1)
    name = files(model, ".log")[1]
    base = int(name[-24:-4])
    batch = next(e for e in model.entries if e.base == base and e.span)
    assert parse_header(batch.payload).base_offset == base
    model.disk.flip_bit(name, part.stop - 1)
    with pytest.raises(CorruptLog, match=name):
        model.log.read(batch.index, batch.index + 1, 0)
    with pytest.raises(CorruptLog, match=name):
        model.log.read_batches(batch.base, 10, batch.end)


def test_an_answer_has_a_bounded_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCHES_MAX", 3)
    model = saved(1)
    data = [entry for entry in model.entries if entry.kind is EntryKind.DATA]
    sizes = {
        len(split_batches(model.log.read_batches(entry.base, 1 << 20, model.last.offset)))
        for entry in data
    }
    assert sizes == {1, 2, 3}
    assert batches_as_written(model.log, model.entries, 1 << 20)


def test_a_record_looked_up_by_time_comes_from_a_sound_batch() -> None:
    model = saved(2)
    name = files(model, ".log")[0]
    latest = model.log.max_timestamp()
    assert latest is not None
    for position in range(61, model.disk.open(name).size()):
        model.disk.flip_bit(name, position)
    with pytest.raises(CorruptLog, match="byte"):
        model.log.offset_for_timestamp(0)


def test_a_first_segment_whose_sidecar_is_unreadable_is_missed() -> None:
    model = saved(4)
    model.log.apply_trim(model.last.offset // 2, model.last.index)
    model.save()
    assert model.log.snapshot().position.index
    model.disk.flip_bit(files(model, ".raft")[0], 1)
    model.disk.kill()
    with pytest.raises(CorruptLog, match=PATH):
        PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)


def test_a_sealed_segment_that_lost_its_end_is_told_at_the_start() -> None:
    model = saved(3)
    name = files(model, ".raft")[0]
    size = model.disk.open(name).size()
    model.disk.flip_bit(name, size - 1)
    model.disk.kill()
    with pytest.raises(CorruptLog, match=name):
        PartitionLog.open(model.disk, PATH, TINY, model.checkpoint, model.trusted)


# --- faults put in


def no_crc_for_replication(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("partitions.storage.segment.crc_matches", lambda batch, header: True)


def no_crc_for_consumers(patch: pytest.MonkeyPatch) -> None:
    right = reading._extent

    def lax(*args: object) -> object:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(reading, "crc32c", lambda view: _Any())
            return right(*args)  # type: ignore[arg-type]

    patch.setattr(reading, "_extent", lax)


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


def no_offsets_compared(patch: pytest.MonkeyPatch) -> None:
    right = Segment._data_entry

    def lax(self: Segment, index: int, header: object, payload: bytes, offset: int) -> Entry:
        base = header.base_offset  # type: ignore[attr-defined]
        return right(self, index, header, payload, base)  # type: ignore[arg-type]

    patch.setattr(Segment, "_data_entry", lax)


def no_terms_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PartitionLog, "_check_terms", lambda self, segment, entries: None)


@pytest.mark.parametrize(
    "broken",
    [no_crc_for_replication, no_crc_for_consumers, no_offsets_compared, no_terms_compared],
)
def test_mutants(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        test_a_flipped_bit_is_told_or_does_no_harm_to_a_log_that_runs(1)
