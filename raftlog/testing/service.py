"""A replicated service of several nodes in one thread: virtual time, network and disks.

For whoever embeds raftlog: the engine, the write-ahead log and the segment logs are the real
ones; a seed decides what a clock, a network and a power loss do. The same seed gives the same
run. A test drives it like this:

    service = VirtualService(seed, lambda: {1: Counter()})
    leader = service.wait_leader(1)
    asked = leader.propose(1, b"1")
    service.run_until(lambda: asked.outcome is not None)
    leader.crash()                                   its unsynced pages may go
    service.network.partition([1, 2], [3])           and so on, until `heal`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from raftlog.core import Timing
from raftlog.disk.wal import Wal
from raftlog.engine import Engine, MachineReplica, Outcome, StateMachine, open_machines
from raftlog.errors import DiskFailed
from raftlog.framing import FrameSplitter
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.network import VirtualNetwork
from raftlog.testing.reactor import VirtualProcess, VirtualReactor
from raftlog.types import Buffer, Configuration, ReplicaId, Role

WAL_PART_BYTES = 64 * 1024
"""Small, so that parts are retired and recycled within a test."""
PATIENCE_S = 30.0

Machines = Mapping[int, StateMachine[Any]]


@dataclass(slots=True)
class Asked:
    """A proposal or read on its way; `outcome` is None until it is known.

    UNKNOWN also when the node it was asked of ends: its client would see the connection break.
    """

    outcome: Outcome | None = None
    result: Any = None
    """What `apply` returned, when the outcome of a proposal is DONE."""


class VirtualService:
    """The nodes, numbered from 1, all started; each is a founder of every group."""

    def __init__(
        self,
        seed: int,
        machines: Callable[[], Machines],
        *,
        nodes: int = 3,
        timing: Timing | None = None,
        snapshot_entries: int = 20,
    ) -> None:
        """`machines()` makes one node's state machines by group id, new ones at every start."""
        self.seed = seed
        self.reactor = VirtualReactor(seed)
        self.network: VirtualNetwork[bytes] = VirtualNetwork(
            self.reactor, Random(f"network/{seed}")
        )
        """Cut, mend and slow down its links at will: addresses are node numbers."""
        self.timing = timing or Timing(eager_commit=True)
        self.machines = machines
        self.snapshot_entries = snapshot_entries
        self.nodes = {number: VirtualNode(self, number) for number in range(1, nodes + 1)}
        for node in self.nodes.values():
            node.start()

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.reactor.run_until(self.reactor.now_us() + int(seconds * 1e6))

    def run_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Run until `condition` holds; AssertionError after so much virtual time."""
        limit_us = self.reactor.now_us() + int(seconds * 1e6)
        held = self.reactor.run_until(condition, limit_us=limit_us)
        assert held, f"seed {self.seed}: the condition did not hold within {seconds:g} s"

    def leader(self, group: int) -> VirtualNode | None:
        """The confirmed leader of the highest term, if there is one."""
        leaders = [node for node in self.nodes.values() if node.leads(group)]
        return max(leaders, key=lambda node: node.replicas[group].state.term, default=None)

    def wait_leader(self, group: int) -> VirtualNode:
        """Run until there is a leader."""
        self.run_until(lambda: self.leader(group) is not None)
        leader = self.leader(group)
        assert leader is not None
        return leader


class VirtualNode:
    """One process and its disk: `start` it, `crash` or `kill` it, `start` it again."""

    def __init__(self, service: VirtualService, number: int) -> None:
        self.service = service
        self.id = ReplicaId(number, bytes([number]) * 16)
        self.disk = VirtualDisk(Random(f"disk/{service.seed}/{number}"))
        self.process: VirtualProcess | None = None
        """None while it is down."""
        self.engine: Engine
        self.replicas: dict[int, MachineReplica[Any]] = {}
        self.failure: DiskFailed | None = None
        """Why it stopped by itself: a real process ends at this point, so `crash` it."""
        self._starts = 0
        self._open: list[Asked] = []
        """What this process was asked and has not answered, and perhaps some of the rest."""
        self._arrivals: dict[tuple[int, bool], int] = {}

    def machine(self, group: int) -> Any:
        """This node's copy of the state machine."""
        return self.replicas[group].machine

    def leads(self, group: int) -> bool:
        """Does it lead, and serve?"""
        state = self.replicas[group].state
        return self.process is not None and state.role is Role.LEADER and state.confirmed

    def propose(self, group: int, command: bytes) -> Asked:
        """See `MachineReplica.propose`."""
        asked = Asked()

        def on_done(outcome: Outcome, result: Any) -> None:
            asked.outcome, asked.result = outcome, result

        self.replicas[group].propose(command, on_done)
        self._remember(asked)
        return asked

    def read(self, group: int) -> Asked:
        """See `MachineReplica.read`."""
        asked = Asked()

        def on_done(outcome: Outcome) -> None:
            asked.outcome = outcome

        assert self.process is not None
        self.replicas[group].read(on_done, self.process.now_us())
        self._remember(asked)
        return asked

    def _remember(self, asked: Asked) -> None:
        self._open = [other for other in self._open if other.outcome is None]
        self._open.append(asked)

    # --- its life

    def start(self) -> None:
        """Recover the disk and join."""
        assert self.process is None, f"node {self.id.node} runs"
        self._starts += 1
        self.failure = None
        self._arrivals.clear()
        name = f"node{self.id.node}"
        self.process = self.service.reactor.process(name, incarnation=self._starts)
        wal, recovered = Wal.open(
            self.disk, "wal", part_bytes=WAL_PART_BYTES, random=self.process.random
        )
        timing = self.service.timing
        self.engine = Engine(self.id, self.process, wal, self, timing, self._failed)
        self.replicas = {
            group: MachineReplica(machine, snapshot_entries=self.service.snapshot_entries)
            for group, machine in self.service.machines().items()
        }
        founders = Configuration(tuple([node.id for node in self.service.nodes.values()]))
        open_machines(self.disk, self.engine, recovered, founders, self.replicas)
        for other in self._others():
            self.engine.peer_connected(other.id)
            other.engine.peer_connected(self.id)

    def crash(self) -> None:
        """Power loss: what was not synced may be gone, page by page."""
        self._end()
        self.disk.crash()

    def kill(self) -> None:
        """kill -9: the machine goes on, and with it the page cache."""
        self._end()
        self.disk.kill()

    def _end(self) -> None:
        assert self.process is not None, f"node {self.id.node} is down"
        self.process.crash()
        self.process = None
        for asked in self._open:
            asked.outcome = asked.outcome or Outcome.UNKNOWN
        self._open.clear()
        for other in self._others():
            other.engine.peer_disconnected(self.id)

    def _failed(self, error: DiskFailed) -> None:
        self.failure = error

    def _others(self) -> list[VirtualNode]:
        everybody = self.service.nodes.values()
        return [node for node in everybody if node is not self and node.process is not None]

    # --- engine.Transport

    def send(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        """In order within a lane; lost on a link that is cut, and when either process ends."""
        service, me, sender = self.service, self.id.node, self.process
        target = service.nodes[node]
        process = target.process
        if process is None:
            return
        data = b"".join(buffers)
        delay_us = service.network.delay_us(service.network.quality_of(me, node))
        arrival = max(service.reactor.now_us() + delay_us, self._arrivals.get((node, bulk), 0))
        self._arrivals[node, bulk] = arrival

        def arrive() -> None:
            if self.process is not sender or service.network.is_cut(me, node):
                return
            for frame in FrameSplitter().feed(data):
                target.engine.receive(self.id, frame)

        process.deliver_at(arrival, arrive)
