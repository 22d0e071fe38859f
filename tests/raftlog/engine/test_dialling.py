"""Of every pair exactly one dials, and nobody waits for a call from whom it cannot reach."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from raftlog.engine.dialling import dials


@given(st.frozensets(st.integers(0, 8)))
def test_exactly_one_of_a_pair_dials(voters: frozenset[int]) -> None:
    for one, other in combinations(range(9), 2):
        assert dials(one, other, voters) != dials(other, one, voters)


@given(st.frozensets(st.integers(0, 8), min_size=1))
def test_who_does_not_vote_dials_every_voter(voters: frozenset[int]) -> None:
    for node in range(9):
        if node not in voters:
            assert all(dials(node, voter, voters) for voter in voters)


def test_nobody_dials_itself() -> None:
    assert not dials(1, 1, frozenset([1]))
    assert not dials(4, 4, frozenset([1]))
