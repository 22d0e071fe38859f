"""Terms by index and leader epochs by offset: two views of one list of runs.

A run starts at every entry whose term differs from the one before. Kafka's epoch cache
(KIP-101) has one start offset per epoch; of epochs that start at the same offset only the
last is kept, because the earlier ones wrote nothing that is left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from raftlog.types import LogPosition

UNDEFINED = (-1, -1)


class TermRun(NamedTuple):
    """From entry `index` on (its base is `offset`) entries have `term`."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    term: int
    offset: int


class TermRuns:
    """Runs above a snapshot's position, and the epochs that the snapshot brought along."""

    def __init__(self, position: LogPosition, epochs: Sequence[tuple[int, int]]) -> None:
        self._position = position
        self._before = tuple(epochs)
        self._runs: list[TermRun] = []
        self._starts: list[int] = []
        self._epochs: tuple[tuple[int, int], ...] | None = None

    @property
    def last_term(self) -> int:
        """Term of the last entry."""
        return self._runs[-1].term if self._runs else self._position.term

    def append(self, run: TermRun) -> None:
        """The entry at `run.index` was appended and starts a run."""
        self._runs.append(run)
        self._starts.append(run.index)
        self._epochs = None

    def cut(self, first: int) -> None:
        """Entries from `first` on are gone."""
        while self._runs and self._runs[-1].index >= first:
            self._runs.pop()
            self._starts.pop()
            self._epochs = None

    def term(self, index: int) -> int:
        """Term of `index`, which the caller knows to be in the log or the snapshot's."""
        at = bisect_right(self._starts, index) - 1
        return self._runs[at].term if at >= 0 else self._position.term

    def since(self, index: int) -> list[TermRun]:
        """Runs that start at or after `index`."""
        return [run for run in self._runs if run.index >= index]

    def rebase(self, position: LogPosition) -> None:
        """The log below `position` is gone; its epochs are remembered as far as they matter."""
        kept = [run for run in self._runs if run.index > position.index]
        self._before = self.epochs(position.index)
        self._runs = kept
        self._starts = [run.index for run in kept]
        self._position = position
        self._epochs = None

    def epochs(self, until: int | None = None) -> tuple[tuple[int, int], ...]:
        """(epoch, start offset), both rising; with `until` only runs at or below that index."""
        if until is None and self._epochs is not None:
            return self._epochs
        found = list(self._before)
        for run in self._runs:
            if until is not None and run.index > until:
                break
            while found and found[-1][1] >= run.offset:
                found.pop()
            found.append((run.term, run.offset))
        if until is None:
            self._epochs = tuple(found)
        return tuple(found)


def end_of_epoch(epochs: Sequence[tuple[int, int]], asked: int, end_offset: int) -> tuple[int, int]:
    """(epoch, end offset) of the largest epoch <= `asked`; UNDEFINED when there is none to name.

    KIP-101 and KIP-279: the current epoch ends at the log's end; a future epoch is undefined;
    one before the first known ends where the first known starts.
    """
    if asked < 0 or not epochs or asked > epochs[-1][0]:
        return UNDEFINED
    if asked == epochs[-1][0]:
        return asked, end_offset
    at = bisect_right(epochs, asked, key=lambda pair: pair[0])
    epoch = epochs[at - 1][0] if at else asked
    return epoch, epochs[at][1]
