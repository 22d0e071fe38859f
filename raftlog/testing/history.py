"""What has ever been true in the cluster: leaders, log entries and the committed prefix.

The three registers here are append-only and hold for the whole run, across crashes: what
contradicts one of them breaks Raft's safety (paper, figure 3), whichever replica did it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from raftlog.types import Entry, ReplicaId

_new_tuple = tuple.__new__


class Violation(AssertionError):
    """An invariant does not hold; the text opens with its name."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def verdict(error: Exception) -> str:
    """What an exception that ended a run is filed under: the invariant, or its type."""
    return error.invariant if isinstance(error, Violation) else type(error).__name__


class Fact(NamedTuple):
    """What (index, term) stands for, wherever it is found."""

    previous_term: int
    kind: int
    base: int
    span: int
    checksum: int


class Committed(NamedTuple):
    """One position of the committed prefix."""

    term: int
    checksum: int
    end: int
    """Offset after it: the high watermark when nothing later is committed."""


class History:
    """Registers of the whole run."""

    def __init__(self) -> None:
        self.leaders: dict[int, tuple[ReplicaId, int]] = {}
        """Term -> (replica, incarnation) that led it."""
        self.facts: dict[tuple[int, int], Fact] = {}
        self.committed: list[Committed] = [Committed(0, 0, 0)]
        """By index; position 0 is the birth of the group."""
        self._commit_terms = [0]
        """By index: the term of the leader that committed it."""
        self.digests: dict[int, tuple[int, int]] = {0: (0, 0)}
        """Applied index -> (state digest, next offset), as the first to get there saw it."""

    def elected(self, term: int, replica: ReplicaId, incarnation: int) -> bool:
        """Note a leader; True when it is new. At most one per term (Raft: election safety)."""
        known = self.leaders.setdefault(term, (replica, incarnation))
        if known != (replica, incarnation):
            raise Violation(
                "one leader per term",
                f"n{replica.node} (incarnation {incarnation}) leads term {term},"
                f" which n{known[0].node} (incarnation {known[1]}) led",
            )
        return True

    def written(self, node: int, previous_term: int, entries: Sequence[Entry]) -> None:
        """Note entries as they enter any log (Raft: log matching).

        The same (index, term) always has the same content and the same predecessor; by
        induction two logs that share a position share everything before it.
        """
        facts = self.facts
        for entry in entries:
            index, term, kind, base, span, payload = entry
            fact = _new_tuple(Fact, (previous_term, kind, base, span, crc32(payload)))
            known = facts.setdefault((index, term), fact)
            if known != fact:
                raise Violation(
                    "log matching", f"n{node} writes {index}/{term} as {fact}, it was {known}"
                )
            if term < previous_term:
                raise Violation("log matching", f"n{node} writes term {term} after {previous_term}")
            previous_term = term

    @property
    def commit(self) -> int:
        """The highest index any replica has called committed."""
        return len(self.committed) - 1

    def commit_before(self, term: int) -> int:
        """The last index that a leader of a lower term than `term` committed."""
        return bisect_left(self._commit_terms, term) - 1

    def commits(self, leader_term: int, entries: Sequence[Entry]) -> None:
        """Extend the committed prefix; terms of the committing leaders never fall along it."""
        if leader_term < self._commit_terms[-1]:
            raise Violation(
                "leader completeness",
                f"a leader of {leader_term} commits after one of {self._commit_terms[-1]}",
            )
        for entry in entries:
            if entry.index != len(self.committed):
                raise AssertionError(f"commit of {entry.index} after {self.commit}")
            self.committed.append(Committed(entry.term, crc32(entry.payload), entry.end))
            self._commit_terms.append(leader_term)

    def check_committed(self, node: int, entries: Sequence[Entry]) -> None:
        """What a replica calls committed is what was committed (Raft: state machine safety)."""
        committed = self.committed
        if entries and entries[-1].index >= len(committed):
            raise Violation(
                "only what is committed is applied",
                f"n{node} takes {entries[-1].index} for committed, {self.commit} is the last",
            )
        for entry in entries:
            known = committed[entry.index]
            if known.term != entry.term or known.checksum != crc32(entry.payload):
                raise Violation(
                    "committed entries never change",
                    f"n{node} has {entry.index}/{entry.term}, committed was {known}",
                )

    def applied(self, node: int, index: int, digest: int, next_offset: int) -> None:
        """Equal state at equal applied index, whether by entries or by snapshot."""
        known = self.digests.setdefault(index, (digest, next_offset))
        if known != (digest, next_offset):
            raise Violation(
                "equal state at equal index",
                f"n{node} at {index}: digest {digest:08x} offset {next_offset},"
                f" another had {known[0]:08x} {known[1]}",
            )
