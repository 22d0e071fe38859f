"""The scenarios of changing members that broke other engines, and of replicas that come back.

One named test each, numbered as in the project's list. Step by step: transcripts 14, 15 and
18 to 21.
"""

from __future__ import annotations

import pytest

from raftlog.core import encode_configuration
from raftlog.errors import ChangeRefused, NotLeader
from raftlog.messages import AppendReply, AppendRequest, HeartbeatReply, SnapshotChunk, VoteRequest
from raftlog.types import (
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    Role,
    SnapshotMeta,
)

from .harness import MS, TIMING, World, follower, voters
from .values import rid

ABC = (rid("A"), rid("B"), rid("C"))
ABD = (rid("A"), rid("B"), rid("D"))
ADE = (rid("A"), rid("D"), rid("E"))


def learning(learners: str) -> World:
    """A leads B and C; the others named have learnt everything so far."""
    world = World()
    members = Configuration(ABC, (), tuple(rid(name) for name in learners))
    for name in "ABC" + learners:
        world.add(name, members)
    world.elect("A")
    world.advance(TIMING.heartbeat_us)
    return world


def alone(index: int, base: int) -> Entry:
    """An entry of term 1 that makes D the only voter."""
    payload = encode_configuration(Configuration((rid("D"),)))
    return Entry(index, 1, EntryKind.CONFIG, base, 0, payload)


class Test13SingleServerBug:
    """copycat#23, and Ongaro's letter to raft-dev: two changes that commit without each other."""

    def test_no_change_before_the_no_op_is_committed(self) -> None:
        world = learning("D")
        world.isolate("A")
        world["A"].change(ABD)
        world.now += TIMING.election_max_us
        world["B"].campaign(world.now)
        for _ in range(2):
            world.hosts["B"].pump()
            world.deliver("B", "C")
            world.deliver("C", "B")
        assert (world["B"].role, world["B"].commit) == (Role.LEADER, 1)
        with pytest.raises(NotLeader, match="confirmed"):
            world["B"].change(ABC, ())

    def test_no_second_change_while_one_is_open(self) -> None:
        world = learning("DE")
        world.isolate("A")
        world["A"].change(ABC, (rid("D"),))
        with pytest.raises(ChangeRefused, match="not complete"):
            world["A"].change(ABC, (rid("E"),))

    def test_old_and_new_majorities_that_do_not_meet_cannot_both_decide(self) -> None:
        """A, D and E would be a majority of the new voters; B and C are one of the old."""
        world = learning("DE")
        world.cut("AB", "AC", "BD", "BE", "CD", "CE")
        before = world["A"].commit
        world["A"].change(ADE)
        world.settle("A", "D", "E")
        assert world["A"].commit == before
        world.elect("B", "C")
        assert world["B"].confirmed


class Test13RollBack:
    """camunda#57393, canonical/raft#250: a configuration that outlives its entry."""

    def test_a_deposed_leader_goes_back_to_the_configuration_before(self) -> None:
        world = learning("D")
        old = world["A"].configuration
        world.isolate("A")
        world["A"].change(ABD)
        world.hosts["A"].pump()
        assert world["A"].configuration.outgoing == ABC
        world.elect("B", "C")
        world.heal()
        world.advance(2 * TIMING.heartbeat_us)
        assert world["A"].configuration == old


class Test13Snapshots:
    """scylladb#9551: the configuration from before a snapshot, or from after it."""

    FRESH = Configuration((rid("A"), rid("C"), rid("D")))

    def installed(self) -> World:
        """A held an open change at entry 2, and was sent a snapshot up to entry 9."""
        world = follower([1], term=1)
        world.inject("B", "A", AppendRequest(1, 1, 1, 0, (alone(2, 0),)))
        meta = SnapshotMeta(LogPosition(9, 2, 4), self.FRESH)
        world.inject("B", "A", SnapshotChunk(2, meta, 0, b"all", True))
        return world

    def test_stale_configuration_does_not_survive_a_snapshot(self) -> None:
        world = self.installed()
        assert world["A"].configuration == self.FRESH
        world.crash("A")
        world.restart("A")
        assert world["A"].configuration == self.FRESH

    def test_a_snapshot_holds_the_configuration_of_its_own_position(self) -> None:
        """The one in force may be newer, and not committed."""
        world = learning("D")
        old = world["A"].configuration
        world.propose("A", b"x")
        world.settle()
        world.isolate("A")
        world["A"].change(ABD)
        world.hosts["A"].pump()
        world.compact("A", world["A"].commit)
        assert world.hosts["A"].log.snapshot().configuration == old
        assert world["A"].configuration.outgoing == ABC


