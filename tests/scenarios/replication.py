"""Mistakes with appends, commits, snapshots, and leaders that no longer are."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import following, replication, snapshots
from raftlog.core.log import Log
from raftlog.core.node import Node
from raftlog.core.progress import Progress
from raftlog.core.replica import Replica
from raftlog.core.roles import Candidate, Event, Leader
from raftlog.types import Role


def believes_any_commit(patch: MonkeyPatch) -> None:
    """A follower commits what the append says, whatever of its log the append has verified."""
    right = following.on_append

    def on_append(replica: Any, state: Any, sender: Any, request: Any) -> None:
        right(replica, state, sender, request)
        commit = min(request.commit, replica.log.last_index)
        if commit > replica.log.commit:
            replica.advance_commit(commit)

    patch.setattr(following, "on_append", on_append)


def commits_when_a_snapshot_begins(patch: MonkeyPatch) -> None:
    """The first chunk of a snapshot moves the commit, over whatever the log holds."""
    right = snapshots.on_chunk

    def on_chunk(replica: Any, state: Any, sender: Any, chunk: Any) -> None:
        commit = min(chunk.meta.position.index, replica.log.last_index)
        if commit > replica.log.commit:
            replica.advance_commit(commit)
        right(replica, state, sender, chunk)

    patch.setattr(snapshots, "on_chunk", on_chunk)


def cuts_what_is_committed(patch: MonkeyPatch) -> None:
    """Entries at or below the commit are compared like any others."""

    def above(replica: Any, request: Any) -> Any:
        replica.log.commit = min(replica.log.commit, request.prev_index)
        replica.state.matched = 0
        return request.entries

    patch.setattr(following, "_above_commit", above)


def believes_old_rejections(patch: MonkeyPatch) -> None:
    """A rejection sends the leader back, whatever has been acknowledged since."""

    def rejected(replica: Any, leader: Any, progress: Any, reply: Any) -> None:
        found, _ = replica.log.conflict_search(reply.hint_index, reply.hint_term)
        progress.match = min(progress.match, found)
        progress.probe(min(reply.index, found + 1))
        leader.send_due = True

    patch.setattr(replication, "_rejected", rejected)


def believes_any_ack(patch: MonkeyPatch) -> None:
    """An ack of more than the leader has is taken for one of all it has."""
    right = replication.on_append_reply

    def on_reply(replica: Any, leader: Any, progress: Any, reply: Any) -> None:
        index = min(reply.index, replica.log.last_index)
        right(replica, leader, progress, reply._replace(index=index))

    patch.setattr(replication, "on_append_reply", on_reply)


def counts_learners(patch: MonkeyPatch) -> None:
    """Whoever is replicated to counts for the commit."""
    right = replication.advance_commit

    def advance(replica: Any, leader: Leader) -> None:
        voters, leader.voters = leader.voters, (leader.own, *leader.peers.values())
        right(replica, leader)
        leader.voters = voters

    patch.setattr(replication, "advance_commit", advance)


def leads_on_in_later_terms(patch: MonkeyPatch) -> None:
    """A deposed leader takes the new term over and goes on."""
    right = Replica.become_follower

    def become(self: Replica, event: Event, term: int, leader: Any) -> None:
        if type(self.state) is Leader and event is Event.HIGHER_TERM:
            confirmed = self.confirmed
            self.promise(term, None)
            self.confirmed = confirmed
        else:
            right(self, event, term, leader)

    patch.setattr(Replica, "become_follower", become)


def resumes_its_leadership(patch: MonkeyPatch) -> None:
    """Who voted for itself in its last term takes itself for the leader of it after a restart."""
    right = Node.__init__

    def init(self: Node, *arguments: Any) -> None:
        right(self, *arguments)
        replica = self._replica
        if replica.vote == replica.me:
            replica.state, replica.role = Candidate(0, 0), Role.CANDIDATE
            replication.lead(replica)

    patch.setattr(Node, "__init__", init)


def counts_itself_when_it_proposes(patch: MonkeyPatch) -> None:
    """What the leader has appended counts before its disk has it."""
    right = replication.broadcast

    def broadcast(replica: Any, leader: Leader) -> None:
        leader.own.match = replica.log.last_index
        replication.advance_commit(replica, leader)
        right(replica, leader)

    patch.setattr(replication, "broadcast", broadcast)


def takes_a_purged_entry_for_a_conflict(patch: MonkeyPatch) -> None:
    """An append whose previous entry lies in the snapshot is refused."""
    right = following.on_append

    def on_append(replica: Any, state: Any, sender: Any, request: Any) -> None:
        if request.prev_index < replica.log.start.index:
            following._reject(replica, sender, request)
        else:
            right(replica, state, sender, request)

    patch.setattr(following, "on_append", on_append)


def keeps_entries_that_conflict_with_a_snapshot(patch: MonkeyPatch) -> None:
    """A log that reaches the snapshot's index is taken to hold its entry."""
    patch.setattr(
        Log, "matches", lambda self, index, term: self.start.index <= index <= self.last_index
    )


def drops_what_follows_a_snapshot(patch: MonkeyPatch) -> None:
    """A snapshot always replaces the whole log."""
    patch.setattr(Log, "matches", lambda self, index, term: False)


def believes_completions_across_a_snapshot(patch: MonkeyPatch) -> None:
    """A write that was under way when the log was replaced vouches for the new one."""

    patch.setattr(Replica, "clip_writes", lambda self, last: None)


def takes_writes_while_it_hands_over(patch: MonkeyPatch) -> None:
    """The target has to catch up with a log that grows."""
    right = replication.propose

    def propose(replica: Any, kind: Any, span: int, payload: bytes) -> Any:
        leader = replica.state
        transfer = getattr(leader, "transfer", None)
        if transfer is None:
            return right(replica, kind, span, payload)
        leader.transfer = None
        try:
            return right(replica, kind, span, payload)
        finally:
            leader.transfer = transfer

    patch.setattr(replication, "propose", propose)


def hands_over_for_ever(patch: MonkeyPatch) -> None:
    """A transfer that comes to nothing is never given up."""
    patch.setattr("raftlog.core.transfer.tick", lambda replica, leader: None)


def sleeps_before_the_commit_is_known(patch: MonkeyPatch) -> None:
    """A follower that has the log is left alone, although it does not know what is committed."""
    patch.setattr(Progress, "settled", lambda self, last, commit: self.match == last)


def sleeps_over_what_is_missing(patch: MonkeyPatch) -> None:
    """A follower that once had everything is taken to have everything."""
    patch.setattr(
        Progress, "settled", lambda self, last, commit: self.covered or self.match == last
    )
