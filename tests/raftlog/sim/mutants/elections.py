"""Who may lead: mistakes with votes and terms."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import election
from raftlog.core.node import Node
from raftlog.core.quorum import Outcome
from raftlog.core.replica import Replica
from raftlog.types import HardState
from tests.raftlog.sim.mutants.table import LATE_PACKETS, mutant


@mutant({"no vote leaves before it is durable", "term is durable before it is used"}, fault=3)
def speaks_before_its_vote_is_durable(patch: MonkeyPatch) -> None:
    """Messages of a new term, votes among them, leave before (term, vote) is on disk."""
    patch.setattr(Replica, "send", lambda self, to, message: self.outbox.append((to, message)))


@mutant({"no vote leaves before it is durable"}, fault=3)
def forgets_its_vote(patch: MonkeyPatch) -> None:
    """The term is written without the vote."""
    right = Node._note_write

    def note_write(self: Node, ready: Any) -> None:
        right(self, ready)
        if ready.hard_state is not None:
            ready.hard_state = HardState(ready.hard_state.term, None)

    patch.setattr(Node, "_note_write", note_write)


@mutant({"one vote per term", "one leader per term"})
def votes_twice(patch: MonkeyPatch) -> None:
    """Whoever asks gets a vote, whatever was voted before in this term."""

    def vote(replica: Any, sender: Any, request: Any) -> bool:
        if request.term < replica.term or replica.role.name != "FOLLOWER":
            return False
        if not election._up_to_date(replica, request):
            return False
        replica.vote = None
        replica.promise(replica.term, sender)
        return True

    patch.setattr(election, "_vote", vote)


@mutant({"leader completeness"}, fault=5)
def votes_for_shorter_logs(patch: MonkeyPatch) -> None:
    """The up-to-date check of the Raft paper, 5.4.1, is missing."""
    patch.setattr(election, "_up_to_date", lambda replica, request: True)


@mutant({"a leader has the votes of a quorum"}, circumstances=LATE_PACKETS)
def counts_votes_of_other_terms(patch: MonkeyPatch) -> None:
    """A candidate counts a vote that was given to it in an earlier term."""
    patch.setattr(election, "_answers", lambda term, reply: True)


@mutant({"a leader has the votes of a quorum"})
def two_leaders_fit_in_a_term(patch: MonkeyPatch) -> None:
    """A candidate that hears no for an answer leads all the same."""
    patch.setattr(
        election,
        "outcome",
        lambda configuration, votes: Outcome.WON if len(votes) > 1 else Outcome.PENDING,
    )
