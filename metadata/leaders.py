"""Who leads which partition: soft state that brokers tell each other, never logged.

A row is (group, term, node): `node` leads `group` in `term`, confirmed by a committed no-op.
Raft has at most one leader per term, so rows merge without order: the higher term wins.
Every change gets the table's next version; a peer that holds version v is sent what changed
after v. Versions are local to one table and mean nothing to another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from raftlog.errors import PeerFault
from raftlog.types import MAX_TERM

ROWS_PER_MESSAGE_MAX = 4096
"""A delta is cut here; the receiver asks again from the version it got."""
_NODE_MAX = 2**31 - 1
_GROUP_MAX = 2**63 - 1


class Leader(NamedTuple):
    """The newest known leadership of a group."""

    term: int
    node: int


class LeaderRow(NamedTuple):
    """A Leader with its group, as tables tell each other."""

    group: int
    term: int
    node: int


class LeaderDelta(NamedTuple):
    """Rows that changed, oldest change first; the receiver then holds `version`."""

    version: int
    rows: tuple[LeaderRow, ...]
    complete: bool
    """False when rows were left out: ask again from `version`."""


class _Slot(NamedTuple):
    version: int
    leader: Leader


class LeaderTable:
    """Group -> Leader, with a version per change. Bounded by the groups that exist: the owner
    calls `forget` for those of deleted topics and offers no rows of groups its image lacks."""

    __slots__ = ("_slots", "_version")

    def __init__(self) -> None:
        """An empty table at version 0."""
        self._slots: dict[int, _Slot] = {}  # insertion order is version order
        self._version = 0

    @property
    def version(self) -> int:
        """Counts changes; a cache of anything derived from the table is keyed by it."""
        return self._version

    def __len__(self) -> int:
        """Groups with a known leader."""
        return len(self._slots)

    def leader(self, group: int) -> Leader | None:
        """The newest leadership known, None when nothing was heard yet."""
        slot = self._slots.get(group)
        return None if slot is None else slot.leader

    def update(self, group: int, term: int, node: int) -> bool:
        """Learn that `node` leads `group` in `term`; True when that is news.

        Raises PeerFault when another node is known to lead in the same term: Raft rules it
        out, so one of the two informants is broken.
        """
        known = self._slots.get(group)
        if known is not None:
            if term < known.leader.term:
                return False
            if term == known.leader.term:
                return self._same_term(group, known.leader, node)
            del self._slots[group]  # so that it is reinserted at the end
        self._version += 1
        self._slots[group] = _Slot(self._version, Leader(term, node))
        return True

    def forget(self, groups: Iterable[int]) -> None:
        """Drop groups that no longer exist. Peers do the same from their own image."""
        for group in groups:
            if self._slots.pop(group, None) is not None:
                self._version += 1

    def since(self, version: int, limit: int = ROWS_PER_MESSAGE_MAX) -> LeaderDelta:
        """What changed after `version`, at most `limit` rows; 0 gives the full table."""
        changed: list[tuple[int, _Slot]] = []
        for group, slot in reversed(self._slots.items()):
            if slot.version <= version:
                break
            changed.append((group, slot))
        changed.reverse()
        if len(changed) <= limit:
            return LeaderDelta(self._version, _rows(changed), complete=True)
        part = changed[:limit]
        return LeaderDelta(part[-1][1].version, _rows(part), complete=False)

    def apply(self, rows: Iterable[LeaderRow]) -> tuple[int, ...]:
        """Merge a peer's rows; the groups for which they were news, in the rows' order."""
        return tuple([row.group for row in rows if self.update(*row)])

    def _same_term(self, group: int, known: Leader, node: int) -> bool:
        if node != known.node:
            raise PeerFault(
                f"group {group}: nodes {known.node} and {node} both lead term {known.term}"
            )
        return False


def pack_rows(rows: Iterable[LeaderRow]) -> list[list[int]]:
    """Rows as plain lists, for the CBOR of a peer message."""
    return [list(row) for row in rows]


def unpack_rows(raw: object) -> tuple[LeaderRow, ...]:
    """Rows from a peer's decoded CBOR; PeerFault when they are not rows within bounds."""
    if type(raw) is not list or len(raw) > ROWS_PER_MESSAGE_MAX:
        raise PeerFault(f"leaders: not a list of at most {ROWS_PER_MESSAGE_MAX} rows")
    return tuple([_row(item) for item in raw])


def _row(raw: object) -> LeaderRow:
    if type(raw) is not list or len(raw) != 3 or any(type(x) is not int for x in raw):
        raise PeerFault("leaders: a row is not [group, term, node]")
    row = LeaderRow(*raw)
    if not (
        1 <= row.group <= _GROUP_MAX and 0 <= row.term <= MAX_TERM and 0 <= row.node <= _NODE_MAX
    ):
        raise PeerFault(f"leaders: {row} is out of bounds")
    return row


def _rows(changed: list[tuple[int, _Slot]]) -> tuple[LeaderRow, ...]:
    return tuple([LeaderRow(group, *slot.leader) for group, slot in changed])
