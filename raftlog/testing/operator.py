"""An operator who keeps changing who is a member, step by step as one has to.

It draws members to aim for, and then asks whoever leads for the next step until the group is
there or its patience ends: who is new learns first, then the voters are exchanged. What is
refused is asked again a little later, perhaps of another leader.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from raftlog.errors import ChangeRefused, Misconfigured, NotLeader
from raftlog.testing.replica import Replica
from raftlog.testing.world import World
from raftlog.types import ReplicaId

STEPS_MAX = 80
STEP_US = 60_000


class Employer(World, Protocol):
    """The cluster as the operator sees it."""

    def leader(self) -> Replica | None:
        """A replica that believes to lead, of the highest term."""


class Operator:
    """At most one aim at a time; `stop` ends the work wherever it is."""

    def __init__(self, cluster: Employer, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self._aim: set[ReplicaId] = set()
        self._steps_left = 0

    def begin(self) -> None:
        """Draw new members to aim for, unless an aim is being worked at."""
        if self._aim:
            return
        everyone = list(self._cluster.replicas)
        count = self._random.choice((1, 2, 3, 3, 3, 4, 5))
        self._aim = set(self._random.sample(everyone, min(count, len(everyone))))
        self._steps_left = STEPS_MAX
        self._later()

    def stop(self) -> None:
        """Ask for nothing more."""
        self._aim.clear()

    def _later(self) -> None:
        reactor = self._cluster.reactor
        wait = int(STEP_US * self._random.random() * 2)
        reactor.post_at(reactor.now_us() + wait, self._step)

    def _step(self) -> None:
        if not self._aim:
            return
        leader = self._cluster.leader()
        if leader is not None and not leader.process.paused:
            self._ask(leader)
        self._steps_left -= 1
        if self._steps_left <= 0:
            self._aim.clear()
        if self._aim:
            self._later()

    def _ask(self, leader: Replica) -> None:
        active, probes = leader.node.configuration, self._cluster.checker.probes
        aim = tuple(sorted(self._aim))
        if set(active.voters) == self._aim and not active.outgoing and not active.learners:
            probes["membership changed as wanted"] += 1
            self._aim.clear()
            return
        strangers = [one for one in aim if one not in active.voters + active.learners]
        wanted = (active.voters, active.learners + tuple(strangers)) if strangers else (aim, ())
        try:
            leader.change(*wanted)
        except (NotLeader, ChangeRefused, Misconfigured) as error:
            probes[f"change refused: {type(error).__name__}"] += 1
