"""A log that is loaded ends in the state of its records taken one by one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from partitions.coordinators.groups import GroupSnapshot, loading
from partitions.coordinators.groups.loading import Loader
from partitions.coordinators.groups.offsets import Books
from partitions.coordinators.groups.schemas import (
    CommittedOffset,
    GroupKey,
    GroupValue,
    OffsetKey,
    decode,
    decode_group,
    encode_group,
    encode_key,
    encode_value,
)
from partitions.coordinators.groups.slices import Slices
from partitions.internal import CONSUMER_OFFSETS
from partitions.records import (
    Codec,
    Record,
    build_batch,
    iter_records,
    last_values,
    parse_header,
)
from partitions.testing.runner import quiet_logs
from tests.partitions.api.fakes import FakeReplica, ManualReactor
from tests.partitions.coordinators.groups.kit import string

SEEDS = range(200)
CODECS = [Codec.NONE] * 6 + [Codec.GZIP, Codec.ZSTD]
GROUPS = ["g", "grüppe", "", "long" * 40]


def key(random: Random) -> bytes:
    """Mostly as we write them, else of an older version, with a null, or of a newer kind."""
    group = random.choice(GROUPS)
    written = encode_key(OffsetKey(group, random.choice("tu"), random.randrange(3)))
    choice = random.random()
    if choice < 0.2:
        return encode_key(GroupKey(group))
    if choice < 0.25:
        return b"\x00\x00" + written[2:]
    if choice < 0.27:
        return b"\x00\x01" + string(None) + string("t") + struct.pack(">i", random.randrange(3))
    if choice < 0.29:
        return struct.pack(">h", 3) + string(group)
    if choice < 0.31:
        return written + b"more"
    return written


def value(random: Random, key: bytes) -> bytes | None:
    """Of any version that an offset's value may have."""
    if random.random() < 0.25:
        return None
    offset, note = random.randrange(1 << 40), "n" * random.choice([0, 0, 3, 200])
    if key[1] == 2:
        return encode_group(GroupValue(GroupSnapshot("consumer", offset % 1000, None, None), 7))
    version = random.choice([0, 1, 2, 3, 3, 3, 3, 4])
    if version == 4:
        return struct.pack(">hqi", 4, offset, 3) + b"\x02n" + struct.pack(">q", 5) + b"\x00"
    if version in (1, 3):
        expiry = 99 if version == 1 else -1
        return encode_value(CommittedOffset(offset, -1 if expiry > 0 else 7, note, 5, expiry))
    return struct.pack(">hq", version, offset) + string(note) + struct.pack(">q", 5)


def record(random: Random) -> Record:
    name = key(random)
    headers = (("h", b"x"),) if random.random() < 0.05 else ()
    timestamp = random.choice([1000, 1000, 900, 1_000_000])
    return Record(timestamp=timestamp, key=name, value=value(random, name), headers=headers)


def random_log(random: Random) -> FakeReplica:
    """Some dozens of records; a trim may have cut into a batch."""
    log = FakeReplica(CONSUMER_OFFSETS, bytes(16), 0, 1)
    for _ in range(random.randint(0, 15)):
        control = random.random() < 0.05
        records = [record(random) for _ in range(random.choice([1, 2, 10, 80]))]
        batch = build_batch(
            records,
            base_timestamp=1000,
            codec=random.choice(CODECS),
            control=control,
            base_offset=log.end_offset,
        )
        log.batches.append(bytes(batch))
        log.end_offset += len(records)
    log.high_watermark = log.end_offset
    log.log_start_offset = random.randrange(log.end_offset + 1) if random.random() < 0.5 else 0
    return log


def one_by_one(log: FakeReplica) -> Books:
    """By definition."""
    books = Books()
    for batch in log.batches:
        for found in () if parse_header(batch).control else iter_records(batch):
            change = decode(found.key, found.value)
            if change is not None and found.offset >= log.log_start_offset:
                books.apply(change)
    return books


def load(log: FakeReplica) -> Books | str:
    """What the loader makes of it, or why it cannot."""
    books, reactor = Books(), ManualReactor()
    ended: list[str] = []
    restored: dict[str, GroupSnapshot] = {}
    done = partial(ended.append, "")
    Loader(log, reactor.call_soon, books, restored.__setitem__, done, ended.append).start()
    reactor.settle()
    (reason,) = ended
    with_members = {name: book.members for name, book in books.groups.items() if book.members}
    assert reason or restored == {n: decode_group(m).snapshot for n, m in with_members.items()}
    return reason or books


