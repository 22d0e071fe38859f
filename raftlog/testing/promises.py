"""What a directory has promised to others, and whether its disk can keep it.

A message is a promise the moment it is sent: an accepted append says "these entries survive my
power loss", a vote says "I shall never give another in this term". Both are compared with what
is durable at that very moment, and remembered for all later incarnations of the directory.
"""

from __future__ import annotations

from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    Message,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftlog.testing.history import History, Violation
from raftlog.testing.store import Image
from raftlog.types import HardState, ReplicaId

_OF_A_LEADER = (AppendRequest, Heartbeat, SnapshotChunk, TimeoutNow)


class Promises:
    """Every directory's word, over all its incarnations."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._votes: dict[tuple[ReplicaId, int], ReplicaId] = {}
        self._terms: dict[ReplicaId, int] = {}
        self._acknowledged: dict[tuple[ReplicaId, int], int] = {}

    def sent(self, replica: ReplicaId, durable: Image, target: ReplicaId, message: Message) -> None:
        """Check one outgoing message against what `replica` has durable."""
        if isinstance(message, _OF_A_LEADER):
            self._claims_term(replica, durable, message)
            self._leads(replica, durable, message.term)
        elif isinstance(message, AppendReply):
            self._claims_term(replica, durable, message)
            if message.accepted:
                self._acknowledges(replica, durable, message.term, message.index)
        elif isinstance(message, VoteReply):
            if message.granted and not message.pre_vote:
                self._votes_for(replica, durable, target, message.term)
        elif isinstance(message, VoteRequest):
            if not message.pre_vote:
                self._votes_for(replica, durable, replica, message.term)
        elif isinstance(message, SnapshotReply):
            self._claims_term(replica, durable, message)
            if message.installed:
                self._acknowledges(replica, durable, message.term, message.index)
        else:
            self._claims_term(replica, durable, message)

    def wrote(self, replica: ReplicaId, before: HardState, after: HardState) -> None:
        """Check a hard state on its way to the disk."""
        if after.term < before.term:
            raise Violation(
                "term is monotonic", f"n{replica.node} writes {after.term} after {before.term}"
            )
        if after.term == before.term and before.vote not in (None, after.vote):
            raise Violation(
                "one vote per term",
                f"n{replica.node} replaces its vote of term {after.term}",
            )

    def restarted(self, replica: ReplicaId, state: HardState) -> None:
        """Check what a directory remembers against what it has said."""
        said = self._terms.get(replica, 0)
        if state.term < said:
            raise Violation(
                "term is monotonic",
                f"n{replica.node} restarts in term {state.term}, it has spoken in term {said}",
            )
        cast = self._votes.get((replica, state.term))
        if cast is not None and cast != state.vote:
            raise Violation(
                "one vote per term",
                f"n{replica.node} forgot its vote for n{cast.node} in term {state.term}",
            )

    def has_vote(self, candidate: ReplicaId, voter: ReplicaId, term: int) -> bool:
        """True when `voter` has sent its vote for `candidate` in `term`."""
        return self._votes.get((voter, term)) == candidate

    def acknowledged(self, replica: ReplicaId, term: int) -> int:
        """The highest index `replica` has acknowledged in `term`; 0 for none."""
        return self._acknowledged.get((replica, term), 0)

    def _claims_term(self, replica: ReplicaId, durable: Image, message: Message) -> None:
        term = message.term
        if durable.hard_state.term < term:
            raise Violation(
                "term is durable before it is used",
                f"n{replica.node} sends {message} while {durable.hard_state} is durable",
            )
        if self._terms.get(replica, 0) < term:
            self._terms[replica] = term

    def _votes_for(
        self, replica: ReplicaId, durable: Image, candidate: ReplicaId, term: int
    ) -> None:
        if durable.hard_state != (term, candidate):
            raise Violation(
                "no vote leaves before it is durable",
                f"n{replica.node} votes for n{candidate.node} in term {term}"
                f" while {durable.hard_state} is durable",
            )
        cast = self._votes.setdefault((replica, term), candidate)
        if cast != candidate:
            raise Violation(
                "one vote per term",
                f"n{replica.node} votes for n{cast.node} and n{candidate.node} in term {term}",
            )
        self._terms[replica] = max(term, self._terms.get(replica, 0))

    def _acknowledges(self, replica: ReplicaId, durable: Image, term: int, index: int) -> None:
        if durable.last_index < index:
            raise Violation(
                "nothing is acknowledged before it is durable",
                f"n{replica.node} acknowledges {index}, durable is {durable.last_index}",
            )
        if index > self.acknowledged(replica, term):
            self._acknowledged[replica, term] = index
        entry_term = durable.term_at(index)
        if entry_term is not None and entry_term > term:
            raise Violation(
                "an acknowledgement is about its own term's log",
                f"n{replica.node} acknowledges {index}/{entry_term} to a leader of {term}",
            )

    def _leads(self, replica: ReplicaId, durable: Image, term: int) -> None:
        known = self._history.leaders.get(term)
        if known is None or known[0] != replica:
            raise Violation(
                "only the leader speaks for its term", f"n{replica.node} leads term {term}"
            )
        if durable.hard_state.term == term and durable.hard_state.vote != replica:
            raise Violation("one vote per term", f"n{replica.node} leads {term} without its vote")
