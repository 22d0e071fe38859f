"""A synchronous world for a few nodes: FIFO links, slow disks and a clock that the test moves.

Nothing happens unless the test says so. Every step is checked against what must always hold:
one leader per term, committed entries never change, no ack or vote before it is durable, one
vote per term and replica across restarts, offsets dense (MemoryLog asserts that).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from raftlog.core import Node, Timing
from raftlog.messages import AppendReply, Message, VoteReply
from raftlog.ready import ReadState, Ready, SnapshotInstall, SnapshotWanted
from raftlog.testing.memory import MemoryLog
from raftlog.types import (
    NO_HARD_STATE,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
    Role,
    SnapshotMeta,
)

from .values import chain, name_of, rid

GROUP = 7
MS = 1000
TIMING = Timing(
    heartbeat_us=50 * MS,
    election_min_us=300 * MS,
    election_max_us=600 * MS,
    max_inflight_messages=8,
    max_inflight_bytes=1 << 20,
    max_append_bytes=1 << 16,
    max_uncommitted_bytes=1 << 20,
)
CHUNK = 4


class Facts:
    """What has been seen, for ever: the properties every schedule must keep."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, Entry] = {}
        self.votes: dict[tuple[str, int], ReplicaId] = {}

    def led(self, name: str, term: int) -> None:
        assert self.leaders.setdefault(term, name) == name, f"two leaders in term {term}"

    def commit(self, name: str, item: Entry) -> None:
        known = self.committed.setdefault(item.index, item)
        assert known == item, f"{name} commits {item}, but {known} was committed"

    def vote(self, name: str, hard: HardState) -> None:
        if hard.vote is not None:
            known = self.votes.setdefault((name, hard.term), hard.vote)
            assert known == hard.vote, f"{name} voted twice in term {hard.term}"


class Host:
    """One process: a node, the log its host sees, and what of it is durable."""

    def __init__(
        self, world: World, name: str, disk: MemoryLog, hard: HardState, me: ReplicaId
    ) -> None:
        self.world = world
        self.name = name
        self.me = me
        self.disk = disk
        self.hard = hard
        self.slow = False
        self.alive = False
        self.number = 0
        self.reads: list[ReadState] = []
        self.wanted: list[SnapshotWanted] = []
        self.state = b""
        """The application's snapshot, when it has one."""
        self.start()

    def start(self) -> None:
        """Run on what the disk holds."""
        self.alive = True
        self.log = MemoryLog(
            self.disk.snapshot(), self.disk.read(*self._range(self.disk)) if self._any() else ()
        )
        self.writes: deque[Ready] = deque()
        self.seen_commit = 0
        generator = random.Random(ord(self.name))
        self.node = Node(
            GROUP, self.me, self.log, self.hard, self.world.timing, generator, self.world.now
        )

    def _any(self) -> bool:
        return self.disk.last().index > self.disk.snapshot().position.index

    @staticmethod
    def _range(log: MemoryLog) -> tuple[int, int, int]:
        return log.snapshot().position.index + 1, log.last().index + 1, 1 << 60

    def pump(self) -> None:
        """The host loop, until the node has nothing more to say."""
        while self.alive and self.node.has_ready():
            ready = self.node.ready()
            assert ready.number == self.number + 1 or self.number == 0 or ready.number == 1
            self.number = ready.number
            self._write(ready)
            self.world.trace(self.name, ready)
            self._send(ready)
            self._commit(ready)
            self.reads += ready.reads
            self.wanted += ready.snapshot_wanted
            if not self.slow:
                self.sync()

    def sync(self, count: int = 1 << 30) -> None:
        """The disk completes the oldest `count` writes, in one sync."""
        last = 0
        while self.writes and count:
            ready = self.writes.popleft()
            count -= 1
            self._apply(self.disk, ready)
            if ready.hard_state is not None:
                self.hard = ready.hard_state
                self.world.facts.vote(self.name, self.hard)
            last = ready.number
        if last:
            self.node.stored(last)

    def _write(self, ready: Ready) -> None:
        assert ready.must_store == bool(
            ready.entries or ready.hard_state or ready.truncate_from or ready.snapshot
        )
        assert not ready.truncate_from or ready.truncate_from > self.seen_commit
        self._apply(self.log, ready)
        if ready.must_store:
            self.writes.append(ready)

    def _apply(self, log: MemoryLog, ready: Ready) -> None:
        if ready.snapshot is not None:
            self._install(log, ready.snapshot)
        if ready.truncate_from:
            log.truncate(ready.truncate_from)
        log.append(ready.entries)

    def _install(self, log: MemoryLog, chunk: SnapshotInstall) -> None:
        if log is self.log:
            self.state = self.state[: chunk.cursor] + chunk.data
        if chunk.done:
            log.install(chunk.meta)

    def _send(self, ready: Ready) -> None:
        for to, message in ready.messages:
            if isinstance(message, VoteReply) and message.granted and not message.pre_vote:
                assert self.hard == HardState(message.term, to), "vote before it is durable"
            elif not (isinstance(message, VoteReply) or getattr(message, "pre_vote", False)):
                assert message.term <= self.hard.term, "a term left before it is durable"
            if isinstance(message, AppendReply) and message.accepted:
                assert message.index <= self.disk.last().index, "ack before it is durable"
                same = self.disk.term(message.index) == self.log.term(message.index)
                assert same, "ack of an entry that was replaced"
            self.world.post(self.name, name_of(to), message)

    def _commit(self, ready: Ready) -> None:
        if ready.soft_state is not None and ready.soft_state.role is Role.LEADER:
            self.world.facts.led(self.name, ready.soft_state.term)
        assert ready.commit >= self.seen_commit
        pending = ready.snapshot is not None and ready.snapshot.done
        start = self.log.snapshot().position.index
        for index in range(max(self.seen_commit, start) + 1, ready.commit + 1):
            if not pending:
                self.world.facts.commit(self.name, self.log.read(index, index + 1, 1)[0])
        self.seen_commit = ready.commit


