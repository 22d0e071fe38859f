"""A histogram that costs two integer additions per value.

Buckets are powers of two, so a value's bucket is the number of its bits: nothing is searched
and nothing allocated. It has one writer at a time; readers take a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

BUCKETS = 64
"""Bucket n counts values above 2**(n-1) and up to 2**n: every int64 has one."""


class HistogramCounts(NamedTuple):
    """What was counted up to one moment."""

    buckets: tuple[int, ...] = (0,) * BUCKETS
    total: int = 0
    """Sum of all values."""

    @property
    def number(self) -> int:
        """How many values there were."""
        return sum(self.buckets)

    def cumulative(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(2**n, how many values are at most that) for n from `first` to `last`."""
        below = sum(self.buckets[:first])
        for n in range(first, last + 1):
            below += self.buckets[n]
            yield 1 << n, below


class Histogram:
    """Counts whole numbers, in whatever unit the owner says."""

    __slots__ = ("_buckets", "_total")

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self._total = 0

    def add(self, value: int) -> None:
        """Count `value`, 0 or more."""
        self._buckets[(value - 1).bit_length()] += 1
        self._total += value

    def statistics(self) -> HistogramCounts:
        """As of now."""
        return HistogramCounts(tuple(self._buckets), self._total)
