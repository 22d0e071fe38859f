"""Single steps that only matter on bad days; each was written against a mutant that survived."""

from __future__ import annotations

import pytest

from raftlog.core import Node, ProgressState
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    HeartbeatReply,
    SnapshotChunk,
    SnapshotReply,
    VoteReply,
    VoteRequest,
)
from raftlog.types import Configuration, EntryKind, LogPosition, Role, SnapshotMeta

from .harness import TIMING, World, follower, said, voters
from .values import entry, rid


def installing() -> World:
    """A, with a slow disk, holds 5 entries (1 committed) and installs a snapshot up to 3/3."""
    world = follower([1], term=1)
    world.hosts["A"].slow = True
    old = (entry(2, 2), entry(3, 2, b"o"), entry(4, 2, b"o", 1), entry(5, 2, b"o", 2))
    world.inject("B", "A", AppendRequest(2, 1, 1, 1, old))
    world.hosts["A"].sync()
    world.hosts["A"].pump()
    world.inject("C", "A", SnapshotChunk(3, snapshot(3), 0, b"all", True))
    said(world, "B")
    return world


def snapshot(term: int) -> SnapshotMeta:
    """A snapshot up to index 3 of `term`."""
    members = Configuration((rid("A"), rid("B"), rid("C")))
    return SnapshotMeta(LogPosition(3, term, 1), members)


class TestOwnWrite:
    def test_leader_counts_what_is_stored_not_what_is_appended(self) -> None:
        world = voters(names="A")
        world["A"].campaign(0)
        world.settle()
        world.hosts["A"].slow = True
        world.propose("A", b"x")
        world.propose("A", b"y")
        world.hosts["A"].sync(1)
        assert world["A"].commit == 2

    def test_noop_needs_the_leaders_disk_or_another_one(self) -> None:
        world = voters()
        world["A"].campaign(0)
        for _ in range(2):
            world.hosts["A"].pump()
            world.deliver("A", "B")
            world.hosts["A"].slow = world["A"].role is Role.CANDIDATE
            world.deliver("B", "A")
        assert world["A"].role is Role.LEADER
        world.inject("B", "A", AppendReply(1, True, 1))
        assert world["A"].commit == 0
        world.hosts["A"].sync()
        assert world["A"].commit == 1


class TestReads:
    def test_no_round_begins_before_the_noop_is_committed(self) -> None:
        world = voters()
        world["A"].campaign(0)
        world.hosts["A"].pump()
        world.inject("B", "A", VoteReply(1, True, True))
        world["A"].receive(0, rid("B"), VoteReply(1, True, False))
        world["A"].read(1)
        world.hosts["A"].pump()
        assert not any(isinstance(m, Heartbeat) for m in world.queue("A", "B"))

    def test_an_answer_confirms_its_own_round_only(self) -> None:
        world = voters()
        world.elect("A")
        for context in (10, 20):
            world["A"].read(context)
            world.hosts["A"].pump()
        world.inject("B", "A", HeartbeatReply(1, 1, 1))
        assert [read.context for read in world.hosts["A"].reads] == [10]
        world.inject("B", "A", HeartbeatReply(1, 3, 1))  # a round that never was
        assert [read.context for read in world.hosts["A"].reads] == [10]

    def test_joint_configuration_needs_both_halves(self) -> None:
        world = World()
        old = Configuration((rid("A"), rid("B"), rid("C")), (), (rid("D"), rid("E")))
        for name in "ABCDE":
            world.add(name, old)
        world.elect("A")
        world["A"].change((rid("A"), rid("D"), rid("E")))
        world["A"].read(1)
        world.hosts["A"].pump()
        world.inject("B", "A", HeartbeatReply(1, 1, 1))
        world.inject("C", "A", HeartbeatReply(1, 1, 1))
        assert world.hosts["A"].reads == []
        world.inject("E", "A", HeartbeatReply(1, 1, 1))
        assert len(world.hosts["A"].reads) == 1


