"""What `Wal.open` hands back: each group's state, and a stream of the entries to append again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from raftlog.disk.wal_books import Books, Cuts
from raftlog.disk.wal_format import RecordKind
from raftlog.disk.wal_scan import Row, rounds_of
from raftlog.disk.wal_state import Part
from raftlog.errors import CorruptLog
from raftlog.storage import Checkpoint
from raftlog.types import NO_HARD_STATE, Entry, EntryKind, HardState, LogPosition

BATCH_BYTES: Final = 1 << 20
BATCH_ENTRIES: Final = 1024

Deliver = Callable[[int, list[Entry]], None]


class RecoveredGroup(NamedTuple):
    """A group as of the last valid round."""

    hard_state: HardState
    checkpoint: Checkpoint | None
    """The newest one recorded; None since a reset, or when there never was one."""
    creation: bytes
    """What `stage_create` was given."""
    lowest_truncation: int
    """Lowest index a TRUNCATE cut since `checkpoint` was recorded; 0 when none did."""
    trusted: int
    """Index up to which the GroupLog's own files must be valid.

    min(checkpoint, lowest_truncation - 1), or the snapshot of a later reset, or 0. Open the
    GroupLog with it: the log keeps exactly its entries up to `trusted` (or its snapshot, if
    that is newer) and drops the rest; files shorter than the checkpoint are fine when they
    reach `trusted`, because the file is cut once its TRUNCATE is durable. A file that does
    not reach `trusted` is CorruptLog.
    """
    last_index: int
    """The log's last index after the replay (unless the GroupLog's snapshot is newer)."""
    offline: str
    """Why the replica is out of service (`stage_offline`), "" when it is not. Such a group is
    neither opened nor replayed: its entries may be gone from here."""


@dataclass(slots=True)
class _Cursor:
    """Where one group's replay stands."""

    opened: LogPosition
    trusted: int
    cuts: Cuts
    ordinals: list[int]
    next_index: int
    matched: bool
    """False until the WAL's entry at a newer snapshot's index proved to be the same."""
    dead: bool = False


class Recovered:
    """Result of recovery. `replay` must be called, if at all, before the first write_round."""

    def __init__(
        self,
        groups: dict[int, RecoveredGroup],
        books: Books,
        parts: list[Part],
        *,
        clean: bool,
        cut: str,
        last_round: int,
    ) -> None:
        self.groups = groups
        self.clean = clean
        """The last process shut down in order (its GroupLogs are opened the same way)."""
        self.cut = cut
        """Where the log ended, for the operator's log line; "" for a new log."""
        self.last_round = last_round
        self._cuts = books.cuts
        self._parts = parts

    def replay(self, opened: Mapping[int, LogPosition], deliver: Deliver) -> list[int]:
        """Stream the surviving entries of the groups in `opened`, each beyond its position.

        `opened` gives the end of each GroupLog as opened with `trusted`. `deliver(group,
        entries)` is called with runs of entries without gaps, in order, at most about 1 MiB
        of payload (or one entry) at once; entries that a later record cut off never show up,
        so there are no truncations to carry out.

        A GroupLog may end beyond `trusted` only through its snapshot: one that was taken or
        installed and became durable before the WAL heard of it. Then entries beyond it count
        only if the WAL's entry at that index has the snapshot's term (log matching). Groups
        where it has not are returned: their log is the snapshot alone, and the caller must
        `stage_reset` each of them before staging anything else for it.

        Raises CorruptLog when a log ends before `trusted` or entries turn out to be missing.
        """
        cursors = {g: self._cursor(g, position) for g, position in sorted(opened.items())}
        ordinal = 0
        for part in self._parts:
            for found in rounds_of(part):
                batches = _Batches(part, deliver)
                for row in found.rows():
                    ordinal += 1
                    cursor = cursors.get(row.group)
                    if row.kind == RecordKind.ENTRY and cursor is not None:
                        _offer(cursor, ordinal, row, batches)
                batches.flush()
        return self._finish(cursors)

    def _cursor(self, group: int, position: LogPosition) -> _Cursor:
        known = self.groups[group]
        if position.index < known.trusted:
            raise CorruptLog(
                f"group {group}: its log ends at entry {position.index}, but up to entry "
                f"{known.trusted} it had been durable; this replica must not vote"
            )
        cuts = self._cuts.get(group, [])
        matched = position.index == known.trusted
        ordinals = [ordinal for ordinal, _ in cuts]
        return _Cursor(position, known.trusted, cuts, ordinals, position.index + 1, matched)

    def _finish(self, cursors: dict[int, _Cursor]) -> list[int]:
        replaced = []
        for group, cursor in cursors.items():
            known = self.groups[group]
            if not cursor.matched:
                replaced.append(group)
            elif cursor.next_index != known.last_index + 1:
                raise CorruptLog(
                    f"group {group}: the write-ahead log holds entries up to "
                    f"{cursor.next_index - 1}, expected were {known.last_index}"
                )
        return replaced


def _offer(cursor: _Cursor, ordinal: int, row: Row, batches: _Batches) -> None:
    later = bisect_right(cursor.ordinals, ordinal)
    if later < len(cursor.cuts) and cursor.cuts[later][1] <= row.index:
        return
    if row.index == cursor.opened.index and not cursor.matched:
        cursor.matched = row.term == cursor.opened.term
    elif row.index > cursor.opened.index and cursor.matched:
        if row.index != cursor.next_index:
            raise CorruptLog(
                f"group {row.group}: entry {row.index} follows {cursor.next_index - 1} in the "
                "write-ahead log; this is a bug: report it with the files"
            )
        cursor.next_index += 1
        batches.add(row)


class _Batches:
    """Collects the entries of a round into bounded runs per group."""

    def __init__(self, part: Part, deliver: Deliver) -> None:
        self._part = part
        self._deliver = deliver
        self._group = 0
        self._entries: list[Entry] = []
        self._bytes = 0

    def add(self, row: Row) -> None:
        if self._entries and (
            row.group != self._group
            or self._bytes + row.length > BATCH_BYTES
            or len(self._entries) >= BATCH_ENTRIES
        ):
            self.flush()
        self._group = row.group
        self._bytes += row.length
        payload = self._part.file.pread(row.length, row.position) if row.length else b""
        kind = EntryKind(row.entry_kind)
        self._entries.append(Entry(row.index, row.term, kind, row.base, row.extra, payload))

    def flush(self) -> None:
        if self._entries:
            self._deliver(self._group, self._entries)
        self._entries = []
        self._bytes = 0


def recovered_groups(books: Books) -> dict[int, RecoveredGroup]:
    """The public view of the books."""
    return {
        group: RecoveredGroup(
            hard_state=book.state.hard_state or NO_HARD_STATE,
            checkpoint=book.state.checkpoint,
            creation=book.state.creation,
            lowest_truncation=book.lowest_cut,
            trusted=book.state.trusted,
            last_index=book.state.last,
            offline=book.state.offline,
        )
        for group, book in sorted(books.groups.items())
    }
