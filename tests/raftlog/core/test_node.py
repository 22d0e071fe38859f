"""What a host relies on besides safety: bounds, refusals, flow control, terms, restart."""

from __future__ import annotations

import random

import pytest

from raftlog.core import Node, ProgressState, Timing
from raftlog.errors import (
    CorruptLog,
    Misconfigured,
    NotLeader,
    Overloaded,
    PeerFault,
    RaftError,
)
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    HeartbeatReply,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftlog.testing.memory import MemoryLog
from raftlog.types import MAX_TERM, Configuration, Entry, EntryKind, HardState, Role

from .harness import TIMING, World, follower, said, voters
from .values import chain, entry, rid


def leader(timing: Timing = TIMING) -> World:
    """A leads B and C, everything is settled and known."""
    world = voters(timing)
    world.elect("A")
    world.advance(timing.heartbeat_us)
    return world


class TestProposals:
    def test_offsets_are_dense_and_known_beforehand(self) -> None:
        world = leader()
        assert world["A"].next_offset == 0
        first = world["A"].propose(EntryKind.DATA, 7, b"batch")
        second = world["A"].propose(EntryKind.CONTROL, 0, b"trim")
        assert (first.base, first.end, second.base, second.end) == (0, 7, 7, 7)
        assert world["A"].next_offset == 7
        assert world["A"].commit_offset == 0
        world.settle()
        assert world["A"].commit_offset == 7

    def test_backpressure_takes_one_and_recovers(self) -> None:
        world = leader(TIMING._replace(max_uncommitted_bytes=10))
        world["A"].propose(EntryKind.DATA, 1, bytes(50))
        with pytest.raises(Overloaded, match="max_uncommitted_bytes"):
            world["A"].propose(EntryKind.DATA, 1, b"x")
        world.settle()
        assert world["A"].uncommitted_bytes == 0
        world["A"].propose(EntryKind.DATA, 1, b"x")

    def test_refused_by_a_follower_which_names_the_leader(self) -> None:
        world = leader()
        with pytest.raises(NotLeader, match="led by"):
            world["B"].propose(EntryKind.DATA, 1, b"x")

    def test_refused_until_the_noop_is_committed(self) -> None:
        world = voters()
        world["A"].campaign(0)
        for _ in range(2):
            world.hosts["A"].pump()
            world.deliver("A", "B")
            world.deliver("B", "A")
        assert world["A"].role is Role.LEADER
        with pytest.raises(NotLeader, match="first entry"):
            world["A"].propose(EntryKind.DATA, 1, b"x")
        world.settle()
        world["A"].propose(EntryKind.DATA, 1, b"x")

    @pytest.mark.parametrize(
        ("kind", "span"), [(EntryKind.NOOP, 0), (EntryKind.CONFIG, 0), (EntryKind.CONTROL, 1)]
    )
    def test_only_the_applications_kinds(self, kind: EntryKind, span: int) -> None:
        with pytest.raises(ValueError, match="DATA"):
            leader()["A"].propose(kind, span, b"x")


class TestFlowControl:
    def test_inflight_messages_are_bounded(self) -> None:
        world = leader(TIMING._replace(max_inflight_messages=3))
        for number in range(10):
            world.propose("A", b"%d" % number)
        assert len(world.queue("A", "B")) == 3
        world.settle()
        assert world["A"].progress[rid("B")].match == 11

    def test_inflight_bytes_are_bounded_but_one_passes(self) -> None:
        world = leader(TIMING._replace(max_inflight_bytes=100, max_append_bytes=60))
        for _ in range(6):
            world.propose("A", bytes(80))
        assert len(world.queue("A", "B")) == 2
        world.settle()
        assert world["B"].last_index == 7

    def test_acked_bytes_are_free_again(self) -> None:
        world = leader(TIMING._replace(max_inflight_bytes=100))
        for _ in range(5):
            world.propose("A", bytes(40))
            world.settle()
        for _ in range(3):
            world.propose("A", bytes(40))
        assert len(world.queue("A", "B")) == 3

    def test_appends_are_cut_to_size(self) -> None:
        world = leader(TIMING._replace(max_append_bytes=25, max_inflight_messages=1))
        for _ in range(7):
            world.propose("A", bytes(10))
        world.deliver("A", "B")
        world.deliver("B", "A")
        (append,) = world.queue("A", "B")
        assert isinstance(append, AppendRequest)
        assert [item.index for item in append.entries] == [3, 4]

    def test_lagging_follower_is_fed_from_the_log(self) -> None:
        world = leader(TIMING._replace(max_append_bytes=25))
        world.cut("AC")
        payloads = [b"%02d" % number for number in range(40)]
        for payload in payloads:
            world.propose("A", payload)
        world.settle()
        world.heal()
        world.advance(3 * TIMING.heartbeat_us)
        assert world.payloads("C") == payloads

    def test_dead_follower_gets_no_bulk_again_and_again(self) -> None:
        world = leader()
        world.crash("C")
        world.propose("A", bytes(1000))
        world.advance(5 * TIMING.heartbeat_us, "A", "B")
        appends = [m for m in world.queue("A", "C") if isinstance(m, AppendRequest)]
        assert len(appends) == 1


