"""Who is counted: mistakes with configurations."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import changes, election, replication
from raftlog.core.membership import Membership
from raftlog.core.quorum import outcome
from raftlog.types import Configuration, Entry
from tests.raftlog.sim.mutants.table import CHURN, mutant


@mutant({"voters change jointly"}, fault=17, circumstances=CHURN)
def changes_voters_at_once(patch: MonkeyPatch) -> None:
    """A new set of voters without a joint configuration."""
    right = changes._append

    def append(replica: Any, leader: Any, configuration: Configuration) -> Entry:
        return right(replica, leader, configuration._replace(outgoing=()))

    patch.setattr(changes, "_append", append)


@mutant({"a commit is durable on a quorum"}, circumstances=CHURN)
def commits_by_the_new_voters_alone(patch: MonkeyPatch) -> None:
    """While joint, the old voters are not asked."""
    right = replication.advance_commit

    def advance(replica: Any, leader: Any) -> None:
        outgoing, leader.outgoing = leader.outgoing, ()
        right(replica, leader)
        leader.outgoing = leader.outgoing or (outgoing if joint(replica) else ())

    def joint(replica: Any) -> bool:
        return bool(replica.membership.active.outgoing)

    patch.setattr(replication, "advance_commit", advance)


@mutant({"a leader has the votes of a quorum"}, circumstances=CHURN)
def elected_by_the_new_voters_alone(patch: MonkeyPatch) -> None:
    """While joint, the old voters' votes are not needed."""
    right = outcome
    patch.setattr(
        election,
        "outcome",
        lambda configuration, votes: right(configuration._replace(outgoing=()), votes),
    )


@mutant({"the newest configuration is in force"}, circumstances=CHURN)
def keeps_configurations_that_were_cut(patch: MonkeyPatch) -> None:
    """No roll-back when the entry is truncated (camunda#57393, canonical/raft#250)."""
    patch.setattr(Membership, "truncate", lambda self, first: None)


@mutant({"one uncommitted configuration at a time"}, circumstances=CHURN)
def leaves_the_joint_configuration_too_early(patch: MonkeyPatch) -> None:
    """A new leader ends it before anything of its term is committed (camunda#60086)."""
    right = replication.lead

    def lead(replica: Any) -> None:
        right(replica)
        active = replica.membership.active
        if active.outgoing:
            changes._append(replica, replica.state, active._replace(outgoing=()))

    patch.setattr(replication, "lead", lead)


@mutant({"one uncommitted configuration at a time"}, circumstances=CHURN)
def changes_before_its_no_op_is_committed(patch: MonkeyPatch) -> None:
    """The single-server bug: two changes of different terms can each commit (copycat#23)."""
    right = changes.propose

    def propose(replica: Any, voters: Any, learners: Any) -> Entry:
        confirmed, replica.confirmed = replica.confirmed, True
        try:
            return right(replica, voters, learners)
        finally:
            replica.confirmed = confirmed

    patch.setattr(changes, "propose", propose)
    patch.setattr(changes, "_check_open", lambda replica, leader: None)
