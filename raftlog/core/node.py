"""The facade: one replica of one group. See the package's docstring for how to drive it."""

from __future__ import annotations

from raftlog.core import (
    changes,
    election,
    following,
    heartbeats,
    reads,
    replication,
    snapshots,
    transfer,
)
from raftlog.core.replica import Replica, Write
from raftlog.core.roles import Candidate, Event, Follower, Leader
from raftlog.core.timing import Randrange, Timing
from raftlog.core.view import NodeView
from raftlog.errors import PeerFault, RaftError
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    HeartbeatReply,
    Message,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftlog.ready import Ready, SoftState
from raftlog.storage import LogReader
from raftlog.types import (
    MAX_TERM,
    Entry,
    EntryKind,
    HardState,
    ReplicaId,
    Role,
    SnapshotMeta,
)


class Node(NodeView):
    """A replica as its host sees it: events in, `Ready` out. No method blocks or does I/O.

    Every `now_us` is microseconds of one monotonic clock. Errors: PeerFault (a message broke
    the protocol; nothing was changed by it beyond the term), CorruptLog (this replica's log
    cannot be trusted), AssertionError (an invariant of this implementation is broken).
    """

    __slots__ = ("_reported_commit", "_reported_configuration", "_reported_soft")

    def __init__(
        self,
        group: int,
        me: ReplicaId,
        storage: LogReader,
        hard_state: HardState,
        timing: Timing,
        random: Randrange,
        now_us: int,
    ) -> None:
        super().__init__(Replica(group, me, storage, hard_state, timing, random, now_us))
        self._reported_commit = 0
        self._reported_soft: SoftState | None = None
        self._reported_configuration = self.configuration

    # -- events

    def receive(self, now_us: int, sender: ReplicaId, message: Message) -> None:
        """A peer's message. Raises PeerFault when it breaks the protocol."""
        replica = self._replica
        if now_us > replica.now_us:
            replica.now_us = now_us
        term = message.term
        if not 0 <= term <= MAX_TERM:
            raise PeerFault(f"term {term} is outside 0..{MAX_TERM}")
        if sender == replica.me:
            raise PeerFault(f"{sender} is this replica itself")
        if isinstance(message, (VoteRequest, VoteReply)):
            self._receive_vote(sender, message)
        elif isinstance(message, (AppendReply, HeartbeatReply, SnapshotReply)):
            self._receive_reply(sender, message)
        elif term < replica.term:
            # the sender was deposed and does not know it
            replica.send(sender, AppendReply(replica.term, False, 0))
        else:
            self._receive_from_leader(sender, message)

    def _receive_vote(self, sender: ReplicaId, message: VoteRequest | VoteReply) -> None:
        if isinstance(message, VoteRequest):
            election.on_request(self._replica, sender, message)
        else:
            election.on_reply(self._replica, sender, message)

    def _receive_reply(
        self, sender: ReplicaId, message: AppendReply | HeartbeatReply | SnapshotReply
    ) -> None:
        replica = self._replica
        leader = replica.state
        if type(leader) is not Leader or message.term < replica.term:
            return
        progress = leader.peers.get(sender)
        if progress is None:
            return
        if message.term > replica.term:
            replica.become_follower(Event.HIGHER_TERM, message.term, None)
            return
        if heartbeats.silent(replica, progress):
            heartbeats.hurry(replica, leader, progress)
        progress.heard_us = replica.now_us
        if isinstance(message, AppendReply):
            replication.on_append_reply(replica, leader, progress, message)
        elif isinstance(message, HeartbeatReply):
            replication.on_heartbeat_reply(replica, leader, progress, message)
        else:
            snapshots.on_reply(replica, leader, progress, message)

    def _receive_from_leader(
        self, sender: ReplicaId, message: AppendRequest | Heartbeat | SnapshotChunk | TimeoutNow
    ) -> None:
        replica = self._replica
        if message.term > replica.term:
            replica.become_follower(Event.HIGHER_TERM, message.term, sender)
        state = following.hear_leader(replica, sender)
        if isinstance(message, AppendRequest):
            following.on_append(replica, state, sender, message)
        elif isinstance(message, Heartbeat):
            following.on_heartbeat(replica, sender, message)
        elif isinstance(message, SnapshotChunk):
            snapshots.on_chunk(replica, state, sender, message)
        elif replica.may_campaign():
            election.campaign_now(replica, Event.TIMEOUT_NOW)

    def tick(self, now_us: int) -> None:
        """Time has come to `now_us`; does what is due, nothing when that is nothing."""
        replica = self._replica
        if now_us > replica.now_us:
            replica.now_us = now_us
        state = replica.state
        if type(state) is Leader:
            if heartbeats.tick(replica, state):
                snapshots.ask_again(replica, state)
                changes.dismiss(replica, state)
            transfer.tick(replica, state)
        elif type(state) is Candidate:
            election.tick(replica, state)
        elif type(state) is Follower:
            due = state.since_us + state.timeout_us
            if replica.now_us >= due and not state.covered and replica.may_campaign():
                election.campaign(replica)

    def stored(self, number: int) -> None:
        """Ready `number` and all before it are durable."""
        replica = self._replica
        if number > replica.number:
            raise ValueError(f"Ready {number} was never handed out")
        last = -1
        opened = False
        while replica.writes and replica.writes[0].number <= number:
            write = replica.writes.popleft()
            last = write.last_index
            if write.number == replica.hard_number:
                replica.hard_number = 0
                opened = replica.promise_open
            if write.snapshot is not None:
                snapshots.stored(replica, write.snapshot)
                last = min(last, replica.log.last_index)  # a new log may have begun
        if opened:
            replica.release_held()
            election.vote_durable(replica)
        if last > replica.log.stable:
            replica.log.stable_to(last)
            self._log_durable()

    def _log_durable(self) -> None:
        state = self._replica.state
        if type(state) is Leader:
            replication.own_durable(self._replica, state)
        elif type(state) is Follower:
            following.own_durable(self._replica, state)

    # -- requests

    def propose(self, kind: EntryKind, span: int, payload: bytes) -> Entry:
        """Append an entry of DATA or CONTROL; `span` offsets (0 unless DATA).

        Raises NotLeader (also while this leader's no-op is uncommitted or leadership is being
        transferred) and Overloaded (max_uncommitted_bytes).
        """
        if kind != EntryKind.DATA and (kind != EntryKind.CONTROL or span):
            raise ValueError(f"an application proposes DATA, or CONTROL without span: {kind!r}")
        if span < 0:
            raise ValueError(f"span {span} is negative")
        return replication.propose(self._replica, kind, span, payload)

    def change(self, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...] = ()) -> Entry:
        """Make these the group's members; the entry with which that begins.

        The change is complete when `configuration` has these voters and nobody outgoing, and
        `configuration_index` is committed. A new voter must be a learner that has caught up.
        Raises NotLeader, ChangeRefused (try again later) and Misconfigured.
        """
        return changes.propose(self._replica, voters, learners)

    def read(self, context: int, now_us: int = 0) -> None:
        """Ask for a linearizable read; answered in `Ready.reads`, index -1: ask again.

        `now_us`, the time of asking, lets the lease answer if the timing allows that (0: no).
        """
        reads.ask(self._replica, context, now_us)

    def transfer(self, target: ReplicaId) -> None:
        """Hand leadership to `target`; to itself: give up handing it over.

        NotLeader; Misconfigured when it is no voter.
        """
        transfer.begin(self._replica, target)

    def campaign(self, now_us: int) -> None:
        """Start a pre-vote at once, unless this replica leads, or is no voter."""
        replica = self._replica
        replica.now_us = max(replica.now_us, now_us)
        if replica.term >= MAX_TERM:
            raise RaftError(f"group {replica.group} has used up its terms: {MAX_TERM} is the last")
        if replica.role is Role.LEADER or election.pledged(replica):
            return
        if replica.may_campaign():
            election.campaign(replica)

    def snapshot_chunk(
        self, follower: ReplicaId, meta: SnapshotMeta, cursor: int, data: bytes, done: bool
    ) -> None:
        """The host's answer to SnapshotWanted; ignored when it is no longer wanted."""
        leader = self._replica.state
        progress = leader.peers.get(follower) if type(leader) is Leader else None
        if progress is not None:
            chunk = SnapshotChunk(self._replica.term, meta, cursor, data, done)
            snapshots.send(self._replica, progress, chunk)

    def snapshot_taken(self, meta: SnapshotMeta) -> None:
        """A snapshot covers the log up to `meta.position`, which must be committed."""
        replica = self._replica
        if meta.position.index > replica.log.start.index:
            replica.log.compact(meta.position)
            replica.membership.compact(meta.position.index, meta.configuration)

    # -- coalesced heartbeats

    def cover(self, replica: ReplicaId, covered: bool) -> None:
        """Leader: from now on the host's peer heartbeat does (not) speak to `replica`."""
        leader = self._replica.state
        progress = leader.peers.get(replica) if type(leader) is Leader else None
        if type(leader) is not Leader or progress is None or progress.covered == covered:
            return
        heartbeats.wake(self._replica, leader)
        progress.covered = covered
        if not covered:
            progress.heard_us = -1  # the host vouched until now, whenever that is
            progress.known_commit = -1  # it may have restarted: it has to say it itself again
            leader.check_us = min(leader.check_us, self._replica.now_us)  # it counted as heard

    def coverable(self, replica: ReplicaId) -> bool:
        """Leader: `replica` holds the whole log and knows all of it that is committed."""
        leader = self._replica.state
        if type(leader) is not Leader:
            return False
        progress = leader.peers.get(replica)
        log = self._replica.log
        return progress is not None and progress.settled(log.last_index, log.commit)

    def set_covered(self, covered: bool, now_us: int) -> None:
        """Follower: the host hears the leader's process, or no longer does."""
        replica = self._replica
        replica.now_us = max(replica.now_us, now_us)
        state = replica.state
        if type(state) is Follower and (replica.leader is not None or not covered):
            if covered or state.covered:
                state.since_us = replica.now_us
            state.covered = covered

    def heard(self, replica: ReplicaId, now_us: int) -> None:
        """Leader: the host heard `replica`'s process acknowledge its peer heartbeat."""
        leader = self._replica.state
        if type(leader) is Leader:
            progress = leader.peers.get(replica)
            if progress is not None and now_us > progress.heard_us:
                progress.heard_us = now_us

    # -- decisions

    def has_ready(self) -> bool:
        """True when `ready` would have something to say."""
        replica = self._replica
        log = replica.log
        if (
            replica.outbox
            or log.handed < log.last_index
            or replica.hard_dirty
            or replica.soft_dirty
            or replica.reads
            or replica.wanted
            or replica.install is not None
            or log.truncate_from
            or log.commit != self._reported_commit
        ):
            return True
        state = replica.state
        if type(state) is Leader:
            return state.send_due or (replica.confirmed and bool(state.reads.contexts))
        return type(state) is Follower and state.ack_due and replica.promise_open

    def ready(self) -> Ready:
        """Take what was decided since the last call; see `raftlog.ready` for what to do."""
        replica = self._replica
        state = replica.state
        if type(state) is Leader:
            if state.send_due:
                replication.broadcast(replica, state)
            if state.reads.contexts and replica.confirmed:
                reads.begin_round(replica, state)
        elif type(state) is Follower and state.ack_due and replica.promise_open:
            following.ack(replica, state)
        log = replica.log
        self._reported_commit = log.commit
        replica.number += 1
        ready = Ready(
            replica.number,
            False,
            replica.outbox,
            None,
            log.truncate_from,
            log.take(),
            replica.install,
            replica.wanted,
            log.commit,
            replica.reads,
            self._soft_state() if replica.soft_dirty else None,
        )
        replica.outbox = []
        replica.wanted = []
        replica.reads = []
        if replica.membership.active is not self._reported_configuration:
            ready.configuration = self._reported_configuration = replica.membership.active
        self._note_write(ready)
        return ready

    def _note_write(self, ready: Ready) -> None:
        """Remember what `stored(ready.number)` will prove."""
        replica = self._replica
        if replica.hard_dirty:
            ready.hard_state = HardState(replica.term, replica.vote)
            replica.hard_dirty = False
            replica.hard_number = ready.number
        install = replica.install
        if ready.entries or ready.hard_state or ready.truncate_from or install is not None:
            ready.must_store = True
            replica.log.truncate_from = 0
            replica.install = None
            replica.writes.append(Write(ready.number, replica.log.handed, install))

    def _soft_state(self) -> SoftState | None:
        replica = self._replica
        replica.soft_dirty = False
        soft = SoftState(replica.role, replica.term, replica.leader, replica.confirmed)
        if soft == self._reported_soft:
            return None
        self._reported_soft = soft
        return soft