class TestTerms:
    @pytest.mark.parametrize(
        "message",
        [
            VoteRequest(MAX_TERM + 1, 1, 1, True),
            VoteReply(MAX_TERM + 1, False, False),
            Heartbeat(MAX_TERM + 1, 0, 0),
            AppendReply(2**40, True, 0),
            TimeoutNow(-1),
        ],
    )
    def test_impossible_terms_are_the_peers_fault(self, message: Heartbeat) -> None:
        world = follower([1])
        with pytest.raises(PeerFault, match="term"):
            world.inject("B", "A", message)
        assert world["A"].term == 1

    def test_terms_run_out_loudly_and_never_wrap(self) -> None:
        world = follower([1], term=MAX_TERM)
        with pytest.raises(RaftError, match="used up"):
            world["A"].campaign(0)
        assert world["A"].deadline is None
        world["A"].tick(10**9)
        world.inject("B", "A", TimeoutNow(MAX_TERM))
        assert (world["A"].term, world["A"].role) == (MAX_TERM, Role.FOLLOWER)

    def test_deposed_leader_is_told(self) -> None:
        world = follower([1], term=5)
        for message in (Heartbeat(3, 0, 0), AppendRequest(3, 1, 1, 0, ()), TimeoutNow(3)):
            world.inject("B", "A", message)
            assert said(world, "B") == [AppendReply(5, False, 0)]

    def test_two_leaders_in_a_term_are_refused(self) -> None:
        world = follower([1])
        world.inject("B", "A", Heartbeat(2, 0, 0))
        with pytest.raises(PeerFault, match="claims to lead"):
            world.inject("C", "A", Heartbeat(2, 0, 0))
        world = leader()
        with pytest.raises(PeerFault, match="claims to lead"):
            world.inject("B", "A", Heartbeat(1, 0, 0))

    def test_message_from_itself_is_refused(self) -> None:
        world = follower([1])
        with pytest.raises(PeerFault, match="itself"):
            world.inject("A", "A", VoteReply(2, True, True))

    def test_log_above_the_recorded_term_is_corrupt(self) -> None:
        log = MemoryLog(Configuration((rid("A"),)), chain([1, 4]))
        with pytest.raises(CorruptLog, match="must not vote"):
            Node(1, rid("A"), log, HardState(3, None), TIMING, random.Random(1), 0)


class TestMalformedAppends:
    @pytest.mark.parametrize(
        "entries",
        [
            (entry(3, 2, b"gap"),),
            (entry(2, 9, b"above the leader's term"),),
            (entry(2, 2), entry(3, 1)),
            (entry(2, 2, b"x", 0), entry(3, 2, b"y", 5)),
            (Entry(2, 2, EntryKind.NOOP, 0, 3, b""),),
            (Entry(2, 2, EntryKind.CONFIG, 0, 0, b"\x01\xff"),),
        ],
    )
    def test_is_the_peers_fault_and_changes_nothing(self, entries: tuple[Entry, ...]) -> None:
        world = follower([1])
        with pytest.raises(PeerFault):
            world.inject("B", "A", AppendRequest(2, 1, 1, 0, entries))
        assert world["A"].last_index == 1

    def test_other_offsets_than_ours_take_this_replica_offline(self) -> None:
        world = follower([1])
        with pytest.raises(CorruptLog, match="offset"):
            world.inject("B", "A", AppendRequest(2, 1, 1, 0, (entry(2, 2, b"x", 17),)))

    def test_leader_that_contradicts_itself(self) -> None:
        world = follower([1])
        world.inject("B", "A", AppendRequest(2, 1, 1, 0, (entry(2, 2), entry(3, 2, b"x"))))
        with pytest.raises(PeerFault, match="contradicts"):
            world.inject("B", "A", AppendRequest(2, 1, 1, 0, (entry(2, 1), entry(3, 1, b"x"))))


