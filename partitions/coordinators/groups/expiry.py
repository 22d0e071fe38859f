"""Which committed offsets may go (KIP-211)."""

from __future__ import annotations

from itertools import islice

from partitions.coordinators.groups.answers import GroupDescription, GroupState
from partitions.coordinators.groups.offsets import GroupBook, Place
from partitions.coordinators.groups.schemas import CommittedOffset, decode_group
from partitions.coordinators.groups.subscriptions import topics_in_use

EXPIRED_MAX = 10_000
"""Offsets of one group that go at one time: what is on its way to the log is bounded."""


def expired(
    book: GroupBook, group: GroupDescription, now_ms: int, retention_ms: int
) -> list[Place]:
    """Places whose offsets nobody has used for long, at most EXPIRED_MAX.

    A group whose members have left keeps all of them for `retention_ms` after that. Where there
    never was a member, or is one now, each offset counts from its own commit, and what members
    read does not expire. An offset whose client chose a time itself goes at that time.
    """
    in_use = topics_in_use(group)
    if in_use is None:
        return []
    left_ms = -1
    if book.members is not None and group.state is GroupState.EMPTY:
        left_ms = decode_group(book.members).since_ms
    due = (
        place
        for place, committed in book.offsets.items()
        if place[0] not in in_use and now_ms >= _due_ms(committed, left_ms, retention_ms)
    )
    return list(islice(due, EXPIRED_MAX))


def _due_ms(committed: CommittedOffset, left_ms: int, retention_ms: int) -> int:
    if committed.expire_ms >= 0:
        return committed.expire_ms
    return max(committed.commit_ms, left_ms) + retention_ms
