"""The leader's side of log replication and commit (Raft paper, 5.3 and 5.4.2).

- Appends leave in parallel with the leader's own write; the leader counts itself only up to
  what its disk has made durable, like anybody else.
- Only entries of the leader's own term are committed by counting; earlier ones follow.
- A reply counts only in the term it was made in. A rejection at or below `match` is old.
- What is lost is found by heartbeat replies: a follower that answers but has not acked for an
  interval is shown the end of what it was sent, without entries; if something is missing it
  rejects that and says where its log ends.
"""

from __future__ import annotations

from raftlog.core import changes, heartbeats, reads, snapshots, transfer
from raftlog.core.log import Log
from raftlog.core.membership import members_of
from raftlog.core.progress import Progress, ProgressState
from raftlog.core.quorum import agreed
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader
from raftlog.errors import Compacted, NotLeader, Overloaded, PeerFault
from raftlog.messages import AppendReply, AppendRequest, HeartbeatReply
from raftlog.types import Entry, EntryKind


def lead(replica: Replica) -> None:
    """The election is won: set up everyone's progress and append the term's no-op."""
    log, now, configuration = replica.log, replica.now_us, replica.membership.active
    own = Progress(replica.me, log.last_index + 1, now)
    own.match = log.stable
    everyone = {
        member: own if member == replica.me else Progress(member, log.last_index + 1, now)
        for member in members_of(configuration)
    }
    state = Leader(
        own=own,
        peers={member: p for member, p in everyone.items() if p is not own},
        voters=tuple(everyone[voter] for voter in configuration.voters),
        outgoing=tuple(everyone[voter] for voter in configuration.outgoing),
        first_index=log.last_index + 1,
        heartbeat_us=now + replica.timing.heartbeat_us,
        check_us=now + replica.timing.election_max_us,
    )
    replica.become_leader(state)
    _append(replica, state, EntryKind.NOOP, 0, b"")


def propose(replica: Replica, kind: EntryKind, span: int, payload: bytes) -> Entry:
    """Append the application's entry; it leaves with the next Ready."""
    leader = replica.state
    if type(leader) is not Leader or not replica.confirmed:
        raise NotLeader(_why_not(replica), replica.leader)
    if leader.transfer is not None:
        target = leader.transfer.target
        raise NotLeader(
            f"group {replica.group}: leadership is being transferred to {target}", replica.leader
        )
    log = replica.log
    limit = replica.timing.max_uncommitted_bytes
    if log.uncommitted_bytes and log.uncommitted_bytes + len(payload) > limit:
        raise Overloaded(
            f"group {replica.group}: {log.uncommitted_bytes} bytes wait for a quorum, the limit "
            f"is {limit} (max_uncommitted_bytes); try again later"
        )
    if leader.heartbeat_us is not None:
        heartbeats.wake(replica, leader)
    return _append(replica, leader, kind, span, payload)


def _append(replica: Replica, leader: Leader, kind: EntryKind, span: int, payload: bytes) -> Entry:
    log = replica.log
    entry = Entry(log.last_index + 1, replica.term, kind, log.next_offset, span, payload)
    log.append(entry)
    leader.send_due = True
    return entry


def _why_not(replica: Replica) -> str:
    if replica.leader is None:
        return f"group {replica.group} has no leader that this replica knows of"
    if replica.leader == replica.me:
        return f"group {replica.group}: this leader's first entry is not committed yet"
    return f"group {replica.group} is led by {replica.leader}"


# -- sending


def broadcast(replica: Replica, leader: Leader) -> None:
    """Send every follower what flow control lets it have."""
    leader.send_due = False
    built: dict[int, tuple[AppendRequest, int]] = {}
    for progress in leader.peers.values():
        _feed(replica, leader, progress, built)


def _feed(
    replica: Replica,
    leader: Leader,
    progress: Progress,
    built: dict[int, tuple[AppendRequest, int]],
) -> None:
    """`built` holds the appends of this broadcast: followers that are level share them."""
    log, timing = replica.log, replica.timing
    sent = False
    while progress.next <= log.last_index and progress.may_send(timing):
        item = built.get(progress.next)
        if item is None:
            item = _build(replica, progress.next)
            if item is None:
                snapshots.begin(replica, progress)
                return
            built[progress.next] = item
        request, size = item
        last = request.prev_index + len(request.entries)
        replica.send(progress.replica, request)
        progress.sent(last, size, replica.now_us)
        progress.told_commit = max(progress.told_commit, min(request.commit, last))
        sent = True
    if timing.eager_commit and not sent:
        if progress.told_commit < min(log.commit, progress.match):
            heartbeats.beat(replica, leader, progress)


