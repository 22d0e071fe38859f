"""What is committed of the groups of one partition: offsets, and each group's last record.

`Books` is what a reader of the log from its start ends up with, and nothing else: a coordinator
loads it, then applies every further record at its commit. What the log would have to hold to
say the same is `live_bytes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from partitions.coordinators.groups.schemas import (
    Change,
    CommittedOffset,
    GroupKey,
    Key,
    OffsetKey,
)

Place = tuple[str, int]
"""Topic and partition."""

RECORD_OVERHEAD_BYTES = 84
"""All of a record in a batch but its texts and a group's members, at most."""


class GroupBook:
    """One group's committed records."""

    __slots__ = ("members", "offsets")

    def __init__(self) -> None:
        self.offsets: dict[Place, CommittedOffset] = {}
        self.members: bytes | None = None
        """The value of the group's own record (`schemas.decode_group`)."""

    @property
    def empty(self) -> bool:
        """Is nothing known of the group?"""
        return self.members is None and not self.offsets


class Books:
    """All groups of one partition of `__consumer_offsets`."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupBook] = {}
        self.live_bytes = 0

    def apply(self, change: Change) -> None:
        """A record was committed, or read from the log."""
        key, value = change
        book = self.groups.get(key.group)
        if book is None:
            if value is None:
                return
            book = self.groups[key.group] = GroupBook()
        if isinstance(key, OffsetKey):
            self._offset(book, key, value)
        else:
            self._members(book, key, value)
        if book.empty:
            del self.groups[key.group]

    def _offset(
        self, book: GroupBook, key: OffsetKey, value: CommittedOffset | bytes | None
    ) -> None:
        place = (key.topic, key.partition)
        before = book.offsets.get(place)
        if before is not None:
            self.live_bytes -= size_of(Change(key, before))
        if value is None:
            book.offsets.pop(place, None)
        else:
            assert type(value) is CommittedOffset
            book.offsets[place] = value
            self.live_bytes += size_of(Change(key, value))

    def _members(
        self, book: GroupBook, key: GroupKey, value: CommittedOffset | bytes | None
    ) -> None:
        assert not isinstance(value, CommittedOffset)
        for sign, data in ((-1, book.members), (1, value)):
            if data is not None:
                self.live_bytes += sign * size_of(Change(key, data))
        book.members = value

    def keys(self) -> Iterator[Key]:
        """Every key that has a value now."""
        for group, book in self.groups.items():
            if book.members is not None:
                yield GroupKey(group)
            for topic, partition in book.offsets:
                yield OffsetKey(group, topic, partition)

    def offsets_in(self, gone: Callable[[str, bytes], bool]) -> list[OffsetKey]:
        """Every committed offset in a topic of whose name and id `gone` says so. There may be
        several 100,000: nothing is made for those that stay, and `gone` is asked once a topic."""
        known: dict[tuple[str, bytes], bool] = {}
        found = []
        for group, book in self.groups.items():
            for (topic, partition), value in book.offsets.items():
                which = (topic, value.topic_id)
                is_gone = known.get(which)
                if is_gone is None:
                    is_gone = known[which] = gone(topic, value.topic_id)
                if is_gone:
                    found.append(OffsetKey(group, topic, partition))
        return found

    def value(self, key: Key) -> CommittedOffset | bytes | None:
        """A key's value now; None when it has none."""
        book = self.groups.get(key.group)
        if book is None:
            return None
        if type(key) is OffsetKey:
            return book.offsets.get((key.topic, key.partition))
        return book.members


def size_of(change: Change) -> int:
    """Bytes that a record takes in a batch, at most."""
    key, value = change
    size = RECORD_OVERHEAD_BYTES + _bytes_of(key.group)
    if type(key) is OffsetKey:
        size += _bytes_of(key.topic)
    if type(value) is CommittedOffset:
        return size + _bytes_of(value.metadata)
    return size + len(value or b"")


def _bytes_of(text: str) -> int:
    """Of its UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