class TestVotes:
    def candidate(self) -> World:
        """A asks for votes in term 2, after failing in term 1."""
        world = voters(names="ABCDE")
        world["A"].campaign(0)
        world.hosts["A"].pump()
        for name in "BC":
            world.inject(name, "A", VoteReply(1, True, True))
        world["A"].campaign(0)
        world.hosts["A"].pump()
        return world

    def test_votes_of_another_kind_or_term_do_not_count(self) -> None:
        world = self.candidate()
        for name in "BC":
            world.inject(name, "A", VoteReply(1, True, False))  # late votes are no pre-votes
            world.inject(name, "A", VoteReply(1, True, True))  # for a term that is over
        assert (world["A"].role, world["A"].term) == (Role.PRE_CANDIDATE, 1)
        for name in "BC":
            world.inject(name, "A", VoteReply(2, True, True))
        assert (world["A"].role, world["A"].term) == (Role.CANDIDATE, 2)
        for name in "BC":
            world.inject(name, "A", VoteReply(1, True, False))
            world.inject(name, "A", VoteReply(2, True, True))
        assert world["A"].role is Role.CANDIDATE

    def test_strangers_term_means_nothing(self) -> None:
        world = self.candidate()
        world.inject("Z", "A", VoteReply(9, False, True))
        world.inject("Z", "A", AppendReply(9, False, 0))
        assert world["A"].term == 1

    def test_waiting_for_a_slow_disk_is_not_a_busy_loop(self) -> None:
        world = voters(names="A")
        world.hosts["A"].slow = True
        world["A"].campaign(0)
        world.hosts["A"].pump()
        for _ in range(50):
            deadline = world["A"].deadline
            assert deadline is not None
            assert deadline > world.now
            world.now = deadline
            world["A"].tick(deadline)


class TestPromises:
    @pytest.mark.parametrize(("term", "vote"), [(4, "B"), (5, "C")])
    def test_broken_promises_stop_the_replica(self, term: int, vote: str) -> None:
        world = follower([], term=5)
        world.inject("B", "A", VoteRequest(5, 0, 0, False))
        with pytest.raises(AssertionError, match="term 5 vote"):
            world["A"]._replica.promise(term, rid(vote))


class TestOldTermsAreSilent:
    def test_what_was_not_sent_before_the_term_changed(self) -> None:
        node = follower([1])["A"]
        node.receive(0, rid("B"), Heartbeat(1, 0, 0))
        node.receive(0, rid("C"), Heartbeat(2, 0, 0))
        ready = node.ready()
        assert ready.messages == []
        node.stored(ready.number)
        assert node.ready().messages == [(rid("C"), HeartbeatReply(2, 0, 0))]

    def test_what_waited_for_a_term_that_is_over(self) -> None:
        world = follower([1])
        world.hosts["A"].slow = True
        world.inject("B", "A", Heartbeat(2, 0, 0))
        world.inject("C", "A", Heartbeat(3, 0, 0))
        world.hosts["A"].sync(1)
        world.hosts["A"].pump()
        assert said(world, "B") + said(world, "C") == []
        world.hosts["A"].sync(1)
        world.hosts["A"].pump()
        assert (said(world, "B"), said(world, "C")) == ([], [HeartbeatReply(3, 0, 0)])


class TestRejections:
    def test_old_rejection_keeps_the_pipeline(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"x")
        world.settle()
        world.inject("B", "A", AppendReply(1, False, 1, 0, 0))
        assert world["A"].progress[rid("B")].state is ProgressState.REPLICATE

    def test_probe_never_starts_below_the_match(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"x")
        world.settle()
        world.propose("A", b"y")
        world.drop("A", "B")
        world.inject("B", "A", AppendReply(1, False, 3, 0, 0))
        assert world["A"].progress[rid("B")].next == 3


