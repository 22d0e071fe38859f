"""The records of one group that are on their way to the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from partitions.coordinators.groups.answers import GroupSnapshot, Persist
from partitions.errors import ErrorCode

Then: TypeAlias = Callable[[int, ErrorCode], None]
"""What to do, at which time, when the record is committed (NONE) or refused."""


class _Write(NamedTuple):
    snapshot: GroupSnapshot | None
    then: Then


class Writing:
    """Tokens in order, and what the log will hold of the group when all are committed."""

    __slots__ = ("_committed", "_committed_token", "_under_way", "_written")

    def __init__(self, committed: GroupSnapshot | None = None) -> None:
        """`committed`: the record that was loaded."""
        self._committed = committed
        self._committed_token = 0
        self._written = 0  # the last token
        self._under_way: dict[int, _Write] = {}

    @property
    def busy(self) -> bool:
        """Some record is neither committed nor refused."""
        return bool(self._under_way)

    @property
    def last(self) -> GroupSnapshot | None:
        """The group's last record, whether committed or under way; None: none, or a tombstone."""
        if self._under_way:
            return next(reversed(self._under_way.values())).snapshot
        return self._committed

    def write(self, snapshot: GroupSnapshot | None, then: Then) -> Persist:
        """The effect that has it written; `then` is called when it is."""
        self._written += 1
        self._under_way[self._written] = _Write(snapshot, then)
        return Persist(self._written, snapshot)

    def done(self, now_us: int, token: int, error: ErrorCode) -> None:
        """The outcome of `token`; of one given up earlier it is ignored."""
        write = self._under_way.pop(token, None)
        if write is None:
            return
        if error is ErrorCode.NONE and token > self._committed_token:
            self._committed_token, self._committed = token, write.snapshot
        write.then(now_us, error)

    def give_up(self) -> None:
        """Whatever becomes of the records under way, nothing is to be done then."""
        self._under_way.clear()
