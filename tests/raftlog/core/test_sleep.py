"""Covered groups: who may sleep, what wakes them, and what is never slept over."""

from __future__ import annotations

from raftlog.messages import Heartbeat, HeartbeatReply, VoteRequest
from raftlog.types import EntryKind, Role

from .harness import MS, TIMING, World, voters
from .values import rid

HOUR = 3600 * 1000 * MS


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
    world.now += HOUR
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
    world.now += HOUR
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
    world.now += HOUR
    world.propose("A", b"y")
    world.drop("A", "B")
    world.drop("A", "C")
    world.tick("A")
    world.advance(3 * TIMING.heartbeat_us)
    assert [world[name].commit for name in "ABC"] == [3, 3, 3]


def test_uncovered_leader_counts_from_now_and_steps_down_alone() -> None:
    world = asleep()
    world.now += HOUR
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
    world.now += HOUR
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
    world.now += HOUR
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


def test_a_covered_follower_that_is_asked_in_vain_waits_a_full_timeout() -> None:
    world = asleep()
    world.now += HOUR
    world.inject("C", "B", VoteRequest(2, 1, 1, False, True))
    deadline = world["B"].deadline
    assert world["B"].vote is None
    assert deadline is not None
    assert deadline >= world.now + TIMING.election_min_us


def test_reads_of_a_sleeping_leader_are_asked_of_covered_followers() -> None:
    world = asleep()
    world.now += HOUR
    world["A"].read(1)
    world.hosts["A"].pump()
    world.tick("A")
    assert world.queue("A", "B") == [Heartbeat(1, 2, 1)]
    world.drop("A", "B")
    world.drop("A", "C")
    world.advance(TIMING.heartbeat_us)
    assert [read.index for read in world.hosts["A"].reads] == [2]


class TestSilentFollowers:
    def world(self) -> World:
        """A leads B, covered and settled; C has been dead for a while."""
        world = voters()
        world.elect("A")
        world.crash("C")
        world.advance(TIMING.heartbeat_us, "A", "B")
        world["A"].cover(rid("B"), True)
        world["B"].set_covered(True, world.now)
        world.advance(3 * TIMING.election_max_us, "A", "B")
        world.drop("A", "C")
        return world

    def test_they_get_heartbeats_at_the_election_interval(self) -> None:
        world = self.world()
        world.advance(10 * TIMING.election_max_us, "A", "B")
        assert 9 <= len(world.queue("A", "C")) <= 11
        assert world.queue("A", "B") == []
        deadline = world["A"].deadline
        assert deadline is not None
        assert deadline > world.now + TIMING.heartbeat_us

    def test_also_while_others_keep_the_leader_busy(self) -> None:
        world = self.world()
        world["A"].cover(rid("B"), False)
        world.advance(10 * TIMING.election_max_us, "A", "B")
        assert 9 <= len(world.queue("A", "C")) <= 11

    def test_an_answer_brings_back_the_full_rate(self) -> None:
        world = self.world()
        world.tick("A")
        world.inject("C", "A", HeartbeatReply(1, 0, 0))
        world.drop("A", "C")
        world.now += TIMING.heartbeat_us
        world.tick("A")
        assert any(isinstance(m, Heartbeat) for m in world.queue("A", "C"))

    def test_a_write_meanwhile_is_watched_at_the_full_rate(self) -> None:
        world = self.world()
        world.propose("A", b"x")
        world.drop("A", "B")
        world.tick("A")
        world.advance(4 * TIMING.heartbeat_us, "A", "B")
        assert world["A"].commit == 2
        assert world["B"].commit == 2

    def test_one_that_returns_is_served_at_once(self) -> None:
        world = self.world()
        world.restart("C")
        world["C"].campaign(world.now)
        world.hosts["C"].pump()
        world.deliver("C", "A")
        world.advance(2 * TIMING.heartbeat_us)
        assert world["C"].leader == rid("A")
        world.advance(2 * TIMING.heartbeat_us)
        assert world["A"].coverable(rid("C"))

    def test_asking_for_votes_is_no_support(self) -> None:
        world = self.world()
        world["A"].cover(rid("B"), False)
        for _ in range(30):
            world.now += TIMING.heartbeat_us
            world.inject("C", "A", VoteRequest(2, 9, 9, True))
            world.tick("A")
        assert world["A"].leader is None
