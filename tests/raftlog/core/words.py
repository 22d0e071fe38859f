"""Messages and Readies in one readable line each, for transcripts."""

from __future__ import annotations

from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    HeartbeatReply,
    Message,
    SnapshotChunk,
    SnapshotReply,
    VoteReply,
    VoteRequest,
)
from raftlog.ready import Ready
from raftlog.types import Entry, EntryKind

from .values import name_of


def of_entry(item: Entry) -> str:
    """index/term and what it holds."""
    text = item.payload.decode() if item.kind is EntryKind.DATA else item.kind.name.lower()
    return f"{item.index}/{item.term} {text}"


def of_message(message: Message) -> str:
    """One message."""
    if isinstance(message, VoteRequest):
        what = "pre-vote" if message.pre_vote else "vote"
        forced = " forced" if message.forced else ""
        return f"{what} {message.term}?{forced} last={message.last_index}/{message.last_term}"
    if isinstance(message, VoteReply):
        what = "pre-vote" if message.pre_vote else "vote"
        return f"{what} {'granted' if message.granted else 'refused'} term={message.term}"
    if isinstance(message, AppendRequest):
        items = ", ".join(of_entry(item) for item in message.entries)
        return (
            f"append term={message.term} after={message.prev_index}/{message.prev_term} "
            f"commit={message.commit} [{items}]"
        )
    return _of_other(message)


def _of_other(message: Message) -> str:
    if isinstance(message, AppendReply):
        if message.accepted:
            return f"ack term={message.term} index={message.index}"
        return (
            f"reject term={message.term} index={message.index} "
            f"hint={message.hint_index}/{message.hint_term}"
        )
    if isinstance(message, Heartbeat):
        return f"heartbeat term={message.term} commit={message.commit} round={message.context}"
    if isinstance(message, HeartbeatReply):
        return f"heard term={message.term} commit={message.commit} round={message.context}"
    if isinstance(message, SnapshotChunk):
        end = message.cursor + len(message.data)
        done = " done" if message.done else ""
        position = message.meta.position
        return f"chunk {position.index}/{position.term} bytes={message.cursor}..{end}{done}"
    if isinstance(message, SnapshotReply):
        return f"chunk reply {message.index} next={message.cursor} installed={message.installed}"
    return f"timeout now term={message.term}"


def of_ready(ready: Ready, commit: int) -> list[str]:
    """What a Ready asks of the disk and the application; messages appear when delivered."""
    lines = []
    if ready.soft_state is not None:
        soft = ready.soft_state
        leader = "-" if soft.leader is None else name_of(soft.leader)
        confirmed = " confirmed" if soft.confirmed else ""
        lines.append(f"{soft.role.name.lower()} term={soft.term} leader={leader}{confirmed}")
    if ready.hard_state is not None:
        vote = "-" if ready.hard_state.vote is None else name_of(ready.hard_state.vote)
        lines.append(f"writes term={ready.hard_state.term} vote={vote}")
    if ready.snapshot is not None:
        done = ", replaces its log" if ready.snapshot.done else ""
        lines.append(f"stores {len(ready.snapshot.data)} bytes of a snapshot{done}")
    if ready.truncate_from:
        lines.append(f"cuts its log from {ready.truncate_from}")
    if ready.entries:
        lines.append(f"writes [{', '.join(of_entry(item) for item in ready.entries)}]")
    if ready.commit != commit:
        lines.append(f"commits up to {ready.commit}")
    for wish in ready.snapshot_wanted:
        lines.append(f"needs snapshot for {name_of(wish.follower)} from byte {wish.cursor}")
    for read in ready.reads:
        lines.append(f"read {read.context} at {read.index}")
    return lines
