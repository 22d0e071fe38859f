"""Voters with real logs and an observer, on frames that arrive a little later in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from metadata import records as r
from metadata.codec import encode_entry
from metadata.quorum.application import MetadataApplication
from metadata.quorum.fetch import MetadataSource
from metadata.quorum.observer import MetadataObserver
from metadata.quorum.rpc import Rpc
from raftlog.disk.segment_log import SegmentLog
from raftlog.errors import PeerFault
from raftlog.ready import SoftState
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.reactor import VirtualProcess, VirtualReactor
from raftlog.types import (
    ZERO_POSITION,
    Buffer,
    Configuration,
    Entry,
    EntryKind,
    ReplicaId,
    Role,
    SnapshotMeta,
)
from tests.metadata.samples import CLUSTER, replica, uuid

OBSERVER = replica(9)
DELAY_US = 500
Step = Sequence[r.Record] | None
"""The records of one entry; None: a new leader's no-op."""

FOUNDING: list[Step] = [None, [r.ClusterCreated(CLUSTER, 1)]]


def topic(number: int) -> list[r.Record]:
    """A topic without partitions."""
    return [r.TopicCreated(uuid(number), f"topic-{number}")]


TEN: list[Step] = [*FOUNDING, *[topic(number) for number in range(8)]]
TWENTY: list[Step] = [*TEN, *[topic(number) for number in range(8, 18)]]


def entries(steps: Sequence[Step]) -> list[Entry]:
    """The log of these steps, in term 1."""
    made: list[Entry] = []
    offset = 0
    for index, records in enumerate(steps, start=1):
        kind, payload = EntryKind.NOOP, b""
        if records is not None:
            kind, payload = EntryKind.DATA, encode_entry(records)
        entry = Entry(index, 1, kind, offset, int(kind is EntryKind.DATA), payload)
        offset = entry.end
        made.append(entry)
    return made


class Voter:
    """A voter's application and source, without a Raft group: the test says what is committed."""

    def __init__(self, process: VirtualProcess, me: ReplicaId, net: Net) -> None:
        self.me = me
        founding = SnapshotMeta(ZERO_POSITION, Configuration((me,)))
        disk = VirtualDisk(Random(me.node))
        self.app = MetadataApplication(SegmentLog.create(disk, "metadata", founding))
        self.rpc = Rpc(process, me, lambda node, body: net.send(me, node, body))
        self.source = MetadataSource(process, self.rpc, self.app)

    def commit(self, log: Sequence[Entry]) -> None:
        """Have everything up to the end of `log` committed here."""
        self.app.log.append(log[self.app.log.last().index :])
        self.app.committed(log[-1].index, log[-1].end)

    def compact(self) -> None:
        """Leave nothing of the log but a snapshot."""
        app = self.app
        meta = SnapshotMeta(app.image.position, Configuration((self.me,)))
        app.log.compact(meta, app.snapshot())

    def leader(self, term: int, leader: ReplicaId | None, *, confirmed: bool = True) -> None:
        """Tell this voter who leads."""
        role = Role.LEADER if leader == self.me else Role.FOLLOWER
        self.app.leadership(SoftState(role, term, leader, confirmed))


class Net:
    """An observer and `count` voters; who is not in `up` is not connected to the observer."""

    def __init__(self, count: int = 2, seed: int = 1) -> None:
        self.reactor = VirtualReactor(seed)
        process = self.reactor.process("all")
        self.up: list[ReplicaId] = []
        self.asked: list[int] = []
        """The voters that requests went to."""
        self.faults: list[PeerFault] = []
        self.failures: list[str] = []
        self.voters = {n: Voter(process, replica(n), self) for n in range(1, count + 1)}
        self.rpc = Rpc(process, OBSERVER, lambda node, body: self.send(OBSERVER, node, body))
        members = [voter.me for voter in self.voters.values()]
        self.observer = MetadataObserver(
            process, self.rpc, members, self.up.__contains__, self.failures.append
        )

    def send(self, sender: ReplicaId, node: int, body: list[Buffer]) -> None:
        """Deliver later, unless the two are not connected then."""
        frame = memoryview(b"".join(bytes(part) for part in body))
        voter = sender if node == OBSERVER.node else replica(node)
        if node != OBSERVER.node:
            self.asked.append(node)

        def deliver() -> None:
            receiver = self.rpc if node == OBSERVER.node else self.voters[node].rpc
            if voter not in self.up:
                return
            try:
                receiver.receive(sender, frame)
            except PeerFault as fault:
                self.faults.append(fault)
                self.disconnect(voter.node)

        self.reactor.call_at(self.reactor.now_us() + DELAY_US, deliver)

    def connect(self, *nodes: int) -> None:
        """Connections from the observer to these voters."""
        for node in nodes:
            self.up.append(replica(node))
            self.observer.peer_connected(replica(node))

    def disconnect(self, node: int) -> None:
        """That connection is gone."""
        self.up.remove(replica(node))
        self.rpc.disconnected(node)

    def start(self, *nodes: int) -> None:
        """Start the observer, connected to these voters."""
        self.observer.start()
        self.connect(*nodes)

    def wait(self, condition: Any, limit_us: int = 10_000_000) -> None:
        """Until `condition()`."""
        limit = self.reactor.now_us() + limit_us
        assert self.reactor.run_until(condition, limit_us=limit), "it never came"

    def run(self, duration_us: int) -> None:
        """Let time pass."""
        self.reactor.run_until(self.reactor.now_us() + duration_us)

    def position(self) -> int:
        """The observer's."""
        return self.observer.image.position.index


def followed(net: Net, count: int) -> bool:
    return net.position() == count


def both_at(net: Net, log: list[Entry]) -> None:
    for voter in net.voters.values():
        voter.commit(log)
