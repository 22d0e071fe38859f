"""What clients ask of a group: the requests' fields, free of wire versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from partitions.coordinators.groups.answers import Protocols

UNKNOWN_MEMBER = ""
"""The member id of a client that has none yet."""
NO_GENERATION = -1
"""The generation of an offset commit that comes from outside the group."""


@dataclass(frozen=True, slots=True)
class JoinAsk:
    """A JoinGroup request."""

    member_id: str
    """UNKNOWN_MEMBER, or the id that this group gave earlier."""
    new_member_id: str
    """The id to give if the client is to be a new member: unique, drawn by the caller (Kafka:
    the instance id or else the client id, '-', a random UUID)."""
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    """Below 0 counts as 0; version 0 has none: give the session time-out."""
    protocol_type: str
    protocols: Protocols
    """In order of preference."""
    reason: str | None = None
    requires_known_member_id: bool = True
    """The version has MEMBER_ID_REQUIRED (JoinGroup 4 and later)."""
    can_skip_assignment: bool = False
    """The version has skip_assignment (JoinGroup 9 and later)."""


@dataclass(frozen=True, slots=True)
class SyncAsk:
    """A SyncGroup request."""

    generation_id: int
    member_id: str
    group_instance_id: str | None = None
    protocol_type: str | None = None
    """None where the version has no such field: not compared."""
    protocol_name: str | None = None
    assignments: Mapping[str, bytes] | None = None
    """By member id, from the leader of the generation; of others it is ignored."""


@dataclass(frozen=True, slots=True)
class HeartbeatAsk:
    """A Heartbeat request."""

    member_id: str
    generation_id: int
    group_instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class LeaveAsk:
    """One member of a LeaveGroup request; UNKNOWN_MEMBER with an instance id removes whoever
    holds that instance id (an operator's way)."""

    member_id: str
    group_instance_id: str | None = None
    reason: str | None = None
