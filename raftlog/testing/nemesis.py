"""Whoever breaks things: draws faults at random times, and undoes all of them at the end.

Every fault has its own end built in (a restart, a mend, a resume), so that a fault phase is a
sequence of overlapping troubles and not a slide into silence.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from raftlog.testing.network import LinkQuality
from raftlog.testing.operator import Operator
from raftlog.testing.replica import Replica
from raftlog.testing.siege import Besieged, Siege
from raftlog.types import Role

WEATHERS = (
    LinkQuality(500, 40_000, loss=0.2, duplicate=0.1, slow=0.2, slow_factor=10),
    LinkQuality(100, 20_000, duplicate=0.1, slow=0.1, slow_factor=200),
    LinkQuality(50, 200, loss=0.5),
)
"""A storm; packets so late that terms have passed meanwhile; a link that loses every other."""


NEED_TWO = ("partition", "one_way", "transfer", "flapping")


class Patient(Besieged, Protocol):
    """The cluster as the nemesis sees it."""

    def restart(self, replica: Replica) -> None:
        """Start a stopped replica."""

    def stop(self, replica: Replica) -> None:
        """Crash a replica."""

    def snapshot(self, replica: Replica) -> None:
        """Have a replica take a snapshot now."""


class Nemesis:
    """Faults of one run, as its options chose them."""

    def __init__(self, cluster: Patient, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self._over = False
        self._slow: dict[int, int] = {}
        self._operator = Operator(cluster, random)
        self._besiegers = Siege(cluster, Random(f"siege/{cluster.options.seed}"), self._after)
        self._rotting: Replica | None = None
        alone = cluster.options.nodes == 1
        self._faults: dict[str, Callable[[], None]] = {
            name: getattr(self, f"_{name}")
            for name in cluster.options.faults
            if not (alone and name in NEED_TWO)
        }
        if self._faults:
            self._schedule()

    def latency(self, node: int) -> Callable[[Random, bool], int]:
        """How long the disk of `node` takes, microseconds; slow while it has that fault."""
        options = self._cluster.options

        def draw(random: Random, background: bool) -> int:
            spread = options.sync_max_us - options.sync_min_us
            latency = options.sync_min_us + int(random.random() * spread)
            return latency * self._slow.get(node, 1)

        return draw

    def finish(self) -> None:
        """Undo everything: mend, resume, restart. No fault happens afterwards."""
        self._over = True
        self._operator.stop()
        cluster = self._cluster
        self._slow.clear()
        cluster.network.set_quality(LinkQuality())
        cluster.network.heal()
        for replica in cluster.replicas.values():
            replica.crash_in = 0
            replica.store.repair()
            if replica.alive:
                replica.process.resume()
            elif not replica.lost:
                cluster.restart(replica)

    # --------------------------------------------------------------------------------- timing

    def _schedule(self) -> None:
        wait = int(self._random.expovariate(1) * self._cluster.options.fault_every_us)
        self._after(wait, self._strike)

    def _after(self, wait_us: int, callback: Callable[[], None]) -> None:
        def unless_over() -> None:
            if not self._over:
                callback()

        reactor = self._cluster.reactor
        reactor.post_at(reactor.now_us() + wait_us, unless_over)

    def _strike(self) -> None:
        if self._besiegers.undisturbed:
            self._schedule()
            return
        name = self._random.choice(list(self._faults))
        self._cluster.checker.probes[f"fault: {name}"] += 1
        self._cluster.trace.add((self._cluster.reactor.now_us(), -1, "fault", name))
        self._faults[name]()
        self._schedule()

    def _duration(self, up_to_us: int) -> int:
        return int(up_to_us * self._random.random() ** 2)

    def _someone(self) -> Replica:
        replicas = list(self._cluster.replicas.values())
        leader = self._cluster.leader()
        if leader is not None and self._random.random() < 0.4:
            return leader
        return self._random.choice(replicas)

    # --------------------------------------------------------------------------------- faults

    def _crash(self) -> None:
        self._bring_down(self._someone())

    def _crash_all(self) -> None:
        for replica in self._cluster.replicas.values():
            self._bring_down(replica)

    def _bring_down(self, replica: Replica) -> None:
        if replica.alive:
            self._cluster.stop(replica)
        self.restart_later(replica)

    def restart_later(self, replica: Replica) -> None:
        """Have a crashed replica back after a while."""

        def again() -> None:
            if not replica.alive and not replica.lost:
                if "power_cut" in self._faults and self._random.random() < 0.3:
                    replica.store.cut_power_in(self._random.randint(1, 12))
                self._cluster.restart(replica)

        self._after(1_000 + self._duration(2_000_000), again)

    def _crash_point(self) -> None:
        replica = self._someone()
        if replica.alive:
            replica.crash_in = self._random.randint(1, 30)

    def _power_cut(self) -> None:
        self._someone().store.cut_power_in(self._random.randint(1, 30))

    def _disk_error(self) -> None:
        self._someone().store.fail_disk(self._random)

    def _disk_full(self) -> None:
        store = self._someone().store
        store.fill_disk(self._random)
        self._after(self._duration(4_000_000), store.empty_disk)

    def _bit_rot(self) -> None:
        """Once in a run: one intact majority has to be left."""
        if self._rotting is None:
            self._rotting = self._someone()
            self._rotting.store.rot()
            self._bring_down(self._rotting)

    def _partition(self) -> None:
        nodes = list(self._cluster.by_node)
        self._random.shuffle(nodes)
        cut = self._random.randint(1, len(nodes) - 1)
        self._cluster.network.partition(nodes[:cut], nodes[cut:])
        self._mend_later()

    def _one_way(self) -> None:
        one, other = self._random.sample(list(self._cluster.by_node), 2)
        self._cluster.network.cut(one, other)
        self._mend_later()

    def _isolate_leader(self) -> None:
        leader = self._cluster.leader()
        if leader is not None:
            self._isolate(leader)

    def _isolate(self, replica: Replica) -> None:
        self._cluster.network.isolate(replica.id.node, list(self._cluster.by_node))
        self._mend_later()

    def _coup(self) -> None:
        """All but the leader start anew, and elect another behind its back."""
        leader = self._cluster.leader()
        if leader is None:
            return
        self._isolate_leader()
        for replica in self._cluster.replicas.values():
            if replica is not leader and replica.alive:
                self._cluster.stop(replica)
                self._cluster.restart(replica)
        self._after(5_000 + self._duration(50_000), self._campaign)

    def _siege(self) -> None:
        self._besiegers.begin()

    def _bridge(self) -> None:
        """Only one node sees both halves (a majority ring's smallest form)."""
        nodes = list(self._cluster.by_node)
        self._random.shuffle(nodes)
        middle = (len(nodes) - 1) // 2
        for one in nodes[:middle]:
            self._cluster.network.isolate(one, nodes[middle : len(nodes) - 1])
        self._mend_later()

    def _flapping(self) -> None:
        """A link that goes and comes, faster than an election timeout."""
        one, other = self._random.sample(list(self._cluster.by_node), 2)
        network = self._cluster.network

        def flap(left: int) -> None:
            if left % 2:
                network.cut(one, other)
                network.cut(other, one)
            else:
                network.heal()
            if left:
                self._after(5_000 + self._duration(150_000), lambda: flap(left - 1))

        flap(2 * self._random.randint(1, 10) + 1)

    def _membership(self) -> None:
        self._operator.begin()

    def _mend_later(self) -> None:
        self._after(self._duration(3_000_000), self._cluster.network.heal)

    def _weather(self) -> None:
        network, usual = self._cluster.network, self._cluster.options.quality
        network.set_quality(self._random.choice(WEATHERS))
        self._after(self._duration(2_000_000), lambda: network.set_quality(usual))

    def _pause(self) -> None:
        replica = self._someone()
        if replica.alive:
            now = self._cluster.reactor.now_us()
            replica.process.pause(now + 10_000 + self._duration(2_000_000))

    def _slow_disk(self) -> None:
        node = self._someone().id.node

        def recover() -> None:
            self._slow.pop(node, None)

        self._slow[node] = self._random.choice((10, 100))
        self._after(self._duration(3_000_000), recover)

    def _transfer(self) -> None:
        leader = self._cluster.leader()
        if leader is not None and not leader.process.paused:
            others = [i for i in leader.node.configuration.voters if i != leader.id]
            if others:
                leader.transfer(self._random.choice(others))
            if self._random.random() < 0.5:  # before it hears of its successor
                self._after(self._duration(8_000), lambda: self._isolate(leader))

    def _campaign(self) -> None:
        replica = self._someone()
        if replica.alive and not replica.process.paused and replica.node.role is Role.FOLLOWER:
            replica.campaign()

    def _snapshot(self) -> None:
        replica = self._someone()
        if replica.alive and not replica.process.paused:
            self._cluster.snapshot(replica)
