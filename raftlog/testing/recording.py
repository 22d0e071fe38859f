"""A cluster that notes every input to its replicas, so that a run can be played again in parts.

The notes are taken before the replica sees the input: the one that breaks it is the last.
"""

from __future__ import annotations

from random import Random
from typing import Any

from raftlog.codec import decode
from raftlog.ready import SnapshotWanted
from raftlog.testing.cluster import SimCluster
from raftlog.testing.machine import OPERATION
from raftlog.testing.options import Options
from raftlog.testing.reactor import VirtualProcess, VirtualReactor
from raftlog.testing.replica import Replica
from raftlog.testing.schedule import Event
from raftlog.testing.words import of_message
from raftlog.testing.world import Outcome, Packet
from raftlog.types import ReplicaId

_FIRST_READ = 1_000_000
"""Reads are asked without a number; this keeps the ones they are given apart from the writes'."""


class _NotedRandom(Random):
    """The same numbers, noted: timeouts and what crashes leave; latencies are of no interest."""

    def __init__(self, seed: str, clock_offset_us: int) -> None:
        super().__init__(seed)
        self.clock_offset_us = clock_offset_us
        self.timeouts: list[int] = []
        self.survived = 0

    def randrange(self, *limits: Any) -> int:
        drawn = super().randrange(*limits)
        self.timeouts.append(drawn)
        return drawn

    def randint(self, a: int, b: int) -> int:
        self.survived = super().randrange(a, b + 1)
        return self.survived


class RecordedReactor(VirtualReactor):
    """Its processes note what they draw."""

    def process(self, name: str, *, incarnation: int = 0, **settings: Any) -> VirtualProcess:
        """As `VirtualReactor.process`."""
        process = super().process(name, incarnation=incarnation, **settings)
        seed, offset_us = f"process/{self.seed}/{name}/{incarnation}", settings["clock_offset_us"]
        process.random = _NotedRandom(seed, offset_us)
        return process


class RecordedReplica(Replica):
    """Notes its inputs in the cluster's record."""

    world: RecordedCluster
    _crash_in = 0

    @property
    def _noted(self) -> _NotedRandom:
        random = self.process.random
        assert isinstance(random, _NotedRandom)
        return random

    @property
    def _clock_us(self) -> int:
        """Since the start of the run, as this process counts it."""
        return self.process.now_us() - self._noted.clock_offset_us

    def _note(self, word: str, **fields: Any) -> None:
        self._crash_in = self.crash_in
        at_us = 0
        if self.incarnation >= 0:
            self._take_draws()
            at_us = self._clock_us
        self.world.record.append(Event(word, self.id.node, at_us, **fields))
        self.world.latest[self.id.node] = len(self.world.record) - 1

    def _take_draws(self) -> None:
        """What was drawn since the last note belongs to the event noted then."""
        timeouts = self._noted.timeouts
        if timeouts:
            last, record = self.world.latest[self.id.node], self.world.record
            record[last] = record[last]._replace(draws=tuple(timeouts))
            timeouts.clear()

    def start(self, *settings: Any) -> None:
        """As `Replica.start`."""
        self._note("start")
        record, place = self.world.record, len(self.world.record) - 1
        super().start(*settings)
        record[place] = record[place]._replace(at_us=self._clock_us)

    def stop(self) -> None:
        """As `Replica.stop`; a crash point is noted before the input that led to it."""
        tripped = self._crash_in and not self.crash_in
        self._take_draws()
        step, last = self._crash_in, self.world.latest[self.id.node]
        super().stop()
        survive = self._noted.survived
        if tripped:
            at_us = self.world.record[last].at_us
            trip = Event("trip", self.id.node, at_us, number=step, survive=survive)
            self.world.trips.append((last, trip))
        else:
            self._note("crash", survive=survive)

    def _packet(self, sender: int, packet: Packet) -> None:
        message = decode(packet)[1] if isinstance(packet, bytes) else packet
        self._note("deliver", peer=sender, message=of_message(message))
        super()._packet(sender, message)

    def _tick(self) -> None:
        deadline = self.node.deadline
        if deadline is not None and deadline <= self.process.now_us():
            self._note("tick")
        super()._tick()

    def _drain(self) -> None:
        if self._drain_due:
            self._note("drain")
        super()._drain()

    def _synced(self, error: BaseException | None) -> None:
        self._note("sync")
        super()._synced(error)

    def _chunk_read(self, wanted: SnapshotWanted) -> None:
        self._note("chunk", peer=wanted.follower.node)
        super()._chunk_read(wanted)

    def write(self, payload: bytes, span: int, done: Outcome) -> bool:
        """As `Replica.write`."""
        self._note("write", number=OPERATION.unpack_from(payload)[0], span=span)
        return super().write(payload, span, done)

    def read(self, done: Outcome) -> bool:
        """As `Replica.read`."""
        self.world.reads += 1
        self._note("read", number=_FIRST_READ + self.world.reads)
        return super().read(done)

    def transfer(self, target: ReplicaId) -> None:
        """As `Replica.transfer`."""
        self._note("transfer", peer=target.node)
        super().transfer(target)

    def change(self, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...]) -> None:
        """As `Replica.change`."""
        nodes = (tuple(member.node for member in members) for members in (voters, learners))
        self._note("change", **dict(zip(("voters", "learners"), nodes, strict=True)))
        super().change(voters, learners)

    def campaign(self) -> None:
        """As `Replica.campaign`."""
        self._note("campaign")
        super().campaign()

    def take_snapshot(self) -> None:
        """As `Replica.take_snapshot`."""
        self._note("snapshot")
        super().take_snapshot()


class RecordedCluster(SimCluster):
    """Runs as `SimCluster` does, of the same options to the byte."""

    reactor_type = RecordedReactor
    replica_type = RecordedReplica

    def __init__(self, options: Options) -> None:
        self.record: list[Event] = []
        self.latest: dict[int, int] = {}
        """Where in the record each node's last event is."""
        self.trips: list[tuple[int, Event]] = []
        self.reads = 0
        super().__init__(options)

    def events(self) -> tuple[Event, ...]:
        """Everything noted so far, in order."""
        for replica in self.replicas.values():
            if replica.incarnation >= 0 and isinstance(replica, RecordedReplica):
                replica._take_draws()
        events = self.record[:]
        for place, trip in reversed(self.trips):
            events.insert(place, trip)
        return tuple(events)
