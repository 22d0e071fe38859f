"""One simulated process: a core `Node`, its store and machine, and the host loop around them.

The loop is the contract of `raftlog.ready` written out, with a crash point between any two of
its steps: when the countdown set by `crash_in` reaches zero, the process ends right there, with
what it had written and said so far.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from raftlog.codec import decode, encode
from raftlog.core.node import Node
from raftlog.errors import NotLeader, Overloaded
from raftlog.framing import PREFIX_BYTES
from raftlog.messages import AppendRequest
from raftlog.ready import Ready, SnapshotWanted
from raftlog.testing.arriving import Arriving
from raftlog.testing.checker import Seen
from raftlog.testing.history import Violation
from raftlog.testing.machine import Machine
from raftlog.testing.reactor import VirtualProcess, VirtualTimer
from raftlog.testing.store import Round, Store
from raftlog.testing.world import CRASHES, GROUP, Outcome, Packet, SimulatedCrash, Waiting, World
from raftlog.types import EntryKind, LogPosition, ReplicaId, Role, SnapshotMeta

MAX_READ_BYTES = 1 << 30


class Replica:
    """A replica over all its incarnations; between two of them `process.alive` is False."""

    def __init__(self, world: World, replica_id: ReplicaId, store: Store) -> None:
        self.id = replica_id
        self.world = world
        self.store = store
        self.incarnation = -1
        self.seen = Seen()
        self.machine = Machine()
        self.lost = False
        """Its directory was found damaged: it never starts again."""
        self.crash_in = 0
        """Crash points left until the process ends; 0: none is set."""
        self.process: VirtualProcess
        self.node: Node
        self._options = world.options
        self._checker = world.checker
        self._note_event = world.trace.add
        self._global_now_us = world.reactor.now_us

    @property
    def alive(self) -> bool:
        """True while a process runs (a paused one counts)."""
        return self.incarnation >= 0 and self.process.alive

    # ------------------------------------------------------------------------ start and crash

    def start(self, latency: Callable[..., int], drift_ppm: int) -> None:
        """Recover the directory and run a new incarnation on it."""
        world = self.world
        self.incarnation += 1
        self.process = world.reactor.process(
            f"n{self.id.node}",
            incarnation=self.incarnation,
            # every incarnation's monotonic clock starts somewhere else
            clock_offset_us=1_000_000 * (7 * self.id.node + 13 * self.incarnation),
            drift_ppm=drift_ppm,
            latency=latency,
        )
        image = self.store.recover()
        self.machine = Machine.decode(image.data)
        self._waiting: dict[int, Waiting] = {}
        self._reads: dict[int, Outcome] = {}
        self._confirmed: list[tuple[int, int]] = []
        self._context = 0
        self._arriving = Arriving(self.id.node, world.checker.probes)
        self._syncing = self._dirty = self._compacting = self._drain_due = False
        self._timer: VirtualTimer | None = None
        self._armed_us = 0
        self._compacting_to = self._installing = 0
        self._number = 0
        self.crash_in = 0
        self._trace("start", self.incarnation, image.last_index, image.hard_state)
        self.node = Node(
            GROUP,
            self.id,
            self.store.reader,
            image.hard_state,
            world.options.timing,
            self.process.random,
            self.process.now_us(),
        )
        world.checker.started(self)
        world.network.attach(self.id.node, self.process, self._packet)
        self._after_input()

    def stop(self) -> None:
        """End the process now; its store loses what chance takes."""
        self._trace("crash")
        self.process.crash()
        self.world.network.detach(self.id.node)
        self.store.crash(self.process.random)
        self._waiting.clear()
        self._reads.clear()

    def _point(self) -> None:
        """A place where the process may end; few runs set the countdown, so that callers look."""
        self.crash_in -= 1
        if not self.crash_in:
            self.world.checker.probes["crash between two steps"] += 1
            raise SimulatedCrash

    # --------------------------------------------------------------------------------- inputs

    def _packet(self, sender: int, packet: Packet) -> None:
        message = decode(packet)[1] if isinstance(packet, bytes) else packet
        if isinstance(message, AppendRequest) and message.entries and self.store.full:
            self.world.checker.probes["entries not taken: disk full"] += 1
            return
        self._note_event((self._global_now_us(), self.id.node, "recv", sender, message))
        self.node.receive(self.process.now_us(), self.world.by_node[sender], message)
        self._after_input()

    def _tick(self) -> None:
        self._timer = None
        now = self.process.now_us()
        deadline = self.node.deadline
        if deadline is not None and deadline <= now:
            self._trace("tick")
            self.node.tick(now)
        self._after_input()

    def write(self, payload: bytes, span: int, done: Outcome) -> bool:
        """Propose; False when this replica refuses: not the leader, overloaded, or disk full."""
        if self.store.full:
            self.world.checker.probes["refused: disk full"] += 1
            return False
        try:
            entry = self.node.propose(EntryKind.DATA, span, payload)
        except (NotLeader, Overloaded) as error:
            self.world.checker.probes[f"refused: {type(error).__name__}"] += 1
            return False
        self._trace("propose", entry.index, entry.term)
        self._waiting[entry.index] = Waiting(entry.term, done)
        self._after_input()
        return True

    def read(self, done: Outcome) -> bool:
        """Read the list's length through ReadIndex; False when this replica refuses."""
        self._context += 1
        now = self.process.now_us()
        if now < self.node.lease_until_us:
            self.world.checker.probes["read by lease"] += 1
        try:
            self.node.read(self._context, now)
        except (NotLeader, Overloaded):
            return False
        self._trace("read", self._context)
        self._reads[self._context] = done
        self._after_input()
        return True

    def transfer(self, target: ReplicaId) -> None:
        """Ask the leader to hand over."""
        self._trace("transfer", target)
        try:
            self.node.transfer(target)
        except NotLeader:
            return
        self._after_input()

    def change(self, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...]) -> None:
        """Ask the leader to change the members; raises what the core raises."""
        self.node.change(voters, learners)
        self._trace("change", *voters, "|", *learners)
        self._after_input()

    def campaign(self) -> None:
        """Start an election at once."""
        self._trace("campaign")
        self.node.campaign(self.process.now_us())
        self._after_input()

    # ---------------------------------------------------------------------------- the host loop

    def _after_input(self) -> None:
        self._checker.observed(self)
        pass_us = self._options.pass_us
        if not pass_us:
            self._drain()
        elif not self._drain_due:
            self._drain_due = True
            wait = int(self.process.random.random() * pass_us)
            self.process.call_at(self.process.now_us() + wait, self._drain)

    def _drain(self) -> None:
        self._drain_due = False
        try:
            node = self.node
            decided = False
            while node.has_ready():
                decided = True
                self._carry_out(node.ready())
            if self._dirty and not self._syncing:
                self._sync()
            if decided and not self._installing:
                self._checker.settled(self)
            self._snapshot_if_due()
        except CRASHES:
            self.world.crashed(self)
            return
        self._arm()

    def _carry_out(self, ready: Ready) -> None:
        self._note_event((self._global_now_us(), self.id.node, "ready", ready))
        self._checker.decided(self, ready)
        if self._options.write_first:
            self._store(ready)
            self._send(ready)
        else:
            self._send(ready)
            self._store(ready)
        for wanted in ready.snapshot_wanted:
            self._answer_with_chunk(wanted)
        if not self._installing:  # else the snapshot replaces all that is committed here
            self._apply(ready.commit)
        for context, index in ready.reads:
            self._read_confirmed(context, index)

    def _send(self, ready: Ready) -> None:
        node, sent, send = self.id.node, self._checker.sent, self.world.network.send
        wire = self._options.wire
        for target, message in ready.messages:
            if self.crash_in:
                self._point()
            sent(self, target, message)
            packet: Packet = message
            if wire:
                packet = b"".join(encode(GROUP, message))[PREFIX_BYTES:]
            send(node, target.node, packet)

    def _store(self, ready: Ready) -> None:
        install = None if ready.snapshot is None else self._arriving.take(ready.snapshot)
        if not ready.must_store:
            if ready.entries or ready.hard_state or ready.truncate_from or install:
                raise Violation("must_store announces writes", f"n{self.id.node}: {ready}")
            return
        if install is not None and self.store.visible.last_index > self.store.durable.last_index:
            self._checker.probes["snapshot over unsynced entries"] += 1
        if self.crash_in:
            self._point()
        self.store.write(
            Round(ready.number, install, ready.truncate_from, ready.entries, ready.hard_state)
        )
        self._dirty = True
        if install is not None:
            self._installing = ready.number
        if self.crash_in:
            self._point()

    def _sync(self) -> None:
        """Hand one sync to the storage thread; rounds written meanwhile wait for the next."""
        if self._dirty and not self._syncing:
            self._dirty, self._syncing = False, True
            if self.crash_in:
                self._point()
            self.store.begin_sync()
            self.process.offload(self._sync_job, self._synced)

    def _sync_job(self) -> None:
        self._number = self.store.sync()

    def _synced(self, error: BaseException | None) -> None:
        self._syncing = False
        try:
            if error is not None:
                raise error
            if self.crash_in:
                self._point()
        except CRASHES:
            self.world.crashed(self)
            return
        self._trace("synced", self._number)
        if self._compacting:
            self._finish_compaction()
        if self._number:
            self.node.stored(self._number)
        if 0 < self._installing <= self._number:
            self._installed()
        self._after_input()

    def _installed(self) -> None:
        """The snapshot that replaced the log is durable: the machine follows."""
        self._installing = 0
        self.world.checker.probes["snapshot installed"] += 1
        self.machine = Machine.decode(self.store.visible.data)
        self.world.checker.applied(self)

    def _arm(self) -> None:
        deadline = self.node.deadline
        if deadline is None:
            return
        if self._timer is not None:
            if self._armed_us <= deadline:
                return
            self._timer.cancel()
        self._armed_us = deadline
        self._timer = self.process.call_at(deadline, self._tick)

    # ---------------------------------------------------------------------- machine and clients

    def _apply(self, commit: int) -> None:
        machine, checker = self.machine, self._checker
        if machine.applied < commit:
            entries = self.store.visible.read(machine.applied + 1, commit + 1, MAX_READ_BYTES)
            checker.learned(self, commit, entries)
            for entry in entries:
                machine.apply(entry)
                checker.applied(self)
                waiting = self._waiting.pop(entry.index, None)
                if waiting is not None:
                    waiting.done(waiting.term == entry.term, entry.base, entry.index)
        confirmed = self._confirmed
        while confirmed and confirmed[0][0] <= machine.applied:
            self._reads.pop(heappop(confirmed)[1])(True, machine.next_offset, machine.applied)

    def _read_confirmed(self, context: int, index: int) -> None:
        if index < 0:
            self._reads.pop(context)(False, 0, 0)
        elif index <= self.machine.applied:
            self._reads.pop(context)(True, self.machine.next_offset, self.machine.applied)
        else:
            heappush(self._confirmed, (index, context))

    # ------------------------------------------------------------------------------- snapshots

    def _snapshot_if_due(self) -> None:
        every = self._options.snapshot_every
        if every and self.machine.applied - self.store.visible.meta.position.index >= every:
            self.take_snapshot()

    def take_snapshot(self) -> None:
        """Save the machine and let the log below it go, once that is durable."""
        machine, visible = self.machine, self.store.visible
        if self._compacting or machine.applied <= visible.meta.position.index:
            return
        position = LogPosition(machine.applied, machine.term, machine.next_offset)
        meta = SnapshotMeta(position, visible.configuration_at(machine.applied))
        self._trace("snapshot", machine.applied)
        self.world.checker.probes["snapshot taken"] += 1
        if self.crash_in:
            self._point()
        self.store.write(Round(0, compact=(meta, machine.encode())))
        self._compacting = self._dirty = True
        self._compacting_to = machine.applied
        self._sync()

    def _finish_compaction(self) -> None:
        """The log may go only now: until its snapshot was durable it was the only copy."""
        durable, visible = self.store.durable, self.store.visible
        if durable.meta.position.index >= self._compacting_to:
            self._compacting = False
            if durable.meta.position.index > visible.meta.position.index:
                self.node.snapshot_taken(durable.meta)
                visible.apply(Round(0, compact=(durable.meta, durable.data)))

    def _answer_with_chunk(self, wanted: SnapshotWanted) -> None:
        """Read a piece of the newest snapshot, a little later, as a disk would."""
        self.process.call_at(self.process.now_us() + 50, lambda: self._chunk_read(wanted))

    def _chunk_read(self, wanted: SnapshotWanted) -> None:
        meta, data = self.store.durable.meta, self.store.durable.data
        cursor = wanted.cursor if wanted.index == meta.position.index else 0
        end = cursor + self.world.options.chunk_bytes
        piece, done = data[cursor:end], end >= len(data)
        self._trace("chunk", wanted.follower, meta.position.index, cursor, done)
        self.node.snapshot_chunk(wanted.follower, meta, cursor, piece, done)
        self._after_input()

    @property
    def leads(self) -> bool:
        """True when it is alive and believes to lead."""
        return self.alive and self.node.role is Role.LEADER

    def _trace(self, word: str, *details: object) -> None:
        self._note_event((self._global_now_us(), self.id.node, word, *details))
