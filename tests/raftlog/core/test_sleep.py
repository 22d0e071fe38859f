"""Covered groups: who may sleep, what wakes them, and what is never slept over."""

from __future__ import annotations

from raftlog.messages import Heartbeat, VoteRequest
from raftlog.types import EntryKind, Role

from .harness import MS, TIMING, World, voters
from .values import rid


def asleep() -> World:
    """A leads; B and C have everything, know it, and are covered."""
    world = voters()
    world.elect("A")
    world.propose("A", b"x")
    world.settle()
    world.advance(TIMING.heartbeat_us)
    for name in "BC":
        assert world["A"].coverable(rid(name))
        world["A"].cover(rid(name), True)
        world[name].set_covered(True, world.now)
    return world


def test_everybody_sleeps() -> None:
    world = asleep()
    assert [world[name].deadline for name in "ABC"] == [None, None, None]
    world.now += 3600 * 1000 * MS
    for name in "ABC":
        world[name].tick(world.now)
        assert not world[name].has_ready()


def test_not_coverable_before_the_commit_is_known() -> None:
    world = voters()
    world.elect("A")
    assert not world["A"].coverable(rid("B"))
    world.advance(TIMING.heartbeat_us)
    assert world["A"].coverable(rid("B"))
    world.propose("A", b"x")
    assert not world["A"].coverable(rid("B"))
    assert not world["B"].coverable(rid("A"))


def test_a_write_wakes_the_leader_without_a_burst_of_heartbeats() -> None:
    world = asleep()
    world.now += 3600 * 1000 * MS
    world["A"].propose(EntryKind.DATA, 1, b"y")
    due = world["A"].deadline
    assert due is not None
    assert due <= world.now
    world.tick("A")
    assert not any(isinstance(m, Heartbeat) for m in world.queue("A", "B"))
    assert world["A"].deadline == world.now + TIMING.heartbeat_us
    world.settle()
    assert world["A"].commit == 3
    world.advance(2 * TIMING.heartbeat_us)
    assert [world[name].commit for name in "ABC"] == [3, 3, 3]
    assert world["A"].deadline is None


def test_lost_write_to_a_covered_follower_is_found() -> None:
    world = asleep()
    world.propose("A", b"y")
    world.drop("A", "B")
    world.drop("A", "C")
    world.tick("A")
    world.advance(3 * TIMING.heartbeat_us)
    assert [world[name].commit for name in "ABC"] == [3, 3, 3]


def test_uncovered_leader_counts_from_now_and_steps_down_alone() -> None:
    world = asleep()
    world.now += 3600 * 1000 * MS
    for name in "BC":
        world["A"].cover(rid(name), False)
    world.isolate("A")
    world.tick("A")
    assert world["A"].leader == rid("A")
    world.advance(TIMING.election_max_us // 2, "A")
    assert world["A"].leader == rid("A")
    world.advance(TIMING.election_max_us, "A")
    assert world["A"].leader is None


def test_peer_level_acks_keep_an_uncovered_leader() -> None:
    world = asleep()
    for name in "BC":
        world["A"].cover(rid(name), False)
    world.isolate("A")
    for _ in range(40):
        world.advance(TIMING.heartbeat_us, "A")
        world["A"].heard(rid("B"), world.now)
    assert world["A"].role is Role.LEADER


def test_uncovered_follower_waits_a_full_timeout_then_campaigns() -> None:
    world = asleep()
    world.now += 3600 * 1000 * MS
    world["B"].set_covered(False, world.now)
    deadline = world["B"].deadline
    assert deadline is not None
    assert world.now + TIMING.election_min_us <= deadline
    assert deadline <= world.now + TIMING.election_max_us
    world.crash("A")
    world["C"].set_covered(False, world.now)
    world.advance(10 * TIMING.election_max_us, "B", "C")
    assert Role.LEADER in (world["B"].role, world["C"].role)


def test_covered_follower_helps_nobody_but_a_transfer() -> None:
    world = asleep()
    world.now += 3600 * 1000 * MS
    world.inject("C", "B", VoteRequest(2, 9, 9, False))
    assert world["B"].term == 1
    world["A"].transfer(rid("B"))
    world.tick("A")
    world.settle()
    assert world["B"].role is Role.LEADER
    assert world["C"].leader == rid("B")


def test_new_leader_of_a_follower_is_not_vouched_for() -> None:
    world = asleep()
    world.inject("C", "B", VoteRequest(2, 9, 9, False, True))
    assert world["B"].deadline is not None


def test_reads_of_a_sleeping_leader_are_asked_of_covered_followers() -> None:
    world = asleep()
    world["A"].read(1)
    world.hosts["A"].pump()
    world.drop("A", "B")
    world.drop("A", "C")
    world.tick("A")
    world.advance(TIMING.heartbeat_us)
    assert [read.index for read in world.hosts["A"].reads] == [2]
