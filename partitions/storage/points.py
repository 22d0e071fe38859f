"""The sparse index of one segment: every few KiB of batches, where one of them starts.

Columns are arrays of machine integers, so that a point costs 20 bytes and a million of them
load in milliseconds. Values are relative to the segment's base offset and first index.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

POINT_BYTES = 20
_BIG = sys.byteorder == "big"


class Point(NamedTuple):
    """A batch boundary: the entry that starts there, relative to the segment's first."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    offset: int
    position: int
    max_before: int
    """Largest timestamp (ms) of the segment's batches that lie before `position`; -1: none."""


class SparseIndex:
    """Points in order of position. The segment's start is an implied point."""

    __slots__ = ("_index", "_max_before", "_offset", "_position")

    def __init__(self) -> None:
        self._index = array("I")
        self._offset = array("I")
        self._position = array("I")
        self._max_before = array("q")

    def __len__(self) -> int:
        return len(self._index)

    def add(self, index: int, offset: int, position: int, max_before: int) -> None:
        """Append a point; all of it must exceed the last one's."""
        self._index.append(index)
        self._offset.append(offset)
        self._position.append(position)
        self._max_before.append(max_before)

    def point(self, at: int) -> Point:
        """Point number `at`; -1 is the segment's start."""
        if at < 0:
            return Point(0, 0, 0, -1)
        return Point(self._index[at], self._offset[at], self._position[at], self._max_before[at])

    def floor_index(self, index: int) -> Point:
        """The last point at or before relative raft index `index`."""
        return self.point(bisect_right(self._index, index) - 1)

    def floor_offset(self, offset: int) -> Point:
        """The last point at or before relative offset `offset`."""
        return self.point(bisect_right(self._offset, offset) - 1)

    def position_at_or_after_index(self, index: int) -> int | None:
        """Byte position of the first point at or after relative raft index `index`."""
        at = bisect_left(self._index, index)
        return self._position[at] if at < len(self._index) else None

    def block_of_time(self, timestamp_ms: int) -> Point:
        """Where to start looking for the first batch that reaches `timestamp_ms`.

        `max_before` never falls from one point to the next: the batch looked for lies behind
        the last point that has only older ones before it.
        """
        return self.point(bisect_left(self._max_before, timestamp_ms) - 1)

    def cut(self, index: int) -> None:
        """Forget the points at or after relative raft index `index`."""
        at = bisect_left(self._index, index)
        del self._index[at:], self._offset[at:], self._position[at:], self._max_before[at:]

    def encode(self, low: int) -> bytes:
        """Points from number `low` on: four little-endian columns."""
        columns = (
            self._index[low:],
            self._offset[low:],
            self._position[low:],
            self._max_before[low:],
        )
        if _BIG:
            for column in columns:
                column.byteswap()
        return b"".join([column.tobytes() for column in columns])

    def extend(self, data: bytes) -> None:
        """Append what `encode` made. Raises ValueError when the columns do not fit."""
        count, odd = divmod(len(data), POINT_BYTES)
        if odd:
            raise ValueError("an index record has an odd length")
        at = 0
        for column in (self._index, self._offset, self._position, self._max_before):
            more = array(column.typecode)
            more.frombytes(data[at : at + count * column.itemsize])
            at += count * column.itemsize
            if _BIG:
                more.byteswap()
            column.extend(more)
