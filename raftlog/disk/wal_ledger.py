"""Which part of the write-ahead log still holds what, judged by durable records only."""

from __future__ import annotations

from collections import deque

from raftlog.disk.wal_state import DROPPED, NOWHERE, Fact, GroupState, Mark, Part


class Ledger:
    """Parts, groups, and the marks of records that are written but not yet durable."""

    def __init__(self, parts: list[Part], groups: dict[int, GroupState], low: int) -> None:
        self.parts = parts
        """Oldest first; the last one is being written to, unless it was found at the start."""
        self.groups = groups
        self.low = low
        """First round that recovery still needs."""
        self.pending: deque[Mark] = deque()

    def durable(self, number: int) -> None:
        """All rounds up to `number` are durable: let their records take effect."""
        pending = self.pending
        while pending and pending[0].round <= number:
            mark = pending.popleft()
            state = mark.state
            if mark.fact is None:
                self._cut(state, mark)
            else:
                state.held[mark.fact] = mark.round
                if mark.fact is Fact.CHECKPOINT:
                    state.safe_trusted = mark.value

    def _cut(self, state: GroupState, mark: Mark) -> None:
        if mark.value == DROPPED:
            del self.groups[state.group]
            for part in self.parts:
                part.entries.pop(state.group, None)
            return
        for part in self.parts:
            # In the part that holds the cut itself newer entries may follow it.
            if part.last_round < mark.round and state.group in part.entries:
                part.entries[state.group] = min(part.entries[state.group], mark.value - 1)

    def dirty(self, part: Part) -> tuple[int, ...]:
        """Groups with entries in `part` beyond what their own files are known to hold.

        A group that is durably offline is none of them: nobody will ask for its entries.
        """
        groups = self.groups
        return tuple(
            group
            for group, index in sorted(part.entries.items())
            if group in groups
            and index > groups[group].safe_trusted
            and groups[group].held[Fact.OFFLINE] == NOWHERE
        )

    def held(self, sequence: int) -> list[GroupState]:
        """Groups of which the part, or an older one, holds the only durable record of a fact."""
        part = self.part(sequence)
        return [state for _, state in sorted(self.groups.items()) if state.held_in(part)]

    def part(self, sequence: int) -> Part:
        """The live part `sequence`; KeyError when there is none."""
        for part in self.parts:
            if part.sequence == sequence:
                return part
        raise KeyError(sequence)

    def retire(self, sequence: int, next_round: int) -> Part | None:
        """Take the oldest part out; None when it is still needed, ValueError for another."""
        part = self.parts[0]
        if part.sequence != sequence:
            raise ValueError(f"part {sequence} is not the oldest, {part.sequence} is")
        if self.dirty(part) or self.held(sequence):
            return None
        del self.parts[0]
        self.low = self.parts[0].first_round if self.parts else next_round
        return part
