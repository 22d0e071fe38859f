"""Raft, broken on purpose: each mutant is one classic mistake, made at run time.

A mutant is a function that patches core, disk or host through pytest's MonkeyPatch. Nothing
here touches the source; the patch is undone when the test ends.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

from pytest import MonkeyPatch

from raftlog.core import election, following, heartbeats, reads, replication
from raftlog.core.node import Node
from raftlog.core.quorum import Outcome
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader
from raftlog.disk.segment_log import SegmentLog
from raftlog.messages import AppendReply, AppendRequest, Heartbeat
from raftlog.ready import ReadState
from raftlog.testing import replica as host
from raftlog.testing.disk import VirtualFile
from raftlog.types import Buffer, HardState

Mutant = Callable[[MonkeyPatch], None]


def acks_before_durable(patch: MonkeyPatch) -> None:
    """A follower acknowledges what it has only written (the pagecache is not a disk)."""
    right = following.on_append

    def on_append(replica: Any, state: Any, sender: Any, request: AppendRequest) -> None:
        right(replica, state, sender, request)
        state.ack_due = True

    def ack(replica: Any, state: Any) -> None:
        state.ack_due = False
        if replica.leader is not None:
            index = min(replica.log.last_index, state.matched)
            replica.outbox.append((replica.leader, AppendReply(replica.term, True, index)))

    patch.setattr(following, "on_append", on_append)
    patch.setattr(following, "ack", ack)


def speaks_before_its_vote_is_durable(patch: MonkeyPatch) -> None:
    """Messages of a new term, votes among them, leave before (term, vote) is on disk."""
    patch.setattr(Replica, "send", lambda self, to, message: self.outbox.append((to, message)))


def forgets_its_vote(patch: MonkeyPatch) -> None:
    """The term is written without the vote."""
    right = Node._note_write

    def note_write(self: Node, ready: Any) -> None:
        right(self, ready)
        if ready.hard_state is not None:
            ready.hard_state = HardState(ready.hard_state.term, None)

    patch.setattr(Node, "_note_write", note_write)


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


def votes_for_shorter_logs(patch: MonkeyPatch) -> None:
    """The up-to-date check of the Raft paper, 5.4.1, is missing."""
    patch.setattr(election, "_up_to_date", lambda replica, request: True)


def commits_old_terms_by_counting(patch: MonkeyPatch) -> None:
    """Figure 8 of the Raft paper."""
    right = replication.advance_commit

    def advance(replica: Any, leader: Leader) -> None:
        leader.first_index = 0
        right(replica, leader)

    patch.setattr(replication, "advance_commit", advance)


def counts_a_minority(patch: MonkeyPatch) -> None:
    """The quorum arithmetic is off by one."""
    patch.setattr(replication, "agreed", lambda values: sorted(values)[len(values) // 2 + 1])


def counts_itself_before_durable(patch: MonkeyPatch) -> None:
    """The leader takes its own log for durable as soon as it is written."""
    right = replication.broadcast

    def broadcast(replica: Any, leader: Leader) -> None:
        leader.own.match = replica.log.last_index
        right(replica, leader)

    patch.setattr(replication, "broadcast", broadcast)


def cuts_matching_suffixes(patch: MonkeyPatch) -> None:
    """Every append replaces all that follows its previous entry, late ones too."""

    def store(replica: Any, state: Any, entries: Any) -> None:
        log = replica.log
        if entries[0].index <= log.commit:
            return
        if entries[0].index <= log.last_index:
            replica.truncate(entries[0].index)
        for entry in entries:
            log.append(entry)

    patch.setattr(following, "_store", store)


def commits_an_unverified_tail(patch: MonkeyPatch) -> None:
    """Heartbeats carry the leader's commit even where the follower's log may differ."""

    def beat(replica: Any, leader: Leader, progress: Any) -> None:
        context = leader.reads.last_round if leader.reads.rounds else 0
        replica.send(progress.replica, Heartbeat(replica.term, replica.log.commit, context))

    patch.setattr(heartbeats, "beat", beat)


def believes_old_acks(patch: MonkeyPatch) -> None:
    """Replies of earlier terms count."""
    right = Node._receive_reply

    def receive(self: Node, sender: Any, message: Any) -> None:
        right(self, sender, message._replace(term=max(message.term, self.term)))

    patch.setattr(Node, "_receive_reply", receive)


def counts_votes_of_other_terms(patch: MonkeyPatch) -> None:
    """A candidate counts a vote that was given to it in an earlier term."""
    patch.setattr(election, "_answers", lambda term, reply: True)


def reads_without_a_quorum(patch: MonkeyPatch) -> None:
    """A leader serves reads on its own word."""

    def ask(replica: Any, context: int) -> None:
        leads = type(replica.state) is Leader
        replica.reads.append(ReadState(context, replica.log.commit if leads else -1))

    patch.setattr(reads, "ask", ask)


def never_asks_again(patch: MonkeyPatch) -> None:
    """A lost append stays lost."""
    patch.setattr(replication, "on_heartbeat_reply", lambda replica, leader, progress, reply: None)


def believes_completions_of_what_was_cut(patch: MonkeyPatch) -> None:
    """A sync that covered a truncated entry counts for the entry that replaced it (ABA)."""

    def truncate(self: Any, first: int) -> None:
        self.log.truncate(first)
        self.membership.truncate(first)

    patch.setattr(Replica, "truncate", truncate)


def two_leaders_fit_in_a_term(patch: MonkeyPatch) -> None:
    """A candidate that hears no for an answer leads all the same."""
    patch.setattr(
        election,
        "outcome",
        lambda configuration, votes: Outcome.WON if len(votes) > 1 else Outcome.PENDING,
    )


def answers_clients_before_commit(patch: MonkeyPatch) -> None:
    """The host acknowledges a write when it is proposed."""
    right = host.Replica.write

    def write(self: Any, payload: bytes, span: int, done: Any) -> bool:
        base = self.node.next_offset
        accepted = right(self, payload, span, lambda ok, base, index: None)
        if accepted:
            done(True, base, 0)
        return accepted

    patch.setattr(host.Replica, "write", write)


def believes_a_disk_that_does_not_sync(patch: MonkeyPatch) -> None:
    """Syncs return at once and make nothing durable."""
    patch.setattr(VirtualFile, "sync", lambda self: None)


def tries_a_failed_sync_again(patch: MonkeyPatch) -> None:
    """The second fsync returns without an error, and the pages are gone all the same."""
    right = VirtualFile.sync

    def sync(self: VirtualFile) -> None:
        try:
            right(self)
        except OSError:
            right(self)

    patch.setattr(VirtualFile, "sync", sync)


def goes_on_on_a_full_disk(patch: MonkeyPatch) -> None:
    """A write for which there was no space, or half of it, is taken for done."""
    right = VirtualFile.pwrite

    def pwrite(self: VirtualFile, buffers: Sequence[Buffer], offset: int) -> None:
        try:
            right(self, buffers, offset)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    patch.setattr(VirtualFile, "pwrite", pwrite)


def records_checkpoints_before_the_files_are_synced(patch: MonkeyPatch) -> None:
    """The write-ahead log lets go of entries that are in the page cache only."""
    patch.setattr(SegmentLog, "sync_job", lambda self: lambda: None)


STORAGE_CATCHES: dict[Mutant, set[str]] = {
    believes_a_disk_that_does_not_sync: {"what was durable is recovered", "CorruptLog"},
    tries_a_failed_sync_again: {"what was durable is recovered", "CorruptLog"},
    goes_on_on_a_full_disk: {"what was durable is recovered", "CorruptLog"},
    records_checkpoints_before_the_files_are_synced: {"CorruptLog"},
}
"""Mistakes that only the real disk code can make."""

CATCHES: dict[Mutant, set[str]] = {
    acks_before_durable: {"nothing is acknowledged before it is durable"},
    speaks_before_its_vote_is_durable: {
        "no vote leaves before it is durable",
        "term is durable before it is used",
    },
    forgets_its_vote: {"no vote leaves before it is durable"},
    votes_twice: {"one vote per term", "one leader per term"},
    votes_for_shorter_logs: {"leader completeness"},
    commits_old_terms_by_counting: {"a leader counts only entries of its own term"},
    counts_a_minority: {"a commit is durable on a quorum"},
    counts_itself_before_durable: {"a commit is durable on a quorum"},
    cuts_matching_suffixes: {"a matching suffix is never cut"},
    commits_an_unverified_tail: {"committed entries never change"},
    believes_old_acks: {"match rests on acknowledgements of the leader's own term"},
    counts_votes_of_other_terms: {"a leader has the votes of a quorum"},
    reads_without_a_quorum: {"linearizable"},
    never_asks_again: {"a healed cluster converges", "a healed cluster serves writes"},
    believes_completions_of_what_was_cut: {
        "a commit is durable on a quorum",
        "match never passes the matching prefix",
        "nothing is acknowledged before it is durable",
        "snapshot <= applied <= committed <= last",
    },
    two_leaders_fit_in_a_term: {"a leader has the votes of a quorum"},
    answers_clients_before_commit: {"no acknowledged write is lost", "linearizable"},
}
"""Each mutant and the invariants that may convict it."""
