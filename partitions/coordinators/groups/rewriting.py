"""Keeping a partition of `__consumer_offsets` short without compaction.

When the log holds much more than what is live, the leader appends every live key again, a few
per pass, and when the last of these is committed trims the log to where it began. Commits of
clients go on in between; the last record of a key counts, so:

- what was on its way when it began is waited for first;
- a key is written again with its committed value, but not after a newer change of it that is
  not committed yet. When that one is in the log it lies at or after the place where the
  rewriting began, and stays, so the key needs nothing more. While it waits to be appended it may
  still be refused, so the key is looked at again later.

Then every live key whose last record lay before that place has a newer one after it.

A log is thus never larger than REWRITE_BYTES_MIN or LIVE_TIMES times what is live, whichever is
more, and what is live once more, and what clients commit meanwhile. A next leader reads all of
that before it answers. The price is that up to half as much is written again as clients write:
with twice instead of three times it would be as much, for a third of a second less at 100,000
live offsets.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.offsets import Books, size_of
from partitions.coordinators.groups.schemas import Change, Key
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import Replica, TrimOutcome
from raftlog.seams import Reactor

log = structlog.get_logger()

REWRITE_BYTES_MIN = 4 * 1024 * 1024
"""A log of this size is left alone: 75,000 records, a fifth of a second to load. A
broker may have to load a dozen at once."""
LIVE_TIMES = 3
"""So is one that is at most this much larger than what is live."""
PASS_BYTES = 64 * 1024
"""Written again in one pass, between the commits of clients."""
PAUSE_US = 10_000
RETRY_US = 5_000_000
"""After a rewriting that failed."""


class Rewriter:
    """Watches one partition's log for one leader epoch."""

    def __init__(
        self, replica: Replica, reactor: Reactor, books: Books, appender: Appender
    ) -> None:
        self._replica = replica
        self._reactor = reactor
        self._books = books
        self._appender = appender
        self._keys: list[Key] | None = None
        """Those still to be written again, from the end; None: nothing is under way."""
        self._start = 0
        """Offset from which on the log will be kept."""
        self._retry_us = 0
        self._closed = False
        self.bytes_min = REWRITE_BYTES_MIN
        self.done = 0
        """How often the log was rewritten and trimmed."""

    def close(self) -> None:
        """The epoch is over."""
        self._closed = True

    def look(self) -> None:
        """After a commit: is it time?"""
        written = self._appender.written_bytes
        if self._keys is not None or written <= self.bytes_min:
            return
        if written <= LIVE_TIMES * self._books.live_bytes:
            return
        if self._reactor.now_us() >= self._retry_us:
            self._keys = []
            self._start = self._replica.end_offset
            self._appender.written_bytes = 0
            self._wait()

    def _wait(self) -> None:
        """Until everything before the place is committed, and applied."""
        if self._closed:
            return
        if self._appender.settled_offset < self._start:
            self._later(self._wait)
            return
        self._keys = list(self._books.keys())
        self._step()

    def _later(self, callback: Callable[[], None]) -> None:
        self._reactor.call_at(self._reactor.now_us() + PAUSE_US, callback)

    def _step(self) -> None:
        """Write some more keys again; when they are committed, the next."""
        if self._closed:
            return
        changes = self._some()
        if changes:
            self._appender.submit(changes, self._written)
        elif self._keys:
            self._later(self._step)
        else:
            self._trim()

    def _some(self) -> list[Change]:
        keys, changes, size = self._keys, list[Change](), 0
        assert keys is not None
        waiting, appended = self._appender.waiting_keys(), self._appender.appended_keys()
        again = []
        while keys and size < PASS_BYTES:
            key = keys.pop()
            value = self._books.value(key)
            if key in waiting:
                again.append(key)
            elif value is not None and key not in appended:
                changes.append(Change(key, value))
                size += size_of(changes[-1])
        keys += again
        return changes

    def _written(self, error: ErrorCode) -> None:
        if error is ErrorCode.NONE:
            self._later(self._step)
        else:
            self._give_up(error.name)

    def _trim(self) -> None:
        try:
            self._replica.delete_records(self._start, self._trimmed)
        except KafkaError as error:
            self._give_up(error.message)

    def _trimmed(self, outcome: TrimOutcome) -> None:
        if outcome.error is not ErrorCode.NONE:
            self._give_up(outcome.error.name)
            return
        self._keys = None
        self.done += 1

    def _give_up(self, reason: str) -> None:
        """The log stays as it is, a little longer; nothing is lost by that."""
        self._keys = None
        self._retry_us = self._reactor.now_us() + RETRY_US
        self._appender.written_bytes += self.bytes_min
        if not self._closed:
            partition = self._replica.partition
            log.warning("a log of groups was not shortened", partition=partition, reason=reason)
