"""Coalesced heartbeats: the frames, and two peers that must agree on what is covered."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftlog.engine.heartbeats import (
    CoveredSet,
    PeerHeartbeat,
    decode_heartbeat,
    decode_reply,
    encode_heartbeat,
    encode_reply,
)
from raftlog.engine.peers import Peer
from raftlog.errors import PeerFault
from raftlog.types import ReplicaId, Role

LEADER = ReplicaId(1, bytes(16))
FOLLOWER = ReplicaId(2, bytes(16))

u64 = st.integers(0, 2**64 - 1)
beats = st.builds(
    PeerHeartbeat,
    u64,
    st.booleans(),
    st.integers(0, 2**32 - 1),
    u64,
    st.lists(st.tuples(u64, u64), max_size=5),
    st.lists(u64, max_size=5),
)


@given(beats)
def test_heartbeat_round_trip(beat: PeerHeartbeat) -> None:
    assert decode_heartbeat(encode_heartbeat(beat)) == beat


@given(beats, st.integers(0, 200))
def test_cut_or_extended_heartbeat_is_a_peer_fault(beat: PeerHeartbeat, cut: int) -> None:
    frame = encode_heartbeat(beat)
    with pytest.raises(PeerFault):
        decode_heartbeat(frame + b"x")
    with pytest.raises(PeerFault):
        decode_heartbeat(frame[: min(cut, len(frame) - 1)])


def test_reply_round_trip_and_bounds() -> None:
    frame = encode_reply(7, True, [1, 2])
    assert decode_reply(frame) == (7, True, [1, 2])
    for bad in (b"", frame[:-1], frame + b"x"):
        with pytest.raises(PeerFault):
            decode_reply(bad)


def test_digest_depends_on_group_and_term_not_on_history() -> None:
    one, two = CoveredSet(), CoveredSet()
    for group in (3, 1, 2):
        one.add(group, 5)
    for group in (1, 2, 3):
        two.add(group, 4)
        two.add(group, 5)
    two.add(9, 9)
    assert one.digest != two.digest
    two.discard(9)
    assert one.digest == two.digest
    two.add(3, 6)
    assert one.digest != two.digest


@dataclass
class FakeNode:
    """As much of a Node as covering needs."""

    role: Role
    term: int = 1
    leader: ReplicaId | None = LEADER
    steady: bool = True
    covers: dict[ReplicaId, bool] = field(default_factory=dict)
    covered: bool = False

    def coverable(self, replica: ReplicaId) -> bool:
        return self.steady

    def cover(self, replica: ReplicaId, on: bool) -> None:
        self.covers[replica] = on

    def heard(self, replica: ReplicaId, now_us: int) -> None:
        pass

    def set_covered(self, on: bool, now_us: int) -> None:
        self.covered = on


class Pair:
    """A leader's and a follower's view of each other, exchanging heartbeats."""

    def __init__(self, count: int) -> None:
        self.at_leader, self.at_follower = Peer(FOLLOWER), Peer(LEADER)
        self.led: dict[int, Any] = {
            g: SimpleNamespace(id=g, node=FakeNode(Role.LEADER)) for g in range(count)
        }
        self.followed: dict[int, Any] = {
            g: SimpleNamespace(id=g, node=FakeNode(Role.FOLLOWER)) for g in range(count)
        }
        self.at_leader.connected(0)
        self.at_follower.connected(0)
        self.at_leader.candidates.update(self.led)

    def exchange(self, now: int = 0, deliver_reply: bool = True) -> bool:
        beat = decode_heartbeat(encode_heartbeat(self.at_leader.next_heartbeat(self.led)))
        agrees, refused, _ = self.at_follower.heartbeat(beat, self.followed, now)
        if deliver_reply:
            self.at_leader.answered(beat.sequence, agrees, refused, self.led, now)
        return agrees

    def same(self) -> bool:
        return self.at_leader.leads.terms == self.at_follower.follows.terms


def test_steady_groups_are_covered_by_one_exchange() -> None:
    pair = Pair(10)
    pair.led[3].node.steady = False
    assert pair.exchange()
    assert pair.same()
    assert [g for g in range(10) if not pair.followed[g].node.covered] == [3]
    assert list(pair.at_leader.candidates) == [3]


def test_a_group_the_follower_does_not_hold_is_refused_and_sends_its_own_heartbeats() -> None:
    pair = Pair(3)
    pair.followed[1].node.term = 2
    del pair.followed[2]
    pair.exchange()
    assert pair.same()
    assert pair.led[1].node.covers[FOLLOWER] is False
    assert sorted(pair.at_leader.candidates) == [1, 2]


def test_a_follower_that_moved_on_is_uncovered_on_both_sides() -> None:
    pair = Pair(3)
    pair.exchange()
    pair.followed[1].node.term = 2
    pair.at_follower.stopped_following(pair.followed[1], 5)
    assert not pair.followed[1].node.covered
    pair.led[1].node.steady = False
    pair.exchange()
    assert pair.same()
    assert sorted(pair.at_leader.leads.terms) == [0, 2]


def test_a_leader_that_stepped_down_stops_vouching_with_its_next_heartbeat() -> None:
    pair = Pair(3)
    pair.exchange()
    pair.led[0].node.role = Role.FOLLOWER
    pair.at_leader.stopped_leading(pair.led[0])
    assert pair.exchange()
    assert not pair.followed[0].node.covered
    assert pair.same()


def test_disagreement_starts_both_sides_over() -> None:
    pair = Pair(5)
    pair.exchange()
    pair.at_follower.follows.discard(2)  # whatever the reason: the sets differ
    assert not pair.exchange()
    assert pair.at_leader.leads.terms == {}
    assert pair.exchange()
    assert pair.same() and len(pair.at_leader.leads.terms) == 5


def test_a_late_disagreement_from_before_the_restart_is_ignored() -> None:
    pair = Pair(2)
    pair.exchange()
    pair.at_leader.uncover_led(pair.led)
    old = pair.at_leader.sequence
    pair.exchange()
    pair.at_leader.answered(old, False, [], pair.led, 0)
    assert pair.same() and len(pair.at_leader.leads.terms) == 2


def test_silence_uncovers_after_the_patience_and_not_before() -> None:
    pair = Pair(2)
    pair.exchange(now=100)
    touched: list[Any] = []
    pair.at_follower.check(200, 100, pair.followed, touched.append)
    assert not touched and pair.followed[0].node.covered
    pair.at_follower.check(201, 100, pair.followed, touched.append)
    assert len(touched) == 2 and not pair.followed[0].node.covered
    touched.clear()
    pair.at_leader.check(201, 100, pair.led, touched.append)
    assert len(touched) == 2 and pair.led[0].node.covers[FOLLOWER] is False