def state(books: Books) -> tuple[int, dict[str, tuple[Any, bytes | None]]]:
    groups = {name: (book.offsets, book.members) for name, book in books.groups.items()}
    return books.live_bytes, groups


def check(seed: int) -> None:
    log = random_log(Random(seed))
    books = load(log)
    assert isinstance(books, Books)
    assert state(books) == state(one_by_one(log))


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SLICE_BYTES", 2_000)
    monkeypatch.setattr(loading, "SLICE_KEYS", 3)


def test_the_state_is_that_of_the_records_one_by_one() -> None:
    for seed in SEEDS:
        check(seed)


def _without_tombstones(batch: Any, header: Any, into: dict[bytes | None, bytes | None]) -> None:
    found: dict[bytes | None, bytes | None] = {}
    last_values(batch, header, found)
    into.update({k: v for k, v in found.items() if v is not None})


def _first_wins(batch: Any, header: Any, into: dict[bytes | None, bytes | None]) -> None:
    found: dict[bytes | None, bytes | None] = {}
    last_values(batch, header, found)
    for name, last in found.items():
        into.setdefault(name, last)


def _from_zero(batch: Any) -> list[Record]:
    return [record._replace(offset=1 << 40) for record in iter_records(batch)]


MISTAKES: dict[str, tuple[str, Callable[..., Any]]] = {
    "other bytes for a key are another key": ("is_as_written", lambda key: True),
    "tombstones are passed over": ("last_values", _without_tombstones),
    "the first value of a slice counts": ("last_values", _first_wins),
    "what was trimmed is read": ("iter_records", _from_zero),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_are_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong = MISTAKES[mistake]
    monkeypatch.setattr(loading, name, wrong)
    with pytest.raises(AssertionError):
        for seed in SEEDS:
            check(seed)


WRITTEN = encode_key(OffsetKey("g", "t", 0))
GOOD = encode_value(CommittedOffset(1, -1, "", 5))
NEWER = struct.pack(">hqi", 5, 100, 3)


def log_of(*records: tuple[bytes | None, bytes | None]) -> FakeReplica:
    log = FakeReplica(CONSUMER_OFFSETS, bytes(16), 0, 1)
    log.keep([Record(key=key, value=value) for key, value in records])
    return log


@pytest.mark.parametrize(
    "records, reason",
    [
        ([(WRITTEN, GOOD), (None, b"v")], "no key"),
        ([(WRITTEN, GOOD), (WRITTEN, NEWER)], "newer release"),
        ([(WRITTEN[:-1], None)], "cannot be read"),
        ([(b"", None)], "cannot be read"),
        ([(b"\x00\x01\x00\x01\xff" + string("t") + bytes(4), GOOD)], "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(
    records: list[tuple[bytes | None, bytes | None]], reason: str
) -> None:
    with quiet_logs():
        said = load(log_of(*records))
    assert isinstance(said, str) and reason in said


def test_a_value_that_was_overridden_need_not_be_readable() -> None:
    books = load(log_of((WRITTEN, NEWER), (WRITTEN, GOOD)))
    assert isinstance(books, Books) and books.groups["g"].offsets["t", 0].offset == 1


def test_nothing_more_is_said_once_it_is_cancelled() -> None:
    log, books, reactor = log_of((WRITTEN, GOOD)), Books(), ManualReactor()
    ended: list[str] = []
    done = partial(ended.append, "")
    loader = Loader(log, reactor.call_soon, books, lambda *_: None, done, ended.append)
    loader.start()
    loader.cancel()
    reactor.settle()
    assert not ended


def test_many_coordinators_take_turns_one_slice_at_a_time() -> None:
    reactor, ran = ManualReactor(), list[str]()
    slices = Slices(reactor)

    def work(name: str, count: int) -> None:
        ran.append(name)
        if count > 1:
            slices.later(partial(work, name, count - 1))

    slices.later(partial(work, "a", 3))
    slices.later(partial(work, "b", 2))
    slices.later(partial(work, "c", 1))
    for number in range(1, 7):
        assert len(reactor._soon) == 1
        reactor._soon.pop()()
        assert len(ran) == number
    assert ran == ["a", "b", "c", "a", "b", "a"]
    slices.later(partial(work, "d", 1))
    reactor.settle()
    assert ran[-1] == "d"
