"""A log of groups stays short, and what is read from it is always what was committed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop
from random import Random
from typing import Any

import pytest

from partitions.coordinators.groups import GroupSnapshot, rewriting
from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.loading import Loader
from partitions.coordinators.groups.offsets import Books
from partitions.coordinators.groups.rewriting import Rewriter
from partitions.coordinators.groups.schemas import (
    Change,
    CommittedOffset,
    GroupKey,
    GroupValue,
    Key,
    OffsetKey,
    encode_group,
)
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.records import BatchHeader, parse_header
from partitions.replicas.interface import AppendOutcome, TrimOutcome
from partitions.testing.runner import quiet_logs
from tests.partitions.api.fakes import FakeReplica, ManualReactor

SEEDS = range(20)
STEPS = 1000
BYTES_MIN = 3_000


def members(number: int) -> bytes:
    """A group's record."""
    return encode_group(GroupValue(GroupSnapshot("consumer", number, None, None), number))


class Log(FakeReplica):
    """Entries are committed one by one, in order, trims included; appends may be refused."""

    def __init__(self, random: Random) -> None:
        super().__init__(CONSUMER_OFFSETS, bytes(16), 0, 1)
        self.random = random
        self.refusing = 0.0
        self.entries: list[tuple[int, Callable[[], None]]] = []
        """(high watermark once committed, what to do then)."""

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        on_done: Callable[[AppendOutcome], None],
    ) -> AppendOutcome | None:
        if self.random.random() < self.refusing:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "overloaded")
        super().append(batch, header, acks=acks, on_done=on_done)
        base, end, done = self.waiting.pop()
        outcome = AppendOutcome(ErrorCode.NONE, base, -1, self.log_start_offset)
        self.entries.append((end, partial(done, outcome)))
        return None

    def delete_records(self, offset: int, on_done: Callable[[TrimOutcome], None]) -> None:
        assert offset <= self.high_watermark

        def trimmed() -> None:
            self.log_start_offset = offset
            self.batches = [b for b in self.batches if parse_header(b).base_offset >= offset]
            on_done(TrimOutcome(ErrorCode.NONE, offset))

        self.entries.append((self.end_offset, trimmed))

    def commit_first(self) -> None:
        """One more entry."""
        if self.entries:
            self.high_watermark, done = self.entries.pop(0)
            done()


class Loose(ManualReactor):
    """Timers fall due at any moment of a pass, not only at its end."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.drawn = random

    def advance(self, duration_us: int) -> None:
        end = self._now + duration_us
        while self._heap and self._heap[0][0] <= end:
            self._now, _, timer = heappop(self._heap)
            if timer.callback is not None:
                timer.callback()
            if self.drawn.random() < 0.5:
                self.settle()
        self._now = end


class Partition:
    """A log with what writes it, and clients that know what they were told."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.reactor = Loose(self.random)
        self.log = Log(self.random)
        self.log.max_message_bytes = 600
        self.books = Books()
        self.appender = Appender(self.log, self.reactor, self.books.apply, self._lost)
        self.rewriter = Rewriter(self.log, self.reactor, self.books, self.appender)
        self.rewriter.bytes_min = BYTES_MIN
        self.count = 0
        self.acknowledged: dict[Key, int] = {}
        """The last change of each key that was acknowledged, by its number."""

    def _lost(self) -> None:
        raise AssertionError("nothing was lost")

    def change(self) -> None:
        """A client changes a few keys."""
        self.count += 1
        group = f"g{self.random.randrange(4)}"
        changes = []
        for partition in self.random.sample(range(5), self.random.randint(1, 3)):
            offset = CommittedOffset(self.count, -1, "m" * self.random.randrange(40), 1)
            gone = self.random.random() < 0.2
            changes.append(Change(OffsetKey(group, "t", partition), None if gone else offset))
        if self.random.random() < 0.2:
            changes.append(Change(GroupKey(group), members(self.count)))
        self.appender.submit(changes, partial(self._done, changes, self.count))

    def _done(self, changes: list[Change], number: int, error: ErrorCode) -> None:
        if error is ErrorCode.NONE:
            self.acknowledged.update({change.key: number for change in changes})
        self.rewriter.look()

    def reload(self) -> Books:
        """What a new leader would know."""
        books, reactor = Books(), ManualReactor()
        ended: list[str] = []
        Loader(
            self.log,
            reactor.call_soon,
            books,
            lambda *_: None,
            lambda: ended.append("done"),
            ended.append,
        ).start()
        while not ended:
            reactor.settle()
        assert ended == ["done"]
        return books

    def check(self) -> None:
        reloaded = self.reload()
        assert contents(reloaded) == contents(self.books)
        assert reloaded.live_bytes == self.books.live_bytes
        for key, number in self.acknowledged.items():
            value = reloaded.value(key)
            if isinstance(value, CommittedOffset):
                assert value.offset >= number


def contents(books: Books) -> dict[Key, Any]:
    return {key: books.value(key) for key in sorted(books.keys(), key=repr)}


def run(seed: int, *, refusing: float = 0.0) -> Partition:
    work = Partition(seed)
    random = work.random
    for _ in range(STEPS):
        work.log.refusing = refusing
        choice = random.random()
        if choice < 0.35:
            work.change()
        elif choice < 0.55:
            work.reactor.settle()
        elif choice < 0.75:
            work.reactor.advance(random.randrange(20_000))
        else:
            trims = work.rewriter.done
            work.log.commit_first()
            if work.rewriter.done != trims:
                work.check()
    work.log.refusing = 0.0
    work.reactor.settle()
    while work.log.entries or work.reactor.armed:
        work.reactor.advance(20_000)
        work.reactor.settle()
        work.log.commit_first()
    work.check()
    return work


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_read_from_the_log_is_what_was_committed(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "PASS_BYTES", 300)
    work = run(seed)
    assert work.rewriter.done >= 3
    assert work.log.log_start_offset > 0
    assert sum(map(len, work.log.batches)) < 4 * BYTES_MIN


@pytest.mark.parametrize("seed", SEEDS)
def test_appends_that_are_refused_lose_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "PASS_BYTES", 300)
    monkeypatch.setattr(rewriting, "RETRY_US", 50_000)
    with quiet_logs():
        work = run(seed, refusing=0.1)
    assert work.rewriter.done >= 1


def _nothing(self: Appender) -> set[Key]:
    return set()


def _at_once(self: Rewriter) -> None:
    self._keys = list(self._books.keys())
    self._step()


def _waiting_is_enough(self: Appender) -> set[Key]:
    changes = [asked.changes for asked in self._waiting]
    changes += [batch.changes for batch in self._open]
    return {change.key for some in changes for change in some}


MISTAKES = {
    "a newer change in the log is forgotten": (Appender, "appended_keys", _nothing),
    "a newer change before the log is forgotten": (Appender, "waiting_keys", _nothing),
    "changes before the place are not waited for": (Rewriter, "_wait", _at_once),
    "a change that may be refused is relied on": (Appender, "appended_keys", _waiting_is_enough),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_are_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong = MISTAKES[mistake]
    monkeypatch.setattr(rewriting, "PASS_BYTES", 300)
    monkeypatch.setattr(rewriting, "RETRY_US", 50_000)
    monkeypatch.setattr(owner, name, wrong)
    if name == "appended_keys" and wrong is _waiting_is_enough:
        monkeypatch.setattr(Appender, "waiting_keys", _nothing)
    with pytest.raises(AssertionError), quiet_logs():
        for seed in range(200):
            run(seed, refusing=0.1)
