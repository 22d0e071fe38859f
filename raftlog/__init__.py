"""raftlog: replicated logs by Raft, many groups on one write-ahead log, for one process.

It knows nothing of Kafka, topics or brokers. Whoever embeds it brings a `StateMachine` (how a
command changes it, and itself as bytes), or an `Application` with a `GroupLog` where that is not
enough, and gets elections, replication, durable votes, linearizable reads, snapshots, changes of
membership and leadership transfer.

What is public: the names of `__all__` here, and those of `raftlog.host`, `raftlog.disk` and
`raftlog.testing`. Everything else may change without notice. `docs/embedding-raftlog.md` is the
guide, `docs/examples/counter.py` the shortest whole service.

- A service: `StateMachine`, given to `raftlog.host.RaftHost` (trio, real sockets and files).
- The same on seams of its own (another event loop, a simulation): `Engine`, `open_machines`,
  `MachineReplica`; `Reactor`, `FileSystem` and `Transport` are what they need of the world.
- Its own log and snapshots: `Application`, `Group`, `Outcome`, `GroupLog`.
- Membership and positions: `ReplicaId`, `Configuration`, `Entry`, `SnapshotMeta`, `SoftState`.
- What can go wrong: `RaftError` and its kinds.

Where things are, from the inside out:

- `types`, `messages`, `ready`, `errors`, `storage`, `seams`: the vocabulary; frozen values and
  protocols, no behaviour.
- `core`: one group's decisions, pure. Events and the time come in, `Ready` goes out.
- `codec`: messages of one group as bytes.
- `disk`: the write-ahead log, its recovery, a generic GroupLog, the file-system seam.
- `engine`: many cores over one WAL and one link per peer; still no I/O of its own.
- `host`: trio sockets, timers and storage threads under an engine. Not imported from here.
- `testing`: virtual time, network and disk; the invariants; the simulated cluster.

Rules: the core and the engine import neither trio nor time, random, os or socket; a message
never claims what is not durable; a failed disk write ends the process; every length is bounded.
Inside this package nothing imports from `raftlog` itself, always from the module that defines it.

To read the code, begin with `types`, then `ready`, then `core.node`.
"""

from __future__ import annotations

from raftlog.core import NodeStatistics, Timing
from raftlog.engine import (
    Application,
    Engine,
    EngineStatistics,
    Group,
    MachineReplica,
    Outcome,
    SnapshotSink,
    StateMachine,
    Transport,
    open_machines,
)
from raftlog.errors import (
    ChangeRefused,
    Compacted,
    CorruptLog,
    DiskFailed,
    GroupOffline,
    Misconfigured,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    PeerFault,
    RaftError,
)
from raftlog.ready import SoftState
from raftlog.seams import File, FileSystem, Reactor, Timer
from raftlog.storage import Checkpoint, GroupLog, LogReader
from raftlog.types import (
    Buffer,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
    Role,
    SnapshotMeta,
)

__all__ = [
    # a service
    "StateMachine",
    "Timing",
    "SoftState",
    "Role",
    # its place in an engine
    "Engine",
    "EngineStatistics",
    "MachineReplica",
    "open_machines",
    "Application",
    "SnapshotSink",
    "Group",
    "Outcome",
    "NodeStatistics",
    # the world around it
    "Reactor",
    "Timer",
    "FileSystem",
    "File",
    "Transport",
    "GroupLog",
    "LogReader",
    "Checkpoint",
    # values
    "Buffer",
    "Configuration",
    "Entry",
    "EntryKind",
    "HardState",
    "LogPosition",
    "ReplicaId",
    "SnapshotMeta",
    # errors
    "RaftError",
    "NotLeader",
    "OutcomeUnknown",
    "Overloaded",
    "ChangeRefused",
    "Compacted",
    "GroupOffline",
    "CorruptLog",
    "DiskFailed",
    "PeerFault",
    "Misconfigured",
]
