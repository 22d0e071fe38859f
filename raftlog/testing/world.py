"""What the actors of a simulation share: the cluster as a replica sees it, and how one ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from raftlog.errors import DiskFailed
from raftlog.messages import Message
from raftlog.testing.checker import Checker
from raftlog.testing.disk import PowerCut
from raftlog.testing.network import VirtualNetwork
from raftlog.testing.options import Options
from raftlog.testing.reactor import VirtualReactor
from raftlog.testing.trace import Trace
from raftlog.types import ZERO_POSITION, Configuration, ReplicaId, SnapshotMeta

if TYPE_CHECKING:
    from raftlog.testing.replica import Replica

GROUP = 1
Packet = Message | bytes
"""A message as it is, or as the peer codec writes it."""
Outcome = Callable[[bool, int, int], None]
"""How an operation ended: done(ok, base or length, index)."""


def members(options: Options) -> tuple[tuple[ReplicaId, ...], SnapshotMeta]:
    """Everybody who may take part, and the birth of the group: the first of them found it."""
    everyone = range(1, options.nodes + options.spares + 1)
    ids = tuple(ReplicaId(n, n.to_bytes(16, "big")) for n in everyone)
    return ids, SnapshotMeta(ZERO_POSITION, Configuration(ids[: options.nodes]))


class SimulatedCrash(Exception):
    """The process ends at this crash point."""


CRASHES = (SimulatedCrash, PowerCut, DiskFailed)
"""What ends a process: a crash point of the host loop or of the disk, or a disk error."""


class Waiting(NamedTuple):
    """An operation whose fate is not known yet."""

    term: int
    done: Outcome


class World(Protocol):
    """What a replica needs of the cluster around it."""

    reactor: VirtualReactor
    network: VirtualNetwork[Packet]
    options: Options
    checker: Checker
    trace: Trace
    replicas: dict[ReplicaId, Replica]
    by_node: dict[int, ReplicaId]

    def crashed(self, replica: Replica) -> None:
        """A crash point was reached."""
