"""The broker settings that consumer groups follow, under Kafka's names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Raises ValueError, naming the setting, when a value makes no sense."""

    min_session_timeout_ms: int = 6_000
    """group.min.session.timeout.ms: a join that asks for less: INVALID_SESSION_TIMEOUT."""
    max_session_timeout_ms: int = 1_800_000
    """group.max.session.timeout.ms: a join that asks for more: INVALID_SESSION_TIMEOUT."""
    initial_rebalance_delay_ms: int = 3_000
    """group.initial.rebalance.delay.ms: how long an empty group waits for more members after
    the first; each wait in which one came is followed by another, up to the rebalance time-out."""
    max_size: int = 2_147_483_647
    """group.max.size: members of one group; one more: GROUP_MAX_SIZE_REACHED."""
    new_member_join_timeout_ms: int = 300_000
    """How long a member that was never part of a generation may wait for its first one."""
    pending_members_max: int = 1_000
    """Member ids handed out with MEMBER_ID_REQUIRED and not yet joined with. One more, and the
    one closest to its time-out is forgotten."""

    def __post_init__(self) -> None:
        _at_least("group.min.session.timeout.ms", self.min_session_timeout_ms, 1)
        _at_least(
            "group.max.session.timeout.ms",
            self.max_session_timeout_ms,
            self.min_session_timeout_ms,
        )
        _at_least("group.initial.rebalance.delay.ms", self.initial_rebalance_delay_ms, 0)
        _at_least("group.max.size", self.max_size, 1)
        _at_least("new_member_join_timeout_ms", self.new_member_join_timeout_ms, 1)
        _at_least("pending_members_max", self.pending_members_max, 1)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} is {value}: at least {least} is needed")