class TestSnapshotRaces:
    def test_nothing_touches_a_log_that_is_being_replaced(self) -> None:
        world = installing()
        world.inject("C", "A", Heartbeat(3, 5, 0))
        world.inject("C", "A", AppendRequest(3, 1, 1, 5, (entry(2, 3), entry(3, 3, b"n"))))
        assert (world["A"].commit, world["A"].last_index, world["A"].last_term) == (1, 5, 2)
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert (world["A"].commit, world["A"].last_index) == (3, 3)
        assert SnapshotReply(3, 3, 0, True) in said(world, "C")

    def test_another_leader_appears_meanwhile(self) -> None:
        world = installing()
        world.inject("B", "A", Heartbeat(5, 0, 0))
        assert world["A"].leader == rid("B")
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert world["A"].commit == 3
        assert not any(isinstance(m, SnapshotReply) for m in said(world, "C") + said(world, "B"))

    def test_last_chunk_waits_for_entries_not_handed_out(self) -> None:
        node = follower([1], term=1)["A"]
        node.receive(0, rid("B"), AppendRequest(2, 1, 1, 0, (entry(2, 2),)))
        node.receive(0, rid("B"), SnapshotChunk(2, snapshot(2), 0, b"all", True))
        ready = node.ready()
        assert (ready.snapshot, len(ready.entries)) == (None, 1)
        node.receive(0, rid("B"), SnapshotChunk(2, snapshot(2), 0, b"all", True))
        assert node.ready().snapshot is not None

    def test_one_chunk_per_ready(self) -> None:
        node = follower([1], term=1)["A"]
        node.receive(0, rid("B"), SnapshotChunk(2, snapshot(2), 0, b"0123", False))
        node.receive(0, rid("B"), SnapshotChunk(2, snapshot(2), 4, b"4567", False))
        ready = node.ready()
        assert ready.snapshot is not None
        assert ready.snapshot.cursor == 0

    def test_installed_is_not_claimed_of_entries_that_are_not_durable(self) -> None:
        world = follower([1], term=1)
        world.hosts["A"].slow = True
        world.inject("B", "A", AppendRequest(2, 1, 1, 0, (entry(2, 2), entry(3, 2, b"x"))))
        world.inject("B", "A", SnapshotChunk(2, snapshot(2), 0, b"all", True))
        assert world["A"].commit == 3
        node: Node = world["A"]
        assert not any(isinstance(m, SnapshotReply) for _, m in node._replica.held)

    def test_vote_during_installation_compares_the_old_log(self) -> None:
        world = installing()
        world.inject("B", "A", VoteRequest(4, 9, 9, False, True))
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert VoteReply(4, True, False) in said(world, "B")
        assert world["A"].last_index == 3


def test_control_and_data_share_one_order() -> None:
    world = voters(TIMING)
    world.elect("A")
    kinds = [EntryKind.DATA, EntryKind.CONTROL, EntryKind.DATA]
    entries = [world["A"].propose(kind, kind == EntryKind.DATA, b"x") for kind in kinds]
    assert [item.base for item in entries] == [0, 1, 1]


class TestConfigurationBehind:
    """A replica whose configuration is old still serves those who know better."""

    def learner(self) -> World:
        world = World()
        members = Configuration((rid("B"), rid("C")), (), (rid("A"),))
        world.add("A", members)
        for name in "BCD":
            world.add(name, members).alive = False
        return world

    def test_a_learner_votes_when_asked(self) -> None:
        world = self.learner()
        world.inject("B", "A", VoteRequest(1, 0, 0, False))
        assert said(world, "B") == [VoteReply(1, True, False)]

    def test_a_leader_outside_the_known_configuration_is_followed(self) -> None:
        world = self.learner()
        world.inject("D", "A", AppendRequest(1, 0, 0, 0, (entry(1, 1),)))
        assert world["A"].leader == rid("D")
        assert said(world, "D") == [AppendReply(1, True, 1)]
