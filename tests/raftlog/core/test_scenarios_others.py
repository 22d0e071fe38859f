"""The scenarios of votes, reads and snapshots that broke other engines.

One named test each, numbered as in the project's list.

Each test says where it was found. What concerns disks and several processes is tested there.
"""

from __future__ import annotations

import pytest

from raftlog.errors import NotLeader
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    HeartbeatReply,
    SnapshotChunk,
    VoteReply,
    VoteRequest,
)
from raftlog.types import Configuration, HardState, LogPosition, Role, SnapshotMeta

from .harness import MS, TIMING, World, follower, said, voters
from .values import chain, entry, rid


class Test6Votes:
    """camunda#5356, hazelcast#16643: double votes, lost votes, counted twice."""

    def test_one_vote_per_term(self) -> None:
        world = follower([])
        world.inject("B", "A", VoteRequest(3, 0, 0, False))
        world.inject("C", "A", VoteRequest(3, 0, 0, False))
        assert said(world, "B") == [VoteReply(3, True, False)]
        assert said(world, "C") == [VoteReply(3, False, False)]

    def test_vote_survives_restart_and_repetition(self) -> None:
        world = follower([])
        world.inject("B", "A", VoteRequest(3, 0, 0, False))
        world.crash("A")
        world.restart("A")
        world.inject("C", "A", VoteRequest(3, 0, 0, False))
        world.inject("B", "A", VoteRequest(3, 0, 0, False))
        assert said(world, "C") == [VoteReply(3, False, False)]
        assert said(world, "B") == [VoteReply(3, True, False)]

    def test_vote_is_not_forgotten_on_stepping_down(self) -> None:
        world = voters()
        world.now += world.timing.election_max_us
        world["A"].campaign(world.now)
        world.settle("A", "B")
        world.isolate("A")
        world.advance(world.timing.election_max_us, "A")
        assert world["A"].role is not Role.LEADER
        assert world["A"].vote == rid("A")
        world.heal()
        world.inject("C", "A", VoteRequest(1, 9, 1, False))
        assert world.queue("A", "C")[-1] == VoteReply(1, False, False)

    def test_one_voter_counts_once(self) -> None:
        world = voters(names="ABCDE")
        world["A"].campaign(world.now)
        world.hosts["A"].pump()
        for _ in range(3):
            world.inject("B", "A", VoteReply(1, True, True))
        assert world["A"].term == 0
        world.inject("C", "A", VoteReply(1, True, True))
        for _ in range(3):
            world.inject("B", "A", VoteReply(1, True, False))
        assert world["A"].role == Role.CANDIDATE

    def test_votes_of_strangers_do_not_count(self) -> None:
        world = follower([])
        world["A"].campaign(world.now)
        world.hosts["A"].pump()
        for name in "XYZ":
            world.inject(name, "A", VoteReply(1, True, True))
        assert world["A"].role is Role.PRE_CANDIDATE

    def test_who_was_removed_disturbs_nobody(self) -> None:
        """It does not know, and it was not told while A still tried: it was cut off."""
        world = voters()
        world.elect("A")
        world.isolate("C")
        world["A"].change((rid("A"), rid("B")))
        world.advance(2 * TIMING.election_max_us, "A", "B")
        assert world["B"].configuration == Configuration((rid("A"), rid("B")))
        world.heal()
        world.advance(3 * TIMING.election_max_us)
        world["C"].campaign(world.now)
        world.settle()
        assert (world["A"].role, world["A"].term, world["B"].term) == (Role.LEADER, 1, 1)

    def test_whose_configuration_is_behind_still_votes_for_a_new_voter(self) -> None:
        """C has never heard of D, and D needs its vote: refusing would be the end of the group."""
        world = World()
        for name in "ABC":
            world.add(name, Configuration((rid("A"), rid("B"), rid("C"))))
        world.elect("A")
        world.add("D", world["A"].configuration)
        world.isolate("C")
        for members in (((rid("A"), rid("B"), rid("C")), (rid("D"),)), (map(rid, "ABCD"), ())):
            world["A"].change(tuple(members[0]), tuple(members[1]))
            world.advance(100 * MS)
        assert world["D"].configuration == Configuration(tuple(map(rid, "ABCD")))
        world.crash("B")
        world.hosts["A"].slow = True
        world.propose("A", b"x")
        world.deliver("A", "D")
        world.crash("A")  # now the longest log is D's: only D can win, with A and C
        world.hosts["A"].slow = False
        world.restart("A")
        world.heal()
        world.now += TIMING.election_max_us
        world["D"].campaign(world.now)
        world.advance(100 * MS)
        assert world["D"].role is Role.LEADER
        assert world["C"].configuration == world["D"].configuration


class Test11PreVoteDeadlock:
    """etcd#8243, #8501, openraft#1796 (step by step: transcript 17)."""

    def test_better_log_with_older_term_wins_by_itself(self) -> None:
        world = World()
        configuration = Configuration((rid("A"), rid("B"), rid("C")))
        world.add("A", configuration, chain([1, 2, 2, 2]), HardState(2, None))
        world.add("B", configuration, chain([1]), HardState(7, None))
        world.add("C", configuration).alive = False
        world.advance(4000 * MS)
        assert world["A"].role is Role.LEADER
        assert world["B"].commit == world["A"].last_index


