"""The fault that puts a lease to the test: another leader, at the first moment that there may be.

A lease and the pledges it rests on end almost together. Whether the right one ends first shows
only where somebody is elected as soon as the pledges allow, and a read then comes to the leader
of before; faults that strike at random are too late by most of an election timeout. So one siege
goes through these steps:

1. the leader's clock goes as slow as the options allow, all others as fast; links are quick, but
   for those by which the leader is answered: what it hears is old;
2. it is made to begin a round of reads, and then heard by nobody; the late answers still come;
3. one of the others campaigns again and again, until one leads;
4. that one takes a write, and the leader of before is read while it trusts its lease.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from raftlog.testing.machine import OPERATION
from raftlog.testing.replica import Replica
from raftlog.testing.workload import Ledger, Operation
from raftlog.testing.world import Outcome, World
from raftlog.types import Role

STEP_US = 500
"""So often the besiegers look whether they may go on, and campaign."""
LINK_US = (50, 200)
"""Delays of the links that are not held up."""
ROUND_TRIP_US = 5_000
"""A vote is asked for, made durable and answered in this time, unless disks are slow."""

IN_TIME = "leader elected within a round trip after a lease"
"""The probe: here a lease that is a little too long would have been seen."""

After = Callable[[int, Callable[[], None]], None]


class Besieged(World, Protocol):
    """The cluster as a siege sees it."""

    ledger: Ledger

    def leader(self) -> Replica | None:
        """A replica that believes to lead, of the highest term."""


class Siege:
    """One siege after another; `begin` does nothing while one is under way.

    `after(wait_us, callback)` calls back later, unless all faults are over by then.
    """

    def __init__(self, cluster: Besieged, random: Random, after: After) -> None:
        self._cluster = cluster
        self._random = random
        self._after = after
        self._leader: Replica | None = None
        self.undisturbed = False
        """No other fault may begin now: a restart or a mended link would end the siege."""
        self._term = 0
        self._end_us = self._lease_us = self._late_us = 0
        self._elected: Replica | None = None
        self._write: Operation | None = None

    def begin(self) -> None:
        """Step 1."""
        leader = self._cluster.leader()
        if self._leader is not None or leader is None or leader.process.paused:
            return
        self._leader, self._term = leader, leader.node.term
        self._elected = self._write = None
        self._lease_us = 0
        self.undisturbed = self._random.random() < 0.5
        election_us = self._cluster.options.timing.election_min_us
        self._late_us = int(
            self._random.choice((0, 0.3, 0.8)) * self._random.random() * election_us
        )
        self._end_us = self._cluster.reactor.now_us() + 4 * election_us
        if self._random.random() < 0.8:
            self._set_clocks(leader)
        self._set_links(leader)
        self._await_the_end_of_the_lease(leader)

    def _set_clocks(self, leader: Replica) -> None:
        most = self._cluster.options.drift_ppm
        for replica in self._cluster.replicas.values():
            if replica.alive:
                replica.process.set_drift(-most if replica is leader else most)

    def _set_links(self, leader: Replica) -> None:
        network, nodes = self._cluster.network, self._cluster.by_node
        for one in nodes:
            for other in nodes:
                late = self._late_us if other == leader.id.node else 0
                low, high = (late + delay for delay in LINK_US)
                network.degrade(one, other, delay_min_us=low, delay_max_us=high, loss=0.0, slow=0.0)

    # ---------------------------------------------------------------------------------- step 2

    def _await_the_end_of_the_lease(self, leader: Replica) -> None:
        """A lease that holds would answer without a round."""
        if self._failed(leader):
            return
        if self._trusts(leader):
            self._after(STEP_US, lambda: self._await_the_end_of_the_lease(leader))
            return
        self._read(leader)
        trip_us = self._cluster.options.pass_us + 2 * LINK_US[1]
        answered_us = 2 * trip_us + self._late_us
        self._after(trip_us + self._some(1_000), lambda: self._silence(leader))
        self._after(answered_us + self._some(2_000), lambda: self._isolate(leader))
        self._press(leader)

    def _silence(self, leader: Replica) -> None:
        for node in self._cluster.by_node:
            if node != leader.id.node:
                self._cluster.network.cut(leader.id.node, node)

    def _isolate(self, leader: Replica) -> None:
        """Before it can hear of its successor."""
        if self._leader is leader:
            self._cluster.network.isolate(leader.id.node, self._cluster.by_node)

    # --------------------------------------------------------------------------- steps 3 and 4

    def _press(self, leader: Replica) -> None:
        if self._failed(leader):
            return
        self._lease_us = max(self._lease_us, leader.node.lease_until_us)
        successor = self._cluster.leader()
        if successor is None or successor.node.term <= self._term:
            self._campaign(leader)
        elif self._elected is None:
            self._note_election(leader, successor)
        elif not self._trusts(leader):
            self._over()
            return
        else:
            self._write_and_read(leader, successor)
        self._after(STEP_US, lambda: self._press(leader))

    def _campaign(self, leader: Replica) -> None:
        """The one with the best log, unless its candidacy is already under way."""
        voters = [self._cluster.replicas[voter] for voter in leader.node.configuration.voters]
        able = [r for r in voters if r is not leader and r.alive and not r.process.paused]
        usurper = max(able, key=lambda r: (r.node.last_term, r.node.last_index), default=None)
        if usurper is not None and usurper.node.role in (Role.FOLLOWER, Role.PRE_CANDIDATE):
            usurper.campaign()

    def _note_election(self, leader: Replica, successor: Replica) -> None:
        self._elected = successor
        if self._lease_us and leader.process.now_us() - self._lease_us <= ROUND_TRIP_US:
            self._cluster.checker.probes[IN_TIME] += 1

    def _write_and_read(self, leader: Replica, successor: Replica) -> None:
        if self._write is None or self._write.outcome == "fail":
            if successor.node.confirmed and not successor.process.paused:
                self._write = self._append(successor)
        elif self._write.outcome == "ok":
            self._read(leader)

    # ------------------------------------------------------------------------------ operations

    def _append(self, replica: Replica) -> Operation:
        operation = self._cluster.ledger.invoke(1)
        payload = OPERATION.pack(operation.id).ljust(self._cluster.options.payload_bytes, b".")
        done = self._done(operation)
        if not replica.write(payload, 1, done):
            done(False, 0, 0)
        return operation

    def _read(self, replica: Replica) -> None:
        operation = self._cluster.ledger.invoke(0)
        done = self._done(operation)
        if not replica.read(done):
            done(False, 0, 0)

    def _done(self, operation: Operation) -> Outcome:
        def done(ok: bool, base: int, index: int) -> None:
            self._cluster.ledger.finish(operation, "ok" if ok else "fail", base)

        return done

    # ------------------------------------------------------------------------------------- end

    def _some(self, most_us: int) -> int:
        return int(self._random.random() * most_us)

    def _trusts(self, leader: Replica) -> bool:
        """True while it answers reads on its own."""
        return leader.process.now_us() < leader.node.lease_until_us

    def _failed(self, leader: Replica) -> bool:
        """True, and the siege is over, when there is nothing left to besiege."""
        leads = leader.leads and leader.node.term == self._term and not leader.process.paused
        if leads and self._cluster.reactor.now_us() < self._end_us:
            return False
        self._over()
        return True

    def _over(self) -> None:
        self._leader = None
        self.undisturbed = False
        self._cluster.network.heal()
