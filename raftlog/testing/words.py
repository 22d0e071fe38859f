"""Messages and Readies in one readable line each, for transcripts."""

from __future__ import annotations

from collections.abc import Callable

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
from raftlog.testing.machine import OPERATION
from raftlog.types import Configuration, Entry, EntryKind, ReplicaId

Naming = Callable[[ReplicaId], str]
"""How a transcript calls its replicas."""


def by_node(replica: ReplicaId) -> str:
    """The name that the simulation's traces and its referee use."""
    return f"n{replica.node}"


def of_entry(item: Entry) -> str:
    """index/term and what it holds; the simulation's operations by their number."""
    return f"{item.index}/{item.term} {_content(item)}"


def _content(item: Entry) -> str:
    if item.kind != EntryKind.DATA:
        return EntryKind(item.kind).name.lower()
    if item.payload[:1] == b"\0":
        return f"op{OPERATION.unpack_from(item.payload)[0]}"
    return item.payload.decode()


def of_members(configuration: Configuration, name: Naming) -> str:
    """Who votes, who did before the change that is under way, and who learns."""
    shown = [" ".join(name(item) for item in part) or "-" for part in configuration]
    return f"voters {shown[0]} outgoing {shown[1]} learners {shown[2]}"


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


def kind_of(text: str) -> str:
    """What kind of message a text of `of_message` tells of: its words up to the first number."""
    kind: list[str] = []
    for word in text.split(" "):
        if not word.replace("-", "").isalpha():
            break
        kind.append(word)
    return " ".join(kind)


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


def of_ready(ready: Ready, commit: int, name: Naming = by_node) -> list[str]:
    """What a Ready asks of the disk and the application; messages appear when delivered."""
    lines = []
    if ready.soft_state is not None:
        soft = ready.soft_state
        leader = "-" if soft.leader is None else name(soft.leader)
        confirmed = " confirmed" if soft.confirmed else ""
        lines.append(f"{soft.role.name.lower()} term={soft.term} leader={leader}{confirmed}")
    if ready.hard_state is not None:
        vote = "-" if ready.hard_state.vote is None else name(ready.hard_state.vote)
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
        lines.append(f"needs snapshot for {name(wish.follower)} from byte {wish.cursor}")
    for read in ready.reads:
        lines.append(f"read {read.context} at {read.index}")
    return lines
