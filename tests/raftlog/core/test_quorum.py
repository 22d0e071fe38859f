"""Quorum arithmetic against a second, deliberately dumb implementation."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from raftlog.core.quorum import Outcome, agreed, outcome
from raftlog.types import Configuration, ReplicaId

IDS = tuple(ReplicaId(node, bytes([node]) * 16) for node in range(7))


def quorums(voters: tuple[ReplicaId, ...]) -> list[set[ReplicaId]]:
    """Every set that is more than half of the voters."""
    return [
        set(chosen)
        for size in range(len(voters) + 1)
        for chosen in combinations(voters, size)
        if size * 2 > len(voters)
    ]


def some_quorum(configuration: Configuration, members: set[ReplicaId]) -> bool:
    """`members` holds a quorum of every half that is in force."""
    halves = [half for half in configuration[:2] if half]
    return bool(halves) and all(
        any(quorum <= members for quorum in quorums(half)) for half in halves
    )


voter_lists = st.lists(st.sampled_from(IDS), unique=True, max_size=6).map(tuple)


@given(st.lists(st.integers(0, 9), max_size=7))
def test_agreed_is_the_largest_value_that_a_quorum_reached(values: list[int]) -> None:
    voters = IDS[: len(values)]
    reached = [min(values[voters.index(member)] for member in quorum) for quorum in quorums(voters)]
    assert agreed(values) == max(reached, default=0)


@given(voter_lists, voter_lists, st.dictionaries(st.sampled_from(IDS), st.booleans()))
def test_outcome(
    voters: tuple[ReplicaId, ...],
    outgoing: tuple[ReplicaId, ...],
    votes: dict[ReplicaId, bool],
) -> None:
    if outgoing and not voters:
        voters, outgoing = outgoing, ()
    configuration = Configuration(voters, outgoing)
    granted = {voter for voter, vote in votes.items() if vote}
    possible = set(IDS) - {voter for voter, vote in votes.items() if not vote}
    if some_quorum(configuration, granted):
        expected = Outcome.WON
    elif some_quorum(configuration, possible):
        expected = Outcome.PENDING
    else:
        expected = Outcome.LOST
    assert outcome(configuration, votes) is expected