class TestElections:
    def test_unanswered_requests_are_repeated(self) -> None:
        world = voters()
        world["A"].campaign(0)
        world.hosts["A"].pump()
        world.inject("B", "A", VoteReply(0, False, True))
        world.drop("A", "B")
        world.drop("A", "C")
        world.now = TIMING.heartbeat_us
        world.tick("A")
        assert world.queue("A", "B") == []
        assert world.queue("A", "C") == [VoteRequest(1, 0, 0, True)]

    def test_slow_disk_burns_no_terms(self) -> None:
        world = voters(names="A")
        world.hosts["A"].slow = True
        world["A"].campaign(0)
        world.hosts["A"].pump()
        world.advance(20 * TIMING.election_max_us)
        assert world["A"].term == 1
        world.hosts["A"].sync()
        assert world["A"].role is Role.LEADER

    def test_worse_log_gets_no_vote(self) -> None:
        world = follower([1, 1, 3])
        for last in ((9, 2), (2, 3)):
            world.inject("B", "A", VoteRequest(world["A"].term + 1, *last, False))
            assert said(world, "B")[-1] == VoteReply(world["A"].term, False, False)

    def test_campaign_of_a_learner_or_leader_does_nothing(self) -> None:
        world = World()
        world.add("A", Configuration((rid("B"),), (), (rid("A"),)))
        world["A"].campaign(0)
        assert world["A"].role is Role.FOLLOWER
        assert world["A"].deadline is None
        led = leader()
        led["A"].campaign(led.now)
        assert led["A"].role is Role.LEADER

    def test_held_messages_are_bounded(self) -> None:
        world = follower([])
        world.hosts["A"].slow = True
        world.inject("B", "A", Heartbeat(2, 0, 0))
        for context in range(3000):
            world.inject("B", "A", Heartbeat(2, 0, context))
        assert said(world, "B") == []
        world.hosts["A"].sync()
        world.hosts["A"].pump()
        assert len(said(world, "B")) == 1024

    @pytest.mark.parametrize("target_is_gone", [False, True])
    def test_a_transfer_ends_with_the_leadership_or_with_its_time(
        self, target_is_gone: bool
    ) -> None:
        world = leader()
        node = world["A"]
        if target_is_gone:
            world.crash("B")
        assert not node.transferring
        node.transfer(rid("B"))
        assert node.transferring
        world.advance(3 * TIMING.election_max_us)
        assert not node.transferring
        assert (node.role is Role.LEADER) == target_is_gone

    def test_a_transfer_is_given_up_by_transferring_to_itself(self) -> None:
        world = leader()
        node = world["A"]
        world.crash("B")
        node.transfer(rid("B"))
        assert node.successor == rid("B")
        node.transfer(rid("A"))
        assert node.successor is None
        node.propose(EntryKind.DATA, 1, b"x")
        assert node.role is Role.LEADER

    def test_transfer_to_a_learner_is_refused(self) -> None:
        world = leader()
        with pytest.raises(Misconfigured, match="does not vote"):
            world["A"].transfer(rid("Z"))


class TestEagerCommit:
    def test_followers_learn_the_commit_at_once(self) -> None:
        world = leader(TIMING._replace(eager_commit=True))
        world.propose("A", b"x")
        world.settle()
        assert [world[name].commit for name in "ABC"] == [2, 2, 2]

    def test_otherwise_with_the_next_append(self) -> None:
        world = leader()
        world.propose("A", b"x")
        world.settle()
        assert [world[name].commit for name in "ABC"] == [2, 1, 1]
        world.propose("A", b"y")
        world.settle()
        assert [world[name].commit for name in "ABC"] == [3, 2, 2]


class TestSnapshotsOfTheLeader:
    def test_answers_to_overtaken_wishes_do_not_rewind(self) -> None:
        world = leader()
        world.cut("AC", "BC")
        world.propose("A", b"x")
        world.settle()
        world.compact("A", 2)
        world.heal()
        world.advance(2 * TIMING.heartbeat_us, quiet=False)
        meta, node = world.hosts["A"].log.snapshot(), world["A"]
        assert node.progress[rid("C")].state is ProgressState.SNAPSHOT
        node.snapshot_chunk(rid("C"), meta, 0, b"0123", False)
        world.settle()
        world.hosts["A"].wanted.clear()
        node.snapshot_chunk(rid("C"), meta, 0, b"0123", False)
        assert node.progress[rid("C")].snapshot_cursor == 4
        world.inject("C", "A", SnapshotReply(1, 1, 9, False))
        assert node.progress[rid("C")].snapshot_cursor == 4, "of another snapshot"
        node.snapshot_chunk(rid("C"), meta, 4, b"45", True)
        world.settle()
        assert world.hosts["C"].state == b"012345"
        assert node.progress[rid("C")].state is ProgressState.REPLICATE


@pytest.mark.parametrize(
    "wrong",
    [
        {"heartbeat_us": 0},
        {"election_min_us": 50_000},
        {"election_max_us": 1},
        {"max_append_bytes": 0},
        {"clock_drift_ppm": 1_000_000},
    ],
)
def test_impossible_timing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Misconfigured):
        TIMING._replace(**wrong).validated()  # type: ignore[arg-type]


def test_statistics_and_views() -> None:
    world = leader()
    world["A"].read(1)
    numbers = world["A"].statistics()
    assert (numbers.role, numbers.commit, numbers.waiting_reads) == (Role.LEADER, 1, 1)
    assert world["A"].term_of(1) == 1
    assert world["B"].progress == {}
    world.inject("B", "A", HeartbeatReply(1, 0, 1))


def test_the_slowest_follower_that_is_heard_counts_for_cutting_the_log() -> None:
    world = leader()
    world.isolate("C")
    for _ in range(3):
        world.propose("A", b"x")
    world.settle()
    assert world["A"].slowest_live_match == 1, "C has only just fallen behind"
    world.advance(2 * TIMING.election_max_us)
    assert world["A"].slowest_live_match == world["A"].last_index, "C is away"
    assert world["B"].slowest_live_match == 0
