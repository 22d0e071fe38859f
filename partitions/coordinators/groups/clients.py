"""Who asks a coordinator, and what it needs of the broker's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from partitions.coordinators.groups.answers import JoinAnswer, SyncAnswer
from partitions.coordinators.groups.settings import GroupSettings
from partitions.errors import ErrorCode

Done = Callable[[ErrorCode], None]
GroupAnswer = JoinAnswer | SyncAnswer

HELD_BYTES_MAX = 256 * 1024 * 1024
"""Members beyond it are turned away, with what Kafka says of a group that is full."""


class CoordinatorSettings(NamedTuple):
    """What coordinators need of the broker's settings."""

    groups: GroupSettings = GroupSettings()
    retention_ms: int = 7 * 24 * 3600 * 1000
    """offsets.retention.minutes."""


class Asker(Protocol):
    """Who waits for a join or a sync."""

    def __hash__(self) -> int:
        """By identity: it is the group's ticket."""

    def answered(self, answer: GroupAnswer) -> None:
        """Once."""


class HeldBytes:
    """Memory that members of all groups of a broker take; its coordinators share one."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = HELD_BYTES_MAX) -> None:
        self.limit = limit
        self.used = 0


class Member(NamedTuple):
    """Who commits offsets: a member of the group, or (generation -1, no id) anybody."""

    member_id: str = ""
    group_instance_id: str | None = None
    generation: int = -1
