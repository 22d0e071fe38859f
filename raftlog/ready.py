"""What the core decides: the only things a host has to do for it.

A host loop is: feed events to a `Node`, take its `Ready`, and
  1. send `messages` (they promise nothing that is not durable already);
  2. install `snapshot`, cut the log at `truncate_from`, append `entries`, write `hard_state`,
     all in this order and in one sync round;
  3. when that round is durable, call `node.stored(ready.number)`: the core then releases
     the acks and votes that waited for it, in its next Ready;
  4. apply what `commit` newly covers, answer `reads`.
Steps 1, 2 and 4 need not wait for each other, except that 4 never reads past `commit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from raftlog.messages import Message
from raftlog.types import Configuration, Entry, HardState, ReplicaId, Role, SnapshotMeta


class ReadState(NamedTuple):
    """A linearizable read may be served once `index` is applied; `index` < 0: ask again."""

    context: int
    index: int  # type: ignore[assignment]  # takes the name of tuple.index


class SoftState(NamedTuple):
    """Who leads, as far as this replica knows. `confirmed` once the leader's no-op is committed."""

    role: Role
    term: int
    leader: ReplicaId | None
    confirmed: bool


class SnapshotWanted(NamedTuple):
    """A follower needs what the log no longer holds: the host reads its snapshot from `cursor`
    and answers with `node.snapshot_chunk(...)`."""

    follower: ReplicaId
    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    """The snapshot being sent; 0: start the newest one."""
    cursor: int


class SnapshotInstall(NamedTuple):
    """A chunk of the leader's snapshot arrived, for the host to store.

    When `done`, the host installs the snapshot atomically and durably, replaces the group's
    log by an empty one that starts after `meta.position`, and calls `node.stored(number)`.
    """

    sender: ReplicaId
    meta: SnapshotMeta
    cursor: int
    data: bytes
    done: bool


@dataclass(slots=True)
class Ready:
    """One batch of decisions; see the module's docstring for the order of use."""

    number: int
    """Counts up by one per Ready; given back in `Node.stored`."""
    must_store: bool = False
    """True when there is anything in step 2, so that `stored` is owed."""
    messages: list[tuple[ReplicaId, Message]] = field(default_factory=list)
    hard_state: HardState | None = None
    truncate_from: int = 0
    """First index to delete, 0 for none."""
    entries: list[Entry] = field(default_factory=list)
    snapshot: SnapshotInstall | None = None
    snapshot_wanted: list[SnapshotWanted] = field(default_factory=list)
    commit: int = 0
    """The commit index as of now (monotonic)."""
    reads: list[ReadState] = field(default_factory=list)
    soft_state: SoftState | None = None
    """Set when it changed."""
    configuration: Configuration | None = None
    """The one in force, set when it changed; not necessarily committed."""
