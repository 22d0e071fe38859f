"""Recovery's view of the groups: records applied in order, and which entries survive.

An entry survives when no later record of its group cuts it off. To decide that without
holding entries, each group keeps the cuts that matter as a stack with rising indices: a cut
makes every earlier cut at or above it irrelevant to the entries before both.
"""

from __future__ import annotations

from raftlog.disk.wal_format import FLAG_HAS_CHECKPOINT, RecordKind
from raftlog.disk.wal_scan import Round, Row
from raftlog.disk.wal_state import Fact, GroupState, Part
from raftlog.errors import CorruptLog
from raftlog.storage import Checkpoint
from raftlog.types import HardState, LogPosition, ReplicaId

Cuts = list[tuple[int, int]]
"""(ordinal of the record, first index cut), both rising."""


class Book:
    """One group while the log is being read. `state.last` is -1 until an entry says more."""

    __slots__ = ("created", "lowest_cut", "run_start", "state")

    def __init__(self, group: int) -> None:
        self.state = GroupState(group, b"")
        self.state.last = -1
        self.created = False
        self.run_start = 0
        """First index of the unbroken run of entries that ends at `state.last`."""
        self.lowest_cut = 0
        """Lowest first index truncated since the checkpoint was recorded; 0: none."""


class Books:
    """All groups; `apply` takes verified rounds in order."""

    def __init__(self) -> None:
        self.groups: dict[int, Book] = {}
        self.cuts: dict[int, Cuts] = {}
        self.ordinal = 0

    def apply(self, part: Part, found: Round) -> None:
        """Take in the records of a round."""
        number = found.header.round
        for row in found.rows():
            self.ordinal += 1
            book = self.groups.get(row.group)
            if book is None:
                book = self.groups[row.group] = Book(row.group)
            if row.kind == RecordKind.ENTRY:
                self._entry(part, book, row)
            else:
                self._fact(part, number, book, row)

    def _entry(self, part: Part, book: Book, row: Row) -> None:
        state = book.state
        if state.last < 0 or row.index != state.last + 1:
            if state.last >= 0:
                raise CorruptLog(
                    f"{part.name}: group {row.group} has entry {row.index} after {state.last}; "
                    "the checksums are right, so this is a bug: report it with the file"
                )
            book.run_start = row.index
        state.last = row.index
        part.entries[row.group] = row.index

    def _fact(self, part: Part, number: int, book: Book, row: Row) -> None:
        state = book.state
        payload = part.file.pread(row.length, row.position) if row.length else b""
        kind = row.kind
        if kind == RecordKind.CREATE:
            state.creation = payload
            state.held[Fact.CREATION] = number
            book.created = True
        elif kind == RecordKind.HARD_STATE:
            vote = ReplicaId(row.index, payload) if row.base else None
            state.hard_state = HardState(row.term, vote)
            state.held[Fact.HARD_STATE] = number
        elif kind == RecordKind.TRUNCATE:
            self._truncate(part, book, row.index)
        elif kind == RecordKind.CHECKPOINT:
            position = LogPosition(row.index, row.term, row.base)
            present = row.flags & FLAG_HAS_CHECKPOINT
            state.checkpoint = Checkpoint(position, payload) if present else None
            state.trusted = row.extra
            state.held[Fact.CHECKPOINT] = number
            book.lowest_cut = row.extra + 1 if present and row.extra < row.index else 0
        elif kind == RecordKind.DROP:
            self._cut(row.group, 0)
            part.entries.pop(row.group, None)
            del self.groups[row.group]
        elif kind == RecordKind.RESET:
            self._reset(part, number, book, row)
        elif kind == RecordKind.OFFLINE:
            state.offline = payload.decode(errors="replace")
            state.held[Fact.OFFLINE] = number
        else:
            raise CorruptLog(
                f"{part.name}: record kind {kind} is unknown to this release; "
                "start the release that wrote it"
            )

    def _truncate(self, part: Part, book: Book, first: int) -> None:
        state = book.state
        self._cut(state.group, first)
        state.trusted = min(state.trusted, first - 1)
        book.lowest_cut = min(book.lowest_cut or first, first)
        if state.last < 0 or state.last >= first:
            state.last = first - 1
            book.run_start = min(book.run_start or first, first)
        part.entries[state.group] = first - 1

    def _reset(self, part: Part, number: int, book: Book, row: Row) -> None:
        state = book.state
        self._cut(row.group, 0)
        state.checkpoint = None
        state.trusted = state.last = row.index
        state.held[Fact.CHECKPOINT] = number
        book.run_start = row.index + 1
        book.lowest_cut = 0
        part.entries.pop(row.group, None)

    def _cut(self, group: int, first: int) -> None:
        cuts = self.cuts.setdefault(group, [])
        while cuts and cuts[-1][1] >= first:
            cuts.pop()
        cuts.append((self.ordinal, first))

    def finish(self, parts: list[Part]) -> None:
        """Check that nothing is missing and set what only the end of the log decides."""
        for group, book in sorted(self.groups.items()):
            state = book.state
            if not book.created:
                raise CorruptLog(f"the write-ahead log has records of group {group}, not its start")
            incomplete = state.last > state.trusted and book.run_start > state.trusted + 1
            if incomplete and not state.offline:
                raise CorruptLog(
                    f"group {group}: entries {state.trusted + 1}..{book.run_start - 1} are missing "
                    "from the write-ahead log"
                )
            state.last = max(state.last, state.trusted)
            state.safe_trusted = state.trusted
        last = {group: book.state.last for group, book in self.groups.items()}
        for part in parts:
            part.entries = {
                group: min(index, last[group])
                for group, index in part.entries.items()
                if group in last
            }
