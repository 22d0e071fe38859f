"""The scenarios of replication that broke other engines.

One named test each, numbered as in the project's list.

Each test says where it was found. What concerns disks and several processes is tested there.
"""

from __future__ import annotations

import pytest

from raftlog.errors import NotLeader, PeerFault
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    VoteReply,
)
from raftlog.types import Configuration, EntryKind, HardState, Role

from .harness import World, follower, said, voters
from .values import chain, entry, rid


class Test1CommitOverUnverifiedTail:
    """copycat#265, scylladb#9965: commit moves over a tail that nobody compared."""

    def test_empty_append_commits_only_what_it_matched(self) -> None:
        world = follower([1, 1, 1, 1])
        world.inject("B", "A", AppendRequest(2, 2, 1, 4, ()))
        assert world["A"].commit == 2
        assert said(world, "B") == [AppendReply(2, True, 2)]

    def test_append_commits_only_up_to_its_last_entry(self) -> None:
        world = follower([1, 1, 1, 1])
        world.inject("B", "A", AppendRequest(2, 1, 1, 9, (entry(2, 1, b"2/1", 0),)))
        assert world["A"].commit == 2

    def test_leader_never_tells_a_commit_beyond_the_match(self) -> None:
        world = voters()
        world.elect("A")
        world.cut("AC")
        world.propose("A", b"x")
        world.settle()
        world.heal()
        world.drop("A", "C")
        world.now += world.timing.heartbeat_us
        world.tick("A")
        assert world["A"].commit == 2
        assert world.queue("A", "C") == [Heartbeat(1, 1, 0)]


class Test2DelayedAppend:
    """redpanda#17731, hashicorp/raft#113: a late append cuts a suffix that matches."""

    def test_matching_suffix_stays(self) -> None:
        world = follower([])
        items = chain([1, 1, 1, 1])
        world.inject("B", "A", AppendRequest(1, 0, 0, 0, tuple(items)))
        said(world, "B")
        world.inject("B", "A", AppendRequest(1, 0, 0, 0, tuple(items[:2])))
        assert world.terms("A") == [1, 1, 1, 1]
        assert said(world, "B") == [AppendReply(1, True, 4)]

    def test_committed_entries_cannot_be_cut_by_anyone(self) -> None:
        world = follower([1, 1, 1])
        world.inject("B", "A", AppendRequest(2, 3, 1, 3, ()))
        bad = (entry(2, 2, b"", 0), entry(3, 2, b"z", 0), entry(4, 2, b"z", 1))
        with pytest.raises(PeerFault, match="committed"):
            world.inject("B", "A", AppendRequest(2, 1, 1, 3, bad))
        assert world.terms("A") == [1, 1, 1]


class Test3StaleAcks:
    """Replies that cross terms or replication sessions."""

    def test_ack_of_an_older_term_moves_nothing(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"x")
        world.drop("A", "B")
        world.inject("B", "A", AppendReply(0, True, 2))
        assert world["A"].progress[rid("B")].match == 1

    def test_old_rejection_does_not_go_back_below_the_match(self) -> None:
        world = voters()
        world.elect("A")
        for payload in (b"x", b"y"):
            world.propose("A", payload)
        world.settle()
        before = world["A"].progress[rid("B")].next
        world.inject("B", "A", AppendReply(1, False, 2, 0, 0))
        assert world["A"].progress[rid("B")].next == before
        assert world.queue("A", "B") == []

    def test_ack_beyond_the_log_is_the_peers_fault(self) -> None:
        world = voters()
        world.elect("A")
        with pytest.raises(PeerFault, match="ack of index 99"):
            world.inject("B", "A", AppendReply(1, True, 99))


class Test4OldTermsByCounting:
    """Raft paper, figure 8 (the whole schedule is transcript 07)."""

    def test_majority_of_an_old_entry_commits_nothing(self) -> None:
        world = World()
        configuration = Configuration((rid("A"), rid("B"), rid("C")))
        for name in "AB":
            world.add(name, configuration, chain([1, 1]), HardState(1, None))
        world.add("C", configuration)
        world.now += world.timing.election_max_us
        world["A"].campaign(world.now)
        world.hosts["A"].pump()
        world.inject("B", "A", VoteReply(2, True, True))
        world.inject("B", "A", VoteReply(2, True, False))
        assert (world["A"].role, world["A"].last_index) == (Role.LEADER, 3)
        world.inject("B", "A", AppendReply(2, True, 2))
        world.inject("C", "A", AppendReply(2, True, 2))
        assert world["A"].commit == 0
        world.inject("B", "A", AppendReply(2, True, 3))
        assert world["A"].commit == 3