class Test12Reads:
    """etcd#7331, etcd#20418."""

    def test_none_before_the_noop_is_committed(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"x")
        world.settle()
        world.now += world.timing.election_max_us
        world["B"].campaign(world.now)
        for _ in range(2):
            world.hosts["B"].pump()
            world.deliver("B", "C")
            world.deliver("C", "B")
        assert (world["B"].role, world["B"].commit) == (Role.LEADER, 1)
        world["B"].read(1)
        world.hosts["B"].pump()
        assert world.hosts["B"].reads == []
        world.settle("B", "C")
        assert [read.index for read in world.hosts["B"].reads] == [3]

    def test_answers_to_an_earlier_round_prove_nothing(self) -> None:
        world = voters()
        world.elect("A")
        world["A"].read(1)
        world.settle()
        world["A"].read(1)
        world.hosts["A"].pump()
        world.inject("B", "A", HeartbeatReply(1, 1, 1))
        assert len(world.hosts["A"].reads) == 1
        world.inject("B", "A", HeartbeatReply(1, 2, 1))
        assert len(world.hosts["A"].reads) == 2

    def test_one_round_answers_all_that_wait_and_the_queue_is_bounded(self) -> None:
        world = voters()
        world.elect("A")
        for context in range(1500):
            world["A"].read(context)
        world.hosts["A"].pump()
        assert len(world.queue("A", "B")) == 1
        world.settle()
        answers = {read.context: read.index for read in world.hosts["A"].reads}
        assert len(answers) == 1500
        assert sum(index < 0 for index in answers.values()) == 1500 - 1024


class Test14Snapshots:
    """openraft#511, hashicorp/raft#704 (chunks and resumption: transcript 11)."""

    def test_previous_entry_below_the_snapshot_is_no_conflict(self) -> None:
        world = follower([1, 1, 1, 1])
        world.inject("B", "A", AppendRequest(2, 4, 1, 4, ()))
        world.compact("A", 4)
        said(world, "B")
        items = tuple(chain([1, 1, 1, 1, 1])[1:])
        world.inject("B", "A", AppendRequest(2, 1, 1, 4, items))
        assert world["A"].last_index == 5
        assert said(world, "B") == [AppendReply(2, True, 5)]

    def test_conflicting_log_is_replaced_by_the_snapshot(self) -> None:
        world = follower([1, 2, 2, 2, 2, 2])
        meta = SnapshotMeta(LogPosition(4, 3, 2), world["A"].configuration)
        world.inject("B", "A", SnapshotChunk(4, meta, 0, b"all", True))
        assert (world["A"].last_index, world["A"].last_term, world["A"].commit) == (4, 3, 4)
        world.inject("B", "A", AppendRequest(4, 4, 3, 5, (entry(5, 4, b"", 2),)))
        assert world["A"].commit == 5

    def test_matching_log_keeps_what_follows_the_snapshot(self) -> None:
        world = follower([1, 1, 1, 1])
        meta = SnapshotMeta(LogPosition(2, 1, 1), world["A"].configuration)
        world.inject("B", "A", SnapshotChunk(1, meta, 0, b"all", True))
        assert world.terms("A") == [1, 1, 1, 1]
        assert world["A"].commit == 2

    def test_appends_and_late_completions_do_not_touch_a_log_being_replaced(self) -> None:
        world = follower([1], term=1)
        host = world.hosts["A"]
        host.slow = True
        old = (entry(2, 2), entry(3, 2, b"o"), entry(4, 2, b"o", 1), entry(5, 2, b"o", 2))
        world.inject("B", "A", AppendRequest(2, 1, 1, 0, old))
        meta = SnapshotMeta(LogPosition(3, 3, 1), world["A"].configuration)
        world.inject("C", "A", SnapshotChunk(3, meta, 0, b"all", True))
        again = (entry(2, 3), entry(3, 3, b"n"), entry(4, 3, b"n", 1))
        world.inject("C", "A", AppendRequest(3, 1, 1, 4, again))
        world.inject("C", "A", VoteRequest(4, 9, 9, False, True))  # one more write behind it
        assert world["A"].last_index == 5
        host.sync(1)
        host.pump()
        host.sync()
        host.pump()
        assert (world["A"].last_index, world["A"].stable, world["A"].commit) == (3, 3, 3)


class Test16SingleVoter:
    """etcd#14370: a group of one acks before its log is durable."""

    def test_nothing_is_committed_before_it_is_durable(self) -> None:
        world = voters(names="A")
        host = world.hosts["A"]
        host.slow = True
        world["A"].campaign(world.now)
        host.pump()
        assert world["A"].role is Role.CANDIDATE
        host.sync()
        host.pump()
        assert (world["A"].role, world["A"].commit) == (Role.LEADER, 0)
        host.sync()
        world.propose("A", b"x")
        assert world["A"].commit == 1
        host.sync()
        host.pump()
        assert world["A"].commit == 2


class Test17TransferUnderLoad:
    """redpanda#2606: whoever is to take over never has everything while writes go on."""

    def test_writes_wait_until_the_target_leads(self) -> None:
        world = voters()
        world.elect("A")
        world.propose("A", b"before")
        world["A"].transfer(rid("B"))
        refused = 0
        for number in range(20):
            try:
                world.propose("A", b"%d" % number)
            except NotLeader:
                refused += 1
            world.deliver("A", "B")
            world.deliver("B", "A")
            if world["B"].term > 1:
                break
        world.settle()
        assert world["B"].role is Role.LEADER
        assert refused > 0
        world.propose("B", b"after")
        world.settle()
        assert world.payloads("B") == [b"before", b"after"]

    def test_a_target_that_does_not_answer_stops_writes_for_an_election_timeout_only(self) -> None:
        world = voters()
        world.elect("A")
        world.isolate("B")
        world.propose("A", b"x")
        world["A"].transfer(rid("B"))
        with pytest.raises(NotLeader, match="transferred"):
            world.propose("A", b"refused")
        world.advance(TIMING.election_max_us + 2 * TIMING.heartbeat_us)
        world.propose("A", b"y")
        world.settle()
        assert (world["A"].role, world.payloads("A")) == (Role.LEADER, [b"x", b"y"])
