"""What a group says: answers, records to write, and descriptions of itself."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from partitions.errors import ErrorCode

Ticket: TypeAlias = Hashable
"""The caller's name for a request that waits for its answer; never None."""
Protocols: TypeAlias = tuple[tuple[str, bytes], ...]
"""(name, the member's metadata under that protocol), the preferred one first."""


class GroupState(Enum):
    """Kafka's states of a classic group; the values are what clients are shown."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True)
class MemberSnapshot:
    """One member, as GroupMetadataValue has it."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    """Its metadata under the protocol of the generation."""
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """What GroupMetadataValue 3 holds of a group, its time stamp excepted (that is the shell's)."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    members: tuple[MemberSnapshot, ...] = ()


class JoinedMember(NamedTuple):
    """A member as the leader of the generation is told of it."""

    member_id: str
    group_instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """The answer to a join. With an error only `member_id` says anything more."""

    ticket: Ticket
    error: ErrorCode
    member_id: str
    generation_id: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()
    """For the leader: all members. For others: none."""


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """The answer to a sync."""

    ticket: Ticket
    error: ErrorCode
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


@dataclass(frozen=True, slots=True)
class Persist:
    """Write the group's metadata record, in the order in which these come out, and call
    `ClassicGroup.persisted` with `token` once it is committed, or with the error."""

    token: int
    snapshot: GroupSnapshot | None
    """None: write a tombstone."""


Effect: TypeAlias = JoinAnswer | SyncAnswer | Persist


@dataclass(frozen=True, slots=True)
class MemberDescription:
    """One member for DescribeGroups."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    """Its metadata under the group's protocol; empty unless the group is stable."""
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group for DescribeGroups."""

    group_id: str
    state: GroupState
    protocol_type: str
    """Empty for a group that never had a member."""
    protocol: str
    """Empty unless the group is stable."""
    members: tuple[MemberDescription, ...]


_TO_CLIENTS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}


def to_client(error: ErrorCode) -> ErrorCode:
    """What a member is told when an append of the group's record fails with `error`."""
    return _TO_CLIENTS.get(error, error)