class Test5QuorumArithmetic:
    """openraft#1802; the arithmetic itself is tested in test_quorum."""

    def test_two_of_four_are_not_enough(self) -> None:
        world = voters(names="ABCD")
        world.elect("A")
        world.cut("AC", "AD")
        world.propose("A", b"x")
        world.settle()
        assert world["A"].commit == 1

    def test_learner_acks_do_not_count(self) -> None:
        world = World()
        configuration = Configuration((rid("A"), rid("B")), (), (rid("C"), rid("D")))
        for name in "ABCD":
            world.add(name, configuration)
        world.elect("A")
        world.cut("AB")
        world.propose("A", b"x")
        world.settle()
        assert world["A"].progress[rid("D")].match == 2
        assert world["A"].commit == 1


class Test7DeposedLeader:
    """camunda#5360, redpanda#3003: it appends with the new term, or claims success."""

    def test_it_neither_appends_nor_commits(self) -> None:
        world = voters()
        world.elect("A")
        world.isolate("A")
        lost = world.propose("A", b"lost")
        world.elect("B", "C")
        world.heal()
        world.now += world.timing.heartbeat_us
        world.tick("B")
        world.deliver("B", "A")
        assert world["A"].role is Role.FOLLOWER
        world.advance(2 * world.timing.heartbeat_us)
        assert lost.term == 1
        assert world.payloads("A") == []
        assert world.terms("A") == [1, 2]

    def test_late_acks_do_not_commit_after_step_down(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"x")
        world.deliver("A", "B")
        world.inject("C", "A", AppendReply(5, False, 0))
        world.deliver("B", "A")
        assert world["A"].role is Role.FOLLOWER
        assert world["A"].commit == 1

    def test_late_own_write_does_not_commit_after_step_down(self) -> None:
        world = voters()
        world.elect("A")
        world.hosts["A"].slow = True
        world.propose("A", b"x")
        world.inject("B", "A", AppendReply(1, True, 2))
        world.inject("C", "A", AppendReply(5, False, 0))
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert world["A"].commit == 1, "two of three have it, but the term is over"

    def test_it_takes_nothing_more(self) -> None:
        world = voters()
        world.elect("A")
        world.inject("C", "A", AppendReply(5, False, 0))
        with pytest.raises(NotLeader):
            world["A"].propose(EntryKind.DATA, 1, b"of term 5")
        assert world.terms("A") == [1]


class Test8LeaderLosesItsWrite:
    """canonical/raft#320, kafka#9348: the same (index, term) twice, an epoch resumed."""

    def test_restarted_leader_follows_and_reuses_nothing(self) -> None:
        world = voters()
        world.elect("A")
        world.hosts["A"].slow = True
        lost = world.propose("A", b"replicated")
        world.deliver("A", "B")
        world.crash("A")
        world.hosts["A"].slow = False
        world.restart("A")
        assert world["A"].role is Role.FOLLOWER
        world.elect("B")
        world.advance(2 * world.timing.heartbeat_us)
        again = world.propose("B", b"later")
        assert (again.index, again.term) != (lost.index, lost.term)
        world.settle()
        assert world.payloads("A")[0] == b"replicated"

    def test_new_term_is_durable_before_it_is_used(self) -> None:
        world = voters()
        world.hosts["A"].slow = True
        world["A"].campaign(world.now)
        world.settle()
        assert world["A"].term == 1
        assert all(not m.term or m.pre_vote for m in world.queue("A", "B"))  # type: ignore[union-attr]
        world.crash("A")
        world.restart("A")
        assert world["A"].term == 0


class Test10CompletionRacesTruncation:
    """redpanda#3114, #16105: a late completion vouches for entries that took the place."""

    def test_completion_of_replaced_entries_acks_nothing_of_the_new(self) -> None:
        world = follower([1], term=1)
        world.hosts["A"].slow = True
        old = (entry(2, 2), entry(3, 2, b"o"), entry(4, 2, b"o", 1))
        world.inject("B", "A", AppendRequest(2, 1, 1, 0, old))
        new = (entry(2, 3), entry(3, 3, b"n"), entry(4, 3, b"n", 1))
        world.inject("C", "A", AppendRequest(3, 1, 1, 0, new))
        assert len(world.hosts["A"].writes) == 2
        world.hosts["A"].sync(1)
        world.hosts["A"].pump()
        assert world["A"].stable == 1
        assert said(world, "C") == []
        world.hosts["A"].sync(1)
        world.hosts["A"].pump()
        assert said(world, "C") == [AppendReply(3, True, 4)]
        assert said(world, "B") == []

    def test_same_index_same_term_again(self) -> None:
        """Cut and appended again with equal (index, term): only the newer write counts."""
        world = follower([1], term=1)
        world.hosts["A"].slow = True
        world.inject("B", "A", AppendRequest(2, 1, 1, 0, (entry(2, 2), entry(3, 2, b"x"))))
        world.inject("C", "A", AppendRequest(3, 1, 1, 0, (entry(2, 3),)))
        world.inject("B", "A", AppendRequest(4, 1, 1, 0, (entry(2, 2), entry(3, 2, b"x"))))
        world.hosts["A"].sync(2)
        world.hosts["A"].pump()
        assert world["A"].stable == 1
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert world["A"].stable == 3
        assert said(world, "B") == [AppendReply(4, True, 3)]
