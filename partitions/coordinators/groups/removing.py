"""Taking committed offsets away, however many they are, in appends of bounded size.

Between two of them clients go on, and what they commit meanwhile is not to go: an offset is taken
away only while it is the one that was there when the removal began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from partitions.coordinators.groups.appending import Appender, Done
from partitions.coordinators.groups.offsets import Books, size_of
from partitions.coordinators.groups.schemas import (
    Change,
    CommittedOffset,
    Key,
    OffsetKey,
)
from partitions.errors import ErrorCode
from raftlog.seams import Reactor

Gone = Callable[[str, bytes], bool]
"""Is the topic of this name and id (empty: not known) no more?"""
APPEND_BYTES = 1024 * 1024
"""Of tombstones asked for at one go."""
LOOKED_AT_MAX = 10_000
"""Keys looked at before other work has its turn."""
PAUSE_US = 10_000


class Removal:
    """One removal. A part of it may be done when it fails; nothing else is harmed by that."""

    def __init__(self, reactor: Reactor, books: Books, appender: Appender) -> None:
        self._reactor = reactor
        self._books = books
        self._appender = appender
        self._left: deque[tuple[OffsetKey, object]] = deque()
        """Each with the value that may go."""
        self._done: Done

    def start(
        self, keys: Iterable[OffsetKey], done: Done, *, late: Iterable[OffsetKey] = ()
    ) -> None:
        """Take `keys` away, and those `late` ones whose changes are on their way, whatever
        these make of them. `done` is called once, never from within."""
        self._done = done
        changes = [Change(key, None) for key in late]
        apart = {change.key for change in changes}
        self._left.extend([(k, self._books.value(k)) for k in keys if k not in apart])
        changes += self._some(APPEND_BYTES - sum(map(size_of, changes)))
        self._appender.submit(changes, self._written)

    def _written(self, error: ErrorCode) -> None:
        if error is ErrorCode.NONE and self._left:
            self._step()
        else:
            self._done(error)

    def _step(self) -> None:
        changes = self._some(APPEND_BYTES)
        if changes or not self._left:
            self._appender.submit(changes, self._written)
        else:
            self._reactor.call_at(self._reactor.now_us() + PAUSE_US, self._step)

    def _some(self, size: int) -> list[Change]:
        """Up to `size` bytes of tombstones; keys with a change on its way are left for later:
        it may be the same value, written again."""
        changes = []
        for _ in range(min(len(self._left), LOOKED_AT_MAX)):
            if size <= 0:
                break
            key, value = self._left.popleft()
            if self._appender.is_on_its_way(key):
                self._left.append((key, value))
            elif self._books.value(key) is value:
                changes.append(Change(key, None))
                size -= size_of(changes[-1])
        return changes


def unless_it_stays(books: Books, key: Key, done: Done) -> Done:
    """What to call instead of `done` when `key` goes before the offsets, in an append of its own:
    that may be refused while theirs is not. Then `done` hears COORDINATOR_NOT_AVAILABLE."""
    before = books.value(key)

    def settled(error: ErrorCode) -> None:
        if error is ErrorCode.NONE and before is not None and books.value(key) is before:
            error = ErrorCode.COORDINATOR_NOT_AVAILABLE
        done(error)

    return settled


def offsets_in(changes: Iterable[Change], gone: Gone) -> list[OffsetKey]:
    """Keys of those `changes` that are positions in topics that are gone, in order."""
    return sorted(
        [
            key
            for key, value in changes
            if type(key) is OffsetKey
            and type(value) is CommittedOffset
            and gone(key.topic, value.topic_id)
        ]
    )


def not_as_in(id_of: Callable[[str], bytes | None]) -> Gone:
    """Topics that have no id, or another one, in `id_of`."""

    def gone(name: str, topic_id: bytes) -> bool:
        now = id_of(name)
        return now is None or topic_id not in (b"", now)

    return gone


def among(deleted: Mapping[str, bytes], *, by_name: bool) -> Gone:
    """Topics that are among `deleted`, ids by name; one whose id is not known only `by_name`."""

    def gone(name: str, topic_id: bytes) -> bool:
        return deleted.get(name) == topic_id if topic_id else by_name and name in deleted

    return gone
