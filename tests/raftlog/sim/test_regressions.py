"""Defects that seeds have found, each restated as the shortest schedule that shows it."""

from __future__ import annotations

from random import Random

from raftlog.core.node import Node
from raftlog.core.timing import Timing
from raftlog.messages import AppendReply, HeartbeatReply, Message, VoteReply
from raftlog.ready import Ready
from raftlog.testing.store import Image, Round
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

A, B, C = (ReplicaId(n, bytes([n]) * 16) for n in (1, 2, 3))
BIRTH = SnapshotMeta(ZERO_POSITION, Configuration((A, B, C)))


ONE_AT_A_TIME = Timing(max_inflight_messages=1, max_append_bytes=1)


class Bench:
    """A leader of term 2 over ten entries of term 1; its every write is durable at once."""

    def __init__(self) -> None:
        self.now_us = 0
        self.image = Image(BIRTH)
        entries = tuple(Entry(n, 1, EntryKind.DATA, n - 1, 1, b"payload") for n in range(1, 11))
        self.image.apply(Round(0, entries=entries, hard_state=HardState(1, None)))
        self.node = Node(1, A, self.image, self.image.hard_state, ONE_AT_A_TIME, Random(1), 0)
        self.node.campaign(0)
        self.settle()
        self.receive(B, VoteReply(2, granted=True, pre_vote=True))
        self.receive(B, VoteReply(2, granted=True, pre_vote=False))

    def settle(self) -> list[Ready]:
        done = []
        while self.node.has_ready():
            ready = self.node.ready()
            done.append(ready)
            if ready.must_store:
                entries, state = tuple(ready.entries), ready.hard_state
                self.image.apply(Round(ready.number, entries=entries, hard_state=state))
                self.node.stored(ready.number)
        return done

    def receive(self, sender: ReplicaId, message: Message) -> list[Ready]:
        self.node.receive(self.now_us, sender, message)
        return self.settle()

    def compact(self) -> None:
        term = self.image.term(self.node.commit)
        position = LogPosition(self.node.commit, term, self.node.commit_offset)
        meta = SnapshotMeta(position, BIRTH.configuration)
        self.node.snapshot_taken(meta)
        self.image.apply(Round(0, compact=(meta, b"state")))


def test_a_follower_whose_unanswered_appends_were_compacted_away_gets_a_snapshot() -> None:
    """The leader wanted the term of an entry that it no longer had, and died of it."""
    bench = Bench()
    bench.receive(C, AppendReply(2, accepted=False, index=10))  # an empty log: probe from 1
    bench.receive(C, AppendReply(2, accepted=True, index=1))  # now entry 2 is on its way
    bench.receive(B, AppendReply(2, accepted=True, index=11))
    assert bench.node.commit == 11
    bench.compact()
    bench.now_us += 2 * ONE_AT_A_TIME.heartbeat_us
    done = bench.receive(C, HeartbeatReply(2, context=0, commit=0))
    assert [wanted.follower for ready in done for wanted in ready.snapshot_wanted] == [C]
