"""Reads by lease (dissertation, 6.4.1): what a lease relies on must outlive everything but time."""

from __future__ import annotations

import pytest

from raftlog.messages import VoteReply, VoteRequest
from raftlog.types import Role

from .harness import TIMING, World, voters
from .values import rid


class TestLease:
    """Three voters; the leader has just been answered."""

    TIMING = TIMING._replace(lease_reads=True, clock_drift_ppm=100_000)

    def leased(self) -> World:
        world = voters(self.TIMING)
        world.advance(2 * TIMING.election_max_us)  # a start is a pledge, too
        world.elect("A")
        world["A"].read(1, world.now)
        world.hosts["A"].pump()
        world.settle()
        assert [read.context for read in world.hosts["A"].reads] == [1]
        return world

    def answered(self, world: World, context: int) -> bool:
        world["A"].read(context, world.now)
        world.hosts["A"].pump()
        return context in [read.context for read in world.hosts["A"].reads if read.index >= 0]

    def test_a_round_answers_the_reads_that_follow_until_it_is_too_old(self) -> None:
        world = self.leased()
        assert world.queue("A", "B") == []
        world.now += self.TIMING.lease_us - 1
        assert self.answered(world, 2)
        world.now += 1
        assert not self.answered(world, 3)

    def test_the_lease_begins_with_the_round_and_not_with_its_answer(self) -> None:
        """The pledge began when the follower was asked, however long its answer took."""
        world = self.leased()
        world.now += self.TIMING.lease_us
        world.tick("A")
        began = world.now
        assert not self.answered(world, 2)
        world.deliver("A", "B")
        world.now += self.TIMING.lease_us // 2
        world.deliver("B", "A")
        assert [read.context for read in world.hosts["A"].reads if read.index >= 0] == [1, 2]
        assert world["A"].lease_until_us == began + self.TIMING.lease_us
        world.now = began + self.TIMING.lease_us
        assert not self.answered(world, 3)

    def test_a_lease_has_ended_by_all_clocks_when_the_first_voter_is_free_again(self) -> None:
        """The leader's clock as slow, and the followers' as fast, as is stated."""
        world = self.leased()
        began, timing = world.now, self.TIMING
        world.isolate("A")
        free_us = timing.election_min_us * 10 // 11  # a tenth too fast
        world.now = began + timing.election_min_us
        world["B"].campaign(world.now)
        world.settle("B", "C")
        assert world["B"].role is Role.LEADER
        world.now = began + free_us * 9 // 10 + 1  # a tenth too slow
        assert not self.answered(world, 2)

    def test_the_lease_is_shorter_than_the_pledge_by_what_clocks_may_differ(self) -> None:
        assert self.TIMING.lease_us * 1.1 <= self.TIMING.election_min_us * 0.9

    @pytest.mark.parametrize("forget", ["restart", "later term", "told to campaign"])
    def test_whoever_answered_helps_nobody_for_as_long(self, forget: str) -> None:
        world = self.leased()
        world.isolate("A")
        if forget == "restart":
            world.crash("B")
            world.restart("B")
        elif forget == "later term":
            world["B"].receive(world.now, rid("C"), VoteReply(7, False, False))
        world["B"].campaign(world.now)
        world.inject("C", "B", VoteRequest(9, 99, 9, False))
        world.inject("C", "B", VoteRequest(9, 99, 9, True))
        granted = [m for m in world.queue("B", "C") if isinstance(m, VoteReply) and m.granted]
        assert granted == []
        assert world["B"].role is Role.FOLLOWER
        assert self.answered(world, 2)
        world.now += TIMING.election_min_us
        world.inject("C", "B", VoteRequest(9, 99, 9, False))
        granted = [m for m in world.queue("B", "C") if isinstance(m, VoteReply) and m.granted]
        assert len(granted) == 1

    def test_a_leader_that_was_paused_wakes_up_without_a_lease(self) -> None:
        """Its last event is old, and so is what it takes for the present (tikv#964)."""
        world = self.leased()
        world.isolate("A")
        world.advance(self.TIMING.election_max_us, "B", "C")
        world["B"].campaign(world.now)
        world.settle("B", "C")
        world.propose("B", b"newer")
        world.settle("B", "C")
        assert world["B"].commit > world["A"].commit
        assert world["A"].role is Role.LEADER
        assert not self.answered(world, 2)

    def test_a_leader_that_hands_over_has_no_lease_any_more(self) -> None:
        world = self.leased()
        world["A"].transfer(rid("B"))
        world.hosts["A"].pump()
        world.cut("AB", "AC")
        assert not self.answered(world, 2)

    def test_a_change_of_members_ends_the_lease(self) -> None:
        world = self.leased()
        world["A"].change((rid("A"), rid("B")), (rid("C"),))
        assert not self.answered(world, 2)

    def test_without_it_every_read_has_a_round(self) -> None:
        world = voters()
        world.elect("A")
        world["A"].read(1, world.now)
        world.hosts["A"].pump()
        world.settle()
        assert not self.answered(world, 2)