class Test13JointState:
    """camunda#60086, kafka#18987: left too early, or entered with the new half alone."""

    def joint(self) -> World:
        """A's change from ABC to ABD has reached B and D; nothing of it is committed."""
        world = learning("D")
        world.isolate("C")
        world["A"].change(ABD)
        world.hosts["A"].pump()
        world.deliver("A", "B")
        world.deliver("A", "D")
        for name in "BD":
            world.drop(name, "A")
        return world

    def test_a_restarted_leader_is_joint_until_its_no_op_is_committed(self) -> None:
        world = self.joint()
        world.crash("A")
        world.restart("A")
        assert world["A"].configuration.outgoing == ABC
        world.now += TIMING.election_max_us
        world["A"].campaign(world.now)
        for _ in range(2):
            world.hosts["A"].pump()
            for name in "BD":
                world.deliver("A", name)
                world.deliver(name, "A")
        assert world["A"].role is Role.LEADER
        assert world["A"].configuration == Configuration(ABD, ABC)
        world.settle("A", "B", "D")
        assert world["A"].configuration == Configuration(ABD)

    def test_old_voters_commit_too(self) -> None:
        world = learning("DE")
        world.cut("AB", "AC")
        before = world["A"].commit
        world["A"].change(ADE)
        world.settle("A", "D", "E")
        assert world["A"].commit == before
        world.heal("AB")
        world.advance(2 * TIMING.heartbeat_us)
        assert world["A"].commit > before

    def test_old_voters_confirm_reads_too(self) -> None:
        world = learning("DE")
        world["A"].change(ADE)
        world["A"].read(1)
        world.hosts["A"].pump()
        for name in "DE":
            world.inject(name, "A", HeartbeatReply(1, 1, 1))
        assert world.hosts["A"].reads == []
        world.inject("B", "A", HeartbeatReply(1, 1, 1))
        assert [read.context for read in world.hosts["A"].reads] == [1]

    def test_a_leader_that_hears_only_new_voters_steps_down(self) -> None:
        world = learning("DE")
        world.cut("AB", "AC")
        world["A"].change(ADE)
        world.advance(2 * TIMING.election_max_us, "A", "D", "E")
        assert world["A"].leader != rid("A")


class Test13RemovedVoters:
    """kafka#20859: a voter that was removed makes itself one again."""

    def removed(self) -> World:
        """C was cut off when it was removed, and has come back since."""
        world = voters()
        world.elect("A")
        world.isolate("C")
        world["A"].change(ABC[:2])
        world.advance(2 * TIMING.election_max_us, "A", "B")
        assert world["A"].configuration == Configuration(ABC[:2])
        world.heal()
        return world

    def test_it_does_not_come_back_by_itself(self) -> None:
        world = self.removed()
        for _ in range(3):
            world["C"].campaign(world.now)
            world.advance(TIMING.election_max_us)
        world.inject("C", "A", VoteRequest(2, 9, 9, False))
        world.settle()
        for name in "AB":
            assert world[name].configuration == Configuration(ABC[:2])
        assert (world["A"].role, world["A"].term) == (Role.LEADER, 1)
        assert rid("C") not in world["A"].progress

    def test_its_acknowledgements_count_for_nothing(self) -> None:
        world = self.removed()
        world.isolate("A")
        written = world.propose("A", b"x")
        world.inject("C", "A", AppendReply(1, True, written.index))
        world.inject("C", "A", HeartbeatReply(1, written.index, 0))
        assert world["A"].commit < written.index


class Test15WipedDisk:
    """dragonboat#256: a node whose disk was replaced votes and counts as if it were the old one.

    It comes back with another directory id, and so it is another replica.
    """

    NEW = ReplicaId(2, b"c" * 16)

    def wiped(self) -> World:
        """A and C hold an acknowledged write, B does not. A is down, and C's disk is new."""
        world = voters()
        world.elect("A")
        world.advance(TIMING.heartbeat_us)
        world.cut("AB")
        world.propose("A", b"acknowledged")
        world.settle("A", "C")
        assert world["A"].commit == 2
        world.crash("C")
        world.add("C", Configuration(ABC), me=self.NEW)
        return world

    def test_its_vote_does_not_count(self) -> None:
        world = self.wiped()
        world.crash("A")
        world.advance(3 * TIMING.election_max_us, "B", "C")
        assert world["B"].role is not Role.LEADER
        world.restart("A")
        world.heal()
        world.advance(4 * TIMING.election_max_us)
        assert b"acknowledged" in world.payloads("B")

    def test_its_acknowledgements_do_not_count(self) -> None:
        world = self.wiped()
        written = world.propose("A", b"x")
        world.inject("C", "A", AppendReply(1, True, written.index))
        assert world["A"].commit < written.index

    def test_it_does_not_campaign(self) -> None:
        world = self.wiped()
        assert world["C"].deadline is None
        world["C"].campaign(world.now)
        assert world["C"].role is Role.FOLLOWER


def test_a_wiped_node_votes_again_once_it_was_made_a_member() -> None:
    world = Test15WipedDisk().wiped()
    world.heal()
    world.advance(100 * MS)
    world["A"].change(ABC[:2], ())
    world.advance(100 * MS)
    world["A"].change(ABC[:2], (Test15WipedDisk.NEW,))
    world.advance(100 * MS)
    world["A"].change((*ABC[:2], Test15WipedDisk.NEW))
    world.advance(100 * MS)
    assert world["A"].configuration == Configuration((*ABC[:2], Test15WipedDisk.NEW))
    world.crash("A")
    world.advance(4 * TIMING.election_max_us, "B", "C")
    leaders = [name for name in "BC" if world[name].role is Role.LEADER]
    assert len(leaders) == 1
    assert b"acknowledged" in world.payloads(leaders[0])
