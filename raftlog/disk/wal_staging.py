"""What is staged for the next round of the write-ahead log, and the rules it must obey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from raftlog.core.membership import encode_configuration
from raftlog.disk.wal_format import (
    FLAG_HAS_CHECKPOINT,
    PAYLOAD_BYTES_MAX,
    ROW,
    RecordKind,
)
from raftlog.disk.wal_ledger import Ledger
from raftlog.disk.wal_state import DROPPED, NOWHERE, Fact, GroupState, Mark
from raftlog.storage import Checkpoint
from raftlog.types import Buffer, Entry, HardState, SnapshotMeta

_ENTRY: Final = int(RecordKind.ENTRY)
_pack_row: Final = ROW.pack
OFFLINE_REASON_MAX: Final = 1000
"""Characters kept of why a replica went offline."""


class Staging:
    """The half of `Wal` that collects records; its methods are part of Wal's interface.

    Records are written in the order of staging. A call that breaks a rule (ValueError; KeyError
    for an unknown group) stages nothing.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._open: dict[int, GroupState] = dict(ledger.groups)
        """Groups that may be staged for; the ledger keeps dropped ones until that is durable."""
        self._rows: list[bytes] = []
        self._payloads: list[Buffer] = []
        self._payload_bytes = 0
        self._staged_last: dict[int, int] = {}
        self._marks: list[Mark] = []
        self._stamp = 0

    def stage_create(self, group: int, creation: bytes) -> None:
        """Begin a group; `creation` is handed back by recovery for as long as it exists."""
        if group in self._ledger.groups:
            raise ValueError(f"group {group} exists; ids are never reused")
        state = self._open[group] = self._ledger.groups[group] = GroupState(group, creation)
        self._stage_creation(state)

    def stage_entries(self, group: int, entries: Sequence[Entry]) -> None:
        """Entries that follow the group's last one; payloads must not change until written."""
        state = self._open[group]
        last = state.last
        rows = []
        payloads = []
        staged_bytes = 0
        for index, term, kind, base, span, payload in entries:
            length = len(payload)
            last += 1
            if index != last or length > PAYLOAD_BYTES_MAX:
                raise ValueError(
                    f"group {group}: entry {index} of {length} bytes; {last} is next, and "
                    f"{PAYLOAD_BYTES_MAX} bytes are the most"
                )
            rows.append(_pack_row(_ENTRY, kind, 0, length, group, index, term, base, span))
            payloads.append(payload)
            staged_bytes += length
        state.last = self._staged_last[group] = last
        self._rows += rows
        self._payloads += payloads
        self._payload_bytes += staged_bytes

    def stage_hard_state(self, group: int, hard_state: HardState) -> None:
        """Term and vote, in one record. They must not go back."""
        state = self._open[group]
        old = state.hard_state
        if old is not None and (
            hard_state.term < old.term
            or (hard_state.term == old.term and old.vote not in (None, hard_state.vote))
        ):
            raise ValueError(f"group {group}: {hard_state} takes back {old}")
        state.hard_state = hard_state
        self._stage_hard_state(state)

    def stage_truncate(self, group: int, first_index: int) -> None:
        """`first_index` and everything after it are cut off.

        When `first_index` <= the index of the newest staged checkpoint, this record must be
        durable before the GroupLog cuts its files: until then recovery expects them to reach
        the checkpoint, from then on to `first_index - 1` (RecoveredGroup.trusted).
        """
        state = self._open[group]
        if first_index < 1:
            raise ValueError(f"group {group}: cannot truncate at {first_index}")
        self._row(RecordKind.TRUNCATE, group, first_index)
        state.last = min(state.last, first_index - 1)
        state.trusted = min(state.trusted, first_index - 1)
        state.safe_trusted = min(state.safe_trusted, first_index - 1)
        for mark in (*self._ledger.pending, *self._marks):
            if mark.state is state and mark.fact is Fact.CHECKPOINT:
                # A checkpoint still on its way to the disk must not raise the trust again.
                mark.value = min(mark.value, first_index - 1)
        self._staged_last[group] = state.last
        self._cut(state, first_index)

    def stage_checkpoint(
        self, group: int, checkpoint: Checkpoint, as_of: int | None = None
    ) -> bool:
        """The GroupLog's files are durable up to `checkpoint`, taken before its sync job ran.

        False, and nothing is staged, when the log was truncated or reset since `as_of` (the
        value of `stamp()` when the checkpoint was taken): files that were durable may have
        been cut and written again, even to the same index and term. A caller that leaves
        `as_of` out guarantees that itself. False also for one older than the present one.
        """
        state = self._open[group]
        if as_of is not None and state.cut_stamp > as_of:
            return False
        index = checkpoint.position.index
        if index > state.last:
            raise ValueError(f"group {group}: checkpoint {index} after the last, {state.last}")
        if index < state.trusted:
            return False
        state.checkpoint = checkpoint
        state.trusted = index
        self._stage_checkpoint(state)
        return True

    def stage_drop(self, group: int) -> None:
        """The group is gone; its files may be removed once this is durable."""
        state = self._open.pop(group)
        self._row(RecordKind.DROP, group)
        self._staged_last.pop(group, None)
        self._cut(state, DROPPED)

    def stage_offline(self, group: int, reason: str) -> None:
        """The replica is out of service from now on, also after a restart; the first reason stays.

        Nothing but a drop may be staged for it any more. Its facts are carried forward like
        any other's: the vote that it gave stays given, its checkpoint stays where it was.
        """
        state = self._open[group]
        if not state.offline:
            state.offline = reason[:OFFLINE_REASON_MAX] or "unknown"
            self._stage_offline(state)

    def stage_reset(self, group: int, meta: SnapshotMeta) -> None:
        """A snapshot replaced the log, which now is empty and begins after `meta.position`.

        The GroupLog must have installed it durably *before* this is written: from this record
        on recovery relies on it. A crash in between is settled by `Recovered.replay`. Where
        the log reaches the snapshot's index (with another term there, or the snapshot would
        not be needed), `stage_truncate(group, meta.position.index)` must be durable before
        the installation begins: else a crash leaves a log that ends before its checkpoint.
        Nothing committed is lost by it: an entry other than the snapshot's never was.
        """
        state = self._open[group]
        position = meta.position
        if state.trusted >= position.index:
            raise ValueError(
                f"group {group}: its log is durable up to {state.trusted}; truncate it at "
                f"{position.index}, durably, before installing the snapshot"
            )
        configuration = encode_configuration(meta.configuration)
        self._row(RecordKind.RESET, group, *position, payload=configuration)
        state.checkpoint = None
        state.trusted = state.last = position.index
        self._staged_last.pop(group, None)
        self._cut(state, 0)
        self._marks.append(Mark(state, Fact.CHECKPOINT, position.index))

    def stamp(self) -> int:
        """Counts truncations and resets staged so far; see `stage_checkpoint`."""
        return self._stamp

    def checkpoint_of(self, group: int) -> Checkpoint | None:
        """The newest checkpoint staged or recovered, durable or not."""
        return self._open[group].checkpoint

    def trusted_index(self, group: int) -> int:
        """Up to here recovery relies on the group's own files: see `stage_truncate`."""
        return self._open[group].trusted

    def last_index(self, group: int) -> int:
        """Index of the group's last entry staged or recovered (its snapshot's when empty)."""
        return self._open[group].last

    def _row(
        self,
        kind: RecordKind,
        group: int,
        index: int = 0,
        term: int = 0,
        base: int = 0,
        extra: int = 0,
        *,
        flags: int = 0,
        payload: bytes = b"",
    ) -> None:
        row = _pack_row(kind, 0, flags, len(payload), group, index, term, base, extra)
        self._rows.append(row)
        self._payloads.append(payload)
        self._payload_bytes += len(payload)

    def _cut(self, state: GroupState, value: int) -> None:
        self._stamp += 1
        state.cut_stamp = self._stamp
        self._marks.append(Mark(state, None, value))

    def _stage_creation(self, state: GroupState) -> None:
        self._row(RecordKind.CREATE, state.group, payload=state.creation)
        self._marks.append(Mark(state, Fact.CREATION, 0))

    def _stage_hard_state(self, state: GroupState) -> None:
        if state.hard_state is None:
            return
        term, vote = state.hard_state
        node, directory = vote if vote is not None else (0, b"")
        voted = int(vote is not None)
        self._row(RecordKind.HARD_STATE, state.group, node, term, voted, payload=directory)
        self._marks.append(Mark(state, Fact.HARD_STATE, 0))

    def _stage_offline(self, state: GroupState) -> None:
        if state.offline:
            self._row(RecordKind.OFFLINE, state.group, payload=state.offline.encode())
            self._marks.append(Mark(state, Fact.OFFLINE, 0))

    def _stage_checkpoint(self, state: GroupState) -> None:
        position, detail = state.checkpoint or ((0, 0, 0), b"")
        flags = FLAG_HAS_CHECKPOINT if state.checkpoint is not None else 0
        self._row(
            RecordKind.CHECKPOINT,
            state.group,
            *position,
            state.trusted,
            flags=flags,
            payload=detail,
        )
        self._marks.append(Mark(state, Fact.CHECKPOINT, state.trusted))

    def carry_forward(self, sequence: int) -> None:
        """Stage again what only the part `sequence` (or older ones) hold besides entries."""
        for state in self._ledger.held(sequence):
            if state.group in self._open:
                self._stage_creation(state)
                self._stage_hard_state(state)
                self._stage_offline(state)
                if state.trusted or state.held[Fact.CHECKPOINT] != NOWHERE:
                    self._stage_checkpoint(state)
