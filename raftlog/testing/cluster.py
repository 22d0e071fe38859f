"""A whole group in one heap: replicas, network, disks, clients and a nemesis, from one seed.

A run has three parts: the fault phase, the healing, and the proof that the healed cluster
serves. It ends with a `Result` or raises: `Violation` for a broken invariant, any other
exception for a defect that an assertion inside the core found first.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from random import Random

from raftlog.core import members_of
from raftlog.errors import CorruptLog
from raftlog.testing.checker import Checker
from raftlog.testing.history import Violation
from raftlog.testing.nemesis import Nemesis
from raftlog.testing.network import NetworkStatistics, VirtualNetwork
from raftlog.testing.options import SECOND_US, Options
from raftlog.testing.reactor import VirtualReactor
from raftlog.testing.replica import Replica
from raftlog.testing.store import ModelStore, Store
from raftlog.testing.trace import Trace
from raftlog.testing.wal_store import WalStore
from raftlog.testing.workload import Client, Ledger
from raftlog.testing.world import CRASHES, Packet, members
from raftlog.types import ReplicaId, SnapshotMeta

CHUNK_TRIP_US = 5_000
"""A chunk and its answer over a healed network, and the read of the next."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one seed did."""

    seed: int
    events: int
    """Callbacks run."""
    simulated_us: int
    commit: int
    """Entries committed."""
    terms: int
    """Terms that had a leader."""
    operations: Counter[str]
    probes: Counter[str]
    network: NetworkStatistics


class SimCluster:
    """The simulated cluster of one seed."""

    reactor_type = VirtualReactor
    replica_type = Replica
    """What `raftlog.testing.recording` puts its own in place of."""

    def __init__(self, options: Options, *, whole_trace: bool = False) -> None:
        self.options = options
        self.reactor = self.reactor_type(options.seed)
        self.trace = Trace(whole=whole_trace)
        self.network: VirtualNetwork[Packet] = VirtualNetwork(
            self.reactor, Random(f"network/{options.seed}"), options.quality
        )
        ids, birth = members(options)
        self.by_node = {replica.node: replica for replica in ids}
        self.checker = Checker()
        stores = self.checker.stores
        stores.update((replica, self._store(replica, birth)) for replica in ids)
        self.replicas = {i: self.replica_type(self, i, store) for i, store in stores.items()}
        self.ledger = Ledger()
        self._clocks = Random(f"clocks/{options.seed}")
        self.nemesis = Nemesis(self, Random(f"nemesis/{options.seed}"))
        for replica in self.replicas.values():
            self.restart(replica)
        think_us = options.clients * SECOND_US // options.writes_per_s
        self.clients = [
            Client(self, self.ledger, Random(f"client/{options.seed}/{n}"), think_us)
            for n in range(options.clients)
        ]

    def _store(self, replica: ReplicaId, birth: SnapshotMeta) -> Store:
        if self.options.disk == "model":
            return ModelStore(birth)
        random = Random(f"disk/{self.options.seed}/{replica.node}")
        return WalStore(birth, random, self.checker.probes)

    # ------------------------------------------------------------------------- for the nemesis

    def restart(self, replica: Replica) -> None:
        """Start a stopped replica with a clock of its own."""
        most = self.options.drift_ppm
        drift = self._clocks.randint(-most, most)
        try:
            replica.start(self.nemesis.latency(replica.id.node), drift)
        except CRASHES:
            self.crashed(replica)
        except CorruptLog:
            if not replica.store.rotten:
                raise
            replica.lost = True
            self.checker.probes["damage found at the start"] += 1
            self.stop(replica)

    def stop(self, replica: Replica) -> None:
        """Crash a replica."""
        self._note_crash(replica)
        replica.stop()

    def crashed(self, replica: Replica) -> None:
        """A crash point was reached."""
        self.stop(replica)
        self.nemesis.restart_later(replica)

    def snapshot(self, replica: Replica) -> None:
        """Have a replica take a snapshot now."""
        try:
            replica.take_snapshot()
        except CRASHES:
            self.crashed(replica)

    def leader(self) -> Replica | None:
        """A replica that believes to lead, of the highest term."""
        leaders = [r for r in self.replicas.values() if r.leads]
        return max(leaders, key=lambda r: r.node.term, default=None)

    def _note_crash(self, replica: Replica) -> None:
        probes = self.checker.probes
        probes["crash"] += 1
        if replica.leads:
            probes["leader crashed"] += 1
        if replica.store.visible.last_index > replica.store.durable.last_index:
            probes["crash with unsynced entries"] += 1

    # ------------------------------------------------------------------------------------- run

    def run(self) -> Result:
        """Fault phase, healing, proof; raises Violation.

        The collector of cycles rests meanwhile: a run makes next to none, and looking
        for them took a sixth of its time.
        """
        resting = gc.isenabled()
        gc.disable()
        try:
            return self._run()
        finally:
            if resting:
                gc.enable()

    def _run(self) -> Result:
        self.reactor.run_until(self.options.fault_phase_us)
        self._heal()
        self._converge()
        self.ledger.judge(self._members()[0].machine.operations)
        return Result(
            self.options.seed,
            self.reactor.events,
            self.reactor.now_us(),
            self.checker.history.commit,
            len(self.checker.history.leaders),
            self.ledger.counts,
            self.checker.probes,
            self.network.statistics(),
        )

    def _heal(self) -> None:
        self.nemesis.finish()
        for client in self.clients:
            client.stopped = True
        self.trace.add((self.reactor.now_us(), -1, "healed"))

    def _converge(self) -> None:
        """A healed cluster must serve: commit a new write and agree on everything."""
        limit = self.reactor.now_us() + self.options.converge_within_us + self._transfer_us()
        counts = self.ledger.counts
        before = counts["write ok"]
        think_us, random = self.options.timing.heartbeat_us, self.reactor.random
        prober = Client(self, self.ledger, random, think_us, read_share=0)
        if not self.reactor.run_until(lambda: counts["write ok"] > before, limit_us=limit):
            raise Violation("a healed cluster serves writes", self._state())
        prober.stopped = True
        if not self.reactor.run_until(self._agreed, limit_us=limit):
            raise Violation("a healed cluster converges", self._state())

    def _transfer_us(self) -> int:
        """The longest that a snapshot of the present state takes: each chunk is synced first."""
        state = max(len(replica.machine.encode()) for replica in self.replicas.values())
        chunks = -(-state // self.options.chunk_bytes)
        return chunks * (self.options.sync_max_us + CHUNK_TRIP_US)

    def _agreed(self) -> bool:
        commit = self.checker.history.commit
        members = self._members()
        return bool(members) and all(
            r.alive and r.machine.applied == commit == r.node.last_index for r in members
        )

    def _members(self) -> list[Replica]:
        """Those of the leader's configuration that can be there; empty without a leader."""
        leader = self.leader()
        if leader is None:
            return []
        members = [self.replicas[member] for member in members_of(leader.node.configuration)]
        return [replica for replica in members if not replica.lost]

    def _state(self) -> str:
        """Who is where, for a cluster that got stuck."""
        return f"committed {self.checker.history.commit}; " + "; ".join(
            f"n{r.id.node} {r.node.role.name}@{r.node.term} commit={r.node.commit}"
            f" last={r.node.last_index} applied={r.machine.applied}"
            for r in self.replicas.values()
        )
