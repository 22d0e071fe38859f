"""Snapshots for followers that need what the log no longer holds (Raft paper, section 7).

Leader: asks the host for one chunk at a time; the follower's reply asks for the next. A lost
chunk is asked for again after a heartbeat interval, from the follower's cursor.

Follower: hands chunks to the host, and answers each once it is stored. From the last chunk
until the host has installed it the log is about to be replaced: appends are ignored, the
commit does not move and the replica does not campaign. A snapshot it does not need (its log
holds that position) only moves its commit, and whatever follows in its log stays.
"""

from __future__ import annotations

from raftlog.core import heartbeats
from raftlog.core.progress import Progress, ProgressState
from raftlog.core.replica import Replica
from raftlog.core.roles import Follower, Incoming, Leader
from raftlog.errors import PeerFault
from raftlog.messages import SnapshotChunk, SnapshotReply
from raftlog.ready import SnapshotInstall, SnapshotWanted
from raftlog.types import ReplicaId, SnapshotMeta

# -- leader


def begin(replica: Replica, progress: Progress) -> None:
    """The follower's next entry is gone: send it a snapshot instead."""
    progress.snapshot()
    _ask(replica, progress)


def ask_again(replica: Replica, leader: Leader) -> None:
    """Ask for chunks that nothing has been heard of for a heartbeat interval."""
    for progress in leader.peers.values():
        if progress.state is not ProgressState.SNAPSHOT:
            continue
        slow = heartbeats.silent(replica, progress)
        patience = replica.timing.election_max_us if slow else replica.timing.heartbeat_us
        if replica.now_us - progress.asked_us >= patience:
            _ask(replica, progress)


def send(replica: Replica, progress: Progress, chunk: SnapshotChunk) -> None:
    """Pass the host's chunk on, unless the follower has meanwhile moved on."""
    index = chunk.meta.position.index
    expected = index == progress.snapshot_index and chunk.cursor == progress.snapshot_cursor
    newer = index > progress.snapshot_index and chunk.cursor == 0
    if progress.state is not ProgressState.SNAPSHOT or not (expected or newer):
        return  # an answer to a wish that was overtaken: going back for it could go on for ever
    progress.snapshot_index = index
    progress.snapshot_cursor = chunk.cursor
    progress.asked_us = replica.now_us
    replica.send(progress.replica, chunk)


def on_reply(replica: Replica, leader: Leader, progress: Progress, reply: SnapshotReply) -> None:
    """Ask for the next chunk, or go back to appends."""
    if reply.index > replica.log.last_index:
        raise PeerFault(f"snapshot reply for index {reply.index}, which does not exist")
    if reply.installed:
        progress.acked(reply.index, replica.now_us)
        if progress.state is ProgressState.SNAPSHOT:
            progress.replicate()
            leader.send_due = True
    elif progress.state is ProgressState.SNAPSHOT and reply.index == progress.snapshot_index:
        if reply.cursor != progress.snapshot_cursor:  # else: lost or repeated; time will tell
            progress.snapshot_cursor = reply.cursor
            _ask(replica, progress)


def _ask(replica: Replica, progress: Progress) -> None:
    progress.asked_us = replica.now_us
    wanted = SnapshotWanted(progress.replica, progress.snapshot_index, progress.snapshot_cursor)
    replica.wanted.append(wanted)


# -- follower


def on_chunk(replica: Replica, state: Follower, sender: ReplicaId, chunk: SnapshotChunk) -> None:
    """A chunk from the leader this replica follows."""
    position = chunk.meta.position
    log = replica.log
    if replica.installing is not None or replica.install is not None:
        return
    if position.index <= log.commit or log.matches(position.index, position.term):
        _not_needed(replica, state, sender, position.index)
        return
    incoming = state.incoming
    if incoming is None or incoming.meta != chunk.meta:
        incoming = state.incoming = Incoming(chunk.meta, 0)
    if chunk.cursor != incoming.cursor:
        replica.send(sender, SnapshotReply(replica.term, position.index, incoming.cursor, False))
        return
    if chunk.done and (log.handed < log.last_index or log.truncate_from):
        return  # the host first stores what the log holds; the leader asks again
    incoming.cursor += len(chunk.data)
    if chunk.done:
        replica.installing = chunk.meta
    replica.install = SnapshotInstall(sender, chunk.meta, chunk.cursor, chunk.data, chunk.done)


def _not_needed(replica: Replica, state: Follower, sender: ReplicaId, index: int) -> None:
    if index > replica.log.commit:
        replica.advance_commit(index)
    state.matched = max(state.matched, index)
    state.incoming = None
    if replica.log.stable >= index:  # else an append's ack says so when it is
        replica.send(sender, SnapshotReply(replica.term, index, 0, True))


def stored(replica: Replica, install: SnapshotInstall) -> None:
    """The host has stored a chunk; after the last one the log starts behind the snapshot."""
    if install.done:
        _installed(replica, install.meta)
    _reply(replica, install)


def _reply(replica: Replica, install: SnapshotInstall) -> None:
    state = replica.state
    if type(state) is not Follower or replica.leader != install.sender:
        return
    index = install.meta.position.index
    if install.done:
        replica.send(install.sender, SnapshotReply(replica.term, index, 0, True))
    elif state.incoming is not None and state.incoming.meta == install.meta:
        cursor = state.incoming.cursor
        replica.send(install.sender, SnapshotReply(replica.term, index, cursor, False))


def _installed(replica: Replica, meta: SnapshotMeta) -> None:
    replica.installing = None
    replica.log.restart(meta.position)
    replica.clip_writes(meta.position.index)
    replica.membership.compact(meta.position.index, meta.configuration)
    replica.check_confirmed()
    if type(replica.state) is Follower:
        replica.state.matched = meta.position.index
        replica.state.incoming = None
