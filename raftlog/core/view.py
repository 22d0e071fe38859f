"""What a host may ask a node about, at any time and at next to no cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from raftlog.core import changes, heartbeats
from raftlog.core.progress import Progress
from raftlog.core.replica import Replica
from raftlog.core.roles import Candidate, Follower, Leader
from raftlog.types import Configuration, ReplicaId, Role


class NodeStatistics(NamedTuple):
    """One replica at one moment."""

    role: Role
    term: int
    leader: ReplicaId | None
    confirmed: bool
    commit: int
    stable: int
    last_index: int
    uncommitted_bytes: int
    waiting_reads: int
    held_messages: int
    """Messages that wait for the present term to be durable."""
    unstored_writes: int
    """Readies handed out whose `stored` has not come."""


class NodeView:
    """The read-only side of `Node`. Nothing here changes the replica."""

    __slots__ = ("_replica",)

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    @property
    def deadline(self) -> int | None:
        """When `tick` is wanted next; None: not before another event."""
        replica = self._replica
        state = replica.state
        if type(state) is Leader:
            if heartbeats.quiet(replica, state):
                return None
            if state.heartbeat_us is None:
                return replica.now_us
            due = min(state.heartbeat_us, state.check_us)
            return due if state.transfer is None else min(due, state.transfer.due_us)
        if type(state) is Candidate:
            return min(state.due_us, state.resend_us)
        assert type(state) is Follower
        if state.covered or not replica.may_campaign():
            return None
        return state.since_us + state.timeout_us

    @property
    def group(self) -> int:
        """The group's id."""
        return self._replica.group

    @property
    def me(self) -> ReplicaId:
        """This replica."""
        return self._replica.me

    @property
    def transferring(self) -> bool:
        """Does this leader hand its leadership over? False again once that is given up."""
        return self.successor is not None

    @property
    def successor(self) -> ReplicaId | None:
        """To whom this leader hands its leadership over."""
        state = self._replica.state
        if type(state) is not Leader or state.transfer is None:
            return None
        return state.transfer.target

    @property
    def role(self) -> Role:
        """The part it plays."""
        return self._replica.role

    @property
    def term(self) -> int:
        """Its current term; not durable while a Ready with a hard state is being stored."""
        return self._replica.term

    @property
    def vote(self) -> ReplicaId | None:
        """Whom it voted for in that term."""
        return self._replica.vote

    @property
    def leader(self) -> ReplicaId | None:
        """Who leads the term, as far as it knows."""
        return self._replica.leader

    @property
    def confirmed(self) -> bool:
        """An entry of the present term is committed: the leader may serve."""
        return self._replica.confirmed

    @property
    def commit(self) -> int:
        """Index of the last entry known to be committed."""
        return self._replica.log.commit

    @property
    def commit_offset(self) -> int:
        """Offset after the last committed entry: the high watermark."""
        return self._replica.log.commit_offset

    @property
    def stable(self) -> int:
        """Index of the last entry that is durable here."""
        return self._replica.log.stable

    @property
    def last_index(self) -> int:
        """Index of the last entry."""
        return self._replica.log.last_index

    @property
    def last_term(self) -> int:
        """Term of the last entry."""
        return self._replica.log.last_term

    @property
    def next_offset(self) -> int:
        """Offset the next entry will start at."""
        return self._replica.log.next_offset

    @property
    def uncommitted_bytes(self) -> int:
        """Payload appended but not committed."""
        return self._replica.log.uncommitted_bytes

    def term_of(self, index: int) -> int:
        """Term of entry `index`; Compacted below the snapshot, IndexError after the end."""
        return self._replica.log.term(index)

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self._replica.membership.active

    @property
    def configuration_index(self) -> int:
        """Index of the entry that holds it; 0 when the snapshot or the group's birth does."""
        return self._replica.membership.index

    def configuration_at(self, index: int) -> Configuration:
        """The configuration in force at `index`, which is not below the snapshot."""
        return self._replica.membership.at(index)

    @property
    def lease_until_us(self) -> int:
        """Leader: until then a read asked with the time needs no round; 0: it does."""
        leader = self._replica.state
        return leader.lease_until_us if type(leader) is Leader else 0

    def caught_up(self, learner: ReplicaId) -> bool:
        """Leader: `learner` has so much of the log that `change` would let it vote."""
        replica = self._replica
        progress = self.progress.get(learner)
        return progress is not None and changes.caught_up(replica, progress)

    @property
    def slowest_live_match(self) -> int:
        """Leader: every follower that is heard has the log up to here; 0 for the others.

        A host that cuts its log no further spares followers that are only a little behind a
        whole snapshot; it need not wait for one that is away.
        """
        replica = self._replica
        leader = replica.state
        if type(leader) is not Leader:
            return 0
        live = [p.match for p in leader.peers.values() if not heartbeats.silent(replica, p)]
        return min(live, default=replica.log.last_index)

    @property
    def progress(self) -> Mapping[ReplicaId, Progress]:
        """Leader: what it knows of each other member; empty for the others. Read only."""
        leader = self._replica.state
        return leader.peers if type(leader) is Leader else {}

    def statistics(self) -> NodeStatistics:
        """Numbers for an operator; costs a few microseconds."""
        replica, state = self._replica, self._replica.state
        return NodeStatistics(
            role=replica.role,
            term=replica.term,
            leader=replica.leader,
            confirmed=replica.confirmed,
            commit=replica.log.commit,
            stable=replica.log.stable,
            last_index=replica.log.last_index,
            uncommitted_bytes=replica.log.uncommitted_bytes,
            waiting_reads=state.reads.waiting if type(state) is Leader else 0,
            held_messages=len(replica.held),
            unstored_writes=len(replica.writes),
        )
