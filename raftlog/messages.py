"""What replicas of one group say to each other.

The envelope (group id, sender, addressee) belongs to the transport; a message holds only
what the protocol needs. Every message carries the sender's term.
"""

from __future__ import annotations

from typing import NamedTuple

from raftlog.types import Entry, SnapshotMeta


class VoteRequest(NamedTuple):
    """RequestVote (Raft paper, figure 2), or a pre-vote for `term` (dissertation, 9.6)."""

    term: int
    """For a pre-vote the term the sender would campaign in; its own term is one less."""
    last_index: int
    last_term: int
    pre_vote: bool
    forced: bool = False
    """Set in a leadership transfer: stickiness to the present leader does not apply."""


class VoteReply(NamedTuple):
    """Answer to a VoteRequest. A granted vote leaves only after it is durable."""

    term: int
    """For a granted pre-vote the term asked about; otherwise the voter's own term."""
    granted: bool
    pre_vote: bool


class AppendRequest(NamedTuple):
    """AppendEntries. Entries follow `prev_index` without a gap; may be empty (a probe)."""

    term: int
    prev_index: int
    prev_term: int
    commit: int
    entries: tuple[Entry, ...]


class AppendReply(NamedTuple):
    """Answer to an AppendRequest, sent when the entries are durable.

    accepted: `index` is the follower's durable index that is known to match the leader.
    rejected: `index` is the `prev_index` refused, `hint_index`/`hint_term` the largest
    position of the follower's log that could match (etcd's reject hint).
    """

    term: int
    accepted: bool
    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    hint_index: int = 0
    hint_term: int = 0


class Heartbeat(NamedTuple):
    """Keeps a leadership; `commit` never exceeds what the follower is known to match."""

    term: int
    commit: int
    context: int
    """Rounds of ReadIndex: echoed in the reply; 0 when no read waits."""


class HeartbeatReply(NamedTuple):
    """Answer to a Heartbeat."""

    term: int
    context: int
    commit: int
    """The follower's own commit index, so that the leader knows what it has been told."""


class SnapshotChunk(NamedTuple):
    """A part of a snapshot. Chunks are sent one at a time, the next on the reply to the last."""

    term: int
    meta: SnapshotMeta
    cursor: int
    """Byte position of `data` in the snapshot's stream."""
    data: bytes
    done: bool


class SnapshotReply(NamedTuple):
    """`cursor` is the next byte wanted; `installed` when the whole snapshot is durable in place."""

    term: int
    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    """The snapshot's index, so that a late reply to another snapshot is told apart."""
    cursor: int
    installed: bool


class TimeoutNow(NamedTuple):
    """Leadership transfer: campaign at once (dissertation, 3.10)."""

    term: int


Message = (
    VoteRequest
    | VoteReply
    | AppendRequest
    | AppendReply
    | Heartbeat
    | HeartbeatReply
    | SnapshotChunk
    | SnapshotReply
    | TimeoutNow
)