def _build(replica: Replica, low: int) -> tuple[AppendRequest, int] | None:
    """The append that starts at `low` and its payload bytes; None when `low` is gone."""
    log = replica.log
    try:
        previous_term = log.term(low - 1)
        entries = log.entries(low, replica.timing.max_append_bytes)
    except Compacted:
        return None
    size = 0
    for entry in entries:
        size += len(entry.payload)
    return AppendRequest(replica.term, low - 1, previous_term, log.commit, entries), size


# -- replies


def on_append_reply(
    replica: Replica, leader: Leader, progress: Progress, reply: AppendReply
) -> None:
    """A follower's durable position, or its refusal."""
    if not reply.accepted:
        _rejected(replica, leader, progress, reply)
        return
    log = replica.log
    if reply.index > log.last_index:
        raise PeerFault(f"ack of index {reply.index}, but the log ends at {log.last_index}")
    news = progress.acked(reply.index, replica.now_us)
    if progress.state is not ProgressState.REPLICATE and _logs_meet(progress, reply, log):
        progress.replicate()
    if progress.next <= log.last_index:
        leader.send_due = True
    if news:
        advance_commit(replica, leader)
        if replica.state is not leader:
            return  # the commit completed its own removal
        if replica.timing.eager_commit and progress.told_commit < log.commit:
            leader.send_due = True
        if leader.transfer is not None:
            transfer.advance(replica, leader, progress)


def _logs_meet(progress: Progress, reply: AppendReply, log: Log) -> bool:
    if progress.state is ProgressState.PROBE:
        return reply.index >= progress.match
    return progress.match >= log.start.index


def _rejected(replica: Replica, leader: Leader, progress: Progress, reply: AppendReply) -> None:
    if reply.index <= progress.match or progress.state is ProgressState.SNAPSHOT:
        return
    if progress.state is ProgressState.PROBE and reply.index != progress.next - 1:
        return
    found, _ = replica.log.conflict_search(reply.hint_index, reply.hint_term)
    progress.probe(min(reply.index, found + 1))
    leader.send_due = True


def on_heartbeat_reply(
    replica: Replica, leader: Leader, progress: Progress, reply: HeartbeatReply
) -> None:
    """The follower lives; does it lack something it should have acked by now?"""
    if reply.commit > progress.known_commit:
        progress.known_commit = reply.commit
    if reply.context:
        reads.acknowledge(replica, leader, progress, reply.context)
    if progress.match == replica.log.last_index:
        return
    if replica.now_us - progress.progress_us < replica.timing.heartbeat_us:
        return
    if progress.state is ProgressState.PROBE:
        progress.probe_sent = False
        leader.send_due = True
    elif progress.state is ProgressState.REPLICATE and progress.inflight:
        _show_end(replica, progress)


def _show_end(replica: Replica, progress: Progress) -> None:
    """Ask for an ack, or a rejection, of everything sent so far."""
    progress.progress_us = replica.now_us
    log, previous = replica.log, progress.next - 1
    if previous < log.start.index:
        snapshots.begin(replica, progress)  # what is unanswered has been compacted away
        return
    request = AppendRequest(replica.term, previous, log.term(previous), log.commit, ())
    replica.send(progress.replica, request)


# -- commit


def advance_commit(replica: Replica, leader: Leader) -> None:
    """Commit what a quorum of every active configuration holds durably, in our own term."""
    index = agreed([progress.match for progress in leader.voters])
    if leader.outgoing:
        index = min(index, agreed([progress.match for progress in leader.outgoing]))
    if index > replica.log.commit and index >= leader.first_index:
        replica.advance_commit(index)
        if replica.timing.eager_commit:
            leader.send_due = True
        changes.committed(replica, leader)


def own_durable(replica: Replica, leader: Leader) -> None:
    """The leader's disk caught up."""
    leader.own.match = replica.log.stable
    advance_commit(replica, leader)
