"""Offsets that are taken away in many appends: all of them, and nothing that came later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from partitions.coordinators.groups import removing, rewriting
from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.removing import Removal
from partitions.coordinators.groups.schemas import Change, Key, OffsetKey
from partitions.errors import ErrorCode
from partitions.testing.runner import quiet_logs
from tests.partitions.coordinators.groups.test_rewriting import Partition

SEEDS = range(40)
KEYS = [OffsetKey(f"g{group}", "t", partition) for group in range(4) for partition in range(5)]


class Removed(Partition):
    """All offsets are taken away once, while clients go on."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.log.max_message_bytes = 10_000  # a change is in one batch
        self.last: dict[Key, Any] = {}
        """Of each key, the last change that was acknowledged."""
        self.before: dict[Key, Any] = {}
        self.outcomes: list[ErrorCode] = []

    def _done(self, changes: list[Change], number: int, error: ErrorCode) -> None:
        super()._done(changes, number, error)
        if error is ErrorCode.NONE:
            self.last.update({change.key: change for change in changes})

    def some_steps(self, count: int) -> None:
        for _ in range(count):
            choice = self.random.random()
            if choice < 0.2:
                self.change()
            elif choice < 0.6:
                self.reactor.settle()
            elif choice < 0.7:
                self.reactor.advance(self.random.randrange(20_000))
            else:
                self.log.commit_first()

    def begin(self, late: list[OffsetKey]) -> None:
        self.before = dict(self.last)
        removal = Removal(self.reactor, self.books, self.appender)
        removal.start(KEYS, self.outcomes.append, late=late)

    def end(self) -> None:
        while self.log.entries or self.reactor.armed or not self.outcomes:
            self.reactor.advance(20_000)
            self.reactor.settle()
            self.log.commit_first()
        assert self.outcomes == [ErrorCode.NONE]
        assert self.reload().live_bytes == self.books.live_bytes


def run(seed: int) -> tuple[int, int]:
    """How many offsets went, and how many came meanwhile and stayed."""
    work = Removed(seed)
    work.some_steps(300)
    there = sum(work.books.value(key) is not None for key in KEYS)
    work.begin([])
    work.some_steps(100)
    work.end()
    stayed = 0
    for key in KEYS:
        last: Any = work.last.get(key)
        if last is work.before.get(key):
            assert work.books.value(key) is None
        else:
            assert work.books.value(key) == last.value
            stayed += last.value is not None
    return there, stayed


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "APPEND_BYTES", 200)
    monkeypatch.setattr(removing, "LOOKED_AT_MAX", 7)
    monkeypatch.setattr(rewriting, "PASS_BYTES", 300)


def test_what_was_there_goes_and_what_comes_meanwhile_stays() -> None:
    there, stayed = zip(*map(run, SEEDS), strict=True)
    assert sum(there) > 200
    assert sum(stayed) > 50


def test_what_is_on_its_way_goes_too_when_it_is_asked_for() -> None:
    """A group that is deleted has no offsets then, but for those committed later."""
    found = 0
    for seed in SEEDS:
        work = Removed(seed)
        work.some_steps(300)
        late = [key for key in KEYS if work.appender.is_on_its_way(key)]
        found += len(late)
        work.begin(late)
        work.end()
        assert not any(work.books.value(key) for key in KEYS)
    assert found > 20


def test_the_end_of_the_leadership_ends_it() -> None:
    work = Removed(1)
    work.some_steps(300)
    work.begin([])
    work.appender.close()
    work.reactor.settle()
    assert work.outcomes == [ErrorCode.NOT_COORDINATOR]


def _whatever_it_is(self: Removal, size: int) -> list[Change]:
    keys = [self._left.popleft()[0] for _ in range(min(2, len(self._left)))]
    return [Change(key, None) for key in keys]


def _never(self: Appender, key: Key) -> bool:
    return False


MISTAKES: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "an offset goes whatever it is by now": (Removal, "_some", _whatever_it_is),
    "a change on its way is not waited for": (Appender, "is_on_its_way", _never),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_are_noticed(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong = MISTAKES[mistake]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError), quiet_logs():
        for seed in SEEDS:
            run(seed)