class World:
    """The hosts, the links between them, and the clock."""

    def __init__(self, timing: Timing = TIMING) -> None:
        self.timing = timing
        self.now = 0
        self.facts = Facts()
        self.hosts: dict[str, Host] = {}
        self.links: dict[tuple[str, str], deque[Message]] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.trace: Callable[[str, Ready], None] = lambda name, ready: None
        self.delivered: Callable[[str, str, Message], None] = lambda a, b, message: None

    def add(
        self,
        name: str,
        configuration: Configuration | SnapshotMeta,
        entries: Iterable[Entry] = (),
        hard: HardState = NO_HARD_STATE,
        me: ReplicaId | None = None,
    ) -> Host:
        """Start a replica; `me`: another directory than the node's first one."""
        host = Host(self, name, MemoryLog(configuration, list(entries)), hard, me or rid(name))
        self.hosts[name] = host
        return host

    def __getitem__(self, name: str) -> Node:
        return self.hosts[name].node

    # -- network

    def post(self, source: str, target: str, message: Message) -> None:
        """Queue a message, unless the link is cut."""
        if (source, target) not in self.cuts and target in self.hosts:
            self.links.setdefault((source, target), deque()).append(message)

    def queue(self, source: str, target: str) -> list[Message]:
        """What is on its way."""
        return list(self.links.get((source, target), ()))

    def drop(self, source: str, target: str, count: int = 1 << 30) -> None:
        """Lose the oldest messages of a link."""
        queue = self.links.get((source, target), deque())
        for _ in range(min(count, len(queue))):
            queue.popleft()

    def cut(self, *pairs: str) -> None:
        """Cut pairs such as "AB" in both directions and lose what is in flight."""
        for pair in pairs:
            a, b = pair[0], pair[1]
            self.cuts |= {(a, b), (b, a)}
            self.drop(a, b)
            self.drop(b, a)

    def heal(self, *pairs: str) -> None:
        """Undo `cut`; without arguments all of them."""
        if not pairs:
            self.cuts.clear()
        for pair in pairs:
            self.cuts -= {(pair[0], pair[1]), (pair[1], pair[0])}

    def isolate(self, name: str) -> None:
        """Cut every link of `name`."""
        self.cut(*(name + other for other in self.hosts if other != name))

    def inject(self, source: str, target: str, message: Message) -> None:
        """Deliver this message now."""
        host = self.hosts[target]
        if host.alive:
            self.delivered(source, target, message)
            sender = self.hosts[source].me if source in self.hosts else rid(source)
            host.node.receive(self.now, sender, message)
            host.pump()

    def deliver(self, source: str, target: str, count: int = 1 << 30) -> int:
        """Deliver the oldest `count` of those queued now; returns how many there were."""
        queue = self.links.get((source, target), deque())
        count = min(count, len(queue))
        for _ in range(count):
            self.inject(source, target, queue.popleft())
        return count

    def settle(self, *names: str, rounds: int = 100) -> None:
        """Deliver everything between `names` (default: all) until nothing moves."""
        chosen = names or tuple(self.hosts)
        for _ in range(rounds):
            for name in chosen:
                self.hosts[name].pump()
            moved = [self.deliver(a, b) for a in chosen for b in chosen if a != b]
            if not any(moved):
                return
        raise AssertionError(f"still talking after {rounds} rounds")

    # -- time and faults

    def advance(self, us: int, *names: str, quiet: bool = False) -> None:
        """Let time pass in heartbeat steps; tick those due; deliver (unless `quiet`)."""
        end = self.now + us
        while self.now < end:
            self.now = min(end, self.now + self.timing.heartbeat_us)
            for name in names or tuple(self.hosts):
                self.tick(name)
            if not quiet:
                self.settle(*names)

    def tick(self, name: str) -> None:
        """Tick one node if it is due."""
        host = self.hosts[name]
        if not host.alive:
            return
        deadline = host.node.deadline
        if deadline is not None and deadline <= self.now:
            host.node.tick(self.now)
        host.pump()

    def crash(self, name: str) -> None:
        """End a process: it loses what was not durable, and its connections."""
        self.hosts[name].alive = False
        for link, queue in self.links.items():
            if name in link:
                queue.clear()

    def restart(self, name: str) -> None:
        """Start it again on its disk."""
        self.hosts[name].start()

    # -- common steps

    def elect(self, name: str, *voters: str) -> None:
        """Make `name` leader with the help of `voters`, everyone else hearing nothing of it."""
        chosen = (name, *voters) if voters else tuple(self.hosts)
        self.now += self.timing.election_max_us
        self[name].campaign(self.now)
        self.settle(*chosen)
        assert self[name].role is Role.LEADER, f"{name} did not win"

    def propose(self, name: str, payload: bytes) -> Entry:
        """Propose and take the Ready, without delivering anything."""
        proposed = self[name].propose(EntryKind.DATA, 1, payload)
        self.hosts[name].pump()
        return proposed

    def terms(self, name: str) -> list[int]:
        """Terms of the entries in a host's log."""
        log = self.hosts[name].log
        first = log.snapshot().position.index + 1
        return [log.term(index) for index in range(first, log.last().index + 1)]

    def payloads(self, name: str) -> list[bytes]:
        """Payloads of the data entries that `name` has committed and still holds."""
        log = self.hosts[name].log
        first, commit = log.snapshot().position.index + 1, self[name].commit
        items = log.read(first, commit + 1, 1 << 60) if first <= commit else []
        return [item.payload for item in items if item.kind is EntryKind.DATA]

    def feed_snapshots(self, name: str) -> None:
        """Answer the leader's wishes for chunks from its snapshot, CHUNK bytes at a time."""
        host = self.hosts[name]
        while host.wanted:
            wish = host.wanted.pop(0)
            data = host.state[wish.cursor : wish.cursor + CHUNK]
            done = wish.cursor + CHUNK >= len(host.state)
            meta = host.log.snapshot()
            host.node.snapshot_chunk(wish.follower, meta, wish.cursor, data, done)
            host.pump()

    def compact(self, name: str, index: int, state: bytes = b"0123456789") -> None:
        """Take a snapshot at `index` and forget the log below it."""
        host = self.hosts[name]
        position = _position(host.log, index)
        meta = SnapshotMeta(position, host.node.configuration_at(index))
        for log in (host.log, host.disk):
            if log.last().index >= index:
                log.compact(meta)
        host.state = state
        host.node.snapshot_taken(meta)


def _position(log: MemoryLog, index: int) -> LogPosition:
    return LogPosition(index, log.term(index), log.end_offset(index))


def voters(timing: Timing = TIMING, names: str = "ABC") -> World:
    """Voters `names`, with empty logs."""
    world = World(timing)
    configuration = Configuration(tuple(rid(name) for name in names))
    for name in names:
        world.add(name, configuration)
    return world


def follower(terms: list[int], term: int = 0) -> World:
    """A world of which only A runs, with a log of these terms; B and C are the test."""
    world = World()
    configuration = Configuration((rid("A"), rid("B"), rid("C")))
    hard = HardState(max([term, *terms]), None)
    world.add("A", configuration, chain(terms), hard).pump()
    for name in "BC":
        world.add(name, configuration).alive = False
    return world


def said(world: World, to: str) -> list[Message]:
    """What A has sent, taken off the link."""
    messages = world.queue("A", to)
    world.drop("A", to)
    return list(messages)
