"""Which survivor's copy of a group has most: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from partitions.recover.copies import Copy
from partitions.recover.report import Report
from raftlog.core.membership import voters_of
from raftlog.core.quorum import Outcome, majority, outcome
from raftlog.errors import Misconfigured
from raftlog.types import Configuration, ReplicaId


class Comparison(NamedTuple):
    """Of one group over several directories."""

    copy: Copy
    """This directory's."""
    best: tuple[int, ...]
    """Nodes with the best copy, this one first if it is among them."""
    best_rank: tuple[int, int]
    """(term, index) of that copy's end."""
    present: tuple[ReplicaId, ...]
    """Voters whose intact copies were compared."""
    configuration: Configuration
    """Of the best copy."""

    @property
    def needed(self) -> int:
        """Voters that make a majority; while they are being exchanged, of the new ones."""
        return majority(len(self.configuration.voters))

    @property
    def worse(self) -> bool:
        """Another directory's copy has more."""
        return self.best_rank > self.copy.rank

    @property
    def majority(self) -> bool:
        """Nothing is lost: the group goes on by itself when these brokers are started.

        While voters are being exchanged, that takes a majority of the outgoing ones as well.
        """
        votes = dict.fromkeys(self.present, True)
        return outcome(self.configuration, votes) is Outcome.WON


def compare(
    mine: Report, others: Sequence[tuple[str, Report]], groups: Sequence[int]
) -> list[Comparison]:
    """One Comparison per group of `groups`; `others` are (file name, report).

    Misconfigured for a report of this directory, of another cluster or side of a recovery, or of
    a directory on which something was forced already.
    """
    for name, other in others:
        _check(mine, name, other)
    reports = [mine, *(other for _, other in others)]
    found = []
    for group in groups:
        copies = [(each.properties.replica, _intact(each, group)) for each in reports]
        held = [(replica, copy) for replica, copy in copies if copy is not None]
        own = next(copy for copy in mine.copies if copy.group == group)
        found.append(_compare(own, held))
    return found


def _compare(own: Copy, held: Sequence[tuple[ReplicaId, Copy]]) -> Comparison:
    best = max([copy for _, copy in held], key=lambda copy: copy.rank, default=own)
    voters = voters_of(best.configuration)
    return Comparison(
        own,
        tuple([replica.node for replica, copy in held if copy.rank == best.rank]),
        best.rank,
        tuple([replica for replica, _ in held if replica in voters]),
        best.configuration,
    )


def _intact(report: Report, group: int) -> Copy | None:
    return next((c for c in report.copies if c.group == group and not c.offline), None)


def _check(mine: Report, name: str, other: Report) -> None:
    if other.properties.cluster_id != mine.properties.cluster_id:
        raise Misconfigured(f"{name} is of cluster {other.properties.cluster_id!r}, not this one")
    if other.properties.replica == mine.properties.replica:
        raise Misconfigured(
            f"{name} is this directory's own report: leave it out, give those of the others"
        )
    if other.properties.recovery != mine.properties.recovery:
        raise Misconfigured(f"{name} is of another side of a forced recovery")
    if other.forced:
        raise Misconfigured(
            f"on {name}'s broker a recovery was forced already: bring this one along with "
            "--follow, or two brokers go on for themselves"
        )
