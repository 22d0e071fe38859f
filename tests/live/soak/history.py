"""What clients were told of a group's offsets, and whether one log of commits explains it.

Every committed value is unique, so a read names the write that it saw. Times are those of the
client: a write or read took effect somewhere between `start` and `end`.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, TypeAlias

Place: TypeAlias = tuple[str, str, int]
"""Group, topic, partition."""
NOTHING = -1
"""Read where nothing is committed."""
NO_GENERATION = -1


@dataclass(slots=True, eq=False)
class Write:
    """A commit, or with NOTHING a deletion."""

    place: Place
    value: int
    generation: int
    member: str
    start: float
    end: float = math.inf
    """When its last chance to take effect was over; infinite while that is open."""
    acknowledged: bool = False
    refused: bool = False
    instance: str | None = None


class Read(NamedTuple):
    """An offset that a broker answered with error 0."""

    place: Place
    value: int
    broker: int
    start: float
    end: float


class Sync(NamedTuple):
    """An assignment that a member was given."""

    group: str
    generation: int
    member: str
    partitions: frozenset[tuple[str, int]]
    start: float
    end: float
    instance: str | None = None
    """A static member's: whoever has it takes over from the one before, in the same generation."""

    @property
    def who(self) -> str:
        return self.instance or self.member


@dataclass
class History:
    """Filled by many threads, checked when they have ended."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    deletions: list[Write] = field(default_factory=list)
    """Of whole groups: generations may start over."""
    _values: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def writing(
        self, place: Place, generation: int, member: str, instance: str | None = None
    ) -> Write:
        """A commit of a value of its own begins."""
        with self._lock:
            self._values[place] += 1
            value, now = self._values[place], time.monotonic()
            write = Write(place, value, generation, member, now, instance=instance)
            self.writes.append(write)
        return write

    def deleting(self, places: list[Place]) -> list[Write]:
        """A deletion begins."""
        now = time.monotonic()
        found = [Write(place, NOTHING, NO_GENERATION, "", now) for place in places]
        self.writes.extend(found)
        return found

    def violations(self) -> list[str]:
        """Every way in which the answers contradict each other."""
        return [
            *self._two_owners(),
            *self._older_generations(),
            *self._late_members(),
            *self._replaced_members(),
            *self._lost_or_rolled_back(),
        ]

    def _forgotten_between(self, group: str, first: float, last: float) -> bool:
        """May the group have been deleted in between?"""
        return any(
            each.place[0] == group and each.start < last and each.end > first and not each.refused
            for each in self.deletions
        )

    def _two_owners(self) -> Iterator[str]:
        by_generation: dict[tuple[str, int], list[Sync]] = defaultdict(list)
        for sync in self.syncs:
            by_generation[sync.group, sync.generation].append(sync)
        for (group, _), same in by_generation.items():
            for number, one in enumerate(same):
                for other in same[number + 1 :]:
                    differs = one.who == other.who and one.partitions != other.partitions
                    shares = one.who != other.who and one.partitions & other.partitions
                    first, last = min(one.start, other.start), max(one.end, other.end)
                    if (differs or shares) and not self._forgotten_between(group, first, last):
                        yield f"two owners in one generation: {one} and {other}"

    def _older_generations(self) -> Iterator[str]:
        for group, syncs in _by_group(self.syncs).items():
            newest: Sync | None = None
            waiting = sorted(syncs, key=lambda sync: sync.end)
            for sync in sorted(syncs, key=lambda sync: sync.start):
                while waiting and waiting[0].end < sync.start:
                    done = waiting.pop(0)
                    if newest is None or done.generation > newest.generation:
                        newest = done
                if newest is None or sync.generation >= newest.generation:
                    continue
                if self._forgotten_between(group, newest.start, sync.end):
                    newest = None
                else:
                    yield f"generation goes back in {group}: {newest} then {sync}"

    def _late_members(self) -> Iterator[str]:
        syncs = _by_group(self.syncs)
        for write in self.writes:
            if not write.acknowledged or write.generation == NO_GENERATION:
                continue
            for sync in syncs[write.place[0]]:
                if sync.generation > write.generation and sync.end < write.start:
                    if not self._forgotten_between(write.place[0], sync.start, write.end):
                        yield f"commit of an old generation was taken: {write} after {sync}"
                        break

    def _replaced_members(self) -> Iterator[str]:
        """A static member's next life began, and its last one committed."""
        lives: dict[str, dict[str, float]] = defaultdict(dict)
        for sync in sorted(self.syncs, key=lambda sync: sync.end):
            if sync.instance:
                lives[sync.instance].setdefault(sync.member, sync.end)
        for write in self.writes:
            if write.acknowledged and write.instance:
                own = lives[write.instance].get(write.member, math.inf)
                later = [at for at in lives[write.instance].values() if own < at < write.start]
                if later:
                    yield f"commit of a member that was replaced was taken: {write}"

    def _lost_or_rolled_back(self) -> Iterator[str]:
        reads: dict[Place, list[Read]] = defaultdict(list)
        writes: dict[Place, list[Write]] = defaultdict(list)
        for read in self.reads:
            reads[read.place].append(read)
        self._close_windows()
        for write in self.writes:
            writes[write.place].append(write)
        for place, seen in reads.items():
            yield from _contradictions(seen, writes[place])

    def _close_windows(self) -> None:
        """Nothing of a generation takes effect once there is a newer one."""
        syncs = _by_group(self.syncs)
        for write in self.writes:
            if write.end == math.inf and write.generation != NO_GENERATION:
                group = write.place[0]
                newer = [s.end for s in syncs[group] if s.generation > write.generation]
                if newer and not any(d.place[0] == group for d in self.deletions):
                    write.end = max(write.start, min(newer))


def _by_group(syncs: list[Sync]) -> dict[str, list[Sync]]:
    found: dict[str, list[Sync]] = defaultdict(list)
    for sync in syncs:
        found[sync.group].append(sync)
    return found


def _contradictions(reads: list[Read], writes: list[Write]) -> Iterator[str]:
    """A read of what a later write, done before the read began, has covered.

    When a write was read, it had taken effect by the end of that read at the latest.
    """
    by_value = {write.value: write for write in writes if write.value != NOTHING}
    done: dict[int, float] = {w.value: w.end for w in by_value.values() if w.acknowledged}
    for read in reads:
        write = by_value.get(read.value)
        if read.value != NOTHING and (write is None or write.refused or write.start > read.end):
            yield f"read of what was never committed: {read}, {write}"
        elif write is not None:
            done[read.value] = min(done.get(read.value, math.inf), read.end)
    effective = [(end, by_value[value].start, value) for value, end in done.items()]
    effective += [(w.end, w.start, NOTHING) for w in writes if w.value < 0 and w.acknowledged]
    effective.sort()
    # For each number of effective writes: which of them was begun last.
    last = list(accumulate(((start, value) for _, start, value in effective), max))
    erased = [write for write in writes if write.value == NOTHING and not write.refused]
    for read in reads:
        windows = [(w.start, w.end) for w in erased]
        if read.value == NOTHING:
            windows.append((-math.inf, -math.inf))
        elif read.value in by_value:
            write = by_value[read.value]
            windows = [(write.start, min(write.end, done.get(read.value, math.inf)))]
        windows = [window for window in windows if window[0] < read.end]
        latest = max((end for _, end in windows), default=math.inf)
        known = bisect_left(effective, (read.start,))
        if known and last[known - 1][0] > latest:
            value = last[known - 1][1]
            what = f"{by_value[value]}" if value in by_value else "a deletion"
            yield f"commit {value} is lost or rolled back: {what}, then {read}"
