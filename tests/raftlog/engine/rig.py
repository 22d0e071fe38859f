"""Engines of several nodes in one thread: virtual time, disks and connections, the real WAL."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cbor2

from raftlog.core import Timing
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import Recovered, Wal
from raftlog.engine import Engine, Group
from raftlog.engine.group import SnapshotSink
from raftlog.framing import FrameSplitter
from raftlog.ready import SoftState
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.reactor import VirtualProcess, VirtualReactor
from raftlog.types import (
    NO_HARD_STATE,
    ZERO_POSITION,
    Buffer,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    Role,
    SnapshotMeta,
)

DELAY_US = 200
TIMING = Timing(heartbeat_us=50_000, election_min_us=300_000, election_max_us=600_000)


class Recorder:
    """An application that keeps the payloads it was told are committed.

    With `snapshot_every` it replaces so many entries of its log by a snapshot, ever again.
    """

    def __init__(self, log: SegmentLog, snapshot_every: int = 0) -> None:
        self.log = log
        self.snapshot_every = snapshot_every
        self.applied = 0
        self.payloads: list[bytes] = []
        self.states: list[SoftState] = []
        self.installed = 0
        self.offline_reason = ""
        self.group: Group
        self._adopt(log.snapshot(), log.snapshot_bytes())

    def _adopt(self, meta: SnapshotMeta, data: bytes) -> None:
        self.applied = meta.position.index
        self.payloads = cbor2.loads(data) if data else []

    def committed(self, index: int, offset: int) -> None:
        assert index >= self.applied, "the commit index went back"
        for entry in self.log.read(self.applied + 1, index + 1, 1 << 20):
            if entry.kind is EntryKind.DATA:
                self.payloads.append(entry.payload)
        self.applied = index
        below = self.log.snapshot().position.index
        if self.snapshot_every and index - below >= self.snapshot_every:
            position = LogPosition(index, self.log.term(index), self.log.end_offset(index))
            meta = SnapshotMeta(position, self.group.node.configuration_at(index))
            self.log.compact(meta, cbor2.dumps(self.payloads))
            self.group.node.snapshot_taken(meta)

    def leadership(self, state: SoftState) -> None:
        self.states.append(state)

    def appended(self, entries: Sequence[Entry]) -> None:
        pass

    def truncated(self, first: int) -> None:
        assert first > self.applied, "a committed entry was cut"

    def offline(self, reason: str) -> None:
        self.offline_reason = reason

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        data = self.log.snapshot_bytes()
        part = data[cursor : cursor + max_bytes]
        return self.log.snapshot(), part, cursor + len(part) >= len(data)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        return Sink(self, meta)

    def install(self, meta: SnapshotMeta, data: bytes) -> None:
        assert meta.position.index > self.applied, "a snapshot took the state back"
        self.log.install(meta, data)
        before = self.payloads
        self._adopt(meta, data)
        assert self.payloads[: len(before)] == before, "a snapshot changed what was committed"
        self.installed += 1


class Sink:
    """A snapshot on its way into a Recorder."""

    def __init__(self, app: Recorder, meta: SnapshotMeta) -> None:
        self.app = app
        self.meta = meta
        self.data = bytearray()

    def write(self, cursor: int, data: bytes) -> None:
        assert cursor == len(self.data)
        self.data += data

    def install(self) -> None:
        self.app.install(self.meta, bytes(self.data))


class Node:
    """One process and its disk. `start` it, `crash` it, `start` it again."""

    def __init__(self, rig: Rig, number: int) -> None:
        self.rig = rig
        self.id = ReplicaId(number, bytes([number]) * 16)
        self.disk = VirtualDisk(Random(f"{rig.seed}/{number}"))
        self.process: VirtualProcess | None = None
        self.starts = 0
        self.engine: Engine
        self.apps: dict[int, Recorder] = {}
        self.failures: list[Exception] = []

    def send(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        """engine.Transport over the rig."""
        self.rig.carry(self, node, b"".join(bytes(buffer) for buffer in buffers))

    def start(self) -> None:
        self.starts += 1
        process = self.process = self.rig.reactor.process(
            f"node{self.id.node}", incarnation=self.starts
        )
        wal, recovered = Wal.open(self.disk, "wal", part_bytes=1 << 16, random=process.random)
        self.engine = Engine(self.id, process, wal, self, self.rig.timing, self.failures.append)
        self.apps = {}
        logs = {
            group: self._open(group, recovered, wal)
            for group in self.rig.group_ids
            if group not in recovered.groups or not recovered.groups[group].offline
        }
        for group in set(self.rig.group_ids) - set(logs):
            self.engine.add_offline(group, recovered.groups[group].offline)
        opened = {g: log.last() for g, log in logs.items() if g in recovered.groups}
        for group in recovered.replay(opened, lambda g, entries: logs[g].append(entries)):
            wal.stage_reset(group, logs[group].snapshot())
        for group, log in logs.items():
            known = recovered.groups.get(group)
            app = self.apps[group] = Recorder(log, self.rig.snapshot_every)
            hard_state = NO_HARD_STATE if known is None else known.hard_state
            app.group = self.engine.add_group(group, log, app, hard_state)
        for other in self.rig.nodes:
            if other is not self and other.process is not None:
                self.rig.connect(self, other)

    def _open(self, group: int, recovered: Recovered, wal: Wal) -> SegmentLog:
        known = recovered.groups.get(group)
        path = f"group{group}"
        if known is not None and (known.checkpoint is not None or known.trusted):
            return SegmentLog.open(self.disk, path, known.checkpoint, known.trusted)
        voters = tuple([node.id for node in self.rig.nodes])
        log = SegmentLog.create(self.disk, path, SnapshotMeta(ZERO_POSITION, Configuration(voters)))
        self.disk.sync_directory("")
        if known is None:
            wal.stage_create(group, b"")
            wal.write_round()
            wal.sync_job()()
        return log

    def crash(self) -> None:
        """Power loss: unsynced pages may go."""
        assert self.process is not None
        self.process.crash()
        self.process = None
        self.disk.crash()
        for other in self.rig.nodes:
            if other.process is not None:
                other.engine.peer_disconnected(self.id)

    def group(self, group: int) -> Group:
        return self.engine.groups[group]


class Rig:
    """The nodes, their groups and the connections between them."""

    def __init__(
        self,
        seed: int,
        nodes: int = 3,
        groups: int = 1,
        *,
        snapshot_every: int = 0,
        timing: Timing = TIMING,
    ) -> None:
        self.timing = timing
        self.snapshot_every = snapshot_every
        self.seed = seed
        self.reactor = VirtualReactor(seed)
        self.group_ids = range(1, groups + 1)
        self.cut: set[tuple[int, int]] = set()
        self.frames = 0
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]
        for node in self.nodes:
            node.start()

    def connect(self, one: Node, other: Node) -> None:
        one.engine.peer_connected(other.id)
        other.engine.peer_connected(one.id)

    def carry(self, sender: Node, target: int, data: bytes) -> None:
        """Deliver after a fixed delay, in order, to the incarnation that runs now."""
        receiver = self.nodes[target - 1]
        incarnation = receiver.process
        if incarnation is None or (sender.id.node, target) in self.cut:
            return
        self.frames += 1

        def arrive() -> None:
            for frame in FrameSplitter().feed(data):
                receiver.engine.receive(sender.id, frame)

        incarnation.deliver_at(self.reactor.now_us() + DELAY_US, arrive)

    def leader(self, group: int = 1) -> Node | None:
        """The confirmed leader with the highest term."""
        found = [
            node
            for node in self.nodes
            if node.process is not None
            and group in node.engine.groups
            and node.group(group).node.role is Role.LEADER
            and node.group(group).node.confirmed
        ]
        return max(found, key=lambda node: node.group(group).node.term, default=None)

    def wait_leader(self, group: int = 1) -> Node:
        assert self.reactor.run_until(
            lambda: self.leader(group) is not None, limit_us=self.reactor.now_us() + 5_000_000
        )
        leader = self.leader(group)
        assert leader is not None
        return leader

    def run(self, seconds: float) -> None:
        self.reactor.run_until(self.reactor.now_us() + int(seconds * 1e6))
