"""One group as the engine sees it: a core node, its log, its application, its waiters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from raftlog.core import Node
from raftlog.errors import GroupOffline
from raftlog.ready import SoftState
from raftlog.storage import GroupLog
from raftlog.types import Entry, EntryKind, ReplicaId, SnapshotMeta


class Outcome(Enum):
    """What became of a proposal or a read."""

    DONE = "done"
    """Committed and applied here (a read: the state is current)."""
    UNKNOWN = "unknown"
    """Leadership was lost first: the entry may still be committed by the next leader."""


class SnapshotSink(Protocol):
    """A snapshot being received; see `Application.receive_snapshot`."""

    def write(self, cursor: int, data: bytes) -> object:
        """Store `data` at byte `cursor` of the stream, which is where the last write ended."""

    def install(self) -> None:
        """Durably replace the group's log and state by what was received, atomically."""


class Application(Protocol):
    """What a group replicates for. All methods run on the loop thread and must not block."""

    def committed(self, index: int, offset: int) -> None:
        """Everything up to `index` (log offsets below `offset`) is committed: apply it."""

    def leadership(self, state: SoftState) -> None:
        """Role, term, leader or confirmation changed."""

    def appended(self, entries: Sequence[Entry]) -> None:
        """These entries were written to the log: neither durable nor committed yet."""

    def truncated(self, first: int) -> None:
        """Log entries from `first` on are gone (they were never committed)."""

    def offline(self, reason: str) -> None:
        """The group is out of service for good (`raftlog.engine.offline`); nothing follows.

        May be called from within any other call of the group: what is under way there must
        not be called back into. Waiters learn of it later in the pass, as UNKNOWN.
        """

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """Part of the newest snapshot's stream from `cursor`, and whether it is the last."""

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        """Begin to receive a snapshot; an unfinished earlier one is dropped."""


class Group:
    """Created by `Engine.add_group`; `propose` and `read` are the application's way in."""

    __slots__ = (
        "app",
        "commit",
        "dirty",
        "due_us",
        "id",
        "installing",
        "log",
        "node",
        "offline",
        "reads",
        "sink",
        "truncations",
        "waiters",
        "_mark",
        "_next_context",
        "_take_offline",
    )

    def __init__(
        self,
        group_id: int,
        node: Node,
        log: GroupLog,
        app: Application,
        mark: Callable[[Group], None],
        take_offline: Callable[[Group, str], None],
    ) -> None:
        self.id = group_id
        self.node = node
        self.log = log
        self.app = app
        self.commit = node.commit
        self.dirty = False
        self.due_us = 0
        self.truncations = 0
        self.installing = 0
        """Number of the Ready whose snapshot replaced the log, until it is stored: the commit
        index may still speak of the old log, so nothing is applied."""
        self.waiters: deque[tuple[int, Callable[[Outcome], None]]] = deque()
        self.reads: dict[int, Callable[[Outcome], None]] = {}
        self.sink: tuple[SnapshotMeta, SnapshotSink] | None = None
        self.offline = ""
        """Why the group is out of service; "" while it is not."""
        self._mark = mark
        self._take_offline = take_offline
        self._next_context = 1

    def propose(
        self,
        kind: EntryKind,
        span: int,
        payload: bytes,
        on_done: Callable[[Outcome], None] | None = None,
    ) -> Entry:
        """Append an entry as the leader. Raises NotLeader, Overloaded or GroupOffline.

        `on_done` is called once: DONE when it is committed and applied here, UNKNOWN when
        this replica stopped leading before that.
        """
        if self.offline:
            raise GroupOffline(f"group {self.id} is offline here: {self.offline}")
        entry = self.node.propose(kind, span, payload)
        if on_done is not None:
            self.waiters.append((entry.index, on_done))
        if not self.dirty:
            self._mark(self)
        return entry

    def change(self, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...] = ()) -> Entry:
        """Begin to make these the group's members; see `Node.change` for errors and the end."""
        if self.offline:
            raise GroupOffline(f"group {self.id} is offline here: {self.offline}")
        entry = self.node.change(voters, learners)
        self.mark_dirty()
        return entry

    def read(self, on_done: Callable[[Outcome], None], now_us: int = 0) -> None:
        """Confirm leadership by a round of heartbeats (ReadIndex), then call `on_done`.

        With `now_us`, and lease reads allowed by the timing, a lease may do instead.
        """
        if self.offline:
            raise GroupOffline(f"group {self.id} is offline here: {self.offline}")
        context = self._next_context
        self._next_context += 1
        self.reads[context] = on_done
        self.node.read(context, now_us)
        self._mark(self)

    def mark_dirty(self) -> None:
        """Have the next flush look at this group."""
        if not self.dirty:
            self._mark(self)

    def take_offline(self, reason: str) -> None:
        """The application met what the log must not be: see `Engine.take_offline`."""
        self._take_offline(self, reason)

    def resolve_committed(self) -> None:
        """Wake the proposals that the commit index has passed."""
        waiters = self.waiters
        while waiters and waiters[0][0] <= self.commit:
            waiters.popleft()[1](Outcome.DONE)

    def abandon_waiters(self) -> None:
        """Leadership is gone: the fate of what was not committed here is unknown."""
        waiters, self.waiters = self.waiters, deque()
        for _, on_done in waiters:
            on_done(Outcome.UNKNOWN)

    def abandon(self) -> None:
        """The group does nothing more here: answer everything that waits with UNKNOWN."""
        self.abandon_waiters()
        reads, self.reads = self.reads, {}
        for on_done in reads.values():
            on_done(Outcome.UNKNOWN)
