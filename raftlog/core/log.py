"""The log as the core sees it: a short tail in memory above what the host has stored.

Positions, in order: start <= commit <= last, and start <= stable <= handed <= last.

    start    the snapshot's position; entries up to it may be gone
    stable   durable here; entries up to it are dropped from memory and read back if needed
    handed   given to the host in a Ready, so `LogReader` holds them
    last     the end; entries after `handed` exist in memory only

`commit` may pass `stable`: a quorum of others can commit an entry before this disk has it.
"""

from __future__ import annotations

from collections import deque

from raftlog.errors import Compacted, CorruptLog
from raftlog.storage import LogReader
from raftlog.types import Entry, EntryKind, LogPosition

MAX_APPEND_ENTRIES = 1024
"""Entries of one append, however small they are."""


class Log:
    """One replica's log. Indexes are Raft indexes; offsets are the application's."""

    __slots__ = (
        "_open",
        "_reader",
        "_run_first",
        "_tail",
        "_tail_base",
        "commit",
        "commit_offset",
        "handed",
        "last_index",
        "last_term",
        "next_offset",
        "stable",
        "start",
        "truncate_from",
        "uncommitted_bytes",
    )

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self.start = reader.snapshot().position
        self._begin(reader.last())
        self.commit = self.start.index
        self.commit_offset = self.start.offset

    def _begin(self, last: LogPosition) -> None:
        self._tail: list[Entry] = []
        self._tail_base = last.index
        self.handed = self.stable = self.last_index = last.index
        self.last_term = last.term
        self._run_first = last.index  # every entry from here to the end has the last term
        self.next_offset = last.offset
        self.truncate_from = 0
        self._open: deque[tuple[int, int, int]] = deque()
        self.uncommitted_bytes = 0

    # -- reading

    def term(self, index: int) -> int:
        """Term of `index`; Compacted below the snapshot, IndexError after the end."""
        if index >= self._run_first:
            if index > self.last_index:
                raise IndexError(f"index {index} is after the log's end {self.last_index}")
            return self.last_term
        if index > self._tail_base:
            return self._tail[index - self._tail_base - 1].term
        if index <= self.start.index:
            if index < self.start.index:
                raise Compacted(f"index {index} is below the snapshot at {self.start.index}")
            return self.start.term
        return self._reader.term(index)

    def matches(self, index: int, term: int) -> bool:
        """True when the log holds an entry of `term` at `index` (or its snapshot ends there)."""
        return self.start.index <= index <= self.last_index and self.term(index) == term

    def entries(self, low: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from `low` on, cut after `max_bytes` of payload but at least one."""
        if low <= self._tail_base:
            high = min(self._tail_base + 1, low + MAX_APPEND_ENTRIES)
            return tuple(self._reader.read(low, high, max_bytes))
        tail = self._tail
        first = low - self._tail_base - 1
        end = first + 1
        if end == len(tail):
            return (tail[first],)
        room = max_bytes - len(tail[first].payload)
        limit = min(len(tail), first + MAX_APPEND_ENTRIES)
        while end < limit:
            room -= len(tail[end].payload)
            if room < 0:
                break
            end += 1
        return tuple(tail[first:end])

    def conflict_search(self, index: int, term: int) -> tuple[int, int]:
        """The largest position at or below `index` whose term is at most `term`.

        Both sides of a rejected append use it to skip whole terms (etcd's
        findConflictByTerm); terms never fall along a log, so it bisects.
        """
        low, high = self.start.index, min(index, self.last_index)
        if high < low:
            return high, 0
        if self.start.term > term:
            return low, self.start.term
        while low < high:
            middle = (low + high + 1) // 2
            if self.term(middle) <= term:
                low = middle
            else:
                high = middle - 1
        return low, self.term(low)

    # -- changing

    def append(self, entry: Entry) -> None:
        """Put `entry` at the end; the caller has checked that it follows."""
        if entry.term != self.last_term:
            self.last_term = entry.term
            self._run_first = entry.index
        self.last_index = entry.index
        self.next_offset = end = entry.base + entry.span
        size = len(entry.payload)
        self.uncommitted_bytes += size
        self._tail.append(entry)
        self._open.append((entry.index, end, size))

    def truncate(self, first: int) -> None:
        """Cut off `first` and everything after it; a committed entry is never cut."""
        if first <= self.commit:
            raise AssertionError(f"cut at {first} although {self.commit} is committed")
        last = first - 1
        if last >= self._tail_base:
            del self._tail[last - self._tail_base :]
        else:
            self._tail.clear()
            self._tail_base = last
        if last < self.handed:
            self.truncate_from = min(self.truncate_from or first, first)
            self.handed = last
        self.stable = min(self.stable, last)
        if last < self._run_first:
            self.last_term = self.term(last)
            self._run_first = last
        self.last_index = last
        while self._open and self._open[-1][0] > last:
            self.uncommitted_bytes -= self._open.pop()[2]
        self.next_offset = self._open[-1][1] if self._open else self._end_offset(last)

    def commit_to(self, index: int) -> None:
        """Everything up to `index` is committed; `index` is above the present commit."""
        if not self.commit < index <= self.last_index:
            raise AssertionError(f"commit {index} outside {self.commit}..{self.last_index}")
        pending = self._open
        end = -1
        while pending and pending[0][0] <= index:
            _, end, size = pending.popleft()
            self.uncommitted_bytes -= size
        self.commit_offset = end if end >= 0 else self._end_offset(index)
        self.commit = index

    def take(self) -> list[Entry]:
        """The entries no Ready has held yet; from now on `LogReader` will have them."""
        fresh = self._tail[self.handed - self._tail_base :]
        self.handed = self.last_index
        return fresh

    def stable_to(self, index: int) -> None:
        """Everything up to `index` is durable here: drop it from memory."""
        if index <= self.stable:
            return
        self.stable = index
        if index >= self.last_index:
            self._tail.clear()
        else:
            del self._tail[: index - self._tail_base]
        self._tail_base = index

    def compact(self, position: LogPosition) -> None:
        """A snapshot was taken at `position`: entries up to it may be gone from now on."""
        if position.index > self.commit:
            raise AssertionError(f"snapshot {position.index} above commit {self.commit}")
        if position.index > self.start.index:
            self.start = position

    def restart(self, position: LogPosition) -> None:
        """A leader's snapshot replaced the whole log."""
        if position.index <= self.commit:
            raise AssertionError(f"snapshot {position.index} not above commit {self.commit}")
        self._begin(position)
        self.start = position
        self.commit = position.index
        self.commit_offset = position.offset

    def _end_offset(self, index: int) -> int:
        if index == self.commit:
            return self.commit_offset
        if index == self.start.index:
            return self.start.offset
        return self._reader.end_offset(index)


def check_chain(previous: LogPosition, entries: tuple[Entry, ...]) -> str:
    """What is wrong with `entries` as the continuation of `previous`; empty when nothing is."""
    index, term, _ = previous
    end = -1
    for entry in entries:
        index += 1
        if entry.index != index:
            return f"entry {entry.index} where {index} was due"
        if entry.term < term:
            return f"entry {index} has term {entry.term} after {term}"
        if end >= 0 and entry.base != end:
            return f"entry {index} starts at offset {entry.base} where {end} was due"
        if entry.span < 0 or (entry.span and entry.kind != EntryKind.DATA):
            return f"entry {index} of kind {entry.kind} spans {entry.span} offsets"
        term = entry.term
        end = entry.base + entry.span
    return ""


def check_offset(log: Log, entry: Entry) -> None:
    """Refuse an entry whose offset is not the log's next one: this replica's log has diverged."""
    if entry.base != log.next_offset:
        raise CorruptLog(
            f"the leader's entry {entry.index} starts at offset {entry.base}, but this replica's "
            f"log ends at offset {log.next_offset}: it must be re-replicated"
        )
