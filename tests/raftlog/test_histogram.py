"""The histogram of powers of two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftlog.histogram import Histogram

VALUES = st.lists(st.integers(0, 2**62), max_size=30)


@given(VALUES)
def test_every_value_is_counted_at_its_bound_and_above(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    counts = histogram.statistics()
    assert counts.number == len(values)
    assert counts.total == sum(values)
    for bound, below in counts.cumulative(1, 62):
        assert below == sum(value <= bound for value in values), bound


def test_statistics_are_a_copy() -> None:
    histogram = Histogram()
    before = histogram.statistics()
    histogram.add(7)
    assert (before.number, before.total) == (0, 0)
