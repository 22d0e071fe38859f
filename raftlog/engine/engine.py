"""The engine's loop: events in, one flush per pass, completions of disk rounds."""

from __future__ import annotations

from collections.abc import Callable

from raftlog.codec import decode
from raftlog.core import Node, Timing
from raftlog.disk.wal import Wal
from raftlog.engine import frames
from raftlog.engine.group import Application, Group, Outcome
from raftlog.engine.installs import Installs
from raftlog.engine.links import Links
from raftlog.engine.offline import OfflineGroups
from raftlog.engine.parts import PartKeeper
from raftlog.engine.schedule import Schedule
from raftlog.engine.statistics import EngineStatistics
from raftlog.engine.sync import Round, SyncRounds
from raftlog.engine.transport import Transport
from raftlog.errors import CorruptLog, DiskFailed
from raftlog.ready import Ready, SoftState
from raftlog.seams import Reactor
from raftlog.storage import GroupLog
from raftlog.types import METADATA_GROUP, Buffer, HardState, ReplicaId, Role


class Engine:
    """All groups of one data directory. Every method runs on the reactor's loop thread."""

    def __init__(
        self,
        me: ReplicaId,
        reactor: Reactor,
        wal: Wal,
        transport: Transport,
        timing: Timing,
        fail: Callable[[DiskFailed], None],
        *,
        inline_sync_below_us: int = 0,
    ) -> None:
        """`fail` is called once, with the disk's error; nothing is sent after that.

        `inline_sync_below_us`: see `raftlog.engine.sync`.
        """
        self.me = me
        self.groups: dict[int, Group] = {}
        self.wal = wal
        self.reactor = reactor
        self.timing = timing
        self.on_app_frame: Callable[[ReplicaId, memoryview], None] = lambda peer, body: None
        self._fail = fail
        self._failed = self._refusing = False
        self._schedule = Schedule(reactor, self._tick)
        self._dirty: list[Group] = []
        self._scheduled = False
        self._sync = SyncRounds(
            wal,
            reactor,
            self._durable,
            self._disk_failed,
            inline_below_us=inline_sync_below_us,
        )
        self._durable_callbacks: list[Callable[[], None]] = []
        self._parts = PartKeeper(
            wal,
            reactor,
            self.groups,
            self.after_durable,
            self._disk_failed,
            self.take_offline,
        )
        self._installs = Installs(wal, self._sync_now)
        self._passes = self._in = self._unknown = 0
        self.links = Links(
            me, reactor, transport, timing, self.groups, self._touch, self.request_flush
        )
        self._offline = OfflineGroups(
            wal,
            reactor,
            self.groups,
            self._schedule,
            self.links,
            self.after_durable,
            self._disk_failed,
        )
        self._guard = self._offline.guard

    # --- groups

    def add_group(
        self,
        group_id: int,
        log: GroupLog,
        app: Application,
        hard_state: HardState,
        timing: Timing | None = None,
    ) -> Group:
        """Run a group whose log is open. Its creation must be durable (see `after_durable`)."""
        node = Node(
            group_id,
            self.me,
            log,
            hard_state,
            timing or self.timing,
            self.reactor.random,
            self.reactor.now_us(),
        )
        group = Group(group_id, node, log, app, self._mark, self.take_offline)
        self.groups[group_id] = group
        self._schedule.update(group)
        group.mark_dirty()
        return group

    def remove_group(self, group_id: int) -> None:
        """Forget a group (its topic was deleted). The caller removes its files afterwards."""
        group = self.groups.pop(group_id, None)
        self.wal.stage_drop(group_id)
        if group is None:
            self._offline.forget(group_id)
        else:
            self._schedule.forget(group)
            self.links.forget(group)
            group.abandon()
        self.request_flush()

    def take_offline(self, group: Group, reason: str) -> None:
        """Stop one group for good: it neither votes, acknowledges nor leads from now on.

        See `raftlog.engine.offline`. The engine does this itself for every CorruptLog that it
        meets; applications call it (`Group.take_offline`) for one that they meet.
        """
        self._offline.take(group, reason)

    def add_offline(self, group_id: int, reason: str) -> None:
        """A group of the write-ahead log that was offline before, or cannot be opened."""
        self._offline.note(group_id, reason)

    def after_durable(self, callback: Callable[[], None]) -> None:
        """Call back once everything staged in the WAL so far is durable."""
        self._durable_callbacks.append(callback)
        self.request_flush()

    def checkpoint(self, group: Group) -> None:
        """Sync a group's own files soon, not only when the WAL wants its part back."""
        self.after_durable(lambda: self._parts.checkpoint(group))

    # --- events

    def peer_connected(self, replica: ReplicaId) -> None:
        """A connection's handshake is complete."""
        self.links.connected(replica)

    def peer_disconnected(self, replica: ReplicaId) -> None:
        """Its connection is gone."""
        self.links.disconnected(replica)

    def receive(self, replica: ReplicaId, frame: memoryview) -> None:
        """One whole frame from a peer. Raises PeerFault: the caller closes the connection."""
        self._in += 1
        kind = frames.kind(frame)
        if kind == frames.RAFT:
            self._receive_raft(replica, frame)
        elif kind == frames.APP:
            self.on_app_frame(replica, frames.body(frame))
        else:
            self.links.receive(replica, kind, frames.body(frame))

    def _receive_raft(self, replica: ReplicaId, frame: memoryview) -> None:
        group_id, message = decode(frame)
        group = self.groups.get(group_id)
        if group is None:
            self._unknown += 1
            return
        if self._refusing and group_id != METADATA_GROUP and frames.is_bulk(message):
            return  # as if it was lost: the leader goes on with the others, and tries again
        self._guard(group, group.node.receive, self.reactor.now_us(), replica, message)
        if not group.dirty:
            self._mark(group)

    def refuse_entries(self, refuse: bool) -> None:
        """The disk is about to be full (or is not any more): take no entries of other leaders,
        but for the metadata group's."""
        self._refusing = refuse

    def send_app_frame(self, node: int, body: list[Buffer]) -> None:
        """A frame of the embedding application, delivered to its `on_app_frame` over there."""
        self.links.send_frame(node, frames.APP, body)

    # --- the pass

    def _mark(self, group: Group) -> None:
        group.dirty = True
        self._dirty.append(group)
        if not self._scheduled:
            self.request_flush()

    def _tick(self, group: Group, now_us: int) -> None:
        self._guard(group, group.node.tick, now_us)
        group.mark_dirty()

    def _touch(self, group: Group) -> None:
        self._schedule.update(group)
        group.mark_dirty()

    def request_flush(self) -> None:
        """Have `flush` run at the end of this pass."""
        if not self._scheduled and not self._failed:
            self._scheduled = True
            self.reactor.call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        self._scheduled = False
        if self._has_work():
            self.flush()

    def _has_work(self) -> bool:
        return bool(self._dirty or self._durable_callbacks or self.links.pending)

    def flush(self) -> None:
        """Carry out what the dirty groups decided.

        Order: the WAL round is written and its sync started, messages are handed to the
        transport and the logs' own files written while the disk works, then applications
        hear of commits. Acks and votes wait in the core for the sync.
        """
        if self._failed:
            return
        self._passes += 1
        before, self._scheduled = self._scheduled, True  # what comes up is looked at below
        try:
            decided = self._take_readies()
            self._write_round(decided)
            self.links.flush()
            self._sync.finish()
            for group, ready in decided:
                self._guard(group, self._write_log, group, ready)
        except (OSError, DiskFailed) as error:
            self._disk_failed(error)
            return
        for group, ready in decided:
            self._guard(group, self._notify, group, ready)
            self._schedule.update(group)
        self.links.flush()
        self._parts.look()
        self._scheduled = before
        if self._has_work():
            self.request_flush()

    def _take_readies(self) -> list[tuple[Group, Ready]]:
        dirty, self._dirty = self._dirty, []
        decided = []
        for group in dirty:
            group.dirty = False
            if self.groups.get(group.id) is not group:
                continue  # removed in the meantime
            if not group.node.has_ready():
                self._schedule.update(group)
                continue
            try:
                ready = group.node.ready()
            except CorruptLog as error:  # what a follower lacks was to be read from the log
                self.take_offline(group, str(error))
                continue
            for replica, message in ready.messages:
                self.links.send_message(group.id, replica, message)
            decided.append((group, ready))
        return decided

    def _write_round(self, decided: list[tuple[Group, Ready]]) -> None:
        readies = []
        for group, ready in decided:
            if ready.must_store:
                self._guard(group, self._stage, group, ready)
                readies.append((group, ready.number))
        callbacks, self._durable_callbacks = self._durable_callbacks, []
        self._sync.write(readies, callbacks)
        self._sync.begin()

    def _stage(self, group: Group, ready: Ready) -> None:
        wal = self.wal
        if ready.hard_state is not None:
            wal.stage_hard_state(group.id, ready.hard_state)
        if ready.snapshot is not None:
            self._installs.take_chunk(group, ready.snapshot, ready.number)
        if ready.truncate_from:
            covered = ready.truncate_from <= wal.trusted_index(group.id)
            wal.stage_truncate(group.id, ready.truncate_from)
            if covered:
                self._sync_now()
        if ready.entries:
            wal.stage_entries(group.id, ready.entries)

    def _sync_now(self) -> None:
        """Block until what is staged is durable: what recovery relies on is about to be cut."""
        self.wal.write_round()
        self.wal.sync_job()()

    def _write_log(self, group: Group, ready: Ready) -> None:
        if ready.truncate_from:
            group.truncations += 1
            group.log.truncate(ready.truncate_from)
            group.app.truncated(ready.truncate_from)
        if ready.entries:
            group.log.append(ready.entries)
            group.app.appended(ready.entries)

    def _durable(self, rounds: list[Round]) -> None:
        """Rounds are durable: release what waited for them, at once."""
        if self._failed:
            return
        before, self._scheduled = self._scheduled, True
        for round_ in rounds:
            for group, number in round_.readies:
                if self._guard(group, group.node.stored, number):
                    if group.installing and group.installing <= number:
                        group.installing = 0
                    group.mark_dirty()
            for callback in round_.callbacks:
                callback()
        self._scheduled = before
        self.flush()

    # --- what a Ready means to the rest

    def _notify(self, group: Group, ready: Ready) -> None:
        if ready.configuration is not None:
            self.links.membership(group)
        state = ready.soft_state
        if state is not None and state.role is not Role.LEADER:
            # before the commit: it may be of entries that replaced what was proposed here
            self._leadership(group, state)
        if ready.commit > group.commit and not group.installing:
            group.commit = ready.commit
            group.app.committed(ready.commit, group.node.commit_offset)
            group.resolve_committed()
        if state is not None and state.role is Role.LEADER:
            # after it: a leader's state must hold its own no-op
            self._leadership(group, state)
        for read in ready.reads:
            on_done = group.reads.pop(read.context, None)
            if on_done is not None:
                on_done(Outcome.DONE if read.index >= 0 else Outcome.UNKNOWN)
        for wanted in ready.snapshot_wanted:
            self._installs.send_chunk(group, wanted)

    def _leadership(self, group: Group, state: SoftState) -> None:
        self.links.leadership(group, state)
        if state.role is not Role.LEADER:
            group.abandon_waiters()
        group.app.leadership(state)

    # --- end

    def stop(self) -> None:
        """Decide and send nothing more; what was promised stays kept."""
        self._failed = True
        self.links.stop()

    def _disk_failed(self, error: BaseException) -> None:
        """A failed write or sync is final: nothing is acknowledged or sent any more."""
        if self._failed:
            return
        self.stop()
        self._fail(error if isinstance(error, DiskFailed) else DiskFailed(str(error)))

    def statistics(self) -> EngineStatistics:
        """Counters as of now."""
        leading = sum(1 for g in self.groups.values() if g.node.role is Role.LEADER)
        return EngineStatistics(
            groups=len(self.groups),
            offline=len(self.links.offline),
            leading=leading,
            sleeping=sum(1 for g in self.groups.values() if not g.due_us),
            passes=self._passes,
            rounds=self._sync.rounds,
            rounds_in_place=self._sync.inline,
            sync_us=self._sync.took_us.statistics(),
            elections=self.links.elections,
            leaderships=self.links.leaderships,
            frames_in=self._in,
            frames_out=self.links.sent,
            unknown_group=self._unknown,
            scheduled=self._schedule.size,
        )
