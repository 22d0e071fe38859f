"""Replicated state machines: the short way to an `Application`.

A service says how a command changes it, and what it is as bytes; `MachineReplica` does the rest
on a `SegmentLog`: it applies what is committed, takes and installs snapshots, and hands each
result to whoever proposed the command here. For a state that fits in memory, and whose snapshot
is written quickly: it is written on the loop thread. Whoever needs more than that (its own
files, streamed snapshots, work on entries before they are committed) implements `Application`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from raftlog.disk.segment_log import SegmentLog
from raftlog.engine.group import Group, Outcome, SnapshotSink
from raftlog.engine.snapshots import Received, Snapshots
from raftlog.errors import GroupOffline
from raftlog.ready import SoftState
from raftlog.types import Entry, EntryKind, Role, SnapshotMeta

SNAPSHOT_ENTRIES = 10_000
"""Entries since the last snapshot that make a new one worth its write."""
SNAPSHOT_BYTES = 16 * 1024 * 1024
"""The same in bytes of commands."""
COMMAND_BYTES_MAX = 1024 * 1024
_READ_BYTES = 1024 * 1024

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class StateMachine(Protocol[R_co]):
    """What is replicated. Every method runs on the loop thread and must not block."""

    def apply(self, command: bytes) -> R_co:
        """Carry out one committed command; the result goes to its proposer, on that node only.

        It must do the same on every node: no clock, no randomness, no I/O. It must not raise
        (a command that makes no sense is refused by what is returned), except CorruptLog, which
        takes this copy out of service.
        """

    def snapshot(self) -> bytes:
        """The whole state."""

    def restore(self, snapshot: bytes) -> None:
        """Become what `snapshot` says; ValueError when it cannot be read."""


class MachineReplica(Generic[R]):
    """This node's copy of one state machine; an `Application`. `open_machines` starts it."""

    def __init__(
        self,
        machine: StateMachine[R],
        *,
        snapshot_entries: int = SNAPSHOT_ENTRIES,
        snapshot_bytes: int = SNAPSHOT_BYTES,
    ) -> None:
        """A snapshot is taken after so many entries, or so many bytes of commands."""
        self.machine = machine
        self.group: Group | None = None
        """None before it is started, and when it was out of service from the start."""
        self.applied = 0
        """Index of the last entry that `machine` holds."""
        self.state = SoftState(Role.FOLLOWER, 0, None, False)
        self.on_leadership: Callable[[], None] = lambda: None
        """Called after `state` changed."""
        self.offline_reason = ""
        self._log: SegmentLog
        self._snapshots: Snapshots
        self._snapshot_entries = snapshot_entries
        self._snapshot_bytes = snapshot_bytes
        self._results: dict[int, R | None] = {}
        """By index, for the commands that were proposed here and are not answered yet."""

    def adopt(self, log: SegmentLog) -> None:
        """Begin at the snapshot of `log`; what follows it comes with the commit index."""
        self._log = log
        self._snapshots = Snapshots(
            log,
            lambda: self.in_service().node,
            self.machine.snapshot,
            max_entries=self._snapshot_entries,
            max_bytes=self._snapshot_bytes,
        )
        self.applied = log.snapshot().position.index
        if self.applied:
            self.machine.restore(log.snapshot_bytes())

    # --- what the service asks for

    def propose(self, command: bytes, on_done: Callable[[Outcome, R | None], None]) -> None:
        """Have `command` applied everywhere. Raises NotLeader, Overloaded or GroupOffline.

        `on_done` is called once, never from within: with DONE and what `apply` returned when
        the command is durable on a quorum and applied here, or with UNKNOWN. ValueError for a
        command of more than COMMAND_BYTES_MAX. TypeError for one that is not bytes: further down
        it would end the node.
        """
        if not isinstance(command, bytes):
            raise TypeError(f"a command is bytes, not {type(command).__name__}: encode it")
        if len(command) > COMMAND_BYTES_MAX:
            raise ValueError(f"a command of {len(command)} bytes; {COMMAND_BYTES_MAX} are the most")

        def done(outcome: Outcome) -> None:
            on_done(outcome, self._results.pop(entry.index))

        entry = self.in_service().propose(EntryKind.DATA, 1, command, done)
        self._results[entry.index] = None

    def read(self, on_done: Callable[[Outcome], None], now_us: int = 0) -> None:
        """Call back when `machine` holds all that was acknowledged before; see `Group.read`."""
        self.in_service().read(on_done, now_us)

    def in_service(self) -> Group:
        """The group; GroupOffline when this copy is out of service, or not started."""
        if self.group is None or self.offline_reason:
            raise GroupOffline(self.offline_reason or "this replica has not been started")
        return self.group

    # --- Application

    def committed(self, index: int, offset: int) -> None:
        """Apply everything up to `index`."""
        while self.applied < index:
            for entry in self._log.read(self.applied + 1, index + 1, _READ_BYTES):
                self._apply(entry)
        self._snapshots.look(self.applied)

    def _apply(self, entry: Entry) -> None:
        if entry.kind is EntryKind.DATA:
            result = self.machine.apply(entry.payload)
            if entry.index in self._results:
                self._results[entry.index] = result
        self.applied = entry.index
        self._snapshots.applied(len(entry.payload))

    def leadership(self, state: SoftState) -> None:
        """Remember who leads."""
        self.state = state
        self.on_leadership()

    def appended(self, entries: Sequence[Entry]) -> None:
        """Nothing here depends on uncommitted entries."""

    def truncated(self, first: int) -> None:
        """Nothing here depends on uncommitted entries."""

    def offline(self, reason: str) -> None:
        """Out of service for good: proposals and reads say so from now on."""
        self.offline_reason = reason
        self.leadership(SoftState(Role.FOLLOWER, self.state.term, None, False))

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """Part of the newest snapshot."""
        return self._snapshots.read(cursor, max_bytes)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        """Collect a snapshot of the leader's."""
        return Received(meta, self.install)

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        """Replace state and log; bytes that the machine cannot read leave the log as it is."""
        self.machine.restore(data)
        self._snapshots.install(meta, data)
        self.applied = meta.position.index
