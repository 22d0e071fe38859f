"""What is replicated and committed: mistakes with acks, truncation and snapshots."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import following, heartbeats, replication
from raftlog.core.node import Node
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader
from raftlog.messages import AppendReply, AppendRequest, Heartbeat
from tests.raftlog.sim.mutants.table import INSTALLS, LATE_PACKETS, mutant


@mutant({"nothing is acknowledged before it is durable"}, fault=1)
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


@mutant({"a commit is durable on a quorum"}, fault=1)
def counts_itself_before_durable(patch: MonkeyPatch) -> None:
    """The leader takes its own log for durable as soon as it is written."""
    right = replication.broadcast

    def broadcast(replica: Any, leader: Leader) -> None:
        leader.own.match = replica.log.last_index
        right(replica, leader)

    patch.setattr(replication, "broadcast", broadcast)


@mutant({"a leader counts only entries of its own term"}, fault=4)
def commits_old_terms_by_counting(patch: MonkeyPatch) -> None:
    """Figure 8 of the Raft paper."""
    right = replication.advance_commit

    def advance(replica: Any, leader: Leader) -> None:
        leader.first_index = 0
        right(replica, leader)

    patch.setattr(replication, "advance_commit", advance)


@mutant({"a commit is durable on a quorum"}, fault=2)
def counts_a_minority(patch: MonkeyPatch) -> None:
    """The quorum arithmetic is off by one."""
    patch.setattr(replication, "agreed", lambda values: sorted(values)[len(values) // 2 + 1])


@mutant({"a matching suffix is never cut"})
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


@mutant({"a matching suffix is never cut", "match never passes the matching prefix"}, fault=6)
def cuts_to_its_commit_for_a_new_leader(patch: MonkeyPatch) -> None:
    """Truncation to the local high watermark (what Kafka did before KIP-101)."""
    right = Replica.become_follower

    def become(self: Any, event: Any, term: int, leader: Any) -> None:
        right(self, event, term, leader)
        if leader is not None and self.installing is None and self.log.commit < self.log.last_index:
            self.truncate(self.log.commit + 1)

    patch.setattr(Replica, "become_follower", become)


@mutant({"CorruptLog", "log matching", "match never passes the matching prefix"}, fault=7)
def keeps_what_conflicts(patch: MonkeyPatch) -> None:
    """Entries of another term at the same index are taken for the leader's own."""
    right = following._first_new

    def first_new(replica: Any, entries: Any) -> int:
        overlap = replica.log.last_index - entries[0].index + 1
        return min(len(entries), overlap) if overlap > 0 else right(replica, entries)

    patch.setattr(following, "_first_new", first_new)


@mutant({"committed entries never change"})
def commits_an_unverified_tail(patch: MonkeyPatch) -> None:
    """Heartbeats carry the leader's commit even where the follower's log may differ."""

    def beat(replica: Any, leader: Leader, progress: Any) -> None:
        context = leader.reads.last_round if leader.reads.rounds else 0
        replica.send(progress.replica, Heartbeat(replica.term, replica.log.commit, context))

    patch.setattr(heartbeats, "beat", beat)


@mutant({"match rests on acknowledgements of the leader's own term"}, circumstances=LATE_PACKETS)
def believes_old_acks(patch: MonkeyPatch) -> None:
    """Replies of earlier terms count."""
    right = Node._receive_reply

    def receive(self: Node, sender: Any, message: Any) -> None:
        right(self, sender, message._replace(term=max(message.term, self.term)))

    patch.setattr(Node, "_receive_reply", receive)


@mutant({"a healed cluster converges", "a healed cluster serves writes"})
def never_asks_again(patch: MonkeyPatch) -> None:
    """A lost append stays lost."""
    patch.setattr(replication, "on_heartbeat_reply", lambda replica, leader, progress, reply: None)


@mutant(
    {
        "a commit is durable on a quorum",
        "match never passes the matching prefix",
        "nothing is acknowledged before it is durable",
        "snapshot <= applied <= committed <= last",
    }
)
def believes_completions_of_what_was_cut(patch: MonkeyPatch) -> None:
    """A sync that covered a truncated entry counts for the entry that replaced it (ABA)."""

    def truncate(self: Any, first: int) -> None:
        self.log.truncate(first)
        self.membership.truncate(first)

    patch.setattr(Replica, "truncate", truncate)


@mutant(
    {"the log has no gap", "the log is what was written to it", "AssertionError"},
    fault=18,
    circumstances=INSTALLS,
)
def takes_appends_while_a_snapshot_is_installed(patch: MonkeyPatch) -> None:
    """What is appended goes to a log that is about to be replaced."""
    right = following.on_append

    def on_append(replica: Any, state: Any, sender: Any, request: Any) -> None:
        installing, replica.installing = replica.installing, None
        right(replica, state, sender, request)
        replica.installing = installing

    patch.setattr(following, "on_append", on_append)
