"""SyncRounds: when a round is durable, and where its sync runs."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

import pytest

from raftlog.disk.wal import Wal
from raftlog.engine.sync import INLINE_BYTES_MAX, Round, SyncRounds
from raftlog.testing.disk import VirtualDisk
from raftlog.types import Entry, EntryKind

FAST_US = 500


class Reactor:
    """Runs offloaded jobs when told; every sync takes `cost_us` of its clock."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.now = 0
        self.cost_us = 100
        self.soon: list[Callable[[], None]] = []
        self.jobs: list[tuple[Callable[[], object], Callable[[BaseException | None], None]]] = []

    def now_us(self) -> int:
        self.now += self.cost_us
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def offload(
        self,
        job: Callable[[], object],
        done: Callable[[BaseException | None], None],
        *,
        background: bool = False,
    ) -> None:
        self.jobs.append((job, done))

    def run(self) -> None:
        while self.jobs or self.soon:
            if self.soon:
                self.soon.pop(0)()
                continue
            job, done = self.jobs.pop(0)
            try:
                job()
            except Exception as error:
                done(error)
            else:
                done(None)


class Rig:
    def __init__(self, inline_below_us: int = FAST_US) -> None:
        self.disk = VirtualDisk(Random(2))
        self.wal, _ = Wal.open(self.disk, "wal", random=Random(3))
        self.wal.stage_create(1, b"")
        self.reactor = Reactor()
        self.durable: list[Round] = []
        self.failures: list[BaseException] = []
        self.index = 0
        self.sync = SyncRounds(
            self.wal,
            self.reactor,  # type: ignore[arg-type]  # no timers are used
            self.durable.extend,
            self.failures.append,
            inline_below_us=inline_below_us,
        )

    def write(self, size: int = 100) -> None:
        self.index += 1
        entry = Entry(self.index, 1, EntryKind.DATA, self.index - 1, 1, bytes(size))
        self.wal.stage_entries(1, [entry])
        self.sync.write([], [lambda: None])
        self.sync.begin()
        self.sync.finish()

    def settle(self, rounds: int = 40) -> None:
        """Let the average learn what a sync costs."""
        for _ in range(rounds):
            self.write()
            self.reactor.run()


def test_the_first_syncs_run_on_the_thread_and_a_fast_disks_small_rounds_in_place() -> None:
    rig = Rig()
    rig.write()
    assert rig.sync.inline == 0 and len(rig.reactor.jobs) == 1
    rig.reactor.run()
    rig.settle()
    before = rig.sync.inline
    rig.write()
    assert rig.sync.inline == before + 1 and not rig.reactor.jobs
    assert rig.durable[-1].number < rig.wal.last_round, "reported only after the pass"
    rig.reactor.run()
    assert rig.durable[-1].number == rig.wal.last_round == rig.wal.durable_round


def test_large_rounds_slow_disks_and_running_syncs_keep_to_the_thread() -> None:
    rig = Rig()
    rig.settle()
    before = rig.sync.inline
    rig.write(INLINE_BYTES_MAX + 1)
    assert rig.sync.inline == before
    rig.write()  # a sync is under way
    assert rig.sync.inline == before and len(rig.reactor.jobs) == 1
    rig.reactor.run()
    rig.reactor.cost_us = 10 * FAST_US
    rig.settle()
    before = rig.sync.inline
    rig.write()
    assert rig.sync.inline == before


def test_zero_never_syncs_in_place() -> None:
    rig = Rig(inline_below_us=0)
    rig.settle()
    assert rig.sync.inline == 0


@pytest.mark.parametrize("in_place", [False, True])
def test_a_failed_sync_is_reported_and_its_rounds_never_are(in_place: bool) -> None:
    rig = Rig(FAST_US if in_place else 0)
    rig.settle()
    reported = len(rig.durable)
    rig.disk.fail_sync(1, errno.EIO)
    rig.write()
    rig.reactor.run()
    assert len(rig.failures) == 1
    assert len(rig.durable) == reported
    assert rig.wal.durable_round < rig.wal.last_round
