"""WAL rounds on their way to being durable: written, synced together, then reported.

One sync is under way at a time; what is written meanwhile goes with the next (group commit).
A sync normally runs on the storage thread, so that the loop can read acknowledgements. Handing
a job to a thread and its result back costs about as much as a fast disk takes, so a
small round on a disk that has been fast is synced in place: with one request in flight
there is nothing else to do anyway, and with many the rounds are not small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raftlog.disk.wal import Wal
from raftlog.engine.group import Group
from raftlog.histogram import Histogram
from raftlog.seams import Reactor

INLINE_BYTES_MAX = 4096
"""A larger round is always left to the thread."""


class Round(NamedTuple):
    """Written, not yet known to be durable."""

    number: int
    readies: list[tuple[Group, int]]
    """Ready numbers to report as stored."""
    callbacks: list[Callable[[], None]]


class SyncRounds:
    """Owns the syncs of one write-ahead log."""

    def __init__(
        self,
        wal: Wal,
        reactor: Reactor,
        durable: Callable[[list[Round]], None],
        failed: Callable[[BaseException], None],
        *,
        inline_below_us: int,
    ) -> None:
        """`inline_below_us`: syncs that took less on average may run in place; 0: never."""
        self._wal = wal
        self._reactor = reactor
        self._durable = durable
        self._failed = failed
        self._inline_below_us = inline_below_us
        self._average_us = inline_below_us
        self._inline = False
        self._written: list[Round] = []
        self._syncing: list[Round] = []
        self.rounds = 0
        self.inline = 0
        self.took_us = Histogram()
        """Of the syncs that did not fail; one is under way at a time, so one thread writes."""

    def write(self, readies: list[tuple[Group, int]], callbacks: list[Callable[[], None]]) -> None:
        """Write what is staged. `begin` or `finish` must follow in the same pass."""
        used = self._wal.part_used_bytes
        number = self._wal.write_round()
        if number == 0 and not callbacks and not readies:
            return
        self.rounds += 1
        self._written.append(Round(number, readies, callbacks))
        size = self._wal.part_used_bytes - used
        self._inline = (
            not self._syncing
            and 0 <= size <= INLINE_BYTES_MAX
            and self._average_us < self._inline_below_us
        )

    def begin(self) -> None:
        """Start the thread's sync of what was written, unless one is running."""
        if self._written and not self._syncing and not self._inline:
            self._take()
            self._reactor.offload(self._timed(self._wal.sync_job()), self._done)

    def finish(self) -> None:
        """The messages of the pass have left: sync in place what `begin` left for it."""
        if not self._inline:
            return
        self._inline = False
        self._take()
        self.inline += 1
        try:
            self._timed(self._wal.sync_job())()
        except BaseException as error:  # reported like the thread's: the process ends
            self._done(error)
        else:
            self._reactor.call_soon(lambda: self._done(None))

    def _take(self) -> None:
        self._syncing, self._written = self._written, []

    def _timed(self, job: Callable[[], None]) -> Callable[[], None]:
        now_us = self._reactor.now_us

        def timed() -> None:
            begin = now_us()
            job()
            took_us = now_us() - begin
            self._average_us = (7 * self._average_us + took_us) // 8
            self.took_us.add(took_us)

        return timed

    def _done(self, error: BaseException | None) -> None:
        if error is not None:
            self._failed(error)
            return
        rounds, self._syncing = self._syncing, []
        self._wal.synced(max(round_.number for round_ in rounds))
        self.begin()
        self._durable(rounds)
