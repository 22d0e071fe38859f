"""Carries out a schedule, or any part of one, before the same referee as a simulated run.

Everything happens at once and only when the schedule says so. An event that makes no sense
where it stands (a sync when nothing is being synced, a message that was not sent) is passed
over, and messages may be lost, repeated and reordered freely: any part of a schedule is itself
a run that could have been.

Which message a `deliver` means: what the sender said to that replica and reads the same; if
there is none, the one of the same kind that it said as many messages of that kind ago. So the
rest of a run still goes its way when what is left out moves terms and indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from raftlog.errors import ChangeRefused, Misconfigured, NotLeader
from raftlog.messages import Message
from raftlog.ready import Ready, SnapshotWanted
from raftlog.testing.checker import Checker
from raftlog.testing.history import Violation, verdict
from raftlog.testing.machine import OPERATION
from raftlog.testing.network import VirtualNetwork
from raftlog.testing.options import Options
from raftlog.testing.reactor import VirtualReactor
from raftlog.testing.replica import Replica
from raftlog.testing.schedule import Event, Schedule
from raftlog.testing.stage import OpenNetwork, StillProcess, StillReactor, draws_of, no_latency
from raftlog.testing.store import ModelStore
from raftlog.testing.trace import Trace
from raftlog.testing.words import of_ready
from raftlog.testing.workload import Ledger, Operation
from raftlog.testing.world import CRASHES, Outcome, Packet, members
from raftlog.types import ReplicaId


class _Replica(Replica):
    """The host loop as it is, driven by hand."""

    world: Player

    def start(self, *settings: Any) -> None:
        self.wanted: list[SnapshotWanted] = []
        super().start(*settings)

    def tick(self) -> None:
        self._tick()

    def drain(self) -> bool:
        due = self._drain_due
        if due:
            self._drain()
        return due

    def packet(self, sender: int, message: Message) -> None:
        self._packet(sender, message)

    def chunk(self, follower: int) -> bool:
        for wanted in self.wanted:
            if wanted.follower.node == follower:
                self.wanted.remove(wanted)
                self._chunk_read(wanted)
                return True
        return False

    def snapshot(self) -> bool:
        if self._compacting or self.machine.applied <= self.store.visible.meta.position.index:
            return False
        try:
            self.take_snapshot()
        except CRASHES:
            self.world.crashed(self)
        return True

    def _answer_with_chunk(self, wanted: SnapshotWanted) -> None:
        self.wanted.append(wanted)

    def _arm(self) -> None:
        pass

    def _carry_out(self, ready: Ready) -> None:
        if self.world.tell:
            commit = self.world.commits.get(self.id.node, 0)
            for line in of_ready(ready, commit):
                self.world.lines.append(f"n{self.id.node} {line}")
            self.world.commits[self.id.node] = ready.commit
        super()._carry_out(ready)


@dataclass(slots=True)
class Played:
    """How it went."""

    invariant: str = ""
    """What broke, as in `Failure`; empty when everything held."""
    detail: str = ""
    events: list[Event] = field(default_factory=list)
    """Those that did something, each `deliver` with what it really delivered."""
    traces: list[list[str]] = field(default_factory=list)
    """For each of them what it did, when that was asked for."""


class Player:
    """A `World` in which time stands still between events."""

    def __init__(self, options: Options, *, tell: bool = False) -> None:
        self.options = replace(options, snapshot_every=0, wire=False, disk="model")
        self.tell = tell
        self.lines: list[str] = []
        self.commits: dict[int, int] = {}
        self._reactor = StillReactor(0)
        self.reactor: VirtualReactor = self._reactor
        self._network = OpenNetwork(self._reactor)
        self.network: VirtualNetwork[Packet] = self._network
        self.trace = Trace(whole=False)
        self.checker = Checker()
        self.ledger = Ledger()
        ids, birth = members(options)
        self.by_node = {replica.node: replica for replica in ids}
        self._played = {i.node: _Replica(self, i, ModelStore(birth)) for i in ids}
        self.replicas: dict[ReplicaId, Replica] = {r.id: r for r in self._played.values()}
        self.checker.stores.update((r.id, r.store) for r in self._played.values())
        self._trips: dict[int, Event] = {}
        self._current: list[Event] = []
        """The event under way as it is carried out, after the trip that ended it, if any."""

    def crashed(self, replica: Replica) -> None:
        """The crash point of a `trip` was reached."""
        trip = self._trips.pop(replica.id.node)
        self._current.insert(0, trip)
        draws_of(replica.process).survive = trip.survive
        replica.stop()
        self._say(f"n{replica.id.node} is down")

    def play(self, events: Iterable[Event]) -> Played:
        """Carry the events out, until one breaks an invariant or there are no more."""
        played = Played()
        try:
            for event in events:
                self.lines = []
                if self._step(event):
                    self._note(played)
            self._current = []
            self._judge()
        except Exception as error:  # whatever the code under test raises is the finding
            self._note(played)
            played.invariant = verdict(error)
            played.detail = str(error) if isinstance(error, Violation) else repr(error)
        return played

    def _note(self, played: Played) -> None:
        """Keep what was done; the trace belongs to the event, not to the trip before it."""
        for event in self._current:
            played.events.append(event)
            played.traces.append([])
        if self._current:
            played.traces[-1] = self.lines

    def _judge(self) -> None:
        longest = max(self.replicas.values(), key=lambda replica: replica.machine.next_offset)
        self.ledger.judge(longest.machine.operations, whole=False)

    def _say(self, line: str) -> None:
        if self.tell:
            self.lines.append(line)

    # --------------------------------------------------------------------------------- events

    def _step(self, event: Event) -> bool:
        """Carry one event out; False when there was nothing to do."""
        replica = self._played.get(event.node)
        if replica is None or replica.alive == (event.word == "start"):
            return False
        self._current = [event]
        if event.word == "start":
            return self._start(replica, event)
        if event.word == "trip":
            self._trips[event.node] = event
            return False
        process, draws = replica.process, draws_of(replica.process)
        assert isinstance(process, StillProcess)
        before = process.clock_us
        process.clock_us = max(before, event.at_us)
        draws.timeouts[:] = event.draws
        trip = self._trips.get(event.node)
        replica.crash_in = trip.number if trip is not None else 0
        done: bool = getattr(self, f"_{event.word}")(replica, event)
        draws.timeouts.clear()
        if not done:
            process.clock_us = before
        elif self._trips.pop(event.node, None):
            replica.crash_in = 0
        return done

    def _start(self, replica: _Replica, event: Event) -> bool:
        self._reactor.clock_us, self._reactor.draws = event.at_us, event.draws
        self.commits.pop(event.node, None)
        replica.start(no_latency, 0)
        if self.tell:
            image = replica.store.durable
            terms = [entry.term for entry in image.entries]
            self.lines.insert(0, f"n{event.node} is up, log {terms}, term {image.hard_state.term}")
        return True

    def _crash(self, replica: _Replica, event: Event) -> bool:
        draws_of(replica.process).survive = event.survive
        replica.stop()
        self._say(f"n{event.node} is down")
        return True

    def _deliver(self, replica: _Replica, event: Event) -> bool:
        found = self._network.find(event)
        if found is None:
            return False
        text, age, message = found
        self._current = [event._replace(message=text, age=age)]
        self._say(f"  n{event.peer}->n{event.node} {text}")
        replica.packet(event.peer, message)
        return True

    def _tick(self, replica: _Replica, event: Event) -> bool:
        process, deadline = replica.process, replica.node.deadline
        assert isinstance(process, StillProcess)
        if deadline is None:
            return False
        if deadline > process.clock_us:
            if self.options.timing.lease_reads:
                return False  # leases hold while clocks run alike: none may run ahead at will
            process.clock_us = deadline
        replica.tick()
        return True

    def _drain(self, replica: _Replica, event: Event) -> bool:
        return replica.drain()

    def _sync(self, replica: _Replica, event: Event) -> bool:
        process = replica.process
        assert isinstance(process, StillProcess)
        if not process.jobs:
            return False
        job, done = process.jobs.pop(0)
        job()
        done(None)
        return True

    def _write(self, replica: _Replica, event: Event) -> bool:
        options = self.options
        payload = OPERATION.pack(event.number).ljust(options.payload_bytes, b".")
        return self._ask(event, lambda done: replica.write(payload, event.span, done))

    def _read(self, replica: _Replica, event: Event) -> bool:
        return self._ask(event, replica.read)

    def _ask(self, event: Event, ask: Callable[[Outcome], bool]) -> bool:
        number, ledger = event.number, self.ledger
        if number in ledger.operations:
            return False
        operation = Operation(number, event.span, ledger.longest)
        ledger.operations[number] = operation

        def done(ok: bool, base: int, index: int) -> None:
            what = "is written at" if event.span else "sees a list of length"
            self._say(f"op{number} {what} {base}" if ok else f"op{number} fails")
            ledger.finish(operation, "ok" if ok else "fail", base)

        accepted = ask(done)
        if not accepted:
            del ledger.operations[number]
        return accepted

    def _snapshot(self, replica: _Replica, event: Event) -> bool:
        return replica.snapshot()

    def _chunk(self, replica: _Replica, event: Event) -> bool:
        return replica.chunk(event.peer)

    def _transfer(self, replica: _Replica, event: Event) -> bool:
        target = self.by_node.get(event.peer)
        if target is None or not replica.leads:
            return False
        try:
            replica.transfer(target)
        except Misconfigured:
            return False
        return True

    def _campaign(self, replica: _Replica, event: Event) -> bool:
        if replica.leads:
            return False
        replica.campaign()
        return True

    def _change(self, replica: _Replica, event: Event) -> bool:
        voters, learners = (
            tuple(self.by_node[node] for node in nodes if node in self.by_node)
            for nodes in (event.voters, event.learners)
        )
        try:
            replica.change(voters, learners)
        except (NotLeader, ChangeRefused, Misconfigured):
            return False
        return True


def play(schedule: Schedule, *, tell: bool = False) -> Played:
    """Carry a whole schedule out."""
    return Player(schedule.options, tell=tell).play(schedule.events)
