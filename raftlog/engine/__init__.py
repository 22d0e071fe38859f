"""The engine: all Raft groups of one process on one write-ahead log and one link per peer.

`raftlog.core` decides for one group; the engine carries the decisions out for many, so that
their costs are shared: one WAL round and one fdatasync per pass, one sendmsg per peer and
pass, one heartbeat per peer and interval, one timer for all deadlines. It is as free of I/O
as the core: time, disk and network are the seams of `raftlog.seams` and the `Transport`
below, so three engines can run in one simulated process or as three real ones.

Rules:
- Nothing leaves that is not durable: the core withholds acks and votes until `Node.stored`,
  and the engine calls that only after the round's fdatasync succeeded.
- Any disk error reaches `Engine.fail`, which stops everything for good.
- A CorruptLog of one group takes that group offline (`offline`); the others go on.
- A peer's message never creates a group; one for an unknown group is dropped and counted.

Start reading at `engine.Engine.flush`, then `heartbeats` (coalesced heartbeats) and `parts`
(how the WAL's parts are retired). An embedder implements `group.Application`, or gives
`machine.MachineReplica` a state machine and calls `opening.open_machines`.
"""

from __future__ import annotations

from raftlog.engine.engine import Engine
from raftlog.engine.group import Application, Group, Outcome, SnapshotSink
from raftlog.engine.machine import MachineReplica, StateMachine
from raftlog.engine.opening import open_machines
from raftlog.engine.statistics import EngineStatistics
from raftlog.engine.transport import Transport

__all__ = [
    "Application",
    "Engine",
    "EngineStatistics",
    "Group",
    "MachineReplica",
    "Outcome",
    "SnapshotSink",
    "StateMachine",
    "Transport",
    "open_machines",
]
