"""Quorum arithmetic, and nothing else: who has won, what is agreed.

A joint configuration needs a majority of the incoming voters *and* of the outgoing ones
(Raft paper, section 6). Learners never count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

from raftlog.types import Configuration, ReplicaId


class Outcome(Enum):
    """Of an election, so far."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(voters: int) -> int:
    """How many of `voters` are enough."""
    return voters // 2 + 1


def agreed(values: Collection[int]) -> int:
    """The largest value that a majority has reached; one value per voter, 0 for no voters."""
    count = len(values)
    if count == 0:
        return 0
    return sorted(values)[(count - 1) // 2]


def outcome(configuration: Configuration, votes: Mapping[ReplicaId, bool]) -> Outcome:
    """Of an election among `configuration`, given each voter's one answer."""
    halves = [_half(configuration.voters, votes)]
    if configuration.outgoing:
        halves.append(_half(configuration.outgoing, votes))
    if Outcome.LOST in halves:
        return Outcome.LOST
    if Outcome.PENDING in halves:
        return Outcome.PENDING
    return Outcome.WON


def _half(voters: tuple[ReplicaId, ...], votes: Mapping[ReplicaId, bool]) -> Outcome:
    needed = majority(len(voters))
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    refused = sum(1 for voter in voters if votes.get(voter) is False)
    if granted >= needed:
        return Outcome.WON
    if len(voters) - refused < needed:
        return Outcome.LOST
    return Outcome.PENDING
