"""Kafka's classic consumer groups.

`ClassicGroup` is the state machine of one group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup go
in with the time, answers and records to write come out as effects. It knows nothing of partitions
and offsets: what members prefer and what their leader assigns are bytes to it.

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable
                    ^---------------------'-----------------'

- PreparingRebalance: members join. It ends when all have, or after the longest rebalance time-out
  of theirs; those who did not come are dropped (static members stay). An empty group waits a
  while for more members instead.
- CompletingRebalance: a new generation, with one leader and one protocol. The leader's sync brings
  the assignments; they are written to the log, and only then given out.
- Stable: members send heartbeats. Anything that changes who is there, or what they prefer,
  starts over.

Start reading at `group`, then `members`.
"""

from __future__ import annotations

from partitions.coordinators.groups.answers import (
    Effect,
    GroupDescription,
    GroupSnapshot,
    GroupState,
    JoinAnswer,
    JoinedMember,
    MemberDescription,
    MemberSnapshot,
    Persist,
    Protocols,
    SyncAnswer,
    Ticket,
    to_client,
)
from partitions.coordinators.groups.asks import (
    NO_GENERATION,
    UNKNOWN_MEMBER,
    HeartbeatAsk,
    JoinAsk,
    LeaveAsk,
    SyncAsk,
)
from partitions.coordinators.groups.group import ClassicGroup
from partitions.coordinators.groups.settings import GroupSettings

__all__ = [
    "ClassicGroup",
    "GroupSettings",
    "GroupState",
    "JoinAsk",
    "SyncAsk",
    "HeartbeatAsk",
    "LeaveAsk",
    "UNKNOWN_MEMBER",
    "NO_GENERATION",
    "Effect",
    "JoinAnswer",
    "JoinedMember",
    "SyncAnswer",
    "Persist",
    "GroupSnapshot",
    "MemberSnapshot",
    "GroupDescription",
    "MemberDescription",
    "Protocols",
    "Ticket",
    "to_client",
]
