"""The follower's side of log replication (Raft paper, 5.3).

- An append is taken only where the logs are proven to meet; it cuts only from a real conflict
  of terms, so a late or repeated append never removes what it matches.
- Commit follows the leader's, but never past what this append proved to match.
- The ack is sent by `Node.ready` once what it claims is durable: see `ack`.
"""

from __future__ import annotations

from raftlog.core.log import check_chain, check_offset
from raftlog.core.membership import configuration_from_peer
from raftlog.core.replica import Replica
from raftlog.core.roles import Event, Follower, Leader
from raftlog.errors import PeerFault
from raftlog.messages import AppendReply, AppendRequest, Heartbeat, HeartbeatReply
from raftlog.types import Configuration, Entry, EntryKind, LogPosition, ReplicaId


def hear_leader(replica: Replica, sender: ReplicaId) -> Follower:
    """`sender` leads the present term: follow it. PeerFault when somebody else does."""
    state = replica.state
    replica.pledge()
    if type(state) is Follower and replica.leader == sender:
        state.since_us = replica.now_us
        return state
    if type(state) is Leader or replica.leader is not None:
        raise PeerFault(
            f"group {replica.group}: {sender} claims to lead term {replica.term}, "
            f"but {replica.leader} does"
        )
    if type(state) is Follower:
        replica.leader = sender
        replica.soft_dirty = True
        replica.check_confirmed()
        state.since_us = replica.now_us
        return state
    replica.become_follower(Event.LEADER_SEEN, replica.term, sender)
    assert type(replica.state) is Follower
    return replica.state


def on_append(replica: Replica, state: Follower, sender: ReplicaId, request: AppendRequest) -> None:
    """Take the leader's entries, or say where the logs could meet."""
    if replica.installing is not None:
        return
    log = replica.log
    previous, entries = request.prev_index, request.entries
    _check_entries(request)
    verified = previous + len(entries)
    if previous < log.commit:
        entries = _above_commit(replica, request)
        verified = max(verified, log.commit)
    elif previous > log.last_index or log.term(previous) != request.prev_term:
        _reject(replica, sender, request)
        return
    if entries:
        _store(replica, state, entries)
    if verified > state.matched:
        state.matched = verified
    commit = min(request.commit, verified)
    if commit > log.commit:
        replica.advance_commit(commit)
    if log.stable >= verified:
        state.ack_due = True


def ack(replica: Replica, state: Follower) -> None:
    """Tell the leader how far this log is durable and equal to its own."""
    state.ack_due = False
    if replica.leader is not None:
        state.acked = min(replica.log.stable, state.matched)
        replica.outbox.append((replica.leader, AppendReply(replica.term, True, state.acked)))


def own_durable(replica: Replica, state: Follower) -> None:
    """This disk caught up: an ack is due if that is news to the leader."""
    if min(replica.log.stable, state.matched) > state.acked:
        state.ack_due = True


def on_heartbeat(replica: Replica, sender: ReplicaId, heartbeat: Heartbeat) -> None:
    """Learn the commit (the leader bounds it by what is known to match) and answer."""
    log = replica.log
    commit = min(heartbeat.commit, log.last_index)
    if commit > log.commit and replica.installing is None:
        replica.advance_commit(commit)
    replica.send(sender, HeartbeatReply(replica.term, heartbeat.context, log.commit))


def _check_entries(request: AppendRequest) -> None:
    entries = request.entries
    if not entries:
        return
    problem = check_chain(LogPosition(request.prev_index, request.prev_term, 0), entries)
    if not problem and entries[-1].term > request.term:
        problem = f"entry {entries[-1].index} has term {entries[-1].term}, above the leader's"
    if problem:
        raise PeerFault(f"append of term {request.term}: {problem}")


def _above_commit(replica: Replica, request: AppendRequest) -> tuple[Entry, ...]:
    """The entries above this replica's commit; what lies below is known to match."""
    commit = replica.log.commit
    known = commit - request.prev_index
    if known >= len(request.entries):
        return ()
    if request.entries[known - 1].term != replica.log.term(commit):
        raise PeerFault(
            f"group {replica.group}: an append would replace entry {commit}, which is committed"
        )
    return request.entries[known:]


def _reject(replica: Replica, sender: ReplicaId, request: AppendRequest) -> None:
    hint_index, hint_term = replica.log.conflict_search(request.prev_index, request.prev_term)
    reply = AppendReply(replica.term, False, request.prev_index, hint_index, hint_term)
    replica.send(sender, reply)


def _store(replica: Replica, state: Follower, entries: tuple[Entry, ...]) -> None:
    log = replica.log
    first = _first_new(replica, entries)
    if first == len(entries):
        return
    fresh = entries[first:] if first else entries
    configurations: dict[int, Configuration] = {}
    for entry in fresh:
        if entry.kind == EntryKind.CONFIG:
            configurations[entry.index] = configuration_from_peer(entry.index, entry.payload)
    if fresh[0].index <= log.last_index:
        if fresh[0].index <= state.matched:
            raise PeerFault(f"group {replica.group}: the leader contradicts its own appends")
        replica.truncate(fresh[0].index)
    check_offset(log, fresh[0])
    for entry in fresh:
        log.append(entry)
    for index, configuration in configurations.items():
        replica.membership.append(index, configuration)


def _first_new(replica: Replica, entries: tuple[Entry, ...]) -> int:
    """Position in `entries` of the first one the log does not hold."""
    log = replica.log
    overlap = min(log.last_index, entries[-1].index) - entries[0].index + 1
    if overlap <= 0:
        return 0
    if log.term(entries[overlap - 1].index) == entries[overlap - 1].term:
        return overlap  # same index and term: everything before is the same too
    for position in range(overlap):
        if log.term(entries[position].index) != entries[position].term:
            return position
    raise AssertionError("unreachable: the last overlapping entry differs")
